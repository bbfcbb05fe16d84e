//! Functions of histograms, classic and native.

use super::{
    Evaluator, classic,
    notes::{Note, Notes},
};
use crate::{
    Grid, QueryError,
    labels::{metric_name, with, without},
    language::tree::Node,
    number_text,
    value::{Datum, Places, StepSeries},
};
use tandem_domain::{
    histogram::{Estimate, NativeHistogram},
    series::Labels,
};

/// The label that tells classic buckets apart.
const BUCKET_LABEL: &str = "le";

/// One histogram: by its buckets, or as one value.
struct Distribution {
    labels: Labels,
    drops_name: bool,
    buckets: Vec<(f64, Vec<Option<Datum>>)>,
    native: Vec<Option<Datum>>,
}

/// What is asked of a distribution at a step.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Quantile(&'a [f64]),
    Fraction(&'a [f64], &'a [f64]),
}

impl Evaluator<'_> {
    pub(super) fn quantile_of_histograms(
        &mut self,
        arguments: &[Node],
        grid: Grid,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let [quantile, inner] = arguments else {
            return Err(QueryError::bad("histogram_quantile takes a scalar and a vector"));
        };
        let quantiles = self.scalar(quantile, grid)?;
        let series = self.vector(inner, grid)?;
        self.warn_of_quantiles(quantile.at, &quantiles);
        let all = self.distributions(series, inner.at);
        self.estimates(&all, Asked::Quantile(&quantiles), grid, inner.at)
    }

    /// Several quantiles, each as a series with a label of its own.
    pub(super) fn quantiles_of_histograms(
        &mut self,
        arguments: &[Node],
        grid: Grid,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let [inner, label, quantiles @ ..] = arguments else {
            return Err(QueryError::bad("histogram_quantiles takes a vector, a label and scalars"));
        };
        let series = self.vector(inner, grid)?;
        let label = self.text(label, grid)?;
        let all = self.distributions(series, inner.at);
        let mut found = Vec::new();
        for node in quantiles {
            let values = self.scalar(node, grid)?;
            self.warn_of_quantiles(node.at, &values);
            let of_quantile = self.estimates(&all, Asked::Quantile(&values), grid, inner.at)?;
            // A quantile that changes from step to step is told by the step's own.
            for one in of_quantile {
                let mut by_value: Vec<(u64, StepSeries)> = Vec::new();
                for (step, value) in one.values.iter().enumerate() {
                    let bits = values[step].to_bits();
                    if by_value.iter().all(|(known, _)| *known != bits) {
                        let labels = with(&one.labels, &label, &open_metrics_text(values[step]));
                        let empty = vec![None; one.values.len()];
                        by_value.push((bits, StepSeries { labels, drops_name: true, values: empty }));
                    }
                    if let Some((_, series)) = by_value.iter_mut().find(|(known, _)| *known == bits) {
                        series.values[step] = value.clone();
                    }
                }
                found.extend(by_value.into_iter().map(|(_, series)| series));
            }
        }
        crate::value::merged(found)
    }

    pub(super) fn fraction_of_histograms(
        &mut self,
        arguments: &[Node],
        grid: Grid,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let [lower, upper, inner] = arguments else {
            return Err(QueryError::bad("histogram_fraction takes two scalars and a vector"));
        };
        let (from, to) = (self.scalar(lower, grid)?, self.scalar(upper, grid)?);
        let series = self.vector(inner, grid)?;
        let all = self.distributions(series, inner.at);
        self.estimates(&all, Asked::Fraction(&from, &to), grid, inner.at)
    }

    /// Series as histograms: buckets of one are those that differ in `le` only.
    fn distributions(&mut self, series: Vec<StepSeries>, at: usize) -> Vec<Distribution> {
        let mut places = Places::with_capacity(0);
        let mut all: Vec<Distribution> = Vec::new();
        for one in series {
            let has_float = one.values.iter().flatten().any(|value| value.float().is_some());
            let has_histogram = one.values.iter().flatten().any(|value| value.histogram().is_some());
            let mut place = |labels: Labels, drops_name: bool, all: &mut Vec<Distribution>| {
                let place = places.of(&labels, all.len(), |place| &all[place].labels);
                if place == all.len() {
                    all.push(Distribution { labels, drops_name, buckets: Vec::new(), native: Vec::new() });
                }
                place
            };
            if has_histogram {
                let place = place(one.labels.clone(), one.drops_name, &mut all);
                all[place].native = one.values.clone();
            }
            if !has_float {
                continue;
            }
            let bound = one.labels.get(BUCKET_LABEL).unwrap_or_default();
            match bound.parse::<f64>() {
                Ok(bound) => {
                    let place = place(without(&one.labels, &[BUCKET_LABEL]), one.drops_name, &mut all);
                    all[place].drops_name |= one.drops_name;
                    all[place].buckets.push((bound, one.values));
                }
                Err(_) => {
                    let metric = metric_name(&one.labels);
                    let mut text = format!("bucket label \"le\" is missing or has a malformed value of {bound:?}");
                    if !metric.is_empty() {
                        text.push_str(&format!(" for metric name {metric:?}"));
                    }
                    self.warn(at, &text);
                }
            }
        }
        all.iter_mut().for_each(|one| one.buckets.sort_by(|a, b| a.0.total_cmp(&b.0)));
        all
    }

    /// What is asked, of each distribution at each step.
    fn estimates(
        &mut self,
        all: &[Distribution],
        asked: Asked<'_>,
        grid: Grid,
        vector_at: usize,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let mut found = Vec::with_capacity(all.len());
        let mut counts: Vec<(f64, f64)> = Vec::new();
        for one in all {
            self.hold(grid.len())?;
            let (mut notes, mut is_mixed, mut is_forced) = (Notes::default(), false, false);
            let mut values = Vec::with_capacity(grid.len());
            for step in 0..grid.len() {
                counts.clear();
                let buckets = one.buckets.iter();
                counts.extend(buckets.filter_map(|(bound, values)| Some((*bound, values[step].as_ref()?.float()?))));
                let native = one.native.get(step).and_then(|value| value.as_ref()?.histogram());
                let value = match (native, counts.is_empty()) {
                    (None, true) => None,
                    (Some(_), false) => {
                        is_mixed = true;
                        None
                    }
                    (Some(native), true) => Some(asked.of_native(step, native, &mut notes)),
                    (None, false) => Some(asked.of_classic(step, &mut counts, &mut is_forced)),
                };
                values.push(value.map(Datum::Float));
            }
            let metric = metric_name(&one.labels);
            let named = |text: &str| {
                if metric.is_empty() { text.to_owned() } else { format!("{text} for metric name {metric:?}") }
            };
            self.tell(notes, metric, vector_at);
            if is_mixed {
                self.warn(vector_at, &named("vector contains a mix of classic and native histograms"));
            }
            if is_forced {
                let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                            https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
                self.inform(vector_at, &named(text));
            }
            if values.iter().any(Option::is_some) {
                found.push(StepSeries { labels: one.labels.clone(), drops_name: true, values });
            }
        }
        Ok(found)
    }
}

