//! Functions of the samples of a range.

use super::{
    Evaluator,
    change::{Change, seconds},
    notes::{Note, Notes},
    numbers,
    window::{Cursor, Window},
};
use crate::{
    Grid, QueryError,
    labels::metric_name,
    language::tree::{Extent, Kind, Node},
    value::{Datum, StepSeries},
};
use tandem_domain::histogram::{HistogramSum, NativeHistogram, ResetHint};

/// Suffixes by which counters are known.
const COUNTER_SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

/// A function of a range, resolved from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RangeFunction {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    Smoothing,
    Changes,
    Resets,
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Last,
    First,
    Present,
    Stdvar,
    Stddev,
    Quantile,
    Mad,
    AtFirst,
    AtLast,
    AtMin,
    AtMax,
}

fn resolved(name: &str) -> Option<RangeFunction> {
    use RangeFunction as F;
    Some(match name {
        "rate" => F::Rate,
        "increase" => F::Increase,
        "delta" => F::Delta,
        "irate" => F::Irate,
        "idelta" => F::Idelta,
        "deriv" => F::Deriv,
        "predict_linear" => F::PredictLinear,
        "holt_winters" | "double_exponential_smoothing" => F::Smoothing,
        "changes" => F::Changes,
        "resets" => F::Resets,
        "sum_over_time" => F::Sum,
        "avg_over_time" => F::Avg,
        "count_over_time" => F::Count,
        "min_over_time" => F::Min,
        "max_over_time" => F::Max,
        "last_over_time" => F::Last,
        "first_over_time" => F::First,
        "present_over_time" => F::Present,
        "stdvar_over_time" => F::Stdvar,
        "stddev_over_time" => F::Stddev,
        "quantile_over_time" => F::Quantile,
        "mad_over_time" => F::Mad,
        "ts_of_first_over_time" => F::AtFirst,
        "ts_of_last_over_time" => F::AtLast,
        "ts_of_min_over_time" => F::AtMin,
        "ts_of_max_over_time" => F::AtMax,
        _ => return None,
    })
}

/// One call of a function of a range, at one step.
struct Applied<'a> {
    function: RangeFunction,
    parameters: &'a [f64],
    moment: i64,
    extent: Extent,
}

