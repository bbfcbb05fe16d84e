//! The rooms in their order, and the task that drives them.

use crate::{
    MlopsConfig, MlopsMetrics, deploy::DeployRoom, drift::DriftRoom, forecast, forecast::ForecastRoom,
    monitor::MonitorRoom,
};
use std::{sync::Arc, time::Duration};
use tandem_domain::{
    ports::{DeploymentTargets, DriftMetrics},
    time::Clock,
};
use tandem_store::Store;
use tokio::sync::watch;

/// How long the rooms rest when nothing was committed: deployments are observed and windows trimmed all the same.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// How long they rest at least, so that a stream of commits is worked on in batches.
const SHORTEST_REST: Duration = Duration::from_millis(100);

/// What the rooms are given.
#[derive(Clone)]
pub struct MlopsPorts {
    /// The records.
    pub store: Store,
    /// Drift metric plugins.
    pub metrics: Arc<dyn DriftMetrics>,
    /// Deployment target plugins.
    pub targets: Arc<dyn DeploymentTargets>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// The rooms: forecast → monitor → drift → deploy.
pub struct Mlops {
    ports: MlopsPorts,
    forecast: ForecastRoom,
    monitor: MonitorRoom,
    drift: DriftRoom,
    deploy: DeployRoom,
}

impl Mlops {
    /// The rooms at rest.
    pub fn new(ports: MlopsPorts, config: &MlopsConfig) -> Self {
        let mut drift = config.drift.clone();
        drift.service.entry(forecast::SERVICE.into()).or_insert_with(forecast::windows);
        Self {
            forecast: ForecastRoom::new(ports.store.clone(), config.forecast.clone()),
            monitor: MonitorRoom::new(ports.store.clone(), config.monitor.clone()),
            drift: DriftRoom::new(ports.store.clone(), ports.metrics.clone(), drift),
            deploy: DeployRoom::new(ports.store.clone(), ports.targets.clone(), config.deploy.clone()),
            ports,
        }
    }

    /// The counters, to be kept before the rooms are run.
    pub fn metrics(&self) -> MlopsMetrics {
        MlopsMetrics {
            forecast: self.forecast.counts(),
            monitor: self.monitor.counts(),
            drift: self.drift.counts(),
            deploy: self.deploy.counts(),
        }
    }

    /// One bounded pass of every room; a room that fails is told and tried again at the next pass.
    pub async fn step(&mut self) {
        let now = self.ports.clock.now();
        let outcomes = [
            ("forecast", self.forecast.step(now).await),
            ("monitor", self.monitor.step(now).await),
            ("drift", self.drift.step(now).await),
            ("deploy", self.deploy.step(now).await),
        ];
        for (room, outcome) in outcomes {
            if let Err(error) = outcome {
                tracing::error!(room, "a pass failed and will be tried again: {error}");
            }
        }
    }

    /// Steps until `shutdown` says so.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let seen = self.ports.store.commit_count();
            self.step().await;
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = rest(&self.ports.store, seen) => {}
            }
        }
    }
}

async fn rest(store: &Store, seen: u64) {
    tokio::time::sleep(SHORTEST_REST).await;
    let _ = tokio::time::timeout(LONGEST_REST, store.committed_after(seen)).await;
}
