//! What StatsD leaves to the server: state between datagrams, told at each flush.

use super::{Change, Line, named};
use crate::{
    described::describe,
    influx::label,
    limits::WireLimits,
    rejected::{Reason, Rejection},
    remote_write::STALE_NAN,
    series_key::{KeySeed, SeriesKey},
};
use std::collections::{BTreeMap, HashMap, HashSet};
use tandem_domain::{
    Timestamp,
    histogram::{Buckets, NativeHistogram, ResetHint, SCHEMAS},
    series::{MetricType, SeriesDescription},
};

/// Series that are held between flushes.
pub const MAX_SERIES: usize = 100_000;
/// Members of one set that are told apart between two flushes.
pub const MAX_SET_MEMBERS: usize = 100_000;
/// Buckets 19 % apart, to begin with.
const SCHEMA: i32 = 2;
/// Buckets of one distribution; when it has more, neighbours are joined. Three decades fill 40 of them.
const MAX_BUCKETS: usize = 160;
/// Half the width of the bucket around zero; times and sizes below are none.
const ZERO_THRESHOLD: f64 = 1e-9;

/// The values at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flush {
    /// Counters, gauges and sizes of sets; [`STALE_NAN`] where a series ended.
    pub samples: Vec<(SeriesKey, SeriesDescription, f64)>,
    /// Timers, histograms and distributions, as totals; the sum is [`STALE_NAN`] where one ended.
    pub histograms: Vec<(SeriesKey, SeriesDescription, NativeHistogram)>,
}

#[derive(Debug)]
struct Distribution {
    schema: i32,
    buckets: BTreeMap<i64, f64>,
    negative: BTreeMap<i64, f64>,
    zero: f64,
    count: f64,
    sum: f64,
}

#[derive(Debug)]
enum Value {
    Total(f64),
    Gauge(f64),
    Distribution(Box<Distribution>),
    Set(HashSet<u128>),
}

#[derive(Debug)]
struct Held {
    series: SeriesDescription,
    value: Value,
    changed_at: Timestamp,
}

/// The state of one listener.
#[derive(Debug)]
pub struct Aggregator {
    seed: KeySeed,
    limits: WireLimits,
    most: usize,
    held: HashMap<SeriesKey, Held>,
    /// Members of all sets, held to [`MAX_SET_MEMBERS`] together.
    members: usize,
    scratch: Vec<u8>,
}

impl Default for Distribution {
    fn default() -> Self {
        let (buckets, negative) = (BTreeMap::new(), BTreeMap::new());
        Self { schema: SCHEMA, buckets, negative, zero: 0.0, count: 0.0, sum: 0.0 }
    }
}

/// Joins neighbours, as the next coarser schema has them.
fn joined(buckets: &BTreeMap<i64, f64>) -> BTreeMap<i64, f64> {
    let mut joined = BTreeMap::new();
    for (index, count) in buckets {
        *joined.entry(((index - 1) >> 1) + 1).or_default() += count;
    }
    joined
}

impl Distribution {
    fn observe(&mut self, value: f64, weight: f64) {
        self.count += weight;
        self.sum += value * weight;
        if value.abs() <= ZERO_THRESHOLD {
            self.zero += weight;
            return;
        }
        let index = (value.abs().log2() * f64::from(self.schema).exp2()).ceil() as i64;
        let side = if value > 0.0 { &mut self.buckets } else { &mut self.negative };
        *side.entry(index).or_default() += weight;
        while self.buckets.len() + self.negative.len() > MAX_BUCKETS && self.schema > *SCHEMAS.start() {
            (self.buckets, self.negative) = (joined(&self.buckets), joined(&self.negative));
            self.schema -= 1;
        }
    }

    fn histogram(&self) -> NativeHistogram {
        NativeHistogram {
            schema: self.schema,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: self.zero,
            count: self.count,
            sum: self.sum,
            positive: Buckets::of(&self.buckets),
            negative: Buckets::of(&self.negative),
            custom_bounds: Vec::new(),
            reset: ResetHint::Unknown,
            whole: false,
        }
    }
}

impl Aggregator {
    /// For at most so many series; [`MAX_SERIES`] is the usual number.
    pub fn new(seed: KeySeed, limits: WireLimits, most: usize) -> Self {
        Self { seed, limits, most, held: HashMap::new(), members: 0, scratch: Vec::new() }
    }

