//! Sums of histograms, with compensation for rounding.

use super::{
    Buckets, CUSTOM_SCHEMA, NativeHistogram, ResetHint,
    buckets::{bound, coarser_index, custom_bound},
};

/// A sum with what was lost to rounding (Neumaier 1974; the loss is found as Knuth does, without comparing).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Compensated {
    sum: f64,
    rest: f64,
}

impl Compensated {
    /// Begins with a value.
    pub fn of(value: f64) -> Self {
        Self { sum: value, rest: 0.0 }
    }

    /// Adds a value.
    pub fn add(&mut self, value: f64) {
        let next = self.sum + value;
        let added = next - self.sum;
        // Beyond all floats this is no number, and then does not count.
        self.rest += (self.sum - (next - added)) + (value - added);
        self.sum = next;
    }

    /// Multiplies what was summed up.
    pub fn scale(&mut self, factor: f64) {
        self.sum *= factor;
        self.rest *= factor;
    }

    /// Divides what was summed up.
    pub fn divide(&mut self, by: f64) {
        self.sum /= by;
        self.rest /= by;
    }

    /// The sum without what was lost: infinite where it went beyond all floats.
    pub fn plain(self) -> f64 {
        self.sum
    }

    /// The sum.
    pub fn total(self) -> f64 {
        if self.sum.is_finite() && self.rest.is_finite() { self.sum + self.rest } else { self.sum }
    }
}

/// Buckets by rule and buckets with bounds of the sender's own cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("histograms with exponential buckets and with custom buckets do not add up")]
pub struct Incompatible;

/// Ascending by index, each index once.
type Counts = Vec<(i64, Compensated)>;

/// Histograms added up: in the coarsest schema among them, under the widest zero bucket, between the custom bounds that all have.
#[derive(Debug, Clone)]
pub struct HistogramSum {
    schema: i32,
    zero_threshold: f64,
    zero: Compensated,
    count: Compensated,
    sum: Compensated,
    positive: Counts,
    negative: Counts,
    custom_bounds: Vec<f64>,
    reset: ResetHint,
    is_collided: bool,
    is_reconciled: bool,
}

impl HistogramSum {
    /// Begins with one.
    pub fn of(first: &NativeHistogram) -> Self {
        let counts = |side: &Buckets| side.indexed().map(|(index, count)| (index, Compensated::of(count))).collect();
        Self {
            schema: first.schema,
            zero_threshold: first.zero_threshold,
            zero: Compensated::of(first.zero_count),
            count: Compensated::of(first.count),
            sum: Compensated::of(first.sum),
            positive: counts(&first.positive),
            negative: counts(&first.negative),
            custom_bounds: first.custom_bounds.clone(),
            reset: first.reset,
            is_collided: false,
            is_reconciled: false,
        }
    }

    /// Adds another `factor` times; with -1 it is taken away.
    ///
    /// # Errors
    /// When one has custom bounds and the other has not.
    pub fn add(&mut self, other: &NativeHistogram, factor: f64) -> Result<(), Incompatible> {
        if (self.schema == CUSTOM_SCHEMA) != other.is_custom() {
            return Err(Incompatible);
        }
        self.adjust_reset(other.reset);
        let scaled = |(index, count): (i64, f64)| (index, count * factor);
        if other.is_custom() {
            if self.custom_bounds == other.custom_bounds {
                self.positive = added(std::mem::take(&mut self.positive), other.positive.indexed().map(scaled));
            } else {
                self.is_reconciled = true;
                let common = common_bounds(&self.custom_bounds, &other.custom_bounds);
                let own = rebounded(totals(&self.positive).into_iter(), &self.custom_bounds, &common);
                let own = own.into_iter().map(|(index, count)| (index, Compensated::of(count))).collect();
                let others = rebounded(other.positive.indexed(), &other.custom_bounds, &common);
                self.positive = added(own, others.into_iter().map(scaled));
                self.custom_bounds = common;
            }
        } else {
            let others_zero = self.reconciled_zero(other);
            self.zero.add(others_zero * factor);
            let schema = self.schema.min(other.schema);
            self.coarsen(schema);
            let steps = (other.schema - schema).unsigned_abs();
            let threshold = self.zero_threshold;
            let outside = |(index, _): &(i64, f64)| bound(schema, *index) > threshold;
            let coarser = |(index, count): (i64, f64)| (coarser_index(index, steps), count * factor);
            let positive = other.positive.indexed().map(coarser).filter(outside);
            self.positive = added(std::mem::take(&mut self.positive), positive);
            let negative = other.negative.indexed().map(coarser).filter(outside);
            self.negative = added(std::mem::take(&mut self.negative), negative);
        }
        self.count.add(other.count * factor);
        self.sum.add(other.sum * factor);
        Ok(())
    }

