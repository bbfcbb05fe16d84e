//! A histogram without the observations on one side of a value.

use super::{Bucket, Buckets, NativeHistogram};

/// Which observations stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Those up to the value.
    Below,
    /// Those above it.
    Above,
}

/// How buckets are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// On a logarithmic scale.
    Exponential,
    /// Evenly.
    Linear,
    /// Evenly, with bounds of the sender's own, of which the outermost are infinite.
    Custom,
}

/// What stays of a bucket: how much, and its sum.
fn kept_of(bucket: &Bucket, at: f64, kept: Kept, cut: Cut) -> (f64, f64) {
    let Bucket { mut lower, upper, count } = *bucket;
    let middle = |from: f64, to: f64| match cut {
        Cut::Exponential => (from * to).sqrt().copysign(to),
        Cut::Linear | Cut::Custom => (from + to) / 2.0,
    };
    if cut == Cut::Custom && lower == f64::NEG_INFINITY {
        if upper == f64::INFINITY {
            // Nothing is known of where its observations lie.
            return (0.0, 0.0);
        }
        if upper <= 0.0 {
            return match kept {
                Kept::Below => (count, count * upper.min(at)),
                Kept::Above if at == f64::NEG_INFINITY => (count, count * upper),
                Kept::Above => (0.0, 0.0),
            };
        }
        if kept == Kept::Above && at < 0.0 {
            return (0.0, 0.0);
        }
        lower = 0.0;
    }
    if cut == Cut::Custom && upper == f64::INFINITY {
        return if kept == Kept::Above && at != f64::INFINITY { (count, count * lower.max(at)) } else { (0.0, 0.0) };
    }
    let is_whole = if kept == Kept::Below { upper <= at } else { lower >= at };
    let is_gone = if kept == Kept::Below { lower >= at } else { upper <= at };
    if is_whole {
        return (count, count * middle(lower, upper));
    }
    if is_gone {
        return (0.0, 0.0);
    }
    let below = match cut {
        Cut::Exponential => {
            let (from, to, at) = (lower.abs().log2(), upper.abs().log2(), at.abs().log2());
            (at - from) / (to - from)
        }
        Cut::Linear | Cut::Custom => (at - lower) / (upper - lower),
    };
    match kept {
        Kept::Below => (count * below, count * below * middle(lower, at)),
        Kept::Above => (count * (1.0 - below), count * (1.0 - below) * middle(at, upper)),
    }
}

impl NativeHistogram {
    /// Only the observations below or above a value; buckets that the value cuts are shared out as quantiles are estimated. The
    /// sum is estimated anew where anything was taken away.
    #[must_use]
    pub fn trimmed(&self, at: f64, kept: Kept) -> Self {
        let keeps_all = at == if kept == Kept::Below { f64::INFINITY } else { f64::NEG_INFINITY };
        if keeps_all || at.is_nan() {
            return self.clone();
        }
        let cut = if self.is_custom() { Cut::Custom } else { Cut::Exponential };
        let (mut count, mut sum, mut is_changed) = (0.0, 0.0, false);
        let mut keep = |bucket: &Bucket, cut: Cut| {
            if bucket.count == 0.0 {
                return 0.0;
            }
            let (held, held_sum) = kept_of(bucket, at, kept, cut);
            is_changed |= held != bucket.count;
            count += held;
            sum += held_sum;
            held
        };
        let mut side = |counts: &Buckets, buckets: Vec<Bucket>| {
            let held: Vec<f64> = buckets.iter().map(|bucket| keep(bucket, cut)).collect();
            let indices = counts.indexed().map(|(index, _)| index);
            let filled: Vec<(i64, f64)> = indices.zip(held).filter(|(_, held)| *held != 0.0).collect();
            Buckets::of_ascending(filled)
        };
        let positive = side(&self.positive, self.positive_buckets().collect());
        let negative = side(&self.negative, self.negative_buckets().collect());
        let zero = Bucket { lower: -self.zero_threshold, upper: self.zero_threshold, count: self.zero_count };
        let zero_count = keep(&self.one_sided(zero), Cut::Linear);
        if !is_changed {
            return self.clone();
        }
        Self { zero_count, count, sum, positive, negative, whole: false, ..self.clone() }
    }
}
