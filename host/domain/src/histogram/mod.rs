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
mod tests {
    use super::*;

    fn histogram(schema: i32, offset: i32, counts: &[f64]) -> NativeHistogram {
        let count = counts.iter().sum::<f64>() + 1.0;
        NativeHistogram {
            schema,
            zero_threshold: 0.001,
            zero_count: 1.0,
            count,
            sum: 10.0,
            positive: Buckets { spans: vec![Span { offset, length: counts.len() as u32 }], counts: counts.to_vec() },
            negative: Buckets::default(),
            custom_bounds: Vec::new(),
            reset: ResetHint::Unknown,
            whole: true,
        }
    }

    #[test]
    fn classic_buckets_accumulate_with_the_bounds_of_the_schema() {
        let classic = histogram(0, 1, &[2.0, 0.0, 3.0]).classic(2, 64);
        let expected =
            [(-0.001, 0.0), (0.001, 1.0), (1.0, 1.0), (2.0, 3.0), (4.0, 3.0), (8.0, 6.0), (f64::INFINITY, 6.0)];
        assert_eq!(classic, expected);
    }

    #[test]
    fn a_finer_schema_is_joined_to_bounds_of_a_coarser_one() {
        // Schema 1 has bounds at 2^(i/2): buckets 1 and 2 are the one of schema 0 that ends at 2.
        let classic = histogram(1, 1, &[2.0, 5.0, 1.0]).classic(0, 64);
        assert_eq!(classic[2..], [(1.0, 1.0), (2.0, 8.0), (4.0, 9.0), (f64::INFINITY, 9.0)]);
        let many = histogram(8, -300, &[1.0; 600]).classic(8, 20);
        assert!(many.len() <= 24, "{}", many.len());
    }

    #[test]
    fn histograms_add_up_in_the_coarser_schema() {
        let sum = histogram(1, 1, &[2.0, 5.0]).plus(&histogram(0, 2, &[3.0]));
        assert_eq!((sum.schema, sum.count, sum.zero_count), (0, 12.0, 2.0));
        assert_eq!(sum.positive.spans, [Span { offset: 1, length: 2 }]);
        assert_eq!(sum.positive.counts, [7.0, 3.0]);
        assert_eq!(sum.check(), Ok(()));
    }

    #[test]
    fn what_contradicts_itself_is_told() {
        assert_eq!(histogram(0, 1, &[1.0]).check(), Ok(()));
        assert!(histogram(9, 1, &[1.0]).check().is_err());
        assert!(histogram(0, 1, &[-1.0]).check().is_err());
        assert!(NativeHistogram { count: 0.0, ..histogram(0, 1, &[1.0]) }.check().is_err());
        let mut short = histogram(0, 1, &[1.0]);
        short.positive.counts.clear();
        assert!(short.check().is_err());
    }

    #[test]
    fn custom_bounds_are_told_as_they_are() {
        let custom = NativeHistogram {
            zero_count: 0.0,
            custom_bounds: vec![1.0, 5.0],
            ..histogram(CUSTOM_SCHEMA, 0, &[1.0, 2.0, 4.0])
        };
        assert_eq!(custom.check(), Ok(()));
        assert_eq!(custom.classic(2, 64), [(1.0, 1.0), (5.0, 3.0), (f64::INFINITY, 8.0)]);
        assert!(NativeHistogram { custom_bounds: vec![5.0, 1.0], ..custom }.check().is_err());
    }
}
