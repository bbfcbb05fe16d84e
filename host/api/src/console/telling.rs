//! Which few values say most about an entity, and what they are now: gauges as they stand, counters as rates.

use super::{figures::rate_unit, reading::LatestValue};
use crate::error::ApiError;
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{
    Timestamp,
    entity::EntityId,
    meaning::Meaning,
    series::{MetricType, Points, Series},
    target::TargetKey,
};
use tandem_store::ReadTx;

/// Columns beside the entities of one kind: what fits the width of a page.
pub(super) const MAX_COLUMNS: usize = 5;
/// What a person asks of a thing first, by canonical name, most telling first. Of things that have none of these the first
/// names by the alphabet are shown.
const MOST_TELLING: [&str; 34] = [
    "replica.up",
    "model.requests",
    "model.latency",
    "model.ttft",
    "model.queue.depth",
    "model.cache.usage",
    "host.load.1m",
    "host.memory.available",
    "host.memory.total",
    "host.pressure.io",
    "host.uptime",
    "filesystem.available",
    "filesystem.size",
    "filesystem.inodes.free",
    "filesystem.read-only",
    "disk.read.bytes",
    "disk.write.bytes",
    "disk.reads",
    "disk.writes",
    "disk.temperature",
    "interface.receive.bytes",
    "interface.transmit.bytes",
    "interface.receive.errors",
    "interface.transmit.errors",
    "interface.carrier",
    "gpu.utilization",
    "gpu.memory.used",
    "gpu.temperature",
    "gpu.power",
    "gpu.xid",
    "ups.battery.charge",
    "ups.battery.runtime",
    "ups.load",
    "ups.on-battery",
];
/// How far back a rate looks, in milliseconds: a few collections at the usual 15 s.
const RATE_WINDOW_MILLIS: i64 = 90_000;

/// The series of one entity under one canonical name.
type Named = BTreeMap<EntityId, BTreeMap<String, Vec<Meaning>>>;

/// Meanings by entity and name.
pub(super) fn by_entity(meanings: Vec<Meaning>) -> Named {
    let mut named = Named::new();
    for meaning in meanings {
        let of_entity = named.entry(meaning.entity.clone()).or_default();
        of_entity.entry(meaning.body.name.clone()).or_default().push(meaning);
    }
    named
}

/// The names that say most about some entities of one kind, in the order of the columns.
pub(super) fn columns<'a>(named: impl Iterator<Item = &'a BTreeMap<String, Vec<Meaning>>>) -> Vec<String> {
    let present: BTreeSet<&String> = named.flat_map(BTreeMap::keys).collect();
    let telling = MOST_TELLING.iter().filter(|name| present.iter().any(|present| present == *name));
    let mut columns: Vec<String> = telling.take(MAX_COLUMNS).map(|name| (*name).to_owned()).collect();
    if columns.is_empty() {
        columns.extend(present.into_iter().take(MAX_COLUMNS).cloned());
    }
    columns
}

/// The value of one name of an entity now. Counters of one target that differ in dimensions (directions, outcomes) are added
/// up; of gauges that do, the first is shown. Where several targets tell of the same entity, one of them is heard.
pub(super) fn value(read: &ReadTx, meanings: &[Meaning], now: Timestamp) -> Result<Option<LatestValue>, ApiError> {
    let mut sum: Option<(TargetKey, LatestValue)> = None;
    for meaning in meanings {
        let Some(series) = read.get::<Series>(&meaning.series.0)? else { continue };
        if sum.as_ref().is_some_and(|(heard, _)| *heard != series.target) {
            continue;
        }
        let counter = series.description.metric_type == MetricType::Counter;
        let (value, unit) = if counter {
            let points = read.points(meaning.series, now.plus_millis(-RATE_WINDOW_MILLIS), now)?;
            (rate_per_second(&points).map(|rate| rate * meaning.body.scale), rate_unit(&meaning.body.unit))
        } else {
            let latest = read.latest(meaning.series)?;
            (latest.map(|(_, sent)| meaning.body.canonical(sent)), meaning.body.unit.clone())
        };
        let Some(value) = value.filter(|value| value.is_finite()) else { continue };
        match &mut sum {
            Some((_, sum)) => sum.value += value,
            None => sum = Some((series.target, LatestValue { name: meaning.body.name.clone(), unit, value })),
        }
        if !counter {
            break;
        }
    }
    Ok(sum.map(|(_, value)| value))
}

/// What a counter rose by per second over its points; a fall is a reset, after which it counts from nothing.
fn rate_per_second(points: &Points) -> Option<f64> {
    let known: Vec<(Timestamp, f64)> =
        points.at.iter().copied().zip(points.value.iter().copied()).filter(|(_, value)| value.is_finite()).collect();
    let (first, last) = (known.first()?, known.last()?);
    let seconds = last.0.millis_since(first.0) as f64 / 1_000.0;
    let rise: f64 = known.windows(2).map(|w| if w[1].1 >= w[0].1 { w[1].1 - w[0].1 } else { w[1].1 }).sum();
    (seconds > 0.0).then(|| rise / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Points {
        Points { at: (0..values.len() as i64).map(|i| Timestamp(i * 10_000)).collect(), value: values.to_vec() }
    }

    #[test]
    fn a_rate_counts_on_over_a_reset_and_a_gap() {
        assert_eq!(rate_per_second(&points(&[100.0, 200.0, 400.0])), Some(15.0));
        assert_eq!(rate_per_second(&points(&[100.0, 200.0, 50.0])), Some(7.5), "a reset");
        assert_eq!(rate_per_second(&points(&[100.0, f64::NAN, 300.0])), Some(10.0), "a gap");
        assert_eq!(rate_per_second(&points(&[100.0])), None);
        assert_eq!(rate_per_second(&points(&[])), None);
    }

    #[test]
    fn the_most_telling_names_come_first_and_no_more_than_fit() {
        let columns_of = |names: &[&str]| {
            let named: BTreeMap<String, Vec<Meaning>> = names.iter().map(|n| ((*n).into(), Vec::new())).collect();
            columns(std::iter::once(&named))
        };
        assert_eq!(
            columns_of(&["host.alpha", "host.memory.available", "host.load.1m"]),
            ["host.load.1m", "host.memory.available"]
        );
        assert_eq!(columns_of(&["x.f", "x.b", "x.c", "x.a", "x.e", "x.d"]), ["x.a", "x.b", "x.c", "x.d", "x.e"]);
    }
}
