//! Buckets by their indices and by their bounds.

use super::{Buckets, CUSTOM_SCHEMA, NativeHistogram, Span};
use std::collections::BTreeMap;

/// One bucket by its bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// How much it holds.
    pub count: f64,
}

/// Exponent of the first power of two that is no float.
const OVERFLOWING_EXPONENT: f64 = 1_024.0;

/// The upper bound of a bucket of an exponential schema, by magnitude.
pub(super) fn bound(schema: i32, index: i64) -> f64 {
    let exponent = index as f64 * (-f64::from(schema)).exp2();
    // The last bucket of finite numbers ends at the largest of them.
    if exponent == OVERFLOWING_EXPONENT { f64::MAX } else { exponent.exp2() }
}

/// The upper bound of a bucket with bounds of the sender's own.
pub(super) fn custom_bound(bounds: &[f64], index: i64) -> f64 {
    match usize::try_from(index) {
        Err(_) => f64::NEG_INFINITY,
        Ok(index) => bounds.get(index).copied().unwrap_or(f64::INFINITY),
    }
}

/// The index in a schema that is coarser by some steps, each of which joins two neighbours.
pub(super) fn coarser_index(index: i64, steps: u32) -> i64 {
    ((index - 1) >> steps.min(63)) + 1
}

impl Buckets {
    /// Index and count of each bucket.
    pub(super) fn indexed(&self) -> impl Iterator<Item = (i64, f64)> {
        let mut end = 0_i64;
        let indices = self.spans.iter().flat_map(move |span| {
            let start = end + i64::from(span.offset);
            end = start + i64::from(span.length);
            start..end
        });
        indices.zip(self.counts.iter().copied())
    }

    /// Buckets by index, with a span for each run of neighbours.
    pub fn of(counts: &BTreeMap<i64, f64>) -> Self {
        Self::of_ascending(counts.iter().map(|(index, count)| (*index, *count)))
    }

    /// As [`Buckets::of`], of indices that ascend.
    pub(super) fn of_ascending(counts: impl IntoIterator<Item = (i64, f64)>) -> Self {
        let mut found = Self::default();
        let mut end = 0_i64;
        for (index, count) in counts {
            match found.spans.last_mut() {
                Some(span) if index == end => span.length += 1,
                // Indices come from 32 bit offsets and lengths; a gap beyond that is cut, and no real bucket lies there.
                _ => {
                    let gap = (index - end).clamp(i32::MIN.into(), i32::MAX.into());
                    found.spans.push(Span { offset: gap as i32, length: 1 });
                }
            }
            end = index + 1;
            found.counts.push(count);
        }
        found
    }

    /// By coarser index: each step of `coarser` joins two neighbours.
    pub(super) fn joined(&self, coarser: u32) -> BTreeMap<i64, f64> {
        let mut joined = BTreeMap::new();
        for (index, count) in self.indexed().filter(|(_, count)| *count > 0.0) {
            *joined.entry(coarser_index(index, coarser)).or_default() += count;
        }
        joined
    }
}

impl NativeHistogram {
    /// Whether its bounds are the sender's own.
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }

    /// The buckets above zero (all, where bounds are the sender's own), ascending.
    pub fn positive_buckets(&self) -> impl Iterator<Item = Bucket> {
        let end = move |index: i64| {
            if self.is_custom() { custom_bound(&self.custom_bounds, index) } else { bound(self.schema, index) }
        };
        self.positive.indexed().map(move |(index, count)| Bucket { lower: end(index - 1), upper: end(index), count })
    }

    /// The buckets below zero, from zero downwards.
    pub fn negative_buckets(&self) -> impl Iterator<Item = Bucket> {
        self.negative.indexed().map(|(index, count)| Bucket {
            lower: -bound(self.schema, index),
            upper: -bound(self.schema, index - 1),
            count,
        })
    }

    /// All buckets, ascending; those next to the zero bucket end where it begins.
    pub fn all_buckets(&self) -> Vec<Bucket> {
        let mut all: Vec<Bucket> = self.negative_buckets().collect();
        all.reverse();
        all.iter_mut().for_each(|bucket| bucket.upper = bucket.upper.min(-self.zero_threshold));
        if self.zero_count > 0.0 {
            all.push(Bucket { lower: -self.zero_threshold, upper: self.zero_threshold, count: self.zero_count });
        }
        let least = if self.is_custom() { f64::NEG_INFINITY } else { self.zero_threshold };
        all.extend(self.positive_buckets().map(|bucket| Bucket { lower: bucket.lower.max(least), ..bucket }));
        all
    }
}
