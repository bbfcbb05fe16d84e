//! Whether a histogram is one that can be kept.

use super::{Buckets, CUSTOM_SCHEMA, NativeHistogram, SCHEMAS};

/// Powers of two that a float can reach, either way.
const FLOAT_EXPONENTS: f64 = 1_080.0;

/// A histogram contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Contradiction(pub &'static str);

impl Buckets {
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
}
