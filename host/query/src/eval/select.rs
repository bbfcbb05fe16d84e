//! Selectors: the latest sample before each step, and the samples of a range before each step.

use super::Evaluator;
use crate::{
    Grid, QueryError, STALE_NAN, Sample, SampleSeries, SelectedSeries,
    labels::METRIC_NAME,
    value::{StepSeries, Value},
};
use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{AtModifier, Expr, Offset, SubqueryExpr, VectorSelector},
};
use std::time::UNIX_EPOCH;
use tandem_domain::series::Labels;

/// A series with its latest sample before each step.
pub(super) type LatestSamples = (Labels, Vec<Option<Sample>>);

/// Series with their samples, and the range before each step that counts.
pub(super) struct Windows {
    pub series: Vec<SelectedSeries>,
    /// End of the range at each step.
    pub ends: Vec<i64>,
    /// Length of the range.
    pub millis: i64,
}

/// One range of one series: samples after `start` up to `end`, stale markers left out.
pub(super) struct Window<'w> {
    pub start: i64,
    pub end: i64,
    pub at: &'w [i64],
    pub value: &'w [f64],
}

fn offset_millis(offset: Option<&Offset>) -> i64 {
    let millis = |duration: &std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
    match offset {
        None => 0,
        Some(Offset::Pos(duration)) => millis(duration),
        Some(Offset::Neg(duration)) => -millis(duration),
    }
}

