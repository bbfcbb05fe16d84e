//! What is scraped at this moment, for those who ask: the pools, their targets, and how the last visit to each went. And who
//! may scrape what: of two targets with the same labels, one.

use super::target::Planned;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tandem_domain::{
    Timestamp,
    series::Labels,
    target::{TargetKey, TargetStatus},
};
use tandem_wire::relabel::LabelMap;

/// How the last visit went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LastScrape {
    /// When; none before the first.
    pub at: Option<Timestamp>,
    /// How long it took.
    pub duration: Duration,
    /// Why it failed.
    pub error: Option<String>,
}

/// A target that is scraped, or would be.
#[derive(Debug)]
pub struct ActiveTarget {
    /// Its job as configured.
    pub pool: String,
    /// Its labels.
    pub labels: LabelMap,
    /// Its address with all parameters.
    pub url: String,
    /// How often it is visited.
    pub interval: Duration,
    /// How long a visit may take.
    pub timeout: Duration,
    discovered: Mutex<LabelMap>,
    last: Mutex<LastScrape>,
}

impl ActiveTarget {
    pub(super) fn new(pool: &str, planned: &Planned, discovered: LabelMap) -> Self {
        Self {
            pool: pool.to_owned(),
            labels: planned.labels.clone(),
            url: planned.url.clone(),
            interval: planned.interval,
            timeout: planned.timeout,
            discovered: Mutex::new(discovered),
            last: Mutex::default(),
        }
    }

    /// Its labels before relabelling.
    pub fn discovered(&self) -> LabelMap {
        self.discovered.lock().clone()
    }

    /// How the last visit went.
    pub fn last(&self) -> LastScrape {
        self.last.lock().clone()
    }

    pub(super) fn rediscovered(&self, discovered: LabelMap) {
        *self.discovered.lock() = discovered;
    }

    pub(super) fn visited(&self, last: LastScrape) {
        *self.last.lock() = last;
    }

    /// It is not visited; why.
    pub(super) fn refused(&self, error: String) {
        self.last.lock().error = Some(error);
    }
}

/// One job's targets.
#[derive(Debug, Clone, Default)]
pub struct ScrapePool {
    /// In the order of their addresses.
    pub active: Vec<Arc<ActiveTarget>>,
    /// Labels before relabelling of those that it dropped, as many as are kept to be shown.
    pub dropped: Vec<LabelMap>,
    /// How many it dropped.
    pub dropped_count: usize,
}

/// All pools by the name of their job.
#[derive(Debug, Default)]
pub struct ScrapeBoard {
    pools: RwLock<BTreeMap<String, ScrapePool>>,
    claims: Mutex<HashMap<LabelMap, (String, String)>>,
    statuses: Mutex<HashMap<TargetKey, Vec<(String, TargetStatus)>>>,
}

impl ScrapeBoard {
    /// The pools as they stand.
    pub fn pools(&self) -> BTreeMap<String, ScrapePool> {
        self.pools.read().clone()
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.pools.read().keys().cloned().collect()
    }

    /// Adds an empty pool; answers its name, which differs from the job's where that is taken.
    pub(super) fn open(&self, job: &str) -> String {
        let mut pools = self.pools.write();
        let mut name = job.to_owned();
        let mut number = 2;
        while pools.contains_key(&name) {
            name = format!("{job} ({number})");
            number += 1;
        }
        pools.insert(name.clone(), ScrapePool::default());
        name
    }

    pub(super) fn show(&self, name: &str, pool: ScrapePool) {
        self.pools.write().insert(name.to_owned(), pool);
    }

    /// Claims a set of labels for a target; answers pool and address of the target that has them.
    pub(super) fn claim(&self, pool: &str, planned: &Planned) -> Result<(), (String, String)> {
        let mut claims = self.claims.lock();
        let mine = (pool.to_owned(), planned.url.clone());
        match claims.get(&planned.labels) {
            Some(other) if *other != mine => Err(other.clone()),
            Some(_) => Ok(()),
            None => {
                claims.insert(planned.labels.clone(), mine);
                Ok(())
            }
        }
    }

    /// Gives the labels of a target free.
    pub(super) fn release(&self, planned: &Planned) {
        self.claims.lock().remove(&planned.labels);
    }

    /// Notes the status of one of the addresses of a target; answers the status of all of them together.
    pub(super) fn together(&self, url: &str, status: &TargetStatus) -> TargetStatus {
        let mut statuses = self.statuses.lock();
        let all = statuses.entry(status.info.key.clone()).or_default();
        match all.iter_mut().find(|(known, _)| known == url) {
            Some((_, known)) => known.clone_from(status),
            None => all.push((url.to_owned(), status.clone())),
        }
        let (first, others) = all.split_first().map_or((status, [].as_slice()), |((_, first), others)| (first, others));
        combined(first, others)
    }

    /// Forgets one of the addresses of a target; answers the status of the others, if there are any.
    pub(super) fn without(&self, url: &str, key: &TargetKey) -> Option<TargetStatus> {
        let mut statuses = self.statuses.lock();
        let all = statuses.get_mut(key)?;
        all.retain(|(known, _)| known != url);
        match all.split_first() {
            Some(((_, first), others)) => Some(combined(first, others)),
            None => {
                statuses.remove(key);
                None
            }
        }
    }

    /// Whether any address of a target is scraped.
    pub(super) fn scrapes(&self, key: &TargetKey) -> bool {
        self.statuses.lock().contains_key(key)
    }
}

/// One status of several addresses of one target: it has failed when one of them has, and what they brought counts together.
fn combined(first: &TargetStatus, others: &[(String, TargetStatus)]) -> TargetStatus {
    let mut together = first.clone();
    for (_, one) in others {
        together.last_attempt_at = together.last_attempt_at.max(one.last_attempt_at);
        together.last_success_at = together.last_success_at.max(one.last_success_at);
        together.last_duration_millis = together.last_duration_millis.max(one.last_duration_millis);
        together.last_samples += one.last_samples;
        together.last_rejected += one.last_rejected;
        together.rejection = together.rejection.or_else(|| one.rejection.clone());
        together.failure = together.failure.or_else(|| one.failure.clone());
        together.failures_in_a_row = together.failures_in_a_row.max(one.failures_in_a_row);
        let shared = together.info.labels.iter().filter(|(name, value)| one.info.labels.get(name) == Some(value));
        let shared: Labels = shared.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        together.info.labels = shared;
    }
    together
}
