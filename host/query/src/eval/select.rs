//! Selectors: the latest sample before each step, and the samples of a range before each step.

use super::{
    Evaluator, extended,
    notes::Notes,
    window::{Cursor, RangeSeries, Windows},
};
use crate::{
    Grid, QueryError, STALE_NAN, Sample, SampleSeries, SelectedSeries,
    labels::metric_name,
    language::tree::{Extent, Kind, Node, Pinned, Selector, Subquery},
    value::{Datum, StepSeries, Value},
};
use std::{collections::HashSet, sync::Arc};
use tandem_domain::{
    histogram::{NativeHistogram, ResetHint},
    series::Labels,
};

/// What a native histogram without buckets takes, in samples of 16 bytes; two buckets are one more.
const HISTOGRAM_SAMPLES: usize = 10;

/// A series with its latest sample before each step.
pub(super) type LatestSamples = (Labels, Vec<Option<Sample>>);

fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN
}

/// The latest sample at or before a moment, after another one, and not stale; the places are where to look from.
fn latest_of(series: &SelectedSeries, moment: i64, after: i64, places: &mut (usize, usize)) -> Option<Sample> {
    let (float, histogram) = places;
    if *float > 0 && series.at[*float - 1] > moment {
        *float = series.at.partition_point(|at| *at <= moment);
    }
    while *float < series.at.len() && series.at[*float] <= moment {
        *float += 1;
    }
    let of_floats = float.checked_sub(1).map(|place| (series.at[place], series.value[place]));
    if series.histograms.is_empty() {
        let (at, value) = of_floats?;
        return (at > after && !is_stale(value)).then_some(Sample { at, value: Datum::Float(value) });
    }
    *histogram = series.histograms.partition_point(|(at, _)| *at <= moment);
    let of_histograms = histogram.checked_sub(1).map(|place| &series.histograms[place]);
    match (of_floats, of_histograms) {
        (Some((at, value)), other) if other.is_none_or(|(later, _)| *later < at) => {
            (at > after && !is_stale(value)).then_some(Sample { at, value: Datum::Float(value) })
        }
        (_, Some((at, histogram))) => (*at > after && !is_stale(histogram.sum))
            .then(|| Sample { at: *at, value: Datum::Histogram(histogram.clone()) }),
        _ => None,
    }
}

