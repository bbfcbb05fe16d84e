//! Commits what a target brought: series, samples, topology, events, cursor and status in one transaction.

use std::collections::{HashMap, HashSet};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    collected::CollectedTopology,
    series::{Labels, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::{CollectCursor, TargetInfo, TargetStatus},
};
use tandem_store::{Store, WriteError};

/// The NaN by which Prometheus marks the end of a series.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// Series of one target that are remembered between visits; a target with more registers them anew each time.
const MAX_REMEMBERED_SERIES: usize = 200_000;

/// What one visit to a target brought.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub samples: Vec<(SeriesDescription, Timestamp, f64)>,
    pub topology: Option<CollectedTopology>,
    pub cursor: Option<Vec<u8>>,
}

/// How much was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Samples.
    pub samples: u64,
    /// Events.
    pub events: u64,
}

/// One target's memory between visits.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ids: HashMap<SeriesDescription, SeriesId>,
    alive: HashSet<SeriesId>,
}

/// What is written of a visit, made before the transaction.
pub(crate) struct Outcome {
    pub at: Timestamp,
    pub duration_millis: u64,
    pub visit: Result<Visit, Failure>,
    /// Whether `up` and its companions are told, which a push has not.
    pub told_up: bool,
}

fn own(metric: &str) -> SeriesDescription {
    SeriesDescription {
        metric: metric.into(),
        metric_type: MetricType::Gauge,
        unit: String::new(),
        labels: Labels::default(),
    }
}

/// Commits a visit, or the failure of one.
pub(crate) async fn record(
    store: &Store,
    known: &mut Known,
    mut status: TargetStatus,
    outcome: Outcome,
) -> Result<(TargetStatus, Recorded), WriteError> {
    let Outcome { at, duration_millis, visit, told_up } = outcome;
    let (visit, failure) = match visit {
        Ok(visit) => (visit, None),
        Err(failure) => (Visit::default(), Some(failure)),
    };
    let brought = visit.samples.len() as u64;
    let events = visit.topology.as_ref().map_or(0, |topology| topology.events.len() as u64);
    status.last_attempt_at = Some(at);
    status.last_duration_millis = duration_millis;
    status.failures_in_a_row = if failure.is_some() { status.failures_in_a_row.saturating_add(1) } else { 0 };
    if failure.is_none() {
        status.last_success_at = Some(at);
        status.last_samples = brought;
    }
    status.failure = failure;
    let mut samples = visit.samples;
    if told_up {
        samples.push((own("up"), at, if status.failure.is_none() { 1.0 } else { 0.0 }));
        samples.push((own("scrape_duration_seconds"), at, duration_millis as f64 / 1000.0));
        samples.push((own("scrape_samples_scraped"), at, brought as f64));
    }
    let target = status.info.key.clone();
    let alive_before = std::mem::take(&mut known.alive);
    let ids = std::mem::take(&mut known.ids);
    let written = status.clone();
    let (ids, alive) = store
        .write(move |tx| {
            let mut ids = ids;
            let mut batch = SampleBatch::default();
            let mut alive = HashSet::with_capacity(samples.len());
            for (description, moment, value) in samples {
                let id = match ids.get(&description) {
                    Some(id) => *id,
                    None => {
                        let id = tx.register_series(&target, &description)?;
                        if ids.len() < MAX_REMEMBERED_SERIES {
                            ids.insert(description, id);
                        }
                        id
                    }
                };
                alive.insert(id);
                batch.push(id, moment, value);
            }
            if told_up {
                for gone in alive_before.difference(&alive) {
                    batch.push(*gone, at, STALE);
                }
            }
            tx.append_samples(&batch)?;
            if let Some(topology) = &visit.topology {
                tx.append(topology)?;
            }
            if let Some(cursor) = visit.cursor {
                tx.put(&CollectCursor { target, cursor })?;
            }
            tx.put(&written)?;
            Ok((ids, alive))
        })
        .await?;
    known.ids = ids;
    known.alive = alive;
    Ok((status, Recorded { samples: brought, events }))
}

/// A target's first status, or the one it had before a restart.
pub(crate) fn status_of(store: &Store, fresh: TargetStatus) -> TargetStatus {
    let key = (fresh.info.key.job.clone(), fresh.info.key.instance.clone());
    let earlier = store.read().and_then(|read| read.get::<TargetStatus>(&key)).ok().flatten();
    match earlier {
        Some(earlier) => TargetStatus { info: fresh.info, door: fresh.door, plugin: fresh.plugin, ..earlier },
        None => fresh,
    }
}

/// A target that was not visited yet.
pub(crate) fn unvisited(info: TargetInfo, door: tandem_domain::target::Door, plugin: Option<String>) -> TargetStatus {
    TargetStatus {
        info,
        door,
        plugin,
        last_attempt_at: None,
        last_success_at: None,
        last_duration_millis: 0,
        last_samples: 0,
        failure: None,
        failures_in_a_row: 0,
    }
}

/// Too much came at once.
pub(crate) fn too_much(what: String) -> Failure {
    Failure::lasting(FailureCode::Refused, what)
}