    /// Multiplies all; what is multiplied by less than zero is a counter no more.
    pub fn scale(&mut self, factor: f64) {
        if factor < 0.0 {
            self.reset = ResetHint::Gauge;
        }
        self.zero.scale(factor);
        self.count.scale(factor);
        self.sum.scale(factor);
        self.positive.iter_mut().chain(&mut self.negative).for_each(|(_, count)| count.scale(factor));
    }

    /// Divides all; by zero, all is infinite or NaN, and no buckets are left.
    pub fn divide(&mut self, by: f64) {
        if by == 0.0 {
            self.positive.clear();
            self.negative.clear();
        }
        if by < 0.0 {
            self.reset = ResetHint::Gauge;
        }
        self.zero.divide(by);
        self.count.divide(by);
        self.sum.divide(by);
        self.positive.iter_mut().chain(&mut self.negative).for_each(|(_, count)| count.divide(by));
    }

    /// Says what is known of the sum's restarts.
    pub fn set_reset(&mut self, reset: ResetHint) {
        self.reset = reset;
    }

    /// Whether a histogram after a restart met one that knows of none.
    pub fn is_collided(&self) -> bool {
        self.is_collided
    }

    /// Whether custom bounds differed, and those that all have are left.
    pub fn is_reconciled(&self) -> bool {
        self.is_reconciled
    }

    /// Whether it went beyond all floats.
    pub fn is_overflown(&self) -> bool {
        let sides = self.positive.iter().chain(&self.negative).map(|(_, count)| count);
        [&self.zero, &self.count, &self.sum].into_iter().chain(sides).any(|one| one.plain().is_infinite())
    }

    /// All observations so far.
    pub fn count(&self) -> f64 {
        self.count.total()
    }

    /// The sum as a histogram, empty buckets left out.
    pub fn finish(self) -> NativeHistogram {
        let side =
            |counts: &Counts| Buckets::of_ascending(totals(counts).into_iter().filter(|(_, count)| *count != 0.0));
        NativeHistogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero.total(),
            count: self.count.total(),
            sum: self.sum.total(),
            positive: side(&self.positive),
            negative: side(&self.negative),
            custom_bounds: self.custom_bounds,
            reset: self.reset,
            whole: false,
        }
    }

    fn adjust_reset(&mut self, other: ResetHint) {
        use ResetHint::{Gauge, No, Unknown, Yes};
        self.reset = match (self.reset, other) {
            (one, two) if one == two => one,
            (Gauge, _) | (_, Gauge) => Gauge,
            (Unknown, _) | (_, Unknown) => Unknown,
            (Yes | No, _) => {
                self.is_collided = true;
                Unknown
            }
        };
    }

    /// Joins neighbours until the schema is no finer than one; custom bounds stay.
    pub fn coarsen(&mut self, schema: i32) {
        if self.schema == CUSTOM_SCHEMA || schema >= self.schema {
            return;
        }
        let steps = (self.schema - schema).unsigned_abs();
        for side in [&mut self.positive, &mut self.negative] {
            let joined = totals(side).into_iter().map(|(index, count)| (coarser_index(index, steps), count));
            *side = added(Vec::new(), joined);
        }
        self.schema = schema;
    }

    /// Widens the own zero bucket until it covers the other's without cutting a filled bucket of either, and tells what the other
    /// has within it.
    fn reconciled_zero(&mut self, other: &NativeHistogram) -> f64 {
        let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
        if threshold == self.zero_threshold {
            return count;
        }
        let (positive, negative): (Vec<_>, Vec<_>) =
            (other.positive.indexed().collect(), other.negative.indexed().collect());
        while threshold != self.zero_threshold {
            if self.zero_threshold > threshold {
                (count, threshold) = widened(
                    other.schema,
                    other.zero_count,
                    other.zero_threshold,
                    self.zero_threshold,
                    &positive,
                    &negative,
                );
            }
            if threshold > self.zero_threshold {
                let (positive, negative) = (totals(&self.positive), totals(&self.negative));
                let (own, wider) =
                    widened(self.schema, self.zero.total(), self.zero_threshold, threshold, &positive, &negative);
                self.zero = Compensated::of(own);
                self.zero_threshold = wider;
                let schema = self.schema;
                for side in [&mut self.positive, &mut self.negative] {
                    side.retain(|(index, _)| bound(schema, index - 1) >= wider);
                }
            }
        }
        count
    }
}

