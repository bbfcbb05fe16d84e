//! Queries as they are asked: at one moment, or over a range.

use crate::{
    Annotations, Grid, QueryError, QueryLimits, Sample, SampleSeries, SeriesSource,
    eval::Evaluator,
    language::{self, tree::Kind},
    value::{Datum, StepSeries, Value, told},
};
use promql_parser::{label::Matcher, parser};
use tandem_domain::series::Labels;

/// How far back a sample counts when nothing newer is there, in milliseconds: Prometheus' default.
const DEFAULT_LOOKBACK_MILLIS: i64 = 300_000;
/// The step of subqueries that say none, in milliseconds: Prometheus' default evaluation interval.
const DEFAULT_SUBQUERY_STEP_MILLIS: i64 = 60_000;

/// What a query comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A number at a moment, in milliseconds.
    Scalar(i64, f64),
    /// A text at a moment, in milliseconds.
    Text(i64, String),
    /// Series with one value each.
    Vector(Vec<(Labels, Sample)>),
    /// Series with their samples.
    Matrix(Vec<SampleSeries>),
}

/// An outcome with what should be known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// Warnings and infos.
    pub annotations: Annotations,
}

/// Evaluates queries over a source.
pub struct Engine<'s> {
    source: &'s dyn SeriesSource,
    limits: QueryLimits,
    lookback: i64,
    subquery_step: i64,
}

impl<'s> Engine<'s> {
    /// With Prometheus' defaults.
    pub fn new(source: &'s dyn SeriesSource, limits: QueryLimits) -> Self {
        Self { source, limits, lookback: DEFAULT_LOOKBACK_MILLIS, subquery_step: DEFAULT_SUBQUERY_STEP_MILLIS }
    }

    /// With another lookback, in milliseconds.
    #[must_use]
    pub fn with_lookback(self, millis: i64) -> Self {
        Self { lookback: millis, ..self }
    }

    fn evaluator<'q>(&'q self, query: &'q str, grid: Grid) -> Evaluator<'q> {
        Evaluator::new(self.source, &self.limits, query, self.lookback, self.subquery_step, grid)
    }

    /// Evaluates at one moment, in milliseconds.
    ///
    /// # Errors
    /// When the query is wrong, beyond a limit, called off, or the data cannot be read.
    pub fn instant(&self, query: &str, at: i64) -> Result<Answer, QueryError> {
        let grid = Grid::instant(at);
        let read = language::read(query, grid, self.limits.depth)?;
        let mut evaluator = self.evaluator(query, grid);
        let outcome = if read.is_range() {
            Outcome::Matrix(evaluator.samples(&read, grid)?)
        } else {
            match evaluator.value(&read, grid)? {
                Value::Scalar(values) => Outcome::Scalar(at, values.first().copied().unwrap_or(f64::NAN)),
                Value::Text(text) => Outcome::Text(at, text),
                Value::Vector(series) => Outcome::Vector(
                    told(series)?
                        .into_iter()
                        .filter_map(|one| Some((one.labels, Sample { at, value: one.values.into_iter().next()?? })))
                        .collect(),
                ),
            }
        };
        Ok(Answer { outcome, annotations: evaluator.annotations })
    }

    /// Evaluates at each moment of a grid.
    ///
    /// # Errors
    /// As [`Engine::instant`], and when there are too many steps or the outcome cannot be told over a range.
    pub fn range(&self, query: &str, grid: Grid) -> Result<Answer, QueryError> {
        if grid.step <= 0 {
            return Err(QueryError::bad(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if grid.end < grid.start {
            return Err(QueryError::bad("end timestamp must not be before start time"));
        }
        if grid.len() > self.limits.steps {
            return Err(QueryError::bad(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                self.limits.steps
            )));
        }
        let read = language::read(query, grid, self.limits.depth)?;
        let refused = |kind: &str| {
            let message = format!("invalid expression type {kind:?} for range query, must be Scalar or instant Vector");
            Err(QueryError::bad(message))
        };
        if read.is_range() {
            return refused("range vector");
        }
        if matches!(read.kind, Kind::Text(_)) {
            return refused("string");
        }
        let mut evaluator = self.evaluator(query, grid);
        let series = match evaluator.value(&read, grid)? {
            Value::Scalar(values) => vec![StepSeries::bare(values)],
            Value::Vector(series) => told(series)?,
            Value::Text(_) => return refused("string"),
        };
        let with_moments = |one: StepSeries| SampleSeries {
            labels: one.labels,
            samples: grid
                .moments()
                .zip(one.values)
                .filter_map(|(at, value): (i64, Option<Datum>)| Some(Sample { at, value: value? }))
                .collect(),
        };
        let mut series: Vec<SampleSeries> = series.into_iter().map(with_moments).collect();
        series.retain(|one| !one.samples.is_empty());
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Answer { outcome: Outcome::Matrix(series), annotations: evaluator.annotations })
    }
}

/// The matchers of a series selector such as `up{job="node"}`; where it has alternatives, those of the first.
///
/// # Errors
/// When it is none.
pub fn selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    let wrong = |message: String| QueryError::bad(format!("parse error: {message}"));
    match language::parsed(text).map_err(wrong)? {
        parser::Expr::VectorSelector(selector) => Ok(language::matchers(&selector)?.swap_remove(0)),
        _ => Err(QueryError::bad(format!("{text:?} is no series selector"))),
    }
}

/// The sets of matchers of all selectors of an expression, wherever they stand in it; those of a selector with alternatives are
/// a set each.
///
/// # Errors
/// When the expression is wrong.
pub fn selectors(query: &str, limits: &QueryLimits) -> Result<Vec<Vec<Matcher>>, QueryError> {
    let grid = Grid { start: 0, end: 0, step: 1 };
    Ok(language::selectors(&language::read(query, grid, limits.depth)?))
}

/// A query in one line as Prometheus writes it out of its tree; as it was written where the parser does not know all of it.
pub fn canonical(query: &str) -> String {
    language::parsed(query).map_or_else(|_| query.trim().to_owned(), |read| read.to_string())
}

/// A query written in the usual way: broken into lines where it is long.
///
/// # Errors
/// When it is wrong.
pub fn formatted(query: &str) -> Result<String, QueryError> {
    let read = language::parsed(query).map_err(|message| QueryError::bad(format!("parse error: {message}")))?;
    Ok(read.prettify())
}
