//! The schedule: each target has its own task, a fixed place within its interval so that targets do not all come at once, and
//! is never visited twice at the same time.

use crate::{
    CollectConfig, GatherMetrics, ScrapeBoard, ScrapeConfig, collect,
    collect::Reading,
    intake::{self, Known, Outcome},
    lanes::Lanes,
    limits::SampleLimits,
    scrape::Scraping,
    timing::{self, Ticks},
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tandem_domain::{
    http::{HttpClient, HttpStreams},
    ports::Collectors,
    series::Labels,
    target::{Door, THIS_MACHINE, TargetInfo, TargetKey, TargetStatus},
    time::Clock,
};
use tandem_store::Store;
use tokio::{sync::watch, task::JoinSet};

/// What the room is given.
#[derive(Clone)]
pub struct GatherPorts {
    /// Where everything goes.
    pub store: Store,
    /// The way out over HTTP.
    pub http: Arc<dyn HttpClient>,
    /// The way out for answers that have no end.
    pub streams: Arc<dyn HttpStreams>,
    /// The collecting plugins.
    pub collectors: Arc<dyn Collectors>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<GatherMetrics>,
}

/// What a target's task does.
struct Assignment {
    status: TargetStatus,
    interval: Duration,
    plugin: String,
    target: String,
    timeout: Option<Duration>,
}

/// All scheduled targets.
pub struct Gather {
    ports: GatherPorts,
    lanes: Arc<Lanes>,
    collections: Vec<Assignment>,
    scraping: Scraping,
}

impl Gather {
    /// Plans the targets; nothing is visited yet. A collection that is given twice is planned once, see
    /// [`check_targets`](crate::check_targets).
    pub fn new(ports: GatherPorts, scrapes: &[ScrapeConfig], collects: &[CollectConfig]) -> Self {
        let mut planned = HashSet::new();
        let once = |assignment: &Assignment| {
            let key = &assignment.status.info.key;
            let first = planned.insert(key.clone());
            if !first {
                tracing::error!(job = key.job, instance = key.instance, "a target is given twice and visited once");
            }
            first
        };
        let lanes = Arc::new(Lanes::default());
        let scraping = Scraping::new(ports.clone(), lanes.clone(), scrapes);
        Self { collections: collects.iter().map(collect_assignment).filter(once).collect(), scraping, lanes, ports }
    }

    /// What is scraped, for those who ask.
    pub fn board(&self) -> Arc<ScrapeBoard> {
        self.scraping.board()
    }

    /// Writes every configured target down, so that the API shows those that were never reached; forgets those that are no
    /// longer configured.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn announce(&mut self) -> Result<(), tandem_store::WriteError> {
        for assignment in &mut self.collections {
            assignment.status = intake::status_of(&self.ports.store, assignment.status.clone());
        }
        let statuses: Vec<TargetStatus> = self.collections.iter().map(|assignment| assignment.status.clone()).collect();
        self.ports
            .store
            .write(move |tx| {
                for earlier in tx.scan::<TargetStatus>(.., usize::MAX)? {
                    let still = statuses.iter().any(|status| status.info.key == earlier.info.key);
                    // What is sent here is not configured here.
                    if !still && earlier.door == Door::Collect {
                        tx.remove::<TargetStatus>(&(earlier.info.key.job, earlier.info.key.instance))?;
                    }
                }
                statuses.iter().try_for_each(|status| tx.put(status))
            })
            .await?;
        self.scraping.announce().await
    }

    /// Visits the targets until `shutdown` says so; visits that are under way then are cut off.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for assignment in self.collections {
            tasks.spawn(keep_visiting(self.ports.clone(), assignment, self.lanes.clone(), shutdown.clone()));
        }
        tasks.spawn(self.scraping.run(shutdown));
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

/// The instance under which a collection stands.
pub(crate) fn instance_of(config: &CollectConfig) -> &str {
    if config.target.is_empty() { THIS_MACHINE } else { &config.target }
}

fn collect_assignment(config: &CollectConfig) -> Assignment {
    let key = TargetKey { job: config.plugin.clone(), instance: instance_of(config).to_owned() };
    let info = TargetInfo { key, labels: labels(&config.labels) };
    Assignment {
        status: intake::unvisited(info, Door::Collect, Some(config.plugin.clone())),
        interval: config.interval.0,
        plugin: config.plugin.clone(),
        target: config.target.clone(),
        timeout: config.timeout.map(|timeout| timeout.0),
    }
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

async fn visit_at_each_tick(ports: &GatherPorts, mut assignment: Assignment, lanes: &Lanes) {
    let (mut known, interval) = (Known::default(), assignment.interval);
    let phase = timing::phase(&assignment.status.info.key, interval);
    let mut ticks = Ticks::new(ports.clock.now(), interval, phase);
    // The first visit comes at once, so that a new server shows something.
    loop {
        let Ok(permit) = lanes.of(&assignment.status).acquire().await else { return };
        if let Some(next) = visit(ports, &assignment, &mut known).await {
            assignment.status = next;
        }
        drop(permit);
        ports.metrics.skipped(ticks.tick().await.skipped);
    }
}

/// One visit; the new status, or none when it could not even be written down.
async fn visit(ports: &GatherPorts, assignment: &Assignment, known: &mut Known) -> Option<TargetStatus> {
    let Assignment { status, plugin, target, timeout, .. } = assignment;
    let at = ports.clock.now();
    let started = std::time::Instant::now();
    let reading = Reading { plugin, target, timeout: *timeout };
    let visit = collect::collect(&ports.store, ports.collectors.as_ref(), reading, &status.info, at).await;
    let duration_millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if let (Err(failure), 0) = (&visit, status.failures_in_a_row) {
        tracing::warn!(job = status.info.key.job, instance = status.info.key.instance, "a target failed: {failure}");
    }
    let succeeded = visit.is_ok();
    let outcome = Outcome { at, duration_millis, visit, told_up: true, limits: SampleLimits::COLLECTED };
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
