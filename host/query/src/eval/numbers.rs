//! Numbers folded into one.

use tandem_domain::histogram::Compensated;

/// Compensated sum.
pub(super) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = Compensated::default();
    values.into_iter().for_each(|value| sum.add(value));
    sum.total()
}

/// A mean that stays finite where the sum does not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    count: f64,
    sum: Compensated,
    is_incremental: bool,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.is_incremental {
            let mut next = self.sum;
            next.add(value);
            if self.count == 1.0 || !next.plain().is_infinite() {
                self.sum = next;
                return;
            }
            self.is_incremental = true;
            self.sum.scale(1.0 / (self.count - 1.0));
        }
        self.sum.scale((self.count - 1.0) / self.count);
        self.sum.add(value / self.count);
    }

    pub(super) fn total(self) -> f64 {
        if self.is_incremental { self.sum.total() } else { self.sum.total() / self.count }
    }
}

/// The mean of values.
pub(super) fn mean(values: &[f64]) -> f64 {
    let mut sum = Compensated::default();
    values.iter().for_each(|value| sum.add(*value));
    if sum.plain().is_finite() {
        return sum.total() / values.len() as f64;
    }
    let mut mean = Mean::default();
    values.iter().for_each(|value| mean.add(*value));
    mean.total()
}

/// Population variance (Welford 1962), compensated: exactly zero for equal values.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Variance {
    count: f64,
    mean: Compensated,
    squares: Compensated,
}

impl Variance {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean.total();
        self.mean.add(delta / self.count);
        self.squares.add(delta * (value - self.mean.total()));
    }

    pub(super) fn total(self) -> f64 {
        self.squares.total() / self.count
    }
}

/// Population variance of values.
pub(super) fn variance(values: &[f64]) -> f64 {
    let mut variance = Variance::default();
    values.iter().for_each(|value| variance.add(*value));
    variance.total()
}

/// The quantile of values by linear interpolation between ranks.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    // NaN sorts first, as the smallest.
    values.sort_unstable_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor().max(0.0) as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// The smallest or largest, NaN only where there is nothing else.
pub(super) fn extreme(values: &[f64], is_better: impl Fn(f64, f64) -> bool) -> f64 {
    values
        .iter()
        .copied()
        .fold(f64::NAN, |best, value| if best.is_nan() || is_better(value, best) { value } else { best })
}
