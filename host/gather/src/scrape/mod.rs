//! Scraping by the host. For each job finders tell groups of targets, relabelling chooses among them and rewrites their labels,
//! and each target that is left is visited at its moments: its page is fetched, sorted into series by a memory of what it
//! showed before, and committed as one change. Keys, labels and the series about each visit are those of Prometheus.

mod board;
pub(crate) mod client;
pub(crate) mod config;
mod discovery;
mod fetch;
mod memory;
mod pool;
mod prometheus_file;
mod target;
#[cfg(test)]
mod tests;
mod visit;

pub use board::{ActiveTarget, LastScrape, ScrapeBoard, ScrapePool};
pub use config::ScrapeConfig;
pub use prometheus_file::{Imported, import};

use crate::{GatherPorts, declared::KnownMetadata, lanes::Lanes};
use client::ClientConfig;
use parking_lot::Mutex;
use pool::Pool;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tandem_domain::target::{Door, TargetInfo};
use tandem_store::WriteError;
use tandem_wire::{relabel::Relabeling, series_key::KeySeed};
use tokio::{sync::watch, task::JoinSet};

/// A job ready to be worked on.
struct Job {
    config: ScrapeConfig,
    client: ClientConfig,
    relabeling: Relabeling,
    metric_relabeling: Relabeling,
    /// Why none of its targets is scraped, if so.
    refused: Mutex<Option<String>>,
}

impl Job {
    fn new(config: &ScrapeConfig) -> Result<Self, String> {
        config.validate()?;
        Ok(Self {
            client: config.client()?,
            relabeling: Relabeling::compile("relabel_configs", &config.relabel_configs)?,
            metric_relabeling: Relabeling::compile("metric_relabel_configs", &config.metric_relabel_configs)?,
            config: config.clone(),
            refused: Mutex::new(None),
        })
    }

    fn refused(&self) -> Option<String> {
        self.refused.lock().clone()
    }

    /// With more targets than the limit none is scraped: which to leave out cannot be told.
    fn hold_to_limit(&self, targets: usize) {
        let over = self.config.target_count().filter(|limit| targets > *limit);
        *self.refused.lock() = over.map(|limit| {
            format!(
                "target_limit is {limit} and the job has {targets} targets; raise it or drop some by relabel_configs"
            )
        });
    }
}

/// What all jobs share.
struct Shared {
    board: Arc<ScrapeBoard>,
    lanes: Arc<Lanes>,
    /// Of the keys by which texts of pages are remembered.
    seed: KeySeed,
    /// What pages declare of metrics.
    declared: KnownMetadata,
    /// Jobs whose finders have not all told yet.
    incomplete: AtomicUsize,
}

impl Shared {
    /// A job has all its targets; with the last one it is known which of earlier runs are gone.
    async fn complete(&self, ports: &GatherPorts) {
        if self.incomplete.fetch_sub(1, Ordering::Relaxed) > 1 {
            return;
        }
        let board = self.board.clone();
        if let Err(error) = pool::forget_others(ports, move |status| board.scrapes(&status.info.key)).await {
            tracing::error!("targets that are gone were not forgotten: {error}");
        }
    }
}

/// All jobs.
pub(crate) struct Scraping {
    ports: GatherPorts,
    board: Arc<ScrapeBoard>,
    pools: Vec<Pool>,
}

impl Scraping {
    /// Plans the jobs; one that is not valid is said and left out.
    pub(crate) fn new(ports: GatherPorts, lanes: Arc<Lanes>, configs: &[ScrapeConfig]) -> Self {
        let board = Arc::new(ScrapeBoard::default());
        let incomplete = AtomicUsize::new(0);
        let declared = KnownMetadata::of(&ports.store);
        let seed = KeySeed(rand::random());
        let shared = Arc::new(Shared { board: board.clone(), lanes, seed, declared, incomplete });
        let mut pools = Vec::new();
        for config in configs {
            let pool = Job::new(config).and_then(|job| Pool::new(ports.clone(), shared.clone(), job));
            match pool {
                Ok(pool) => pools.push(pool),
                Err(problem) => tracing::error!(job = config.job, "a job is not scraped: {problem}"),
            }
        }
        shared.incomplete.store(pools.len(), Ordering::Relaxed);
        Self { ports, board, pools }
    }

    /// What is scraped, for those who ask.
    pub(crate) fn board(&self) -> Arc<ScrapeBoard> {
        self.board.clone()
    }

    /// Writes every target down that stands in the configuration, so that those that are never reached are shown too. Where all
    /// do, others are forgotten.
    pub(crate) async fn announce(&mut self) -> Result<(), WriteError> {
        let planned: Vec<TargetInfo> =
            self.pools.iter_mut().flat_map(Pool::planned).map(|planned| planned.info()).collect();
        let fresh = |info: &TargetInfo| crate::intake::unvisited(info.clone(), Door::Scrape, None);
        let statuses: BTreeMap<_, _> = planned
            .iter()
            .map(|info| (info.key.clone(), crate::intake::status_of(&self.ports.store, fresh(info))))
            .collect();
        let known: std::collections::BTreeSet<_> = statuses.keys().cloned().collect();
        self.ports.store.write(move |tx| statuses.values().try_for_each(|status| tx.put(status))).await?;
        if self.pools.iter().all(Pool::is_static) {
            pool::forget_others(&self.ports, move |status| known.contains(&status.info.key)).await?;
        }
        Ok(())
    }

    /// Works until told to stop; visits that are under way then are cut off.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for pool in self.pools {
            tasks.spawn(pool.run(stop.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!("a job ended: {error}");
            }
        }
    }
}