impl Evaluator<'_> {
    pub(super) fn over_range(
        &mut self,
        name: &str,
        arguments: &[Node],
        grid: Grid,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let unknown = || QueryError::bad(format!("function {name:?} is not served"));
        let function = resolved(name).ok_or_else(unknown)?;
        let ranged = arguments.iter().find(|argument| argument.is_range()).ok_or_else(unknown)?;
        let mut parameters = Vec::new();
        for argument in arguments.iter().filter(|argument| !argument.is_range()) {
            parameters.push((argument.at, self.scalar(argument, grid)?));
        }
        self.check_parameters(function, &parameters)?;
        let mut windows = self.windows(ranged, grid)?;
        let moments: Vec<i64> = grid.moments().collect();
        // A range held by `@` is the same at each step, and so is what is made of it, but where the step's own moment counts.
        let is_fixed = is_pinned(ranged) && parameters.is_empty();
        let all = std::mem::take(&mut windows.series);
        let mut series = Vec::with_capacity(all.len());
        let mut at_step = Vec::with_capacity(parameters.len());
        for one in all {
            self.hold(grid.len())?;
            let mut notes = Notes::default();
            let mut cursor = Cursor::default();
            let mut values: Vec<Option<Datum>> = Vec::with_capacity(grid.len());
            for (step, moment) in moments.iter().enumerate() {
                if is_fixed && step > 0 {
                    values.push(values[0].clone());
                    continue;
                }
                let window = windows.window(&one, step, &mut cursor);
                at_step.clear();
                at_step.extend(parameters.iter().map(|(_, values)| values[step]));
                let applied = Applied { function, parameters: &at_step, moment: *moment, extent: windows.extent };
                values.push(if window.is_empty() { None } else { applied.value(&window, &mut notes) });
            }
            let metric = metric_name(&one.labels);
            self.tell(notes, metric, ranged.at);
            let is_of_counter = matches!(function, RangeFunction::Rate | RangeFunction::Increase);
            let has_float = || values.iter().flatten().any(|value| value.float().is_some());
            if is_of_counter
                && !metric.is_empty()
                && !COUNTER_SUFFIXES.iter().any(|s| metric.ends_with(s))
                && has_float()
            {
                let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket";
                self.inform(ranged.at, &format!("{text}: {metric:?}"));
            }
            let keeps_name = matches!(function, RangeFunction::Last | RangeFunction::First);
            series.push(StepSeries { drops_name: one.drops_name || !keeps_name, labels: one.labels, values });
        }
        Ok(series)
    }

    fn check_parameters(
        &mut self,
        function: RangeFunction,
        parameters: &[(usize, Vec<f64>)],
    ) -> Result<(), QueryError> {
        match function {
            RangeFunction::Quantile => {
                for (at, values) in parameters {
                    self.warn_of_quantiles(*at, values);
                }
            }
            RangeFunction::Smoothing => {
                for ((_, values), (what, sign)) in parameters.iter().zip([("smoothing", "sf"), ("trend", "tf")]) {
                    if let Some(wrong) = values.iter().find(|value| **value <= 0.0 || **value >= 1.0) {
                        return Err(QueryError::execution(format!(
                            "invalid {what} factor. Expected: 0 < {sign} < 1, got: {wrong:.6}"
                        )));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Warns of quantiles that are none.
    pub(super) fn warn_of_quantiles(&mut self, at: usize, values: &[f64]) {
        let mut warned: Option<u64> = None;
        for q in values.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            if warned != Some(q.to_bits()) {
                warned = Some(q.to_bits());
                self.warn(at, &format!("quantile value should be between 0 and 1, got {}", crate::number_text(*q)));
            }
        }
    }
}

fn is_pinned(node: &Node) -> bool {
    match &node.kind {
        Kind::Matrix(selector, _) => selector.pinned.is_some(),
        Kind::Subquery(subquery) => subquery.pinned.is_some(),
        _ => false,
    }
}

impl Applied<'_> {
    fn value(&self, window: &Window<'_>, notes: &mut Notes) -> Option<Datum> {
        use RangeFunction as F;
        let change = |is_counter: bool, is_rate: bool, notes: &mut Notes| {
            let change = Change { is_counter, is_rate };
            match self.extent {
                Extent::Plain => change.extrapolated(window, notes),
                extent => change.extended(window, extent == Extent::Smoothed, notes),
            }
        };
        match self.function {
            F::Rate => change(true, true, notes),
            F::Increase => change(true, false, notes),
            F::Delta => change(false, false, notes),
            F::Irate => Change { is_counter: true, is_rate: true }.instantaneous(window, notes),
            F::Idelta => Change { is_counter: false, is_rate: false }.instantaneous(window, notes),
            F::Changes => self.differences(
                window,
                |before, now| now != before && !(now.is_nan() && before.is_nan()),
                |before, now| !is_same(before, now),
            ),
            F::Resets => self.differences(window, |before, now| now < before, |before, now| now.is_reset_since(before)),
            F::Sum | F::Avg => self.folded(window, notes),
            F::Count => Some(Datum::Float((window.at.len() + window.histograms.len()) as f64)),
            F::Present => Some(Datum::Float(1.0)),
            F::Last => {
                let (at, value) = (window.at.last(), window.value.last());
                match window.histograms.last() {
                    Some((moment, histogram)) if at.is_none_or(|at| at <= moment) => {
                        Some(Datum::Histogram(histogram.clone()))
                    }
                    _ => value.map(|value| Datum::Float(*value)),
                }
            }
            F::First => {
                let (at, value) = (window.at.first(), window.value.first());
                match window.histograms.first() {
                    Some((moment, histogram)) if at.is_none_or(|at| at >= moment) => {
                        Some(Datum::Histogram(histogram.clone()))
                    }
                    _ => value.map(|value| Datum::Float(*value)),
                }
            }
            F::AtFirst | F::AtLast => {
                let moments = [window.at.first(), window.at.last()].into_iter().flatten();
                let histograms = [window.histograms.first(), window.histograms.last()].into_iter().flatten();
                let moments = moments.copied().chain(histograms.map(|(at, _)| *at));
                let at = if self.function == F::AtFirst { moments.min() } else { moments.max() };
                at.map(|at| Datum::Float(seconds(0, at)))
            }
            _ => self.of_floats(window, notes).map(Datum::Float),
        }
    }

    /// Functions that leave histograms out.
    fn of_floats(&self, window: &Window<'_>, notes: &mut Notes) -> Option<f64> {
        use RangeFunction as F;
        let values = window.value;
        if values.is_empty() {
            return None;
        }
        if !window.histograms.is_empty() {
            notes.add(Note::HistogramsIgnored);
        }
        let parameter = |place: usize| self.parameters.get(place).copied().unwrap_or(f64::NAN);
        let at_best = |is_better: fn(f64, f64) -> bool| {
            let mut best = 0;
            for (place, value) in values.iter().enumerate() {
                if is_better(*value, values[best]) || values[best].is_nan() {
                    best = place;
                }
            }
            seconds(0, window.at[best])
        };
        Some(match self.function {
            F::Deriv => line(window, window.at[0])?.0,
            F::PredictLinear => {
                let (slope, now) = line(window, self.moment)?;
                slope * parameter(0) + now
            }
            F::Smoothing => smoothed(values, parameter(0), parameter(1))?,
            F::Min => numbers::extreme(values, |a, b| a < b),
            F::Max => numbers::extreme(values, |a, b| a > b),
            F::AtMin => at_best(|a, b| a <= b),
            F::AtMax => at_best(|a, b| a >= b),
            F::Stdvar => numbers::variance(values),
            F::Stddev => numbers::variance(values).sqrt(),
            F::Quantile => numbers::quantile(parameter(0), &mut values.to_vec()),
            F::Mad if values.iter().any(|value| value.is_nan()) => f64::NAN,
            F::Mad => {
                let median = numbers::quantile(0.5, &mut values.to_vec());
                let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
                numbers::quantile(0.5, &mut distances)
            }
            _ => return None,
        })
    }

    /// Sum or mean of floats or of histograms.
    fn folded(&self, window: &Window<'_>, notes: &mut Notes) -> Option<Datum> {
        if window.is_mixed() {
            notes.add(Note::MixedFloatsAndHistograms);
            return None;
        }
        let is_mean = self.function == RangeFunction::Avg;
        if window.histograms.is_empty() {
            let fold = if is_mean { numbers::mean(window.value) } else { numbers::sum(window.value.iter().copied()) };
            return Some(Datum::Float(fold));
        }
        let histograms: Vec<&NativeHistogram> = window.histograms.iter().map(|(_, one)| one.as_ref()).collect();
        folded_histograms(&histograms, is_mean, notes).map(Datum::from)
    }

    /// How often neighbours differ; a float next to a histogram always does.
    fn differences(
        &self,
        window: &Window<'_>,
        floats: impl Fn(f64, f64) -> bool,
        histograms: impl Fn(&NativeHistogram, &NativeHistogram) -> bool,
    ) -> Option<Datum> {
        let moments = window.at.iter().chain(window.histograms.iter().map(|(at, _)| at)).copied();
        // Anchored, what came before the last sample at or before the beginning does not count.
        let anchor = if self.extent == Extent::Anchored {
            if moments.clone().all(|at| at <= window.start) {
                return None;
            }
            moments.filter(|at| *at <= window.start).max()
        } else {
            None
        };
        let counts = |at: i64| anchor.is_none_or(|anchor| at >= anchor);
        let first = window.at.partition_point(|at| !counts(*at));
        if window.histograms.is_empty() {
            let pairs = window.value[first..].windows(2);
            return Some(Datum::Float(pairs.filter(|pair| floats(pair[0], pair[1])).count() as f64));
        }
        let values = window.at.iter().zip(window.value).map(|(at, value)| (*at, Datum::Float(*value)));
        let more = window.histograms.iter().map(|(at, one)| (*at, Datum::Histogram(one.clone())));
        let mut all: Vec<(i64, Datum)> = values.chain(more).collect();
        all.retain(|(at, _)| counts(*at));
        all.sort_by_key(|(at, _)| *at);
        let differs = |pair: &&[(i64, Datum)]| match (&pair[0].1, &pair[1].1) {
            (Datum::Float(before), Datum::Float(now)) => floats(*before, *now),
            (Datum::Histogram(before), Datum::Histogram(now)) => histograms(before, now),
            _ => true,
        };
        Some(Datum::Float(all.windows(2).filter(differs).count() as f64))
    }
}

/// Whether two hold the same, whatever is known of their restarts.
pub(super) fn is_same(one: &NativeHistogram, two: &NativeHistogram) -> bool {
    let bare = |histogram: &NativeHistogram| {
        let mut sum = HistogramSum::of(histogram);
        sum.set_reset(ResetHint::Unknown);
        sum.finish()
    };
    let (one, two) = (bare(one), bare(two));
    // Sums of NaN are the same where their bits are.
    let same_sum = one.sum.to_bits() == two.sum.to_bits() || one.sum == two.sum;
    same_sum && NativeHistogram { sum: 0.0, ..one } == NativeHistogram { sum: 0.0, ..two }
}

/// Sum or mean of histograms, which are not none.
pub(super) fn folded_histograms(
    histograms: &[&NativeHistogram],
    is_mean: bool,
    notes: &mut Notes,
) -> Option<NativeHistogram> {
    let hints = |hint: ResetHint| histograms.iter().any(|histogram| histogram.reset == hint);
    let mut sum = HistogramSum::of(histograms.first()?);
    let add = |sum: &mut HistogramSum, other: &NativeHistogram, factor: f64, notes: &mut Notes| {
        let added = sum.add(other, factor);
        if added.is_err() {
            notes.add(Note::MixedSchemas);
        }
        added.ok()
    };
    for histogram in &histograms[1..] {
        add(&mut sum, histogram, 1.0, notes)?;
    }
    let count = histograms.len() as f64;
    if is_mean && sum.is_overflown() {
        sum = incremental_mean(histograms)?;
    } else if is_mean {
        sum.divide(count);
    }
    if hints(ResetHint::Yes) && hints(ResetHint::No) {
        notes.add(Note::CollidedAggregation);
    }
    if sum.is_reconciled() {
        notes.add(Note::ReconciledAggregation);
    }
    Some(sum.finish())
}

/// The mean of histograms whose sum goes beyond all floats: their sum as far as it goes, and then mean by mean.
fn incremental_mean(histograms: &[&NativeHistogram]) -> Option<HistogramSum> {
    let mut mean = HistogramSum::of(histograms.first()?);
    let mut is_incremental = false;
    for (place, histogram) in histograms.iter().enumerate().skip(1) {
        let so_far = (place + 1) as f64;
        if !is_incremental {
            let mut next = mean.clone();
            next.add(histogram, 1.0).ok()?;
            if !next.is_overflown() {
                mean = next;
                continue;
            }
            is_incremental = true;
            mean.divide(so_far - 1.0);
        }
        let mut share = HistogramSum::of(histogram);
        share.divide(so_far);
        mean.scale((so_far - 1.0) / so_far);
        mean.add(&share.finish(), 1.0).ok()?;
    }
    Some(mean)
}

/// Slope (per second) and value at `at` of the least-squares line.
fn line(window: &Window<'_>, at: i64) -> Option<(f64, f64)> {
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
    let (sum_x, sum_y) = (numbers::sum(xs()), numbers::sum(window.value.iter().copied()));
    let sum_xy = numbers::sum(xs().zip(window.value).map(|(x, y)| x * y));
    let sum_xx = numbers::sum(xs().map(|x| x * x));
    let covariance = sum_xy - sum_x * sum_y / n;
    let slope = covariance / (sum_xx - sum_x * sum_x / n);
    Some((slope, sum_y / n - slope * sum_x / n))
}

/// Double exponential smoothing (Holt 1957).
fn smoothed(values: &[f64], smoothing: f64, trend_factor: f64) -> Option<f64> {
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
