//! Queries as they are asked: at one moment, or over a range.

use crate::{
    Annotations, Grid, METRIC_NAME, QueryError, QueryLimits, Sample, SampleSeries, SeriesSource,
    eval::Evaluator,
    value::{StepSeries, Value},
};
use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{self, Expr},
};
use tandem_domain::series::Labels;

/// How far back a sample counts when nothing newer is there, in milliseconds: Prometheus' default.
const DEFAULT_LOOKBACK_MILLIS: i64 = 300_000;
/// The step of subqueries that say none, in milliseconds: Prometheus' default evaluation interval.
const DEFAULT_SUBQUERY_STEP_MILLIS: i64 = 60_000;

/// What a query comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A number at a moment.
    Scalar(Sample),
    /// A text at a moment.
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

    fn parsed(&self, query: &str) -> Result<Expr, QueryError> {
        // The parser and all that walks the tree take stack for each level.
        let mut depth = 0usize;
        for byte in query.bytes() {
            match byte {
                b'(' | b'[' | b'{' | b'-' | b'+' => depth += 1,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > self.limits.depth {
                return Err(QueryError::bad(format!("the expression is nested deeper than {}", self.limits.depth)));
            }
        }
        parser::parse(query).map_err(QueryError::bad)
    }

    fn evaluator(&self, grid: Grid) -> Evaluator<'_> {
        Evaluator::new(self.source, &self.limits, self.lookback, self.subquery_step, grid)
    }

    /// Evaluates at one moment, in milliseconds.
    ///
    /// # Errors
    /// When the query is wrong, beyond a limit, called off, or the data cannot be read.
    pub fn instant(&self, query: &str, at: i64) -> Result<Answer, QueryError> {
        let parsed = self.parsed(query)?;
        let grid = Grid::instant(at);
        let mut evaluator = self.evaluator(grid);
        let ranged = unwrapped(&parsed);
        let outcome = if matches!(ranged, Expr::MatrixSelector(_) | Expr::Subquery(_)) {
            Outcome::Matrix(evaluator.samples(ranged, grid)?)
        } else {
            match evaluator.value(&parsed, grid)? {
                Value::Scalar(values) => {
                    Outcome::Scalar(Sample { at, value: values.first().copied().unwrap_or(f64::NAN) })
                }
                Value::Text(text) => Outcome::Text(at, text),
                Value::Vector(series) => Outcome::Vector(
                    series
                        .into_iter()
                        .filter_map(|one| Some((one.labels, Sample { at, value: one.values.first().copied()?? })))
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
        let parsed = self.parsed(query)?;
        let mut evaluator = self.evaluator(grid);
        if matches!(unwrapped(&parsed), Expr::MatrixSelector(_) | Expr::Subquery(_) | Expr::StringLiteral(_)) {
            return Err(QueryError::bad(
                "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
            ));
        }
        let series = match evaluator.value(&parsed, grid)? {
            Value::Scalar(values) => {
                vec![StepSeries { labels: Labels::default(), values: values.into_iter().map(Some).collect() }]
            }
            Value::Vector(series) => series,
            Value::Text(_) => return Err(QueryError::bad("invalid expression type \"string\" for range query")),
        };
        let told = |one: StepSeries| SampleSeries {
            labels: one.labels,
            samples: grid
                .moments()
                .zip(one.values)
                .filter_map(|(at, value)| Some(Sample { at, value: value? }))
                .collect(),
        };
        let mut series: Vec<SampleSeries> = series.into_iter().map(told).collect();
        series.retain(|one| !one.samples.is_empty());
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Answer { outcome: Outcome::Matrix(series), annotations: evaluator.annotations })
    }
}

/// An expression without the parentheses around it.
pub(crate) fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(inner) => unwrapped(&inner.expr),
        other => other,
    }
}

/// The matchers of a series selector such as `up{job="node"}`.
///
/// # Errors
/// When it is none.
pub fn selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    match parser::parse(text).map_err(QueryError::bad)? {
        Expr::VectorSelector(selector) => {
            let named = selector.name.iter().map(|name| Matcher::new(MatchOp::Equal, METRIC_NAME, name));
            Ok(named.chain(selector.matchers.matchers.iter().cloned()).collect())
        }
        _ => Err(QueryError::bad(format!("{text:?} is no series selector"))),
    }
}