impl Evaluator<'_> {
    /// The moment that each step refers to.
    fn references(&self, grid: Grid, at: Option<&AtModifier>, offset: Option<&Offset>) -> Vec<i64> {
        let fixed = at.map(|at| match at {
            AtModifier::Start => self.whole.start,
            AtModifier::End => self.whole.end,
            AtModifier::At(time) => match time.duration_since(UNIX_EPOCH) {
                Ok(after) => after.as_millis() as i64,
                Err(before) => -(before.duration().as_millis() as i64),
            },
        });
        let offset = offset_millis(offset);
        grid.moments().map(|moment| fixed.unwrap_or(moment) - offset).collect()
    }

    fn found(&mut self, selector: &VectorSelector, start: i64, end: i64) -> Result<Vec<SelectedSeries>, QueryError> {
        let named = selector.name.iter().map(|name| Matcher::new(MatchOp::Equal, METRIC_NAME, name));
        let mut sets: Vec<Vec<Matcher>> = if selector.matchers.or_matchers.is_empty() {
            vec![selector.matchers.matchers.clone()]
        } else {
            selector.matchers.or_matchers.clone()
        };
        let named: Vec<Matcher> = named.collect();
        sets.iter_mut().for_each(|set| set.extend(named.iter().cloned()));
        let mut found: Vec<SelectedSeries> = Vec::new();
        for set in &sets {
            for series in self.source.select(set, start, end, self.limits.series)? {
                if !found.iter().any(|known| sets.len() > 1 && known.labels == series.labels) {
                    self.hold(series.at.len())?;
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
        selector: &VectorSelector,
        grid: Grid,
    ) -> Result<Vec<StepSeries>, QueryError> {
        Ok(self
            .latest(selector, grid)?
            .into_iter()
            .map(|(labels, samples)| StepSeries {
                labels,
                values: samples.into_iter().map(|sample| sample.map(|sample| sample.value)).collect(),
            })
            .collect())
    }

    /// As [`Evaluator::instant_vector`], with the moments of the samples.
    pub(super) fn latest(&mut self, selector: &VectorSelector, grid: Grid) -> Result<Vec<LatestSamples>, QueryError> {
        let references = self.references(grid, selector.at.as_ref(), selector.offset.as_ref());
        let (Some(first), Some(last)) = (references.iter().min(), references.iter().max()) else {
            return Ok(Vec::new());
        };
        let found = self.found(selector, first - self.lookback, *last)?;
        let mut series = Vec::with_capacity(found.len());
        for one in found {
            self.hold(references.len())?;
            let samples: Vec<Option<Sample>> = references
                .iter()
                .map(|reference| {
                    let place = one.at.partition_point(|at| at <= reference).checked_sub(1)?;
                    let sample = Sample { at: one.at[place], value: one.value[place] };
                    (sample.at > reference - self.lookback && sample.value.to_bits() != STALE_NAN).then_some(sample)
                })
                .collect();
            if samples.iter().any(Option::is_some) {
                series.push((one.labels, samples));
            }
        }
        Ok(series)
    }

    /// The ranges of a range vector.
    pub(super) fn windows(&mut self, expr: &Expr, grid: Grid) -> Result<Windows, QueryError> {
        match expr {
            Expr::Paren(inner) => self.windows(&inner.expr, grid),
            Expr::MatrixSelector(matrix) => {
                let millis = i64::try_from(matrix.range.as_millis()).unwrap_or(i64::MAX / 4);
                let ends = self.references(grid, matrix.vs.at.as_ref(), matrix.vs.offset.as_ref());
                let (Some(first), Some(last)) = (ends.iter().min(), ends.iter().max()) else {
                    return Ok(Windows { series: Vec::new(), ends, millis });
                };
                let mut series = self.found(&matrix.vs, first - millis, *last)?;
                series.iter_mut().for_each(drop_stale);
                Ok(Windows { series, ends, millis })
            }
            Expr::Subquery(subquery) => self.subquery(subquery, grid),
            _ => Err(QueryError::bad("expected type range vector")),
        }
    }

    /// An inner expression evaluated at multiples of its own step over all the ranges asked for.
    fn subquery(&mut self, subquery: &SubqueryExpr, grid: Grid) -> Result<Windows, QueryError> {
        let millis = i64::try_from(subquery.range.as_millis()).unwrap_or(i64::MAX / 4);
        let ends = self.references(grid, subquery.at.as_ref(), subquery.offset.as_ref());
        let (Some(first), Some(last)) = (ends.iter().min(), ends.iter().max()) else {
            return Ok(Windows { series: Vec::new(), ends, millis });
        };
        let step = subquery.step.map_or(self.subquery_step, |step| step.as_millis() as i64).max(1);
        let after = first - millis;
        let start = (after.div_euclid(step) + 1) * step;
        let inner = Grid { start, end: *last, step };
        self.hold(inner.len())?;
        let evaluated = match self.value(&subquery.expr, inner)? {
            Value::Vector(series) => series,
            Value::Scalar(values) => {
                vec![StepSeries { labels: Labels::default(), values: values.into_iter().map(Some).collect() }]
            }
            Value::Text(_) => return Err(QueryError::bad("subquery is only allowed on instant vector")),
        };
        let series = evaluated
            .into_iter()
            .map(|one| {
                let (at, value) = inner.moments().zip(one.values).filter_map(|(at, value)| Some((at, value?))).unzip();
                SelectedSeries { labels: one.labels, at, value, histograms: Vec::new() }
            })
            .collect();
        Ok(Windows { series, ends, millis })
    }

    /// The samples of a range vector at the one step of an instant query.
    pub(crate) fn samples(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<SampleSeries>, QueryError> {
        let windows = self.windows(expr, grid)?;
        let told = windows.series.iter().map(|one| {
            let window = windows.window(one, 0);
            let samples = window.at.iter().zip(window.value).map(|(at, value)| Sample { at: *at, value: *value });
            SampleSeries { labels: one.labels.clone(), samples: samples.collect() }
        });
        Ok(told.filter(|one| !one.samples.is_empty()).collect())
    }
}

fn drop_stale(series: &mut SelectedSeries) {
    if series.value.iter().any(|value| value.to_bits() == STALE_NAN) {
        let kept = series.at.iter().zip(&series.value).filter(|(_, value)| value.to_bits() != STALE_NAN);
        (series.at, series.value) = kept.map(|(at, value)| (*at, *value)).unzip();
    }
}

impl Windows {
    /// The range of a series at a step.
    pub(super) fn window<'w>(&self, series: &'w SelectedSeries, step: usize) -> Window<'w> {
        let end = self.ends[step];
        let start = end - self.millis;
        let from = series.at.partition_point(|at| *at <= start);
        let to = series.at.partition_point(|at| *at <= end).max(from);
        Window { start, end, at: &series.at[from..to], value: &series.value[from..to] }
    }
}
