//! `anchored` and `smoothed`: ranges that take in the samples around them, so that nothing need be drawn out. Anchored, the sample
//! before the range stands for its beginning; smoothed, values at both ends are interpolated between the samples around them.

use super::{
    change::{Change, seconds},
    notes::{Note, Notes},
    window::{HistogramAt, Window},
};
use crate::{QueryError, STALE_NAN, Sample, SelectedSeries, value::Datum};
use tandem_domain::histogram::{HistogramSum, Incompatible, NativeHistogram, ResetHint};

/// First and last sample that count, of ascending moments: none where all lie before the range or behind it.
fn bounds(at: &[i64], window: &Window<'_>, is_smoothed: bool) -> Option<(usize, usize)> {
    let before_last = at.len().checked_sub(1)?;
    let first = at[..before_last].partition_point(|at| *at <= window.start).saturating_sub(1);
    let last = if is_smoothed { at[..before_last].partition_point(|at| *at < window.end) } else { before_last };
    let is_outside = at[last] <= window.start || at[first] > window.end;
    (!is_outside).then_some((first, last))
}

/// The value between two samples; a counter that restarted between them counts from zero.
fn interpolated(one: (i64, f64), two: (i64, f64), at: i64, is_counter: bool) -> f64 {
    let base = if is_counter && two.1 < one.1 { 0.0 } else { one.1 };
    base + (two.1 - base) * seconds(one.0, at) / seconds(one.0, two.0)
}

/// The values at both ends of the range, and the samples within.
struct Ends {
    left: f64,
    right: f64,
    within: std::ops::Range<usize>,
}

fn ends(window: &Window<'_>, is_smoothed: bool, is_counter: bool) -> Option<Ends> {
    let (at, value) = (window.at, window.value);
    let (first, last) = bounds(at, window, is_smoothed)?;
    let point = |place: usize| (at[place], value[place]);
    let left = if is_smoothed && at[first] < window.start && first + 1 < at.len() {
        interpolated(point(first), point(first + 1), window.start, is_counter)
    } else {
        value[first]
    };
    let right = if is_smoothed && last > 0 && at[last] > window.end {
        interpolated(point(last - 1), point(last), window.end, is_counter)
    } else {
        value[last]
    };
    let from = if at[first] <= window.start { first + 1 } else { first };
    let to = if at[last] >= window.end { last } else { last + 1 };
    Some(Ends { left, right, within: from..to.max(from) })
}

/// Between two histograms; a counter that restarted between them counts from zero.
fn between(
    one: &HistogramAt,
    two: &HistogramAt,
    at: i64,
    is_counter: bool,
) -> Result<(NativeHistogram, bool), Incompatible> {
    if one.1.is_custom() != two.1.is_custom() {
        return Err(Incompatible);
    }
    let share = seconds(one.0, at) / seconds(one.0, two.0);
    let mut sum = HistogramSum::of(&two.1);
    sum.scale(share);
    let is_reset = is_counter && two.1.is_reset_since(&one.1);
    if !is_reset {
        sum.add(&one.1, 1.0 - share)?;
    }
    sum.set_reset(if is_reset { ResetHint::Yes } else { two.1.reset });
    Ok((sum.finish(), is_reset))
}

impl Change {
    /// The change between the ends of a range that takes in the samples around it.
    pub(super) fn extended(self, window: &Window<'_>, is_smoothed: bool, notes: &mut Notes) -> Option<Datum> {
        if window.is_mixed() {
            notes.add(Note::MixedFloatsAndHistograms);
            return None;
        }
        let range = seconds(window.start, window.end);
        if !window.histograms.is_empty() {
            return match self.extended_histograms(window, is_smoothed, notes) {
                Ok(change) => change.map(|mut change| {
                    change.set_reset(ResetHint::Gauge);
                    if self.is_rate {
                        change.scale(1.0 / range);
                    }
                    change.finish().into()
                }),
                Err(Incompatible) => {
                    *notes = Notes::default();
                    notes.add(Note::MixedSchemas);
                    None
                }
            };
        }
        let ends = ends(window, is_smoothed, self.is_counter)?;
        let mut change = ends.right - ends.left;
        if self.is_counter {
            let mut before = ends.left;
            for value in window.value[ends.within].iter().chain([&ends.right]) {
                if *value < before {
                    change += before;
                }
                before = *value;
            }
        }
        Some(Datum::Float(if self.is_rate { change / range } else { change }))
    }