    /// How many series are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes in a line.
    ///
    /// # Errors
    /// When its name or tags are beyond the limits, no room is left, or the metric is of another type.
    pub fn apply(&mut self, line: &Line<'_>, now: Timestamp) -> Result<(), Rejection> {
        // All changes of a line are of one type, and so of one series.
        let Some(first) = line.changes.first() else { return Ok(()) };
        let key = self.hold(line, first, now)?;
        for change in &line.changes {
            self.change(key, change, now)?;
        }
        Ok(())
    }

    /// The key of a line's series, which is made when it is new.
    fn hold(&mut self, line: &Line<'_>, change: &Change<'_>, now: Timestamp) -> Result<SeriesKey, Rejection> {
        if line.tags.len() > self.limits.labels {
            let text = format!("a line has {} tags, and {} are taken", line.tags.len(), self.limits.labels);
            return Err(Rejection { reason: Reason::TooManyLabels, text });
        }
        let name = named(line.name, change);
        let mut labels: Vec<_> = line.tags.iter().map(|(name, value)| (label(name), *value)).collect();
        labels.sort();
        labels.dedup_by(|later, earlier| later.0 == earlier.0);
        let mut pairs: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_ref(), *value)).collect();
        pairs.push(("__name__", &name));
        pairs.sort_unstable();
        let key = self.seed.of_pairs(pairs.iter().copied(), &mut self.scratch);
        if self.held.contains_key(&key) {
            return Ok(key);
        }
        if self.held.len() >= self.most {
            let text = format!("{} series of StatsD are held, and no more are", self.most);
            return Err(Rejection { reason: Reason::TooMany, text });
        }
        let mut series = describe(pairs, &self.limits)?;
        let (value, metric_type) = match change {
            Change::Count(_) => (Value::Total(0.0), MetricType::Counter),
            Change::Set(_) | Change::Adjust(_) => (Value::Gauge(0.0), MetricType::Gauge),
            Change::Timing(..) | Change::Observe(..) => (Value::Distribution(Box::default()), MetricType::Histogram),
            Change::Member(_) => (Value::Set(HashSet::new()), MetricType::Gauge),
        };
        series.metric_type = metric_type;
        if matches!(change, Change::Timing(..)) {
            series.unit = "seconds".into();
        }
        self.held.insert(key, Held { series, value, changed_at: now });
        Ok(key)
    }

    fn change(&mut self, key: SeriesKey, change: &Change<'_>, now: Timestamp) -> Result<(), Rejection> {
        let Some(held) = self.held.get_mut(&key) else { return Ok(()) };
        match (&mut held.value, change) {
            (Value::Total(total), Change::Count(add)) => *total += add,
            (Value::Gauge(value), Change::Set(set)) => *value = *set,
            (Value::Gauge(value), Change::Adjust(add)) => *value += add,
            (Value::Distribution(held), Change::Timing(value, weight) | Change::Observe(value, weight)) => {
                held.observe(*value, *weight);
            }
            (Value::Set(members), Change::Member(member)) => {
                let hash = self.seed.of_pairs([("", *member)], &mut self.scratch).0;
                if self.members >= MAX_SET_MEMBERS && !members.contains(&hash) {
                    let text = format!("{MAX_SET_MEMBERS} members of sets are told apart, and no more are");
                    return Err(Rejection { reason: Reason::TooMany, text });
                }
                self.members += usize::from(members.insert(hash));
            }
            _ => {
                let text = format!("{} is sent as two types", held.series.metric);
                return Err(Rejection { reason: Reason::Unsupported, text });
            }
        }
        held.changed_at = now;
        Ok(())
    }

    /// The values now. Sets begin anew; a series that did not change since `idle_since` is told ended and forgotten.
    pub fn flush(&mut self, idle_since: Timestamp) -> Flush {
        let mut flush = Flush::default();
        let stale = f64::from_bits(STALE_NAN);
        for (key, held) in &mut self.held {
            let series = held.series.clone();
            let ended = held.changed_at < idle_since;
            match &mut held.value {
                Value::Total(value) | Value::Gauge(value) => {
                    flush.samples.push((*key, series, if ended { stale } else { *value }));
                }
                Value::Distribution(distribution) => {
                    let mut histogram = distribution.histogram();
                    histogram.sum = if ended { stale } else { histogram.sum };
                    flush.histograms.push((*key, series, histogram));
                }
                Value::Set(members) => {
                    flush.samples.push((*key, series, if ended { stale } else { members.len() as f64 }));
                    members.clear();
                }
            }
        }
        self.members = 0;
        self.held.retain(|_, held| held.changed_at >= idle_since);
        flush
    }
}
