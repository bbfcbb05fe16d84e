//! The schedule: each target has its own task, a fixed offset within its interval so that targets do not all come at once,
//! and is never visited twice at the same time.

use crate::{
    CollectConfig, GatherMetrics, ScrapeConfig, collect,
    intake::{self, Known, Outcome},
    scrape::{self, Endpoint},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use tandem_domain::{
    http::{HttpClient, HttpGrant},
    ports::Collectors,
    series::Labels,
    target::{Door, TargetInfo, TargetKey, TargetStatus},
    time::Clock,
};
use tandem_store::Store;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};

/// Visits under way at once: enough for slow targets, few enough that a burst does not hold hundreds of pages in memory.
const MAX_VISITS_AT_ONCE: usize = 32;
/// The instance under which this machine's own collections stand.
const LOCAL: &str = "local";

/// What the room is given.
#[derive(Clone)]
pub struct GatherPorts {
    /// Where everything goes.
    pub store: Store,
    /// The way out over HTTP.
    pub http: Arc<dyn HttpClient>,
    /// The collecting plugins.
    pub collectors: Arc<dyn Collectors>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<GatherMetrics>,
}

/// What a target's task does at each visit.
enum Errand {
    Scrape(Endpoint, HttpGrant),
    Collect { plugin: String, target: String },
}

struct Assignment {
    status: TargetStatus,
    interval: Duration,
    errand: Errand,
}

/// All scheduled targets.
pub struct Gather {
    ports: GatherPorts,
    assignments: Vec<Assignment>,
}

impl Gather {
    /// Plans the targets; nothing is visited yet.
    pub fn new(ports: GatherPorts, scrapes: &[ScrapeConfig], collects: &[CollectConfig]) -> Self {
        let scraped = scrapes
            .iter()
            .flat_map(|config| config.targets.iter().map(move |target| scrape_assignment(config, target)));
        let collected = collects.iter().map(collect_assignment);
        Self { assignments: scraped.chain(collected).collect(), ports }
    }

    /// Writes every configured target down, so that the API shows those that were never reached; forgets those that are no
    /// longer configured.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn announce(&mut self) -> Result<(), tandem_store::WriteError> {
        for assignment in &mut self.assignments {
            assignment.status = intake::status_of(&self.ports.store, assignment.status.clone());
        }
        let statuses: Vec<TargetStatus> = self.assignments.iter().map(|assignment| assignment.status.clone()).collect();
        self.ports
            .store
            .write(move |tx| {
                for earlier in tx.scan::<TargetStatus>(.., usize::MAX)? {
                    let still = statuses.iter().any(|status| status.info.key == earlier.info.key);
                    if !still && earlier.door != Door::Push {
                        tx.remove::<TargetStatus>(&(earlier.info.key.job, earlier.info.key.instance))?;
                    }
                }
                statuses.iter().try_for_each(|status| tx.put(status))
            })
            .await
    }

    /// Visits the targets until `shutdown` says so.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let permits = Arc::new(Semaphore::new(MAX_VISITS_AT_ONCE));
        let mut tasks = JoinSet::new();
        for assignment in self.assignments {
            tasks.spawn(keep_visiting(self.ports.clone(), assignment, permits.clone(), shutdown.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!("the task of a target ended: {error}");
            }
        }
    }
}

fn labels(pairs: &std::collections::BTreeMap<String, String>) -> Labels {
    pairs.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn scrape_assignment(config: &ScrapeConfig, target: &str) -> Assignment {
    let key = TargetKey { job: config.job.clone(), instance: target.to_owned() };
    let info = TargetInfo { key, labels: labels(&config.labels) };
    let url = format!("{}://{target}{}", config.scheme, config.path);
    // The operator named this address: it is granted by itself.
    let grant = HttpGrant { allow: vec![target.to_owned()], authority_pem: None };
    Assignment {
        status: intake::unvisited(info, Door::Scrape, None),
        interval: config.interval.0,
        errand: Errand::Scrape(Endpoint { url, config: config.clone() }, grant),
    }
}

fn collect_assignment(config: &CollectConfig) -> Assignment {
    let instance = if config.target.is_empty() { LOCAL.to_owned() } else { config.target.clone() };
    let key = TargetKey { job: config.plugin.clone(), instance };
    let info = TargetInfo { key, labels: labels(&config.labels) };
    Assignment {
        status: intake::unvisited(info, Door::Collect, Some(config.plugin.clone())),
        interval: config.interval.0,
        errand: Errand::Collect { plugin: config.plugin.clone(), target: config.target.clone() },
    }
}

/// Where in its interval a target is visited: the same after every restart, and spread over all targets. The first visit
/// comes at once, so that a new server shows something.
fn offset(key: &TargetKey, interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(hasher.finish() % millis)
}

async fn keep_visiting(
    ports: GatherPorts,
    assignment: Assignment,
    permits: Arc<Semaphore>,
    mut shutdown: watch::Receiver<bool>,
) {
    let Assignment { mut status, interval, errand } = assignment;
    let mut known = Known::default();
    let offset = offset(&status.info.key, interval);
    let mut first = true;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        if !std::mem::take(&mut first) {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = shutdown.wait_for(|stop| *stop) => return,
            }
        }
        let Ok(_permit) = permits.acquire().await else { return };
        if *shutdown.borrow() {
            return;
        }
        let visited = visit(&ports, &errand, &status, &mut known).await;
        if let Some(next) = visited {
            status = next;
        }
    }
}

/// One visit; the new status, or none when it could not even be written down.
async fn visit(ports: &GatherPorts, errand: &Errand, status: &TargetStatus, known: &mut Known) -> Option<TargetStatus> {
    let at = ports.clock.now();
    let started = std::time::Instant::now();
    let visit = match errand {
        Errand::Scrape(endpoint, grant) => {
            scrape::scrape(ports.http.as_ref(), grant, endpoint, at, &ports.metrics).await
        }
        Errand::Collect { plugin, target } => {
            collect::collect(&ports.store, ports.collectors.as_ref(), plugin, target, &status.info, at).await
        }
    };
    let duration_millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let (Err(failure), 0) = (&visit, status.failures_in_a_row) {
        tracing::warn!(job = status.info.key.job, instance = status.info.key.instance, "a target failed: {failure}");
    }
    let succeeded = visit.is_ok();
    let outcome = Outcome { at, duration_millis, visit, told_up: true };
    match intake::record(&ports.store, known, status.clone(), outcome).await {
        Ok((status, recorded)) => {
            ports.metrics.attempt(succeeded, recorded.samples);
            Some(status)
        }
        Err(error) => {
            ports.metrics.attempt(false, 0);
            tracing::error!(
                job = status.info.key.job,
                instance = status.info.key.instance,
                "a visit was not kept: {error}"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests;
