//! Which series say what of a service, and what they counted between two moments.

use super::{tables::SLOT_MILLIS, usual::rules::Sent};
use crate::map::topology::followed_by;
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    entity::EntityId,
    meaning::Meaning,
    request::Outcome,
    series::{Points, SeriesId},
};
use tandem_store::{ReadError, ReadTx};

/// Meanings looked through; beyond it services may be missing.
const MAX_MEANINGS: usize = 5_000_000;
/// What says whether a replica answers: it is the replica's whatever else its target shows.
const REPLICA_UP: &str = "replica.up";
/// A counter's reading before a slot is looked for so far back, in milliseconds, as a query does.
const LOOKBACK_MILLIS: i64 = 300_000;

/// What a series counts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Counts {
    /// Requests, and what became of them.
    Requests(Outcome),
    /// Requests that took at most so many seconds.
    Within(f64),
    /// Requests whose time was taken.
    Timed,
    /// The same, told apart from any histogram.
    TimedCount,
    /// Seconds that requests took together.
    Seconds,
}

/// What a meaning counts; none for what is no concern of objectives.
fn counts(meaning: &Meaning) -> Option<Counts> {
    let dimension = |name: &str| meaning.body.dimensions.get(name);
    match meaning.body.name.as_str() {
        "model.requests" => Some(Counts::Requests(Outcome::of(dimension))),
        "model.latency.bucket" => {
            let le: f64 = dimension("le")?.parse().ok()?;
            Some(if le == f64::INFINITY { Counts::Timed } else { Counts::Within(le) })
        }
        "model.latency.sum" => Some(Counts::Seconds),
        "model.latency.count" => Some(Counts::TimedCount),
        _ => None,
    }
}

/// A series of a service.
#[derive(Debug, Clone)]
struct Source {
    series: SeriesId,
    counts: Counts,
    scale: f64,
}

/// Who sends a series: the entity whose it is, and the target (job and instance) by which it comes. A model that has several
/// replicas is one entity.
type SentBy = (EntityId, Target);

/// Job and instance.
type Target = (String, String);

/// The series of all services, by service and by who sends them: what one server counts must not be mixed with another's.
#[derive(Debug, Default)]
pub(super) struct Sources {
    services: BTreeMap<String, BTreeMap<SentBy, Vec<Source>>>,
    /// The replica that a target shows, and its name.
    replicas: BTreeMap<Target, (EntityId, String)>,
}

/// What was counted of a service in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct SlotCounts {
    pub answered: f64,
    pub requests: f64,
}

impl Sources {
    /// Finds them.
    pub(super) fn find(read: &ReadTx) -> Result<Self, ReadError> {
        let mut services: BTreeMap<String, BTreeMap<SentBy, Vec<Source>>> = BTreeMap::new();
        let mut replicas = BTreeMap::new();
        for meaning in read.scan::<Meaning>(.., MAX_MEANINGS)? {
            if meaning.body.name == REPLICA_UP
                && let Some(replica) = followed_by(read, &meaning.entity)?
            {
                replicas.insert(target_of(read, meaning.series), (replica.id, replica.name));
            }
            let Some(counts) = counts(&meaning) else { continue };
            let Some(entity) = followed_by(read, &meaning.entity)? else { continue };
            let service = match entity.kind.as_str() {
                "service" => Some(entity.name.clone()),
                _ => entity.attributes.get("service").map(str::to_owned),
            };
            let Some(service) = service else { continue };
            let source = Source { series: meaning.series, counts, scale: meaning.body.scale };
            let sent_by = (entity.id, target_of(read, meaning.series));
            services.entry(service).or_default().entry(sent_by).or_default().push(source);
        }
        Ok(Self { services, replicas })
    }

    /// Who sends counts of a service in people's words: the replica's name.
    pub(super) fn name_of<'s>(&'s self, replica: &'s EntityId) -> &'s str {
        let named = self.replicas.values().find(|(id, _)| id == replica);
        named.map_or(replica.0.as_str(), |(_, name)| name)
    }

