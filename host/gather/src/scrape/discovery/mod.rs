//! Who finds targets: a module for each source, behind one small trait. A finder tells groups of targets by source, whole each
//! time; what is no longer told of a source is gone.

mod file;
mod http;
mod kubernetes;

pub use file::FileSdConfig;
pub use http::HttpSdConfig;
pub use kubernetes::KubernetesSdConfig;

use super::config::{ScrapeConfig, StaticConfig};
use crate::GatherPorts;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tandem_domain::ports::BoxFuture;
use tandem_wire::{relabel::LabelMap, target_list::ListedGroup};
use tokio::sync::Notify;

/// Targets that one finder may tell: beyond it something else than targets is listed.
const MAX_TARGETS: usize = 200_000;

/// Targets that share labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TargetGroup {
    /// Of all of them.
    pub labels: LabelMap,
    /// The labels of each, `__address__` among them.
    pub targets: Vec<LabelMap>,
}

/// Where a group comes from: the finder's number within its job, and its own name for the source.
pub(crate) type Source = (usize, String);

/// What the finders of a job have found so far.
#[derive(Default)]
pub(crate) struct Found {
    groups: Mutex<HashMap<Source, Arc<TargetGroup>>>,
    /// Finders that have not told anything yet.
    silent: Mutex<Vec<usize>>,
    changed: Notify,
}

impl Found {
    /// Of so many finders.
    pub(crate) fn of(finders: usize) -> Self {
        Self { silent: Mutex::new((0..finders).collect()), ..Self::default() }
    }

    /// All groups as they stand.
    pub(crate) fn groups(&self) -> HashMap<Source, Arc<TargetGroup>> {
        self.groups.lock().clone()
    }

    /// Whether every finder has told what it found.
    pub(crate) fn is_complete(&self) -> bool {
        self.silent.lock().is_empty()
    }

    /// Waits until something is told.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// One finder's way to tell.
#[derive(Clone)]
pub(crate) struct Telling {
    found: Arc<Found>,
    finder: usize,
}

impl Telling {
    pub(crate) fn new(found: Arc<Found>, finder: usize) -> Self {
        Self { found, finder }
    }

    /// Tells all that the finder knows now, by source. Groups that are as before stay the same ones.
    pub(crate) fn all(&self, told: BTreeMap<String, TargetGroup>) {
        let count: usize = told.values().map(|group| group.targets.len()).sum();
        if count > MAX_TARGETS {
            tracing::error!(count, "more than {MAX_TARGETS} targets were found at once; those before stay");
            return;
        }
        let mut groups = self.found.groups.lock();
        let before = groups.len();
        groups.retain(|(finder, source), _| *finder != self.finder || told.contains_key(source));
        let mut changed = groups.len() != before;
        for (source, group) in told {
            let known = groups.entry((self.finder, source)).or_default();
            if **known != group {
                *known = Arc::new(group);
                changed = true;
            }
        }
        drop(groups);
        let mut silent = self.found.silent.lock();
        let first = silent.iter().position(|finder| *finder == self.finder);
        if let Some(place) = first {
            silent.swap_remove(place);
        }
        drop(silent);
        if changed || first.is_some() {
            self.found.changed.notify_one();
        }
    }
}

/// Finds targets until it is dropped.
pub(crate) trait Finder: Send {
    /// Runs for ever; what fails is logged and tried again, and what was found before stays.
    fn run(self: Box<Self>, telling: Telling) -> BoxFuture<'static, ()>;
}

/// The finders of a job, but for what stands in its configuration.
pub(crate) fn finders(config: &ScrapeConfig, ports: &GatherPorts) -> Result<Vec<Box<dyn Finder>>, String> {
    let mut finders: Vec<Box<dyn Finder>> = Vec::new();
    for config in &config.file_sd_configs {
        finders.push(Box::new(file::FileFinder::new(config.clone())?));
    }
    for config in &config.http_sd_configs {
        finders.push(Box::new(http::HttpFinder::new(config.clone(), ports.http.clone())?));
    }
    for config in &config.kubernetes_sd_configs {
        finders.push(Box::new(kubernetes::KubernetesFinder::new(config, ports.clone())?));
    }
    Ok(finders)
}

/// The groups that stand in the configuration.
pub(crate) fn static_groups(groups: &[StaticConfig]) -> BTreeMap<String, TargetGroup> {
    let group = |listed: &StaticConfig| ListedGroup { targets: listed.targets.clone(), labels: listed.labels.clone() };
    groups.iter().enumerate().map(|(index, listed)| (index.to_string(), group(listed).into())).collect()
}

impl From<ListedGroup> for TargetGroup {
    fn from(listed: ListedGroup) -> Self {
        let one = |address: String| std::iter::once(("__address__".to_owned(), address)).collect();
        Self { labels: listed.labels.into_iter().collect(), targets: listed.targets.into_iter().map(one).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(targets: &[&str]) -> TargetGroup {
        let targets = targets.iter().map(|target| (*target).to_owned()).collect();
        ListedGroup { targets, labels: BTreeMap::new() }.into()
    }

    #[test]
    fn a_finder_tells_its_own_sources_and_unchanged_groups_stay_the_same() {
        let found = Arc::new(Found::of(2));
        let (one, other) = (Telling::new(found.clone(), 0), Telling::new(found.clone(), 1));
        one.all(BTreeMap::from([("a".into(), group(&["h:1"])), ("b".into(), group(&["h:2"]))]));
        assert!(!found.is_complete());
        other.all(BTreeMap::from([("a".into(), group(&["h:3"]))]));
        assert!(found.is_complete());
        let before = found.groups();
        one.all(BTreeMap::from([("a".into(), group(&["h:1"]))]));
        let after = found.groups();
        let (a, theirs) = ((0, "a".to_owned()), (1, "a".to_owned()));
        assert_eq!((before.len(), after.len()), (3, 2));
        assert!(Arc::ptr_eq(&before[&a], &after[&a]) && Arc::ptr_eq(&before[&theirs], &after[&theirs]));
    }
}
