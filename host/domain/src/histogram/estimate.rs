//! What a histogram tells of its observations: quantiles, shares, spread. Formulas as in Prometheus' documentation: observations
//! lie evenly on a logarithmic scale within buckets of an exponential schema, and evenly within all others.

use super::{Bucket, Compensated, NativeHistogram};

/// An estimate, and what observations of NaN did to it: they are counted and lie in no bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Estimate {
    /// The value.
    Sound(f64),
    /// The value, for which NaNs counted as larger than all.
    Skewed(f64),
    /// The rank falls among the NaNs.
    Lost,
}

impl NativeHistogram {
    /// Without its counterpart on the other side of zero, the zero bucket reaches from zero or to zero.
    pub(super) fn one_sided(&self, bucket: Bucket) -> Bucket {
        match (self.negative.counts.is_empty(), self.positive.counts.is_empty()) {
            (true, false) => Bucket { lower: 0.0, ..bucket },
            (false, true) => Bucket { upper: 0.0, ..bucket },
            _ => bucket,
        }
    }

    /// The value below which the share `q` of observations lies.
    pub fn quantile(&self, q: f64) -> Estimate {
        if q < 0.0 {
            return Estimate::Sound(f64::NEG_INFINITY);
        }
        if q > 1.0 {
            return Estimate::Sound(f64::INFINITY);
        }
        if self.count == 0.0 || q.is_nan() {
            return Estimate::Sound(f64::NAN);
        }
        // The nearer end gives the smaller errors of rounding; NaNs count as the largest, so that one counts from below.
        let from_below = self.sum.is_nan() || q < 0.5;
        let mut rank = if from_below { q * self.count } else { (1.0 - q) * self.count };
        let mut buckets = self.all_buckets();
        if !from_below {
            buckets.reverse();
        }
        let mut bucket = Bucket { lower: 0.0, upper: 0.0, count: 0.0 };
        let mut count = 0.0;
        let mut passed = 0;
        for next in &buckets {
            passed += 1;
            bucket = *next;
            count += bucket.count;
            if bucket.count != 0.0 && count >= rank {
                break;
            }
        }
        if self.is_custom() {
            if bucket.lower == f64::NEG_INFINITY {
                if bucket.upper <= 0.0 {
                    return Estimate::Sound(bucket.upper);
                }
                bucket.lower = 0.0;
            } else if bucket.upper == f64::INFINITY {
                return Estimate::Sound(bucket.lower);
            }
        } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
            bucket = self.one_sided(bucket);
        }
        count = count.min(self.count);
        if count < rank {
            return if self.sum.is_nan() { Estimate::Lost } else { Estimate::Sound(bucket.upper) };
        }
        rank = if from_below { rank - (count - bucket.count) } else { count - rank };
        let value = within(&bucket, rank / bucket.count, self.is_custom());
        let all = count + buckets[passed..].iter().map(|bucket| bucket.count).sum::<f64>();
        if self.sum.is_nan() && all < self.count { Estimate::Skewed(value) } else { Estimate::Sound(value) }
    }

    /// The share of observations between two values.
    pub fn fraction(&self, lower: f64, upper: f64) -> Estimate {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return Estimate::Sound(f64::NAN);
        }
        if lower >= upper {
            return Estimate::Sound(0.0);
        }
        let buckets = self.all_buckets();
        let counted = if self.sum.is_nan() { buckets.iter().map(|bucket| bucket.count).sum() } else { self.count };
        let rank_of = |value: f64| {
            let mut rank = 0.0;
            for bucket in &buckets {
                let is_linear = self.is_custom() || (bucket.lower <= 0.0 && bucket.upper >= 0.0);
                let bucket = if bucket.lower <= 0.0 && bucket.upper >= 0.0 { self.one_sided(*bucket) } else { *bucket };
                if bucket.lower >= value {
                    return rank;
                }
                if bucket.upper > value {
                    return if !is_linear {
                        rank + bucket.count * logarithmic_share(&bucket, value)
                    } else if bucket.lower == f64::NEG_INFINITY {
                        bucket.count
                    } else {
                        rank + bucket.count * (value - bucket.lower) / (bucket.upper - bucket.lower)
                    };
                }
                rank += bucket.count;
            }
            counted
        };
        let share = (rank_of(upper).min(counted) - rank_of(lower).min(counted)) / self.count;
        if self.sum.is_nan() && counted < self.count { Estimate::Skewed(share) } else { Estimate::Sound(share) }
    }

    /// The variance of observations, each taken for the middle of its bucket.
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let mut squares = Compensated::default();
        for bucket in self.all_buckets().into_iter().filter(|bucket| bucket.count != 0.0) {
            let middle = if self.is_custom() {
                (bucket.upper + bucket.lower) / 2.0
            } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
                0.0
            } else {
                (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
            };
            squares.add(bucket.count * (middle - mean) * (middle - mean));
        }
        squares.total() / self.count
    }
}

/// The value at a share of a bucket.
fn within(bucket: &Bucket, share: f64, is_custom: bool) -> f64 {
    if is_custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        return bucket.lower + (bucket.upper - bucket.lower) * share;
    }
    let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
    if bucket.lower > 0.0 {
        (lower + (upper - lower) * share).exp2()
    } else {
        -(upper + (lower - upper) * (1.0 - share)).exp2()
    }
}

/// The share of a bucket of an exponential schema that lies below a value within it.
fn logarithmic_share(bucket: &Bucket, value: f64) -> f64 {
    let (lower, upper, value_log) = (bucket.lower.abs().log2(), bucket.upper.abs().log2(), value.abs().log2());
    if value > 0.0 { (value_log - lower) / (upper - lower) } else { 1.0 - (value_log - upper) / (lower - upper) }
}