    fn extended_histograms(
        self,
        window: &Window<'_>,
        is_smoothed: bool,
        notes: &mut Notes,
    ) -> Result<Option<HistogramSum>, Incompatible> {
        let all = window.histograms;
        let at: Vec<i64> = all.iter().map(|(at, _)| *at).collect();
        let Some((first, last)) = bounds(&at, window, is_smoothed) else { return Ok(None) };
        let counted = &all[first..=last];
        let is_gauge = |(_, histogram): &HistogramAt| histogram.reset == ResetHint::Gauge;
        if self.is_counter && counted.iter().any(is_gauge) {
            notes.add(Note::NotACounter);
        }
        let ends_are_gauges = is_gauge(&all[first]) && is_gauge(&all[last]);
        if !self.is_counter && !ends_are_gauges {
            notes.add(Note::NotAGauge);
        }
        if counted.iter().any(|(_, histogram)| histogram.is_custom() != all[first].1.is_custom()) {
            return Err(Incompatible);
        }
        // Each end is a sample, or lies between two and is none.
        let mut left_reset = false;
        let (left, left_at) = if is_smoothed && at[first] < window.start && first + 1 < all.len() {
            let (left, is_reset) = between(&all[first], &all[first + 1], window.start, self.is_counter)?;
            left_reset = is_reset;
            (left, None)
        } else {
            ((*all[first].1).clone(), Some(at[first]))
        };
        let (right, right_at) = if is_smoothed && last > 0 && at[last] > window.end {
            (between(&all[last - 1], &all[last], window.end, self.is_counter)?.0, None)
        } else {
            ((*all[last].1).clone(), Some(at[last]))
        };
        let mut change = HistogramSum::of(&right);
        change.add(&left, -1.0)?;
        if self.is_counter {
            let mut before = &left;
            let within = counted.iter().filter(|(at, _)| *at > window.start && *at < window.end);
            for (place, (_, histogram)) in within.clone().filter(|(at, _)| Some(*at) != left_at).enumerate() {
                // An end interpolated across a restart lies behind it already.
                if !(place == 0 && left_reset) && histogram.is_reset_since(before) {
                    change.add(before, 1.0)?;
                }
                before = histogram;
            }
            let is_seen = right_at.is_some_and(|right| within.clone().any(|(at, _)| *at == right))
                || right_at == left_at && right_at.is_some();
            if !is_seen && right.is_reset_since(before) && !(left_reset && within.count() == 0) {
                change.add(before, 1.0)?;
            }
        }
        Ok(Some(change))
    }
}

/// The samples of a range with one at each end.
pub(super) fn samples(window: &Window<'_>, is_smoothed: bool) -> Result<Vec<Sample>, QueryError> {
    if !window.histograms.is_empty() {
        return Err(QueryError::execution("smoothed and anchored modifiers do not work with native histograms"));
    }
    let Some(ends) = ends(window, is_smoothed, false) else { return Ok(Vec::new()) };
    let sample = |at: i64, value: f64| Sample { at, value: Datum::Float(value) };
    let within = ends.within.map(|place| sample(window.at[place], window.value[place]));
    let first = std::iter::once(sample(window.start, ends.left));
    Ok(first.chain(within).chain([sample(window.end, ends.right)]).collect())
}

/// The value at a moment, between the samples around it; behind the last it stays.
pub(super) fn smoothed_at(series: &SelectedSeries, moment: i64, lookback: i64, notes: &mut Notes) -> Option<Sample> {
    let is_near = |at: i64| at > moment - lookback && at <= moment + lookback;
    let floats: Vec<(i64, f64)> = {
        let from = series.at.partition_point(|at| *at <= moment - lookback);
        let to = series.at.partition_point(|at| *at <= moment + lookback);
        let range = from..to.max(from);
        let near = series.at[range.clone()].iter().copied().zip(series.value[range].iter().copied());
        near.filter(|(_, value)| value.to_bits() != STALE_NAN).collect()
    };
    let next = floats.partition_point(|(at, _)| *at < moment);
    let of_floats = match (next.checked_sub(1).map(|before| floats[before]), floats.get(next)) {
        (_, Some((at, value))) if *at == moment => Some((moment, *value)),
        (Some(before), Some(next)) => Some((moment, interpolated(before, *next, moment, false))),
        (Some((_, value)), None) => Some((moment, value)),
        (None, _) => None,
    };
    let near: Vec<&HistogramAt> =
        series.histograms.iter().filter(|(at, one)| is_near(*at) && one.sum.to_bits() != STALE_NAN).collect();
    if !floats.is_empty() && !near.is_empty() {
        notes.add(Note::MixedFloatsAndHistograms);
        return None;
    }
    if let Some((at, value)) = of_floats {
        return Some(Sample { at, value: Datum::Float(value) });
    }
    let next = near.partition_point(|(at, _)| *at < moment);
    let before = next.checked_sub(1).map(|before| near[before]);
    let histogram = match (before, near.get(next)) {
        (_, Some((at, histogram))) if *at == moment => histogram.clone(),
        (Some(before), Some(next)) => {
            let is_counter = next.1.reset != ResetHint::Gauge;
            match between(before, next, moment, is_counter) {
                Ok((histogram, _)) => histogram.into(),
                Err(Incompatible) => {
                    notes.add(Note::MixedSchemas);
                    return None;
                }
            }
        }
        (Some((_, histogram)), None) => histogram.clone(),
        (None, _) => return None,
    };
    Some(Sample { at: moment, value: Datum::Histogram(histogram) })
}
