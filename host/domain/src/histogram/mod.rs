//! Native histograms: a distribution as one value, with buckets whose bounds follow from a rule.
//!
//! Rules: Prometheus' "Native histograms" specification. What is kept is told as it came; [`HistogramSum`] adds and subtracts,
//! [`NativeHistogram::quantile`] and its neighbours estimate, and [`NativeHistogram::classic`] tells it as classic buckets.

mod buckets;
mod check;
mod classic;
mod estimate;
mod reset;
mod sum;
mod text;
mod trim;

pub use buckets::Bucket;
pub use check::Contradiction;
pub use estimate::Estimate;
pub use sum::{Compensated, HistogramSum, Incompatible};
pub use trim::Kept;

use serde::{Deserialize, Serialize};

/// The schema that means bounds of the sender's own.
pub const CUSTOM_SCHEMA: i32 = -53;
/// The coarsest and the finest exponential schema.
pub const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// What is known of a counter's restart before this value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResetHint {
    /// To be found out by comparing.
    #[default]
    Unknown,
    /// It is the first after a restart.
    Yes,
    /// There was none.
    No,
    /// It is a gauge, which has none.
    Gauge,
}

/// Consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Index of the first bucket, or the gap to the span before.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// One side of a histogram.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Buckets {
    /// Where they lie.
    pub spans: Vec<Span>,
    /// How much each holds, in the order of the spans.
    pub counts: Vec<f64>,
}

/// A distribution at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NativeHistogram {
    /// Bucket `i` ends at `2^(i · 2^-schema)`; [`CUSTOM_SCHEMA`] means at `custom_bounds[i]`.
    pub schema: i32,
    /// Half the width of the bucket around zero.
    pub zero_threshold: f64,
    /// What that bucket holds.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// Above zero.
    pub positive: Buckets,
    /// Below zero, by magnitude.
    pub negative: Buckets,
    /// Upper bounds, ascending and without +Inf, for the custom schema.
    pub custom_bounds: Vec<f64>,
    /// Of its restart.
    pub reset: ResetHint,
    /// Whether its counts are whole numbers (all but those that were computed).
    pub whole: bool,
}

impl NativeHistogram {
    /// How many buckets it has, but for that around zero.
    pub fn buckets(&self) -> usize {
        self.positive.counts.len() + self.negative.counts.len()
    }

    /// The same in a schema that is at most `finest`, neighbours joined; custom bounds stay as they are.
    #[must_use]
    pub fn coarsened(mut self, finest: i32) -> Self {
        if self.schema > finest && self.schema != CUSTOM_SCHEMA {
            let coarser = self.schema.saturating_sub(finest).min(32) as u32;
            self.positive = Buckets::of(&self.positive.joined(coarser));
            self.negative = Buckets::of(&self.negative.joined(coarser));
            self.schema = finest;
        }
        self
    }

    /// Both together, in the coarser schema of the two; their zero buckets are joined under the wider threshold. With custom
    /// bounds the other's buckets are added by place where both have the same bounds, and else the later one stands alone.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        if (self.schema == CUSTOM_SCHEMA) != (other.schema == CUSTOM_SCHEMA)
            || self.custom_bounds != other.custom_bounds
        {
            return other.clone();
        }
        let schema = self.schema.min(other.schema);
        let (one, two) = (self.clone().coarsened(schema), other.clone().coarsened(schema));
        let side = |a: &Buckets, b: &Buckets| {
            let mut joined = a.joined(0);
            for (index, count) in b.joined(0) {
                *joined.entry(index).or_default() += count;
            }
            Buckets::of(&joined)
        };
        Self {
            schema,
            zero_threshold: one.zero_threshold.max(two.zero_threshold),
            zero_count: one.zero_count + two.zero_count,
            count: one.count + two.count,
            sum: one.sum + two.sum,
            positive: side(&one.positive, &two.positive),
            negative: side(&one.negative, &two.negative),
            custom_bounds: two.custom_bounds,
            reset: two.reset,
            whole: one.whole && two.whole,
        }
    }
}

#[cfg(test)]
mod tests;