fn totals(counts: &Counts) -> Vec<(i64, f64)> {
    counts.iter().map(|(index, count)| (*index, count.total())).collect()
}

/// Both together; `more` ascends and may name an index several times.
fn added(mut counts: Counts, more: impl Iterator<Item = (i64, f64)>) -> Counts {
    let mut missing: Vec<(i64, f64)> = Vec::new();
    let mut place = 0;
    for (index, count) in more {
        while place < counts.len() && counts[place].0 < index {
            place += 1;
        }
        match counts.get_mut(place) {
            Some((known, held)) if *known == index => held.add(count),
            _ => missing.push((index, count)),
        }
    }
    for (index, count) in missing {
        match counts.binary_search_by_key(&index, |(known, _)| *known) {
            Ok(place) => counts[place].1.add(count),
            Err(place) => counts.insert(place, (index, Compensated::of(count))),
        }
    }
    counts
}

/// What a zero bucket holds when it is widened to `threshold` or, where that would cut a filled bucket, to that bucket's end.
pub(super) fn widened(
    schema: i32,
    zero_count: f64,
    zero_threshold: f64,
    threshold: f64,
    positive: &[(i64, f64)],
    negative: &[(i64, f64)],
) -> (f64, f64) {
    let mut threshold = threshold;
    if threshold <= zero_threshold {
        return (zero_count, zero_threshold);
    }
    'wider: loop {
        let mut count = zero_count;
        for (is_negative, side) in [(false, positive), (true, negative)] {
            for (index, held) in side {
                if bound(schema, index - 1) >= threshold {
                    break;
                }
                count += held;
                let upper = bound(schema, *index);
                if upper > threshold {
                    if *held != 0.0 {
                        threshold = upper;
                        if is_negative {
                            continue 'wider;
                        }
                    }
                    break;
                }
            }
        }
        return (count, threshold);
    }
}

/// The bounds that both have.
pub(super) fn common_bounds(one: &[f64], two: &[f64]) -> Vec<f64> {
    one.iter().copied().filter(|bound| two.binary_search_by(|other| other.total_cmp(bound)).is_ok()).collect()
}

/// Buckets joined to fewer bounds, which are among those they had.
pub(super) fn rebounded(counts: impl Iterator<Item = (i64, f64)>, from: &[f64], to: &[f64]) -> Vec<(i64, f64)> {
    let mut joined: Vec<(i64, f64)> = Vec::new();
    for (index, count) in counts {
        let upper = custom_bound(from, index);
        let place = to.partition_point(|bound| *bound < upper) as i64;
        match joined.last_mut() {
            Some(last) if last.0 == place => last.1 += count,
            _ => joined.push((place, count)),
        }
    }
    joined
}