    /// What each replica of a service counted in each of some slots.
    pub(super) fn sent(
        &self,
        read: &ReadTx,
        service: &str,
        first_slot: i64,
        slots: usize,
    ) -> Result<BTreeMap<EntityId, Vec<Sent>>, ReadError> {
        let mut all: BTreeMap<EntityId, Vec<Sent>> = BTreeMap::new();
        let start = Timestamp(first_slot * SLOT_MILLIS);
        let until = Timestamp((first_slot + slots as i64) * SLOT_MILLIS - 1);
        for ((entity, target), sources) in self.services.get(service).into_iter().flatten() {
            let wanted: Vec<&Source> =
                sources.iter().filter(|source| !matches!(source.counts, Counts::Within(_))).collect();
            let series: Vec<SeriesId> = wanted.iter().map(|source| source.series).collect();
            let points = read.points_of_many(&series, start.plus_millis(-LOOKBACK_MILLIS), until)?;
            let by_series: Vec<Vec<f64>> =
                wanted.iter().zip(&points).map(|(source, points)| rises(points, start, slots, source.scale)).collect();
            let replica = self.replicas.get(target).map_or(entity, |(replica, _)| replica);
            let known = all.entry(replica.clone()).or_insert_with(|| vec![Sent::default(); slots]);
            for (slot, sum) in known.iter_mut().enumerate() {
                let rises: Vec<(Counts, f64)> =
                    wanted.iter().zip(&by_series).map(|(source, rises)| (source.counts, rises[slot])).collect();
                *sum = sum.and(sent(&rises));
            }
        }
        Ok(all)
    }