impl Asked<'_> {
    fn of_native(self, step: usize, histogram: &NativeHistogram, notes: &mut Notes) -> f64 {
        let (estimate, skewed) = match self {
            Self::Quantile(q) => (histogram.quantile(q[step]), Note::QuantileSkewed),
            Self::Fraction(from, to) => (histogram.fraction(from[step], to[step]), Note::FractionSkewed),
        };
        match estimate {
            Estimate::Sound(value) => value,
            Estimate::Skewed(value) => {
                notes.add(skewed);
                value
            }
            Estimate::Lost => {
                notes.add(Note::QuantileLost);
                f64::NAN
            }
        }
    }

    fn of_classic(self, step: usize, counts: &mut Vec<(f64, f64)>, is_forced: &mut bool) -> f64 {
        match self {
            Self::Quantile(q) => {
                let (value, forced) = classic::quantile(q[step], counts);
                *is_forced |= forced;
                value
            }
            Self::Fraction(from, to) => classic::fraction(from[step], to[step], counts),
        }
    }
}

/// A number as OpenMetrics writes it in labels: whole ones with a point.
fn open_metrics_text(value: f64) -> String {
    let text = number_text(value);
    if value.is_finite() && !text.contains('.') { format!("{text}.0") } else { text }
}

/// A function of one native histogram, by name.
pub(super) fn of_histogram(name: &str) -> Option<fn(&NativeHistogram) -> f64> {
    Some(match name {
        "histogram_count" => |histogram| histogram.count,
        "histogram_sum" => |histogram| histogram.sum,
        "histogram_avg" => |histogram| histogram.sum / histogram.count,
        "histogram_stdvar" => |histogram| histogram.variance(),
        "histogram_stddev" => |histogram| histogram.variance().sqrt(),
        _ => return None,
    })
}
