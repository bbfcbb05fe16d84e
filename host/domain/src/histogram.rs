//! Native histograms: a distribution as one value, with buckets whose bounds follow from a rule.
//!
//! Rules: Prometheus' "Native histograms" specification. The store holds floats for now, so [`NativeHistogram::classic`]
//! says what a histogram is as classic buckets.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema that means bounds of the sender's own.
pub const CUSTOM_SCHEMA: i32 = -53;
/// The coarsest and the finest exponential schema.
pub const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// Powers of two that a float can reach, either way.
const FLOAT_EXPONENTS: f64 = 1_080.0;

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

/// A histogram contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Contradiction(pub &'static str);

impl Buckets {
    /// Index and count of each bucket.
    fn indexed(&self) -> impl Iterator<Item = (i64, f64)> {
        let mut end = 0_i64;
        let indices = self.spans.iter().flat_map(move |span| {
            let start = end + i64::from(span.offset);
            end = start + i64::from(span.length);
            start..end
        });
        indices.zip(self.counts.iter().copied())
    }

    fn check(&self) -> Result<f64, Contradiction> {
        if self.spans.iter().skip(1).any(|span| span.offset < 0) {
            return Err(Contradiction("a span begins before the end of the one before"));
        }
        let spanned: u64 = self.spans.iter().map(|span| u64::from(span.length)).sum();
        if spanned != self.counts.len() as u64 {
            return Err(Contradiction("its spans and its counts are not as many"));
        }
        // A NaN is no count either, so it is the good ones that are asked for.
        if !self.counts.iter().all(|count| *count >= 0.0) {
            return Err(Contradiction("a bucket holds less than nothing"));
        }
        Ok(self.counts.iter().sum())
    }

    /// Buckets by index, with a span for each run of neighbours.
    pub fn of(counts: &BTreeMap<i64, f64>) -> Self {
        let mut found = Self::default();
        let mut end = 0_i64;
        for (index, count) in counts {
            match found.spans.last_mut() {
                Some(span) if *index == end => span.length += 1,
                // Indices come from 32 bit offsets and lengths; a gap beyond that is cut, and no real bucket lies there.
                _ => {
                    let gap = (*index - end).clamp(i32::MIN.into(), i32::MAX.into());
                    found.spans.push(Span { offset: gap as i32, length: 1 });
                }
            }
            end = *index + 1;
            found.counts.push(*count);
        }
        found
    }

    /// By coarser index: each step of `coarser` joins two neighbours.
    fn joined(&self, coarser: u32) -> BTreeMap<i64, f64> {
        let mut joined = BTreeMap::new();
        for (index, count) in self.indexed().filter(|(_, count)| *count > 0.0) {
            *joined.entry(((index - 1) >> coarser) + 1).or_default() += count;
        }
        joined
    }
}

fn bound(schema: i32, index: i64) -> f64 {
    (index as f64 * (-f64::from(schema)).exp2()).exp2()
}

impl NativeHistogram {
    /// Whether it is one that can be kept.
    ///
    /// # Errors
    /// Says what is wrong: an unknown schema, spans that do not fit the counts, counts below zero, bounds that do not rise.
    pub fn check(&self) -> Result<(), Contradiction> {
        let (positive, negative) = (self.positive.check()?, self.negative.check()?);
        if self.schema == CUSTOM_SCHEMA {
            return self.check_custom();
        }
        if !SCHEMAS.contains(&self.schema) {
            return Err(Contradiction("its schema is not known"));
        }
        if !self.custom_bounds.is_empty() {
            return Err(Contradiction("it has an exponential schema and bounds of its own"));
        }
        if !(self.zero_threshold >= 0.0 && self.zero_count >= 0.0 && self.count >= 0.0) {
            return Err(Contradiction("a count or the zero bucket's width is below zero"));
        }
        // Beyond the range of a float there is nothing to count, and indices of 32 bits would fill memory when joined.
        let last = (FLOAT_EXPONENTS * f64::from(self.schema).exp2()) as i64 + 1;
        if [&self.positive, &self.negative].iter().any(|side| side.indexed().any(|(index, _)| index.abs() > last)) {
            return Err(Contradiction("a bucket lies beyond all numbers"));
        }
        // Computed counts are off by rounding; observations of NaN are counted and lie in no bucket.
        if self.whole && positive + negative + self.zero_count > self.count {
            return Err(Contradiction("its buckets hold more than its count"));
        }
        Ok(())
    }

    fn check_custom(&self) -> Result<(), Contradiction> {
        let bounds = &self.custom_bounds;
        if !bounds.iter().all(|bound| bound.is_finite()) || bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Contradiction("its own bounds do not rise"));
        }
        if self.zero_count != 0.0 || !self.negative.counts.is_empty() {
            return Err(Contradiction("it has bounds of its own, and a zero bucket or negative buckets"));
        }
        if self.positive.indexed().any(|(index, _)| index < 0 || index > bounds.len() as i64) {
            return Err(Contradiction("a bucket lies beyond its own bounds"));
        }
        Ok(())
    }

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

    /// The histogram as classic buckets: upper bound and how much lies at or below it, ascending, ending with +Inf. It is
    /// made coarser (neighbours joined) to `finest` and further, until at most `most` buckets are filled; bounds of a coarser
    /// schema are among those of a finer one, so that successive values keep comparable bounds. The lower bound of a bucket
    /// after a gap is told too, since quantiles are interpolated from it.
    pub fn classic(&self, finest: i32, most: usize) -> Vec<(f64, f64)> {
        let mut found: Vec<(f64, f64)> = Vec::new();
        let mut total = 0.0;
        if self.schema == CUSTOM_SCHEMA {
            let counts: BTreeMap<i64, f64> = self.positive.indexed().collect();
            for (index, bound) in self.custom_bounds.iter().enumerate() {
                total += counts.get(&(index as i64)).unwrap_or(&0.0);
                found.push((*bound, total));
            }
            found.push((f64::INFINITY, self.count));
            return found;
        }
        let mut coarser = self.schema.saturating_sub(finest).clamp(0, 32) as u32;
        let filled = |coarser| self.positive.joined(coarser).len() + self.negative.joined(coarser).len();
        // At 2^-32 all buckets of one side are one.
        while coarser < 32 && filled(coarser) > most.max(2) {
            coarser += 1;
        }
        let schema = self.schema.saturating_sub(coarser as i32);
        let mut add = |lower: f64, upper: f64, count: f64| {
            if found.last().is_none_or(|(last, _)| *last < lower) && lower.is_finite() {
                found.push((lower, total));
            }
            total += count;
            if upper.is_finite() {
                found.push((upper, total));
            }
        };
        for (index, count) in self.negative.joined(coarser).into_iter().rev() {
            add(-bound(schema, index), -bound(schema, index - 1), count);
        }
        if self.zero_count > 0.0 {
            add(-self.zero_threshold, self.zero_threshold, self.zero_count);
        }
        for (index, count) in self.positive.joined(coarser) {
            add(bound(schema, index - 1), bound(schema, index), count);
        }
        // A zero bucket may reach over its neighbours, and the smallest bounds are zero: bounds rise strictly.
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = earlier.1.max(later.1);
            }
            same
        });
        found.push((f64::INFINITY, self.count));
        found
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
