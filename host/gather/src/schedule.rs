//! The schedule: each target has its own task, a fixed offset within its interval so that targets do not all come at once,
//! and is never visited twice at the same time.

use crate::{
    CollectConfig, GatherMetrics, ScrapeConfig, collect,
    collect::Reading,
    intake::{self, Known, Outcome},
    limits::SampleLimits,
    scrape::{self, Endpoint},
};
use std::{
    collections::HashSet,
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

/// Visits to quick targets under way at once: few enough that a burst does not hold thousands of pages in memory.
const MAX_QUICK_VISITS_AT_ONCE: usize = 256;
/// Visits to slow targets under way at once, beside the quick ones: they hardly hold anything while they wait for an answer,
/// so that only thousands of dead targets get in each other's way.
const MAX_SLOW_VISITS_AT_ONCE: usize = 1_024;
/// A target whose last visit took longer is slow, in milliseconds: most exporters answer within a tenth of it.
const SLOW_VISIT_MILLIS: u64 = 1_000;
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
    Scrape(Box<Endpoint>, HttpGrant),
    Collect { plugin: String, target: String, timeout: Option<Duration> },
}

impl Errand {
    fn limits(&self) -> SampleLimits {
        match self {
            Errand::Scrape(endpoint, _) => endpoint.config.limits(),
            Errand::Collect { .. } => SampleLimits::COLLECTED,
        }
    }
}

/// How many visits may be under way. A slow target waits among slow ones and keeps no quick one waiting.
struct Lanes {
    quick: Semaphore,
    slow: Semaphore,
}

impl Lanes {
    fn new() -> Self {
        Self { quick: Semaphore::new(MAX_QUICK_VISITS_AT_ONCE), slow: Semaphore::new(MAX_SLOW_VISITS_AT_ONCE) }
    }

    fn of(&self, status: &TargetStatus) -> &Semaphore {
        if status.last_duration_millis > SLOW_VISIT_MILLIS { &self.slow } else { &self.quick }
    }
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
    /// Plans the targets; nothing is visited yet. A target that is given twice is planned once, see
    /// [`check_targets`](crate::check_targets).
    pub fn new(ports: GatherPorts, scrapes: &[ScrapeConfig], collects: &[CollectConfig]) -> Self {
        let scraped = scrapes
            .iter()
            .flat_map(|config| config.targets.iter().map(move |target| scrape_assignment(config, target)));
        let collected = collects.iter().map(collect_assignment);
        let mut planned = HashSet::new();
        let once = |assignment: &Assignment| {
            let key = &assignment.status.info.key;
            let first = planned.insert(key.clone());
            if !first {
                tracing::error!(job = key.job, instance = key.instance, "a target is given twice and visited once");
            }
            first
        };
        Self { assignments: scraped.chain(collected).filter(once).collect(), ports }
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
                    // What is sent here is not configured here.
                    if !still && matches!(earlier.door, Door::Scrape | Door::Collect) {
                        tx.remove::<TargetStatus>(&(earlier.info.key.job, earlier.info.key.instance))?;
                    }
                }
                statuses.iter().try_for_each(|status| tx.put(status))
            })
            .await
    }

    /// Visits the targets until `shutdown` says so; visits that are under way then are cut off.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let lanes = Arc::new(Lanes::new());
        let mut tasks = JoinSet::new();
        for assignment in self.assignments {
            tasks.spawn(keep_visiting(self.ports.clone(), assignment, lanes.clone(), shutdown.clone()));
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
        errand: Errand::Scrape(Box::new(Endpoint { url, config: config.clone() }), grant),
    }
}

/// The instance under which a collection stands.
pub(crate) fn instance_of(config: &CollectConfig) -> &str {
    if config.target.is_empty() { LOCAL } else { &config.target }
}

fn collect_assignment(config: &CollectConfig) -> Assignment {
    let key = TargetKey { job: config.plugin.clone(), instance: instance_of(config).to_owned() };
    let info = TargetInfo { key, labels: labels(&config.labels) };
    Assignment {
        status: intake::unvisited(info, Door::Collect, Some(config.plugin.clone())),
        interval: config.interval.0,
        errand: Errand::Collect {
            plugin: config.plugin.clone(),
            target: config.target.clone(),
            timeout: config.timeout.map(|timeout| timeout.0),
        },
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
    lanes: Arc<Lanes>,
    mut shutdown: watch::Receiver<bool>,
) {
    tokio::select! {
        () = visit_at_each_tick(&ports, assignment, &lanes) => {}
        // Dropping a visit cuts it off: nothing of it was written down, and it is made again after the next start.
        _ = shutdown.wait_for(|stop| *stop) => {}
    }
}

async fn visit_at_each_tick(ports: &GatherPorts, assignment: Assignment, lanes: &Lanes) {
    let Assignment { mut status, interval, errand } = assignment;
    let mut known = Known::default();
    let offset = offset(&status.info.key, interval);
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + offset, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut due: Option<tokio::time::Instant> = None;
    loop {
        let Ok(permit) = lanes.of(&status).acquire().await else { return };
        if let Some(next) = visit(ports, &errand, &status, &mut known).await {
            status = next;
        }
        drop(permit);
        let tick = ticks.tick().await;
        if let Some(before) = due.replace(tick) {
            ports.metrics.skipped(left_out(tick - before, interval));
        }
    }
}

/// How many visits were left out between two that were made.
fn left_out(between: Duration, interval: Duration) -> u64 {
    let intervals = between.as_nanos() / interval.as_nanos().max(1);
    u64::try_from(intervals.saturating_sub(1)).unwrap_or(u64::MAX)
}

/// One visit; the new status, or none when it could not even be written down.
async fn visit(ports: &GatherPorts, errand: &Errand, status: &TargetStatus, known: &mut Known) -> Option<TargetStatus> {
    let at = ports.clock.now();
    let started = std::time::Instant::now();
    let visit = match errand {
        Errand::Scrape(endpoint, grant) => {
            scrape::scrape(ports.http.as_ref(), grant, endpoint, &status.info.key, at).await
        }
        Errand::Collect { plugin, target, timeout } => {
            let reading = Reading { plugin, target, timeout: *timeout };
            collect::collect(&ports.store, ports.collectors.as_ref(), reading, &status.info, at).await
        }
    };
    let duration_millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let (Err(failure), 0) = (&visit, status.failures_in_a_row) {
        tracing::warn!(job = status.info.key.job, instance = status.info.key.instance, "a target failed: {failure}");
    }
    let succeeded = visit.is_ok();
    let outcome = Outcome { at, duration_millis, visit, told_up: true, limits: errand.limits() };
    match intake::record(&ports.store, known, status.clone(), outcome).await {
        Ok((status, recorded, rejections)) => {
            ports.metrics.rejected(&rejections);
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
