//! The map room: every new series is shown to the mappers, which say whose it is and what it means; what collectors found of
//! topology joins in. Out come entities, relations, meanings and events.

mod config;
pub mod identity;
#[cfg(test)]
mod identity_tests;
mod intake;
mod metrics;
mod operator;
mod rules;
mod show;
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
pub mod topology;

pub use config::{MapConfig, RelationConfig};
pub use metrics::MapMetrics;
pub use tables::{MapFailure, RelationDependent};

use crate::room::{Progress, Room, RoomError};
use std::{collections::BTreeMap, sync::Arc};
use tables::{PendingTarget, target_text};
use tandem_domain::{Timestamp, ports::Mappers, topology::TopologyRevision};
use tandem_store::{ReadError, Store};

/// Series looked at in one pass, so that no pass takes long; a target is always shown whole.
const SERIES_PER_PASS: usize = 4_000;
/// Targets shown in one pass, however small.
const TARGETS_PER_PASS: usize = 64;
/// Most targets that may wait; they are small records and all are looked at.
const MAX_WAITING: usize = 100_000;
/// How often labels of targets are compared with those last shown.
const LABELS_EVERY_MILLIS: i64 = 5_000;
/// How often old relations are looked for.
const SWEEP_EVERY_MILLIS: i64 = 60_000;

/// The map room.
pub struct MapRoom {
    store: Store,
    mappers: Arc<dyn Mappers>,
    config: MapConfig,
    relations: Vec<RelationConfig>,
    metrics: Arc<MapMetrics>,
    seen_mappers: BTreeMap<String, String>,
    /// The topology revision at which the operator's relations were last tried; none before the first time.
    relations_tried_at: Option<u64>,
    started_at: Option<Timestamp>,
    next_labels_at: Timestamp,
    next_sweep_at: Timestamp,
}

impl MapRoom {
    /// A room over a store; `relations` are the operator's.
    pub fn new(store: Store, mappers: Arc<dyn Mappers>, config: MapConfig, relations: Vec<RelationConfig>) -> Self {
        Self {
            store,
            mappers,
            config,
            relations,
            metrics: Arc::default(),
            seen_mappers: BTreeMap::new(),
            relations_tried_at: None,
            started_at: None,
            next_labels_at: Timestamp::MIN,
            next_sweep_at: Timestamp::MIN,
        }
    }

    /// Its counters.
    pub fn metrics(&self) -> Arc<MapMetrics> {
        self.metrics.clone()
    }

    /// The operator's relations: once at start, and again whenever entities changed, since they may name new ones and their
    /// ends may have been merged.
    async fn operator_relations(&mut self, now: Timestamp) -> Result<(), RoomError> {
        let revision = self.store.read()?.get::<TopologyRevision>(&0)?.map_or(0, |known| known.revision);
        if self.relations_tried_at == Some(revision) {
            return Ok(());
        }
        let (relations, first) = (self.relations.clone(), self.relations_tried_at.is_none());
        if first || !relations.is_empty() {
            let waiting = self
                .store
                .write(move |tx| {
                    if first {
                        operator::forget_removed(tx, &relations)?;
                    }
                    operator::write(tx, &relations, now)
                })
                .await?;
            for relation in waiting.iter().filter(|_| first) {
                tracing::info!(
                    "{} {:?} {} waits until both are known",
                    relation.dependent,
                    relation.kind,
                    relation.dependency
                );
            }
        }
        self.relations_tried_at = Some(revision);
        Ok(())
    }

    /// Shows what is due; targets first that wait longest.
    async fn show_due(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let (mut waiting, failed) = {
            let read = self.store.read()?;
            let failed = read.scan::<MapFailure>(.., MAX_WAITING)?;
            let waiting = read.scan::<PendingTarget>(.., MAX_WAITING)?;
            (waiting, failed)
        };
        let mut progress = Progress::default();
        self.metrics.waiting.set(waiting.len() as u64);
        let live = self.mappers.mappers();
        // A mapper that is not live is asked when it is back.
        let failed: Vec<_> =
            failed.into_iter().filter(|failure| live.iter().any(|mapper| mapper.name == failure.plugin)).collect();
        let retries = failed.iter().filter(|failure| failure.retry_at <= now);
        for target in retries.map(|failure| &failure.target) {
            if !waiting.iter().any(|pending| &pending.target == target) {
                waiting.push(PendingTarget {
                    target: target.clone(),
                    since: Timestamp::MIN,
                    last: now,
                    news: 0,
                    again: false,
                });
            }
        }
        if let Some(next) = failed.iter().map(|failure| failure.retry_at).filter(|at| *at > now).min() {
            progress.wake(next);
        }
        let mut due: Vec<_> =
            waiting.into_iter().map(|pending| (rules::due_at(&pending, &self.config), pending)).collect();
        due.sort_by_key(|(at, pending)| (*at, target_text(&pending.target)));
        let mut series = 0;
        for (number, (at, pending)) in due.into_iter().enumerate() {
            if at > now {
                progress.wake(at);
                break;
            }
            if number == TARGETS_PER_PASS || series >= SERIES_PER_PASS {
                progress.more = true;
                break;
            }
            series += show::show(&self.store, self.mappers.as_ref(), &live, pending, now, &self.metrics).await?;
            progress.worked = true;
        }
        Ok(progress)
    }
}

impl Room for MapRoom {
    fn name(&self) -> &'static str {
        "map"
    }

    async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let started_at = *self.started_at.get_or_insert(now);
        let mut progress = Progress::default();
        if intake::series(&self.store, now).await? {
            progress.worked = true;
            progress.more = true;
        }
        let collections = intake::collections(&self.store).await?;
        self.metrics.collections.add(collections);
        progress.worked |= collections > 0;
        progress.more |= collections > 0;
        intake::mappers(&self.store, &self.mappers.mappers(), &mut self.seen_mappers, now).await?;
        if now >= self.next_labels_at {
            intake::labels(&self.store, now).await?;
            self.next_labels_at = now.plus_millis(LABELS_EVERY_MILLIS);
        }
        progress = progress.and(self.show_due(now).await?);
        self.operator_relations(now).await?;
        let long_enough = now.millis_since(started_at) > 1_000 * self.config.relation_age_seconds as i64;
        if now >= self.next_sweep_at && long_enough {
            sweep::sweep(&self.store, &self.config, now).await?;
            self.next_sweep_at = now.plus_millis(SWEEP_EVERY_MILLIS);
        }
        Ok(progress)
    }
}

/// Mappers that cannot say what a target's series mean, for the API.
///
/// # Errors
/// When the store cannot be read.
pub fn failures(store: &Store, limit: usize) -> Result<Vec<MapFailure>, ReadError> {
    store.read()?.scan::<MapFailure>(.., limit)
}
