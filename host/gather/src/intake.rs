//! Commits what a target brought: series, samples, topology, events, cursor and status in one transaction.

use crate::limits::{Rejections, Sample, SampleLimits};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    collected::CollectedTopology,
    series::{Labels, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::{CollectCursor, TargetInfo, TargetKey, TargetStatus},
};
use tandem_store::{SeriesRefusal, Store, WriteError, WriteTx};

/// The NaN by which Prometheus marks the end of a series.
pub(crate) const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// Series of one target that are remembered between visits; a target with more registers them anew each time.
const MAX_REMEMBERED_SERIES: usize = 200_000;

/// What one visit to a target brought.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    pub samples: Vec<Sample>,
    pub topology: Option<CollectedTopology>,
    pub cursor: Option<Vec<u8>>,
    /// What the visit itself could not use.
    pub rejections: Rejections,
}

/// How much was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// Samples.
    pub samples: u64,
    /// Events.
    pub events: u64,
}

/// The numbers of the series of one target, or of those whose labels name another one.
#[derive(Debug, Default)]
struct KnownIds {
    by_target: HashMap<Option<TargetKey>, HashMap<SeriesDescription, SeriesId>>,
    count: usize,
}

/// One target's memory between visits.
#[derive(Debug, Default)]
pub(crate) struct Known {
    ids: KnownIds,
    alive: Arc<HashSet<SeriesId>>,
}

/// What is written of a visit, made before the transaction.
pub(crate) struct Outcome {
    pub at: Timestamp,
    pub duration_millis: u64,
    pub visit: Result<Visit, Failure>,
    /// Whether `up` and its companions are told, which a push has not.
    pub told_up: bool,
    /// What its samples must keep to.
    pub limits: SampleLimits,
}

fn own(metric: &str, at: Timestamp, value: f64) -> Sample {
    let series = SeriesDescription {
        metric: metric.into(),
        metric_type: MetricType::Gauge,
        unit: String::new(),
        labels: Labels::default(),
    };
    Sample { target: None, series, at, value }
}

impl KnownIds {
    /// The number of a series, registering it when it is not remembered: one that was brought when there may be one more, one
    /// of the host's own in any case.
    fn id_of(
        &mut self,
        tx: &mut WriteTx<'_>,
        visited: &TargetKey,
        target: Option<TargetKey>,
        series: &SeriesDescription,
        is_own: bool,
    ) -> Result<Result<SeriesId, SeriesRefusal>, WriteError> {
        if let Some(id) = self.by_target.get(&target).and_then(|known| known.get(series)) {
            return Ok(Ok(*id));
        }
        let of = target.as_ref().unwrap_or(visited);
        let id = match is_own {
            true => tx.register_series(of, series)?,
            false => match tx.admit_series(of, series)? {
                Ok(id) => id,
                refused => return Ok(refused),
            },
        };
        if self.count < MAX_REMEMBERED_SERIES {
            self.by_target.entry(target).or_default().insert(series.clone(), id);
            self.count += 1;
        }
        Ok(Ok(id))
    }
}

/// The status after a visit, without what it says of samples.
pub(crate) fn settled(
    mut status: TargetStatus,
    at: Timestamp,
    duration_millis: u64,
    failure: Option<Failure>,
) -> TargetStatus {
    status.last_attempt_at = Some(at);
    status.last_duration_millis = duration_millis;
    status.failures_in_a_row = if failure.is_some() { status.failures_in_a_row.saturating_add(1) } else { 0 };
    if failure.is_none() {
        status.last_success_at = Some(at);
    }
    status.failure = failure;
    status
}

