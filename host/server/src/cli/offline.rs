//! The runtime without a server, for commands that run the same components on files.

use crate::{SystemClock, bundled};
use anyhow::{Context, bail};
use std::{path::Path, sync::Arc};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse},
    plugin::PluginStatus,
    ports::{BoxFuture, PluginCatalogue},
};
use tandem_runtime::{MemoryBudget, PluginSettings, Runtime, RuntimeOptions};

/// Linear memory of all plugins of one command.
const MEMORY_BYTES: u64 = 4 << 30;
/// Instances of one command.
const MAX_INSTANCES: u32 = 64;

/// Commands send nothing.
struct NoHttp;

impl HttpClient for NoHttp {
    fn send<'a>(&'a self, _: &'a HttpGrant, _: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        Box::pin(async { Err(Failure::lasting(FailureCode::Refused, "nothing is sent offline")) })
    }
}

/// A runtime that keeps compiled components in the user's cache folder.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(std::path::PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let data_dir = cache.or_else(home).unwrap_or_else(std::env::temp_dir).join("tandem");
    let runtime = Runtime::new(RuntimeOptions {
        data_dir,
        clock: Arc::new(SystemClock),
        http: Arc::new(NoHttp),
        memory_budget: MemoryBudget::new(MEMORY_BYTES),
        workers: None,
        max_instances: MAX_INSTANCES,
        seed: 0,
    })?;
    Ok(runtime)
}

/// Loads a bundled plugin by name, or a component by file; answers its name.
pub(super) async fn load(runtime: &Runtime, name_or_file: &str, config: serde_json::Value) -> anyhow::Result<String> {
    let bundled = bundled::COMPONENTS.iter().find(|(name, _)| *name == name_or_file);
    let (origin, bytes): (String, Arc<[u8]>) = match bundled {
        Some((_, bytes)) => (bundled::ORIGIN.into(), Arc::from(*bytes)),
        None if Path::new(name_or_file).is_file() => (
            name_or_file.into(),
            std::fs::read(name_or_file).with_context(|| format!("{name_or_file} cannot be read"))?.into(),
        ),
        None => {
            let known: Vec<&str> = bundled::COMPONENTS.iter().map(|(name, _)| *name).collect();
            bail!("there is no bundled plugin and no file {name_or_file:?}; bundled are {}", known.join(", "))
        }
    };
    let stem = Path::new(name_or_file).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let settings = PluginSettings { config, ..PluginSettings::default() };
    runtime.load_bytes(&stem, &origin, bytes, settings).await.map_err(|failure| anyhow::anyhow!("{failure}"))
}

/// RFC 3339, `2014-04-01 00:00:00` as UTC, or Unix seconds.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(Timestamp((seconds * 1000.0).round() as i64));
    }
    let as_utc = || format!("{text}Z").parse::<jiff::Timestamp>().ok();
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(as_utc)?;
    Some(Timestamp(moment.as_millisecond()))
}

/// The status of a plugin that was just loaded, or failed to.
pub(super) fn status(runtime: &Runtime, name: &str) -> Option<PluginStatus> {
    runtime.statuses().into_iter().find(|status| status.name == name)
}
