//! What the config says of a plugin, as the runtime takes it.

use crate::config::{Config, PluginConfig, read_secret};
use anyhow::Context;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use tandem_domain::secret::SecretSource;
use tandem_runtime::{OperatorGrants, PluginSettings, SettingsOf};

/// Settings by plugin name; `bundled` ones have the kernel files they ask for, others only what the config gives.
///
/// # Errors
/// When a file with certificates or a secret cannot be read.
pub(crate) fn settings(config: &Config, plugin_folder: &Path, bundled: bool) -> anyhow::Result<SettingsOf> {
    let mut by_name = BTreeMap::new();
    for (name, plugin) in &config.plugins {
        by_name.insert(name.clone(), of(name, plugin, plugin_folder, bundled)?);
    }
    let folder = plugin_folder.to_path_buf();
    Ok(Arc::new(move |name| by_name.get(name).cloned().unwrap_or_else(|| unconfigured(name, &folder, bundled))))
}

fn unconfigured(name: &str, folder: &Path, bundled: bool) -> PluginSettings {
    let assets = folder.join(format!("{name}.assets"));
    PluginSettings {
        grants: OperatorGrants { trusts_declared_files: bundled, ..OperatorGrants::default() },
        assets: assets.is_dir().then_some(assets),
        ..PluginSettings::default()
    }
}

fn of(name: &str, plugin: &PluginConfig, folder: &Path, bundled: bool) -> anyhow::Result<PluginSettings> {
    let authority = plugin.authority.as_ref().map(|path| {
        std::fs::read_to_string(path)
            .with_context(|| format!("plugins.{name}.authority: {} cannot be read", path.display()))
    });
    let secret = |(secret, source): (&String, &SecretSource)| {
        let value =
            read_secret(source).map_err(|problem| anyhow::anyhow!("plugins.{name}.secrets.{secret}: {problem}"))?;
        anyhow::Ok((secret.clone(), value))
    };
    let secrets = plugin.secrets.iter().map(secret).collect::<anyhow::Result<_>>()?;
    let unconfigured = unconfigured(name, folder, bundled);
    Ok(PluginSettings {
        config: serde_json::from_str(&plugin.config_json())?,
        grants: OperatorGrants {
            http: plugin.allow_http.clone(),
            tcp: plugin.allow_tcp.clone(),
            udp: plugin.allow_udp.clone(),
            files: plugin.allow_files.clone(),
            authority_pem: authority.transpose()?,
            secrets,
            trusts_declared_files: bundled,
        },
        memory_bytes: plugin.memory.map(|memory| memory.0),
        disabled: plugin.disabled,
        assets: unconfigured.assets,
    })
}