impl Evaluator<'_> {
    /// The moment that each step refers to.
    pub(super) fn references(&self, grid: Grid, pinned: Option<Pinned>, offset: i64) -> Vec<i64> {
        let fixed = pinned.map(|pinned| match pinned {
            Pinned::Start => self.whole.start,
            Pinned::End => self.whole.end,
            Pinned::At(at) => at,
        });
        grid.moments().map(|moment| fixed.unwrap_or(moment).saturating_sub(offset)).collect()
    }

    pub(super) fn found(
        &mut self,
        selector: &Selector,
        start: i64,
        end: i64,
    ) -> Result<Vec<SelectedSeries>, QueryError> {
        let mut found: Vec<SelectedSeries> = Vec::new();
        let mut known: HashSet<Labels> = HashSet::new();
        let (source, most) = (self.source, self.limits.series);
        for set in &selector.sets {
            let mut hold = |series: &SelectedSeries| {
                let buckets = series.histograms.iter().map(|(_, one)| HISTOGRAM_SAMPLES + one.buckets() / 2);
                self.hold(series.at.len() + buckets.sum::<usize>())
            };
            for series in source.select_held(set, start, end, most, &mut hold)? {
                if selector.sets.len() == 1 || known.insert(series.labels.clone()) {
                    found.push(series);
                }
            }
        }
        if found.len() > self.limits.series {
            return Err(QueryError::execution(format!(
                "a selector finds more than {} series; narrow it",
                self.limits.series
            )));
        }
        Ok(found)
    }

    /// The latest sample of each series before each step, no older than the lookback and not stale.
    pub(super) fn instant_vector(
        &mut self,
        selector: &Selector,
        at: usize,
        grid: Grid,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let plain = |(labels, samples): LatestSamples| StepSeries {
            labels,
            drops_name: false,
            values: samples.into_iter().map(|sample| sample.map(|sample| sample.value)).collect(),
        };
        Ok(self.latest(selector, at, grid)?.into_iter().map(plain).collect())
    }

    /// As [`Evaluator::instant_vector`], with the moments of the samples.
    pub(super) fn latest(
        &mut self,
        selector: &Selector,
        at: usize,
        grid: Grid,
    ) -> Result<Vec<LatestSamples>, QueryError> {
        let references = self.references(grid, selector.pinned, selector.offset);
        self.latest_at(selector, at, &references)
    }

    /// As [`Evaluator::latest`], at moments of any order.
    pub(super) fn latest_at(
        &mut self,
        selector: &Selector,
        at: usize,
        references: &[i64],
    ) -> Result<Vec<LatestSamples>, QueryError> {
        let (Some(first), Some(last)) = (references.iter().min(), references.iter().max()) else {
            return Ok(Vec::new());
        };
        let ahead = if selector.extent == Extent::Smoothed { self.lookback } else { 0 };
        let found = self.found(selector, first.saturating_sub(self.lookback), last.saturating_add(ahead))?;
        let mut series = Vec::with_capacity(found.len());
        for one in found {
            self.hold(references.len())?;
            let (mut places, mut notes) = ((0, 0), Notes::default());
            let sample = |moment: &i64| match selector.extent {
                Extent::Smoothed => extended::smoothed_at(&one, *moment, self.lookback, &mut notes),
                _ => latest_of(&one, *moment, moment.saturating_sub(self.lookback), &mut places),
            };
            let samples: Vec<Option<Sample>> = references.iter().map(sample).collect();
            self.tell(notes, metric_name(&one.labels), at);
            if samples.iter().any(Option::is_some) {
                series.push((one.labels, samples));
            }
        }
        Ok(series)
    }

    /// The ranges of a range vector.
    pub(super) fn windows(&mut self, node: &Node, grid: Grid) -> Result<Windows, QueryError> {
        match &node.kind {
            Kind::Matrix(selector, millis) => {
                let ends = self.references(grid, selector.pinned, selector.offset);
                let lookback = self.lookback;
                let extent = selector.extent;
                let (before, behind) = match extent {
                    Extent::Plain => (0, 0),
                    Extent::Anchored => (lookback, 0),
                    Extent::Smoothed => (lookback, lookback),
                };
                let mut series = Vec::new();
                if let (Some(first), Some(last)) = (ends.iter().min(), ends.iter().max()) {
                    let start = first.saturating_sub(*millis).saturating_sub(before);
                    let found = self.found(selector, start, last.saturating_add(behind))?;
                    series = found.into_iter().map(|one| without_stale(one).into()).collect();
                }
                Ok(Windows { series, ends, millis: *millis, extent, lookback })
            }
            Kind::Subquery(subquery) => self.subquery(subquery, grid),
            _ => Err(QueryError::bad("expected type range vector")),
        }
    }

    /// An inner expression evaluated at multiples of its own step over all the ranges asked for.
    fn subquery(&mut self, subquery: &Subquery, grid: Grid) -> Result<Windows, QueryError> {
        let millis = subquery.range;
        let ends = self.references(grid, subquery.pinned, subquery.offset);
        let mut windows = Windows { series: Vec::new(), ends, millis, extent: Extent::Plain, lookback: self.lookback };
        let (Some(first), Some(last)) = (windows.ends.iter().min(), windows.ends.iter().max()) else {
            return Ok(windows);
        };
        let step = subquery.step.unwrap_or(self.subquery_step).max(1);
        let start = ((first - millis).div_euclid(step) + 1) * step;
        let inner = Grid { start, end: *last, step };
        self.hold(inner.len())?;
        let evaluated = match self.value(&subquery.inner, inner)? {
            Value::Vector(series) => series,
            Value::Scalar(values) => vec![StepSeries::bare(values)],
            Value::Text(_) => return Err(QueryError::bad("subquery is only allowed on instant vector")),
        };
        for one in evaluated {
            let mut ranged = RangeSeries {
                labels: one.labels,
                drops_name: one.drops_name,
                at: Vec::new(),
                value: Vec::new(),
                histograms: Vec::new(),
            };
            for (at, value) in inner.moments().zip(one.values) {
                match value {
                    None => {}
                    Some(Datum::Float(value)) => {
                        ranged.at.push(at);
                        ranged.value.push(value);
                    }
                    Some(Datum::Histogram(histogram)) => ranged.histograms.push((at, unhinted(histogram))),
                }
            }
            windows.series.push(ranged);
        }
        Ok(windows)
    }

    /// The samples of a range vector at the one step of an instant query.
    pub(crate) fn samples(&mut self, node: &Node, grid: Grid) -> Result<Vec<SampleSeries>, QueryError> {
        let mut windows = self.windows(node, grid)?;
        let all = std::mem::take(&mut windows.series);
        let mut told = Vec::with_capacity(all.len());
        for one in all {
            let window = windows.window(&one, 0, &mut Cursor::default());
            let samples = match windows.extent {
                Extent::Plain => {
                    let floats = window
                        .at
                        .iter()
                        .zip(window.value)
                        .map(|(at, value)| Sample { at: *at, value: Datum::Float(*value) });
                    let histograms = window.histograms.iter();
                    let histograms =
                        histograms.map(|(at, one)| Sample { at: *at, value: Datum::Histogram(one.clone()) });
                    let mut samples: Vec<Sample> = floats.chain(histograms).collect();
                    samples.sort_by_key(|sample| sample.at);
                    samples
                }
                extent => extended::samples(&window, extent == Extent::Smoothed)?,
            };
            if !samples.is_empty() {
                let labels = if one.drops_name { crate::labels::nameless(&one.labels) } else { one.labels.clone() };
                told.push(SampleSeries { labels, samples });
            }
        }
        Ok(told)
    }
}

/// What is known of a restart since the sample before says nothing where samples are left out.
fn unhinted(histogram: Arc<NativeHistogram>) -> Arc<NativeHistogram> {
    match histogram.reset {
        ResetHint::Yes | ResetHint::No => {
            Arc::new(NativeHistogram { reset: ResetHint::Unknown, ..(*histogram).clone() })
        }
        ResetHint::Unknown | ResetHint::Gauge => histogram,
    }
}

fn without_stale(mut series: SelectedSeries) -> SelectedSeries {
    if series.value.iter().any(|value| is_stale(*value)) {
        let kept = series.at.iter().zip(&series.value).filter(|(_, value)| !is_stale(**value));
        (series.at, series.value) = kept.map(|(at, value)| (*at, *value)).unzip();
    }
    series.histograms.retain(|(_, histogram)| !is_stale(histogram.sum));
    series
}
