//! Watches a folder of plugins: a file that appears or changes is loaded once it has come to rest, one that goes away is
//! unloaded. Polling, because it works on every filesystem and a plugin need not arrive within milliseconds.

use crate::{
    load::{PluginSettings, SettingsOf},
    runtime::{PluginSource, Runtime},
    shape::MAX_COMPONENT_BYTES,
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Between two looks at the folder. A file must look the same twice before it is read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Files looked at in one folder; what is beyond is left alone and said.
const MAX_FILES: usize = 256;

/// What a file looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    bytes: u64,
    modified: SystemTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Looked so last time; not yet read.
    Unsettled(Look),
    /// Read when it looked so.
    Read(Look),
}

/// A watch on a folder; ends when dropped.
#[derive(Debug)]
pub struct FolderWatch(tokio::task::JoinHandle<()>);

impl Drop for FolderWatch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Runtime {
    /// Loads what lies in the folder, then watches it. A folder that does not exist (yet) is empty.
    pub async fn watch_folder(&self, folder: impl Into<PathBuf>, settings: SettingsOf) -> FolderWatch {
        let mut files = Folder { path: folder.into(), seen: BTreeMap::new(), settings };
        // What is there at start has come to rest long ago, or will look different at the next turn.
        files.turn(self, true).await;
        let runtime = self.clone();
        FolderWatch(tokio::spawn(async move {
            loop {
                tokio::time::sleep(POLL_INTERVAL).await;
                files.turn(&runtime, false).await;
            }
        }))
    }
}

struct Folder {
    path: PathBuf,
    seen: BTreeMap<PathBuf, Seen>,
    settings: SettingsOf,
}

impl Folder {
    async fn turn(&mut self, runtime: &Runtime, at_once: bool) {
        let looks = looks_in(&self.path).await;
        let gone: Vec<PathBuf> = self.seen.keys().filter(|path| !looks.contains_key(*path)).cloned().collect();
        for path in gone {
            self.seen.remove(&path);
            runtime.unload_origin(&path.display().to_string());
        }
        let mut sources = Vec::new();
        for (path, look) in looks {
            let settled = at_once || self.seen.get(&path) == Some(&Seen::Unsettled(look));
            if self.seen.get(&path) == Some(&Seen::Read(look)) {
                continue;
            }
            if !settled {
                self.seen.insert(path, Seen::Unsettled(look));
                continue;
            }
            match self.source(&path, look, runtime).await {
                Ok(source) => {
                    sources.extend(source);
                    self.seen.insert(path, Seen::Read(look));
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a plugin file cannot be read; it is tried again");
                    self.seen.insert(path, Seen::Unsettled(look));
                }
            }
        }
        // What went wrong with one of them stands in the catalogue and the log.
        runtime.load_all(sources).await;
    }

    /// The file as a source, when it is whole. One whose content was quarantined before is not tried again.
    async fn source(&self, path: &Path, look: Look, runtime: &Runtime) -> std::io::Result<Option<PluginSource>> {
        let bytes = if look.bytes > MAX_COMPONENT_BYTES as u64 {
            // The loader tells about it without having read it.
            vec![0; MAX_COMPONENT_BYTES + 1]
        } else {
            tokio::fs::read(path).await?
        };
        if bytes.len() as u64 != look.bytes && look.bytes <= MAX_COMPONENT_BYTES as u64 {
            return Err(std::io::Error::other("it is being written"));
        }
        if runtime.was_rejected(&hex::encode(Sha256::digest(&bytes))) {
            return Ok(None);
        }
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let assets = path.with_extension("assets");
        let settings = self.settings.clone();
        let settings: SettingsOf = Arc::new(move |name: &str| {
            let mut settings: PluginSettings = settings(name);
            if settings.assets.is_none() && assets.is_dir() {
                settings.assets = Some(assets.clone());
            }
            settings
        });
        Ok(Some(PluginSource { name, origin: path.display().to_string(), bytes: bytes.into(), settings }))
    }
}

async fn looks_in(folder: &Path) -> BTreeMap<PathBuf, Look> {
    let mut looks = BTreeMap::new();
    let Ok(mut entries) = tokio::fs::read_dir(folder).await else { return looks };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        if looks.len() >= MAX_FILES {
            tracing::warn!(folder = %folder.display(), "more than {MAX_FILES} plugin files; the rest is left alone");
            break;
        }
        // Follows links, so that a plugin can be switched by moving a link.
        if let Ok(metadata) = tokio::fs::metadata(&path).await
            && metadata.is_file()
            && let Ok(modified) = metadata.modified()
        {
            looks.insert(path, Look { bytes: metadata.len(), modified });
        }
    }
    looks
}
