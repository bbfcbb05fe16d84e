//! Quantiles and shares of classic histograms: observations lie evenly within each bucket.

/// Counts that differ by less than this share differ by rounding.
const ROUNDING_SHARE: f64 = 1e-12;

/// The quantile of one histogram, by ascending bounds with cumulative counts, and whether its counts fell where they must not.
pub(super) fn quantile(q: f64, counts: &mut Vec<(f64, f64)>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    if counts.last().is_none_or(|(highest, _)| *highest != f64::INFINITY) {
        return (f64::NAN, false);
    }
    coalesce(counts);
    let is_forced = make_monotonic(counts);
    let buckets = counts.as_slice();
    let total = buckets[buckets.len() - 1].1;
    if buckets.len() < 2 || total == 0.0 {
        return (f64::NAN, is_forced);
    }
    let rank = q * total;
    // NaN counts are never as large as a rank.
    let is_below = |count: f64| count < rank || count.is_nan() || rank.is_nan();
    let place = buckets[..buckets.len() - 1].partition_point(|(_, count)| is_below(*count));
    if place == buckets.len() - 1 {
        return (buckets[buckets.len() - 2].0, is_forced);
    }
    if place == 0 && buckets[0].0 <= 0.0 {
        return (buckets[0].0, is_forced);
    }
    let (start, below) = if place == 0 { (0.0, 0.0) } else { buckets[place - 1] };
    let (end, through) = buckets[place];
    (start + (end - start) * ((rank - below) / (through - below)), is_forced)
}

/// Joins buckets of one bound.
fn coalesce(counts: &mut Vec<(f64, f64)>) {
    counts.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            earlier.1 += later.1;
        }
        is_same
    });
}

/// Holds counts to what came before them: those taken at slightly different moments may fall. Says whether any did, but for
/// rounding.
fn make_monotonic(counts: &mut [(f64, f64)]) -> bool {
    let Some((_, first)) = counts.first() else { return false };
    let mut before = *first;
    let mut is_forced = false;
    for (_, count) in counts {
        if *count == before {
            continue;
        }
        let is_close = (*count - before).abs() < ROUNDING_SHARE * (count.abs() + before.abs()).min(f64::MAX);
        if is_close || *count < before {
            is_forced |= !is_close;
            *count = before;
        } else {
            before = *count;
        }
    }
    is_forced
}

/// The share of observations between two values.
pub(super) fn fraction(lower: f64, upper: f64, counts: &mut Vec<(f64, f64)>) -> f64 {
    if counts.last().is_none_or(|(highest, _)| *highest != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(counts);
    let total = counts[counts.len() - 1].1;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| {
        let mut start = if counts[0].0 <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
        let mut rank = 0.0;
        for (end, through) in counts.iter() {
            if start >= value {
                return rank;
            }
            if *end > value {
                return if start == f64::NEG_INFINITY {
                    *through
                } else {
                    rank + (through - rank) * (value - start) / (end - start)
                };
            }
            (start, rank) = (*end, *through);
        }
        total
    };
    let (to_upper, to_lower) = (below(upper), below(lower));
    (to_upper.min(total) - to_lower.min(total)) / total
}
