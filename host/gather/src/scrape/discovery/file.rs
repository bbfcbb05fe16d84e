//! Targets that files list, in JSON or YAML: `[{"targets": ["host:port"], "labels": {…}}]`. The files are looked at every
//! second: that works on every file system, and over the links by which Kubernetes swaps mounted configuration.

use super::{Finder, TargetGroup, Telling};
use crate::Period;
use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tandem_domain::ports::BoxFuture;
use tandem_wire::target_list::{self, ListedGroup};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longest file, in bytes: some 100,000 targets with labels.
const MAX_FILE_BYTES: u64 = 32 << 20;
/// Files read of one job; what is beyond is left alone and said.
const MAX_FILES: usize = 4_096;
/// Endings by which a file says its format.
const ENDINGS: [&str; 3] = ["json", "yml", "yaml"];

/// Files that list targets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSdConfig {
    /// Paths; `*` may stand in the last part.
    pub files: Vec<PathBuf>,
    /// How often files are read whether or not they look changed; five minutes when absent.
    #[serde(default = "five_minutes")]
    pub refresh_interval: Period,
}

fn five_minutes() -> Period {
    Period::seconds(300)
}

impl FileSdConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        FileFinder::new(self.clone()).map(drop)
    }
}

/// A folder, and which files in it are meant.
struct Pattern {
    folder: PathBuf,
    name: GlobMatcher,
}

fn pattern(path: &Path) -> Result<Pattern, String> {
    let shown = path.display();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if !ENDINGS.contains(&ending) {
        return Err(format!("files holds \"{shown}\"; give names that end in .json, .yml or .yaml"));
    }
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    if folder.to_str().is_none_or(|folder| folder.contains('*')) {
        return Err(format!("files holds \"{shown}\"; * may stand in the last part of a path only"));
    }
    let name = Glob::new(name).map_err(|error| format!("files holds \"{shown}\": {error}"))?.compile_matcher();
    Ok(Pattern { folder: folder.to_path_buf(), name })
}

/// What a file looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    bytes: u64,
    modified: Option<SystemTime>,
}

/// What is known of a file.
struct Known {
    look: Look,
    groups: Vec<TargetGroup>,
    /// Whether its last reading failed, which is said once.
    failing: bool,
}

pub(super) struct FileFinder {
    patterns: Vec<Pattern>,
    refresh: Duration,
    known: BTreeMap<PathBuf, Known>,
}

impl FileFinder {
    pub(super) fn new(config: FileSdConfig) -> Result<Self, String> {
        if config.files.is_empty() {
            return Err("files is empty; give a path such as [\"/etc/tandem/targets/*.json\"]".into());
        }
        let patterns = config.files.iter().map(|path| pattern(path)).collect::<Result<_, _>>()?;
        Ok(Self { patterns, refresh: config.refresh_interval.0, known: BTreeMap::new() })
    }

    /// The files that are meant, as they look.
    fn looks(&self) -> BTreeMap<PathBuf, Look> {
        let mut looks = BTreeMap::new();
        for Pattern { folder, name } in &self.patterns {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                // Links are followed: a mounted configuration is one.
                let Ok(found) = std::fs::metadata(entry.path()) else { continue };
                if name.is_match(Path::new(&entry.file_name())) && found.is_file() {
                    looks.insert(entry.path(), Look { bytes: found.len(), modified: found.modified().ok() });
                }
            }
        }
        if looks.len() > MAX_FILES {
            tracing::error!(files = looks.len(), "more than {MAX_FILES} files list targets; the last are left alone");
        }
        looks.into_iter().take(MAX_FILES).collect()
    }

    /// Reads what looks changed, or everything; a file that cannot be read keeps what it listed before.
    fn look(&mut self, everything: bool) {
        let looks = self.looks();
        self.known.retain(|path, _| looks.contains_key(path));
        for (path, look) in looks {
            let known = self.known.get_mut(&path);
            if !everything && known.as_ref().is_some_and(|known| known.look == look) {
                continue;
            }
            match (read(&path, look), known) {
                (Ok(groups), _) => {
                    self.known.insert(path, Known { look, groups, failing: false });
                }
                (Err(problem), Some(known)) => {
                    if !known.failing {
                        tracing::warn!("targets before stay: {problem}");
                    }
                    (known.look, known.failing) = (look, true);
                }
                (Err(problem), None) => {
                    tracing::warn!("no targets: {problem}");
                    self.known.insert(path, Known { look, groups: Vec::new(), failing: true });
                }
            }
        }
    }

    fn groups(&self) -> BTreeMap<String, TargetGroup> {
        let listed = self.known.iter().flat_map(|(path, known)| {
            let named = |(index, group): (usize, &TargetGroup)| (format!("{}:{index}", path.display()), group.clone());
            known.groups.iter().enumerate().map(named)
        });
        listed.collect()
    }
}