/// Commits a visit, or the failure of one. When the commit fails, what the target's memory holds of living series stays, so
/// that the next visit ends those that are gone by then.
pub(crate) async fn record(
    store: &Store,
    known: &mut Known,
    status: TargetStatus,
    outcome: Outcome,
) -> Result<(TargetStatus, Recorded, Rejections), WriteError> {
    let Outcome { at, duration_millis, visit, told_up, limits } = outcome;
    let (mut visit, failure) = match visit {
        Ok(visit) => (visit, None),
        Err(failure) => (Visit::default(), Some(failure)),
    };
    let status = settled(status, at, duration_millis, failure);
    let (up, brought) = (status.failure.is_none(), visit.samples.len());
    limits.hold(&mut visit.samples, at, &mut visit.rejections);
    let mut recorded = Recorded {
        samples: visit.samples.len() as u64,
        events: visit.topology.as_ref().map_or(0, |topology| topology.events.len() as u64),
    };
    let mut told = Vec::new();
    if told_up {
        told.push(own("up", at, f64::from(u8::from(up))));
        told.push(own("scrape_duration_seconds", at, duration_millis as f64 / 1000.0));
        told.push(own("scrape_samples_scraped", at, brought as f64));
    }
    let alive_before = told_up.then(|| known.alive.clone());
    // Should the commit fail, the numbers given in it were never given: they are not kept then.
    let ids = std::mem::take(&mut known.ids);
    let samples = Samples { brought: visit.samples, own: told, rejections: visit.rejections };
    let (mut written, samples_brought) = (status, recorded.samples);
    let (status, kept) = store
        .write(move |tx| {
            let kept = write_samples(tx, ids, &written.info.key, samples, at, alive_before.as_deref())?;
            if up {
                written.last_samples = samples_brought - kept.refused;
                written.last_rejected = kept.rejections.count();
                written.rejection = kept.rejections.told();
            }
            if let Some(topology) = &visit.topology {
                tx.append(topology)?;
            }
            if let Some(cursor) = visit.cursor {
                tx.put(&CollectCursor { target: written.info.key.clone(), cursor })?;
            }
            tx.put(&written)?;
            Ok((written, kept))
        })
        .await?;
    recorded.samples -= kept.refused;
    known.ids = kept.ids;
    known.alive = Arc::new(kept.alive);
    Ok((status, recorded, kept.rejections))
}

/// What a visit brought, and what the host tells of it.
struct Samples {
    brought: Vec<Sample>,
    own: Vec<Sample>,
    rejections: Rejections,
}

/// What was written of it.
struct KeptSamples {
    ids: KnownIds,
    /// The series that live now.
    alive: HashSet<SeriesId>,
    rejections: Rejections,
    /// Samples of series that were refused.
    refused: u64,
}

/// Appends samples, and the ends of series that lived before and are gone.
fn write_samples(
    tx: &mut WriteTx<'_>,
    mut ids: KnownIds,
    visited: &TargetKey,
    samples: Samples,
    now: Timestamp,
    alive_before: Option<&HashSet<SeriesId>>,
) -> Result<KeptSamples, WriteError> {
    let Samples { brought, own, mut rejections } = samples;
    let (mut batch, mut refused) = (SampleBatch::default(), 0);
    let mut alive = HashSet::with_capacity(brought.len() + own.len());
    let brought = brought.into_iter().map(|sample| (sample, false));
    for (Sample { target, series, at, value }, is_own) in brought.chain(own.into_iter().map(|sample| (sample, true))) {
        match ids.id_of(tx, visited, target, &series, is_own)? {
            Ok(id) => {
                alive.insert(id);
                batch.push(id, at, value);
            }
            Err(refusal) => {
                rejections.refuse(refusal, &series.metric);
                refused += 1;
            }
        }
    }
    for gone in alive_before.into_iter().flat_map(|before| before.difference(&alive)) {
        batch.push(*gone, now, STALE);
    }
    tx.append_samples(&batch)?;
    Ok(KeptSamples { ids, alive, rejections, refused })
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
        last_rejected: 0,
        rejection: None,
        failure: None,
        failures_in_a_row: 0,
    }
}

/// Too much came at once.
pub(crate) fn too_much(what: String) -> Failure {
    Failure::lasting(FailureCode::Refused, what)
}
