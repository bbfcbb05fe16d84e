//! Functions over a range of samples. Formulas as in Prometheus' documentation of its functions.

use super::select::Window;

/// A gap of more than this many average distances is taken for the series having begun or ended there.
const GAP_FACTOR: f64 = 1.1;

fn seconds(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1000.0
}

/// Compensated sum (Neumaier 1974), as Prometheus sums.
pub(super) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut rest) = (0.0f64, 0.0f64);
    for value in values {
        let next = sum + value;
        if next.is_infinite() {
            rest = 0.0;
        } else if sum.abs() >= value.abs() {
            rest += (sum - next) + value;
        } else {
            rest += (value - next) + sum;
        }
        sum = next;
    }
    if rest.is_finite() { sum + rest } else { sum }
}

/// The mean, which stays finite where the sum does not.
pub(super) fn mean(values: &[f64]) -> f64 {
    let plain = sum(values.iter().copied());
    if plain.is_finite() || values.iter().any(|value| !value.is_finite()) {
        return plain / values.len() as f64;
    }
    sum(values.iter().map(|value| value / values.len() as f64))
}

/// Population variance (Welford 1962): exactly zero for equal values.
pub(super) fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (0.0, 0.0);
    for (place, value) in values.iter().enumerate() {
        let delta = value - mean;
        mean += delta / (place + 1) as f64;
        squares += delta * (value - mean);
    }
    squares / values.len() as f64
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
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.total_cmp(b)));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor().max(0.0) as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

/// `rate`, `increase` and `delta`: the change, drawn out to the ends of the range where samples come near them.
pub(super) fn extrapolated(window: &Window<'_>, is_counter: bool, is_rate: bool) -> Option<f64> {
    let count = window.at.len();
    if count < 2 {
        return None;
    }
    let (first, last) = (window.value[0], window.value[count - 1]);
    let mut change = last - first;
    if is_counter {
        change += window.value.windows(2).filter(|pair| pair[1] < pair[0]).map(|pair| pair[0]).sum::<f64>();
    }
    let mut to_start = seconds(window.start, window.at[0]);
    let mut to_end = seconds(window.at[count - 1], window.end);
    let sampled = seconds(window.at[0], window.at[count - 1]);
    let average = sampled / (count - 1) as f64;
    if to_start >= average * GAP_FACTOR {
        to_start = average / 2.0;
    }
    if is_counter {
        // A counter was never below zero, so that it is not drawn out beyond where it was zero.
        let to_zero = if change > 0.0 && first >= 0.0 { sampled * (first / change) } else { to_start };
        to_start = to_start.min(to_zero);
    }
    if to_end >= average * GAP_FACTOR {
        to_end = average / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if is_rate {
        factor /= seconds(window.start, window.end);
    }
    Some(change * factor)
}

/// `irate` and `idelta`: the change between the last two samples.
pub(super) fn instantaneous(window: &Window<'_>, is_rate: bool) -> Option<f64> {
    let count = window.at.len();
    if count < 2 {
        return None;
    }
    let (before, last) = (window.value[count - 2], window.value[count - 1]);
    if !is_rate {
        return Some(last - before);
    }
    let elapsed = seconds(window.at[count - 2], window.at[count - 1]);
    let change = if last < before { last } else { last - before };
    (elapsed > 0.0).then(|| change / elapsed)
}

/// Slope (per second) and value at `at` of the least-squares line.
pub(super) fn line(window: &Window<'_>, at: i64) -> Option<(f64, f64)> {
    let count = window.at.len();
    if count < 2 {
        return None;
    }
    let first = window.value[0];
    if window.value.iter().all(|value| *value == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let n = count as f64;
    let xs = || window.at.iter().map(|moment| seconds(at, *moment));
    let (sum_x, sum_y) = (sum(xs()), sum(window.value.iter().copied()));
    let sum_xy = sum(xs().zip(window.value).map(|(x, y)| x * y));
    let sum_xx = sum(xs().map(|x| x * x));
    let covariance = sum_xy - sum_x * sum_y / n;
    let slope = covariance / (sum_xx - sum_x * sum_x / n);
    Some((slope, sum_y / n - slope * sum_x / n))
}

/// Double exponential smoothing (Holt 1957).
pub(super) fn smoothed(window: &Window<'_>, smoothing: f64, trend_factor: f64) -> Option<f64> {
    let values = window.value;
    if values.len() < 2 {
        return None;
    }
    let (mut before, mut level, mut trend) = (0.0, values[0], values[1] - values[0]);
    for (place, value) in values.iter().enumerate().skip(1) {
        if place > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + trend);
        (before, level) = (level, next);
    }
    Some(level)
}

/// How often the value changed.
pub(super) fn changes(window: &Window<'_>) -> f64 {
    let changed = |pair: &&[f64]| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan());
    window.value.windows(2).filter(changed).count() as f64
}

/// How often a counter restarted.
pub(super) fn resets(window: &Window<'_>) -> f64 {
    window.value.windows(2).filter(|pair| pair[1] < pair[0]).count() as f64
}

/// The smallest or largest, NaN only where there is nothing else.
pub(super) fn extreme(values: &[f64], is_better: impl Fn(f64, f64) -> bool) -> f64 {
    values
        .iter()
        .copied()
        .fold(f64::NAN, |best, value| if best.is_nan() || is_better(value, best) { value } else { best })
}