/// The groups that a file lists.
fn read(path: &Path, look: Look) -> Result<Vec<TargetGroup>, String> {
    let shown = path.display();
    if look.bytes > MAX_FILE_BYTES {
        return Err(format!("{shown} has {} bytes, and {MAX_FILE_BYTES} are read", look.bytes));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let listed = if is_json { target_list::from_json(text.as_bytes()) } else { target_list::from_yaml(&text) };
    let listed = listed.map_err(|error| format!("{shown}: {error}"))?;
    let group = |listed: ListedGroup| {
        let mut group = TargetGroup::from(listed);
        group.labels.set("__meta_filepath", &path.display().to_string());
        group
    };
    Ok(listed.into_iter().map(group).collect())
}

impl Finder for FileFinder {
    fn run(mut self: Box<Self>, telling: Telling) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut read_all_at = tokio::time::Instant::now();
            loop {
                let everything = tokio::time::Instant::now() >= read_all_at;
                if everything {
                    read_all_at += self.refresh;
                }
                let looked = tokio::task::spawn_blocking(move || {
                    self.look(everything);
                    self
                });
                match looked.await {
                    Ok(finder) => self = finder,
                    Err(error) => return tracing::error!("files with targets are no longer looked at: {error}"),
                }
                telling.all(self.groups());
                tokio::time::sleep(LOOK_EVERY).await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(finder: &FileFinder) -> Vec<String> {
        let groups = finder.groups();
        groups.values().flat_map(|group| &group.targets).map(|target| target.get("__address__").to_owned()).collect()
    }

    fn finder(files: &[PathBuf]) -> Result<FileFinder, String> {
        FileFinder::new(FileSdConfig { files: files.to_vec(), refresh_interval: five_minutes() })
    }

    #[test]
    fn files_are_read_in_both_formats_and_anew_when_they_change() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("written");
        write("a.json", r#"[{"targets": ["h:1", "h:2"], "labels": {"rack": "7"}}]"#);
        write("b.yml", "- targets: ['h:3']\n  labels:\n    port: 80\n- targets: ['h:4']\n");
        write("c.txt", "not meant");
        let mut finder = finder(&[path("*.json"), path("*.yml")]).expect("patterns");
        finder.look(true);
        assert_eq!(addresses(&finder), ["h:1", "h:2", "h:3", "h:4"]);
        let groups = finder.groups();
        let first = groups.values().next().expect("a group");
        assert_eq!(first.labels.get("rack"), "7");
        assert_eq!(first.labels.get("__meta_filepath"), path("a.json").display().to_string());
        assert_eq!(groups.values().nth(1).expect("a group").labels.get("port"), "80");

        write("a.json", "[{\"targets\": [\"h:1\", ");
        finder.look(false);
        assert_eq!(addresses(&finder), ["h:1", "h:2", "h:3", "h:4"], "what it listed before stays");
        write("a.json", r#"[{"targets": ["h:5"]}]"#);
        std::fs::remove_file(path("b.yml")).expect("removed");
        finder.look(false);
        assert_eq!(addresses(&finder), ["h:5"]);
    }

    #[test]
    fn paths_that_cannot_be_meant_are_named() {
        let said = |path: &str| finder(&[PathBuf::from(path)]).err().expect("wrong");
        assert!(said("/a/*/b.json").contains("last part"));
        assert!(said("/a/b.txt").contains(".json"));
    }
}