    /// The services that have any.
    pub(super) fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// What of a service was answered, and what within a time, among all, from one moment until before another.
    pub(super) fn counted(
        &self,
        read: &ReadTx,
        service: &str,
        within_seconds: Option<f64>,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<SlotCounts, ReadError> {
        let mut sum = SlotCounts::default();
        for sources in self.services.get(service).into_iter().flat_map(BTreeMap::values) {
            let series: Vec<SeriesId> = sources.iter().map(|source| source.series).collect();
            let points = read.points_of_many(&series, from.plus_millis(-LOOKBACK_MILLIS), until.plus_millis(-1))?;
            let rises = sources.iter().zip(&points).map(|(source, points)| {
                let rise = rise(points, from) * source.scale;
                (source.counts, rise)
            });
            let rises: Vec<(Counts, f64)> = rises.collect();
            let one = match within_seconds {
                None => answered(&rises),
                Some(within) => in_time(&rises, within),
            };
            sum.answered += one.answered;
            sum.requests += one.requests;
        }
        Ok(sum)
    }
}

/// How much a counter rose from a moment on; after a restart of its sender it counts from 0.
fn rise(points: &Points, from: Timestamp) -> f64 {
    let (mut last, mut sum) = (None, 0.0);
    for (at, value) in points.at.iter().zip(&points.value).filter(|(_, value)| value.is_finite()) {
        if let Some(last) = last.filter(|_| *at >= from) {
            sum += if *value >= last { value - last } else { *value };
        }
        last = Some(*value);
    }
    sum
}

/// How much a counter rose in each of some slots.
fn rises(points: &Points, from: Timestamp, slots: usize, scale: f64) -> Vec<f64> {
    let (mut last, mut sums) = (None, vec![0.0; slots]);
    for (at, value) in points.at.iter().zip(&points.value).filter(|(_, value)| value.is_finite()) {
        let place = at.millis_since(from).div_euclid(SLOT_MILLIS);
        let sum = usize::try_from(place).ok().and_then(|place| sums.get_mut(place));
        if let (Some(last), Some(sum)) = (last, sum) {
            *sum += scale * if *value >= last { value - last } else { *value };
        }
        last = Some(*value);
    }
    sums
}

/// The target by which a series comes.
fn target_of(read: &ReadTx, series: SeriesId) -> Target {
    let labels = read.series_labels(series).unwrap_or_default();
    let text = |name: &str| labels.get(name).unwrap_or_default().to_owned();
    (text("job"), text("instance"))
}

/// What a sender counted, whatever its server calls it.
fn sent(rises: &[(Counts, f64)]) -> Sent {
    let SlotCounts { answered, requests } = answered(rises);
    let given_up = sum_of(rises, |counts| *counts == Counts::Requests(Outcome::GivenUp)).unwrap_or(0.0);
    let failed = (requests - answered).max(0.0) + given_up;
    let seconds = sum_of(rises, |counts| *counts == Counts::Seconds).unwrap_or(0.0);
    let count = sum_of(rises, |counts| *counts == Counts::TimedCount);
    let timed = count.or_else(|| sum_of(rises, |counts| *counts == Counts::Timed));
    let timed = if seconds > 0.0 { timed.unwrap_or(requests) } else { 0.0 };
    // Some servers only take the time.
    let requests = if requests > 0.0 { requests } else { timed };
    Sent { requests, failed, timed, seconds }
}

fn sum_of(rises: &[(Counts, f64)], wanted: impl Fn(&Counts) -> bool) -> Option<f64> {
    let mut of = rises.iter().filter(|(counts, _)| wanted(counts)).peekable();
    of.peek()?;
    Some(of.map(|(_, rise)| rise).sum())
}

/// Of what was asked, how much was answered.
fn answered(rises: &[(Counts, f64)]) -> SlotCounts {
    let failed = sum_of(rises, |counts| *counts == Counts::Requests(Outcome::Failed)).unwrap_or(0.0);
    let any = sum_of(rises, |counts| *counts == Counts::Requests(Outcome::Any)).unwrap_or(0.0);
    let success =
        sum_of(rises, |counts| matches!(counts, Counts::Requests(Outcome::Answered | Outcome::GivenUp))).unwrap_or(0.0);
    // Some servers count all and the failed, some the answered and the failed, some by code.
    let requests = any.max(success + failed);
    SlotCounts { answered: requests - failed, requests }
}

/// Of what was timed, how much came in time. Where there are no buckets, all of a slot is judged by its mean.
fn in_time(rises: &[(Counts, f64)], within: f64) -> SlotCounts {
    let least = rises.iter().filter_map(|(counts, _)| match counts {
        // The next bound above, so that nothing in time is called late.
        Counts::Within(le) if *le >= within * (1.0 - 1e-9) => Some(*le),
        _ => None,
    });
    let timed = sum_of(rises, |counts| *counts == Counts::Timed);
    if let Some(timed) = timed {
        let bound = least.fold(f64::INFINITY, f64::min);
        let fast = sum_of(rises, |counts| *counts == Counts::Within(bound)).unwrap_or(timed);
        return SlotCounts { answered: fast.min(timed), requests: timed };
    }
    let (requests, seconds) = (answered(rises).requests, sum_of(rises, |counts| *counts == Counts::Seconds));
    let Some(seconds) = seconds.filter(|_| requests > 0.0) else { return SlotCounts::default() };
    let fast = if seconds / requests <= within { requests } else { 0.0 };
    SlotCounts { answered: fast, requests }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(pairs: &[(i64, f64)]) -> Points {
        Points {
            at: pairs.iter().map(|(at, _)| Timestamp(*at)).collect(),
            value: pairs.iter().map(|(_, value)| *value).collect(),
        }
    }

    #[test]
    fn a_rise_begins_at_the_reading_before_and_survives_a_restart() {
        let counter = points(&[(0, 10.0), (15, 12.0), (30, 20.0), (45, 3.0), (60, f64::NAN)]);
        assert_eq!(rise(&counter, Timestamp(15)), 2.0 + 8.0 + 3.0);
        assert_eq!(rise(&counter, Timestamp(31)), 3.0);
        assert_eq!(rise(&points(&[(5, 100.0)]), Timestamp(0)), 0.0, "nobody knows from where it rose");
    }

    #[test]
    fn servers_that_count_differently_are_understood() {
        let counted = |rises: &[(Counts, f64)]| {
            let counted = answered(rises);
            (counted.answered, counted.requests)
        };
        assert_eq!(
            counted(&[(Counts::Requests(Outcome::Answered), 90.0), (Counts::Requests(Outcome::Failed), 10.0)]),
            (90.0, 100.0)
        );
        assert_eq!(
            counted(&[(Counts::Requests(Outcome::Any), 100.0), (Counts::Requests(Outcome::Failed), 10.0)]),
            (90.0, 100.0)
        );
        assert_eq!(counted(&[(Counts::Requests(Outcome::Answered), 5.0)]), (5.0, 5.0));
        assert_eq!(counted(&[]), (0.0, 0.0));
        let given_up = [
            (Counts::Requests(Outcome::Answered), 90.0),
            (Counts::Requests(Outcome::GivenUp), 8.0),
            (Counts::Requests(Outcome::Failed), 2.0),
        ];
        assert_eq!(counted(&given_up), (98.0, 100.0), "whoever answers has not failed");
        assert_eq!((sent(&given_up).requests, sent(&given_up).failed), (100.0, 10.0), "and users feel it");
    }

    #[test]
    fn time_is_judged_by_the_next_bound_or_by_the_mean() {
        let buckets = [
            (Counts::Within(0.1), 50.0),
            (Counts::Within(0.25), 80.0),
            (Counts::Within(1.0), 95.0),
            (Counts::Timed, 100.0),
        ];
        assert_eq!(in_time(&buckets, 0.2), SlotCounts { answered: 80.0, requests: 100.0 });
        assert_eq!(in_time(&buckets, 0.25), SlotCounts { answered: 80.0, requests: 100.0 });
        assert_eq!(in_time(&buckets, 5.0), SlotCounts { answered: 100.0, requests: 100.0 });
        let mean = [(Counts::Requests(Outcome::Answered), 10.0), (Counts::Seconds, 3.0)];
        assert_eq!(in_time(&mean, 0.2), SlotCounts { answered: 0.0, requests: 10.0 });
        assert_eq!(in_time(&mean, 0.5), SlotCounts { answered: 10.0, requests: 10.0 });
    }
}
