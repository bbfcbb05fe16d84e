//! Quantiles of classic histograms: linear between the bounds of the bucket that holds the rank.

use crate::{
    Annotations, QueryError,
    labels::{METRIC_NAME, without},
    value::{StepSeries, merged},
};
use std::collections::BTreeMap;
use tandem_domain::series::Labels;

/// Counts that fall by less than this share are errors of rounding, not of the histogram.
const ROUNDING_SHARE: f64 = 1e-12;

/// Quantiles of each histogram, whose buckets are told apart by `le`.
pub(super) fn quantiles(
    quantile: &[f64],
    buckets: Vec<StepSeries>,
    steps: usize,
    annotations: &mut Annotations,
) -> Result<Vec<StepSeries>, QueryError> {
    for q in quantile.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        annotations.warn(format!("quantile value should be between 0 and 1, got {q}"));
    }
    of_each(buckets, steps, annotations, |step, counts| of_buckets(quantile[step], counts))
}

/// A value of each histogram at each step.
fn of_each(
    buckets: Vec<StepSeries>,
    steps: usize,
    annotations: &mut Annotations,
    of: impl Fn(usize, Vec<(f64, f64)>) -> f64,
) -> Result<Vec<StepSeries>, QueryError> {
    let mut histograms: BTreeMap<Labels, Vec<(f64, StepSeries)>> = BTreeMap::new();
    for bucket in buckets {
        let bound = bucket.labels.get("le").unwrap_or_default();
        let Ok(bound) = bound.parse::<f64>() else {
            let metric = bucket.labels.get(METRIC_NAME).unwrap_or_default();
            annotations.warn(format!(
                "bucket label \"le\" is missing or has a malformed value of {bound:?} for metric name {metric:?}"
            ));
            continue;
        };
        histograms.entry(without(&bucket.labels, &[METRIC_NAME, "le"])).or_default().push((bound, bucket));
    }
    let mut series = Vec::with_capacity(histograms.len());
    for (labels, mut buckets) in histograms {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let value = |step: usize| {
            let counts: Vec<(f64, f64)> =
                buckets.iter().filter_map(|(bound, series)| Some((*bound, series.values[step]?))).collect();
            (!counts.is_empty()).then(|| of(step, counts))
        };
        series.push(StepSeries { labels, values: (0..steps).map(value).collect() });
    }
    merged(series)
}

/// The share of observations between two bounds, of each histogram.
pub(super) fn fractions(
    lower: &[f64],
    upper: &[f64],
    buckets: Vec<StepSeries>,
    annotations: &mut Annotations,
) -> Result<Vec<StepSeries>, QueryError> {
    of_each(buckets, lower.len(), annotations, |step, counts| fraction(lower[step], upper[step], &counts))
}

/// The share between two bounds, observations being spread evenly within each bucket.
fn fraction(lower: f64, upper: f64, counts: &[(f64, f64)]) -> f64 {
    let Some((highest, total)) = counts.last().copied() else { return f64::NAN };
    if highest != f64::INFINITY || total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |bound: f64| {
        let place = counts.partition_point(|(end, _)| *end < bound);
        let Some((end, through)) = counts.get(place).copied() else { return total };
        let before = place.checked_sub(1).map(|place| counts[place]);
        let (start, below) = before.unwrap_or((if end > 0.0 { 0.0 } else { f64::NEG_INFINITY }, 0.0));
        if bound <= start {
            return below;
        }
        if end == f64::INFINITY {
            return if bound == f64::INFINITY { through } else { below };
        }
        if start == f64::NEG_INFINITY {
            return if bound == end { through } else { below };
        }
        below + (through - below) * ((bound - start) / (end - start))
    };
    (below(upper) - below(lower)) / total
}

/// The quantile of one histogram, by ascending bounds with cumulative counts.
fn of_buckets(q: f64, counts: Vec<(f64, f64)>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let mut buckets: Vec<(f64, f64)> = Vec::with_capacity(counts.len());
    for (bound, count) in counts {
        match buckets.last_mut() {
            Some(last) if last.0 == bound => last.1 += count,
            _ => buckets.push((bound, count)),
        }
    }
    let Some((highest, total)) = buckets.last().copied() else { return f64::NAN };
    if highest != f64::INFINITY || buckets.len() < 2 || total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    // Counts taken at slightly different moments may fall; they are held to what came before.
    let mut before = buckets[0].1;
    for (_, count) in &mut buckets {
        if *count < before || (*count - before).abs() <= ROUNDING_SHARE * before.abs() {
            *count = before;
        }
        before = *count;
    }
    let rank = q * buckets[buckets.len() - 1].1;
    let place = buckets[..buckets.len() - 1].partition_point(|(_, count)| *count < rank);
    if place == buckets.len() - 1 {
        return buckets[buckets.len() - 2].0;
    }
    if place == 0 && buckets[0].0 <= 0.0 {
        return buckets[0].0;
    }
    let (start, below) = if place == 0 { (0.0, 0.0) } else { buckets[place - 1] };
    let (end, through) = buckets[place];
    start + (end - start) * ((rank - below) / (through - below))
}
