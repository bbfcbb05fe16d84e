//! What the operator says of a plugin.

use serde::{Deserialize, Deserializer, de};
use std::{collections::BTreeMap, path::PathBuf};
use tandem_domain::secret::SecretSource;

/// An amount of memory or disk, written as `64MiB`, `2GiB`, `512KiB` or a plain number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Bytes(bytes)),
            Written::Text(text) => parse(&text).ok_or_else(|| {
                de::Error::custom(format!("{text:?} is not an amount; write it like \"64MiB\" or as a number of bytes"))
            }),
        }
    }
}

fn parse(text: &str) -> Option<Bytes> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "B" => 1u64,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    (0.0..1e18).contains(&bytes).then_some(Bytes(bytes as u64))
}

/// The value of a secret, read at start.
///
/// # Errors
/// In words, without the value, when there is none or it cannot stand in a header.
pub(crate) fn read_secret(source: &SecretSource) -> Result<String, String> {
    let (place, text) = match source {
        SecretSource::File(path) => (
            format!("the file {}", path.display()),
            std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?,
        ),
        SecretSource::Env(name) => (
            format!("the variable {name}"),
            std::env::var(name).map_err(|_| format!("the variable {name} is not set, or is no text"))?,
        ),
    };
    let value = text.trim();
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(format!("{place} is empty or holds more than one line; give the value alone"));
    }
    Ok(value.to_owned())
}

/// Grants, limits and configuration of one plugin. A grant counts only for what the plugin also asks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PluginConfig {
    /// Hosts it may reach over HTTP: `host`, `host:port`, `*.suffix`, an address or a CIDR.
    pub allow_http: Vec<String>,
    /// Addresses it may reach over TCP, as above.
    pub allow_tcp: Vec<String>,
    /// Addresses it may reach over UDP, as above.
    pub allow_udp: Vec<String>,
    /// Files it may read, as absolute paths; `*` matches within one segment. Bundled plugins have what they ask for.
    pub allow_files: Vec<String>,
    /// A file with certificates (PEM) of an authority of your own to trust for `allow_http`.
    pub authority: Option<PathBuf>,
    /// What `${secret.NAME}` in its configuration stands for, in the headers of its HTTP requests. It never sees the values.
    pub secrets: BTreeMap<String, SecretSource>,
    /// The most linear memory one instance may have.
    pub memory: Option<Bytes>,
    /// Its own configuration, checked against its own schema.
    pub config: Option<toml::Table>,
    /// Switches it off.
    pub disabled: bool,
}

impl PluginConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        for path in &self.allow_files {
            if !path.starts_with('/') {
                return Err(format!("allow_files holds {path:?}; give absolute paths"));
            }
        }
        Ok(())
    }

    /// The configuration as JSON, `{}` when there is none.
    pub fn config_json(&self) -> String {
        self.config.as_ref().and_then(|table| serde_json::to_string(table).ok()).unwrap_or_else(|| "{}".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_their_units() {
        assert_eq!(parse("64MiB"), Some(Bytes(64 << 20)));
        assert_eq!(parse("1.5 GiB"), Some(Bytes(3 << 29)));
        assert_eq!(parse("4096"), Some(Bytes(4096)));
        assert_eq!(parse("64MB"), None);
        assert_eq!(parse("much"), None);
    }
}
