//! The one list of rooms, in order: map → detect → rule → objective → alert → correlate → notify, with the caretaker beside them.

use crate::{
    alert::{AlertMetrics, AlertRoom},
    config::AiopsConfig,
    correlate::{CorrelateMetrics, CorrelateRoom},
    detect::{DetectMetrics, DetectRoom},
    map::{MapMetrics, MapRoom, RelationConfig},
    metrics::MetricSample,
    notify::{NotifyMetrics, NotifyRoom, ReceiverConfig},
    objective::{ObjectiveMetrics, ObjectiveRoom, ServiceConfig},
    retain::RetainRoom,
    room::{self, Progress, Room, RoomError},
    rule::{RuleFeed, RuleMetrics, RuleRoom, RulesConfig},
};
use std::{collections::BTreeMap, sync::Arc};
use tandem_domain::{
    Timestamp,
    http::HttpClient,
    ports::{Correlators, Detectors, Mappers},
    time::Clock,
};
use tandem_query::SampleBudget;
use tandem_store::Store;
use tokio::{sync::watch, task::JoinSet};

/// How the rooms reach plugins and the network.
#[derive(Clone)]
pub struct Ports {
    /// Give series their meaning.
    pub mappers: Arc<dyn Mappers>,
    /// Watch series.
    pub detectors: Arc<dyn Detectors>,
    /// Put alerts together.
    pub correlators: Arc<dyn Correlators>,
    /// The way out for notifications.
    pub http: Arc<dyn HttpClient>,
}

/// What the operator configured.
#[derive(Debug, Clone, Default)]
pub struct ChainConfig {
    /// The rooms' settings.
    pub rooms: AiopsConfig,
    /// Relations that only the operator knows.
    pub relations: Vec<RelationConfig>,
    /// Services and their objectives.
    pub services: Vec<ServiceConfig>,
    /// How rules are evaluated.
    pub rules: RulesConfig,
    /// The rules themselves.
    pub rule_feed: RuleFeed,
    /// Receivers of notifications, by name.
    pub receivers: BTreeMap<String, ReceiverConfig>,
    /// Where people look at incidents, such as `http://127.0.0.1:8420`; for links in notifications.
    pub console_url: String,
    /// Samples that all queries, those of rules among them, may hold together.
    pub queries: Arc<SampleBudget>,
}

/// The counters of all rooms; outlive the chain's start.
#[derive(Debug, Clone)]
pub struct ChainMetrics {
    map: Arc<MapMetrics>,
    detect: Arc<DetectMetrics>,
    rule: Arc<RuleMetrics>,
    objective: Arc<ObjectiveMetrics>,
    alert: Arc<AlertMetrics>,
    correlate: Arc<CorrelateMetrics>,
    notify: Arc<NotifyMetrics>,
}

impl ChainMetrics {
    /// As shown on `/metrics`.
    pub fn samples(&self) -> Vec<MetricSample> {
        let mut samples = self.map.samples();
        samples.extend(self.detect.samples());
        samples.extend(self.rule.samples());
        samples.extend(self.objective.samples());
        samples.extend(self.alert.samples());
        samples.extend(self.correlate.samples());
        samples.extend(self.notify.samples());
        samples
    }
}

/// All rooms.
pub struct Chain {
    store: Store,
    map: MapRoom,
    detect: DetectRoom,
    rule: RuleRoom,
    objective: ObjectiveRoom,
    alert: AlertRoom,
    correlate: CorrelateRoom,
    notify: Vec<NotifyRoom>,
    retain: RetainRoom,
    metrics: ChainMetrics,
}

impl Chain {
    /// The rooms over a store.
    pub fn new(store: Store, ports: Ports, config: ChainConfig) -> Self {
        let ChainConfig { rooms, relations, services, rules, rule_feed, receivers, console_url, queries } = config;
        let map = MapRoom::new(store.clone(), ports.mappers, rooms.map, relations);
        let detect = DetectRoom::new(store.clone(), ports.detectors, rooms.detect);
        let rule = RuleRoom::new(store.clone(), rules, &console_url, rule_feed).within(queries);
        let objective = ObjectiveRoom::new(store.clone(), rooms.objective, &services);
        let alert = AlertRoom::new(store.clone(), rooms.alert);
        let correlate = CorrelateRoom::new(store.clone(), ports.correlators, rooms.correlate);
        let told = Arc::new(NotifyMetrics::default());
        let receiver = |(name, config): (String, ReceiverConfig)| {
            NotifyRoom::new(store.clone(), ports.http.clone(), name, config, console_url.clone(), told.clone())
        };
        let notify = receivers.into_iter().map(receiver).collect();
        let retain = RetainRoom::new(store.clone(), rooms.retain);
        let metrics = ChainMetrics {
            map: map.metrics(),
            detect: detect.metrics(),
            rule: rule.metrics(),
            objective: objective.metrics(),
            alert: alert.metrics(),
            correlate: correlate.metrics(),
            notify: told,
        };
        Self { store, map, detect, rule, objective, alert, correlate, notify, retain, metrics }
    }

    /// The counters, to be kept before the chain is run.
    pub fn metrics(&self) -> ChainMetrics {
        self.metrics.clone()
    }

    /// One pass of every room, in order; what tests drive.
    ///
    /// # Errors
    /// When the store fails in one of the rooms.
    pub async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let mut progress = self.map.step(now).await?;
        progress = progress.and(self.detect.step(now).await?);
        progress = progress.and(self.rule.step(now).await?);
        progress = progress.and(self.objective.step(now).await?);
        progress = progress.and(self.alert.step(now).await?);
        progress = progress.and(self.correlate.step(now).await?);
        for receiver in &mut self.notify {
            progress = progress.and(receiver.step(now).await?);
        }
        Ok(progress.and(self.retain.step(now).await?))
    }

    /// Runs every room in a task of its own until shutdown, and saves what detectors have learned at the end.
    pub async fn run(self, clock: Arc<dyn Clock>, shutdown: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        let (store, clock) = (&self.store, &clock);
        tasks.spawn(room::run(self.map, store.clone(), clock.clone(), shutdown.clone()));
        tasks.spawn(room::run(self.detect, store.clone(), clock.clone(), shutdown.clone()));
        tasks.spawn(self.rule.run(clock.clone(), shutdown.clone()));
        tasks.spawn(room::run(self.objective, store.clone(), clock.clone(), shutdown.clone()));
        tasks.spawn(room::run(self.alert, store.clone(), clock.clone(), shutdown.clone()));
        tasks.spawn(room::run(self.correlate, store.clone(), clock.clone(), shutdown.clone()));
        for receiver in self.notify {
            tasks.spawn(room::run(receiver, store.clone(), clock.clone(), shutdown.clone()));
        }
        tasks.spawn(room::run(self.retain, store.clone(), clock.clone(), shutdown.clone()));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!("a room ended by a fault of its own: {error}");
            }
        }
    }
}

#[cfg(test)]
mod cuts;
#[cfg(test)]
mod tests;
