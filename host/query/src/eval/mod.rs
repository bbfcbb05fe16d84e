//! Evaluation of an expression for all steps of a grid together.

mod aggregate;
mod binary;
mod call;
mod elementwise;
mod histogram;
mod relabel;
mod select;
mod windows;

use crate::{
    Annotations, Grid, QueryError, QueryLimits, SeriesSource,
    labels::nameless,
    value::{StepSeries, Value, merged},
};
use promql_parser::parser::Expr;

/// One evaluation: what it reads, what it may use, and what it has to tell.
pub(crate) struct Evaluator<'s> {
    source: &'s dyn SeriesSource,
    limits: &'s QueryLimits,
    lookback: i64,
    subquery_step: i64,
    /// The whole query's moments, which `start()` and `end()` mean.
    whole: Grid,
    held: usize,
    pub(crate) annotations: Annotations,
}

impl<'s> Evaluator<'s> {
    pub(crate) fn new(
        source: &'s dyn SeriesSource,
        limits: &'s QueryLimits,
        lookback: i64,
        subquery_step: i64,
        whole: Grid,
    ) -> Self {
        Self { source, limits, lookback, subquery_step, whole, held: 0, annotations: Annotations::default() }
    }

    /// Counts samples or values that are held.
    fn hold(&mut self, samples: usize) -> Result<(), QueryError> {
        self.held += samples;
        if self.held > self.limits.samples {
            return Err(QueryError::execution(
                "query processing would load too many samples into memory in query execution",
            ));
        }
        self.limits.check()
    }

    /// What an expression comes to.
    pub(crate) fn value(&mut self, expr: &Expr, grid: Grid) -> Result<Value, QueryError> {
        self.limits.check()?;
        match expr {
            Expr::NumberLiteral(number) => Ok(Value::Scalar(vec![number.val; grid.len()])),
            Expr::StringLiteral(text) => Ok(Value::Text(text.val.clone())),
            Expr::Paren(inner) => self.value(&inner.expr, grid),
            Expr::Unary(negated) => Ok(match self.value(&negated.expr, grid)? {
                Value::Scalar(values) => Value::Scalar(values.into_iter().map(|value| -value).collect()),
                Value::Vector(series) => Value::Vector(changed(series, |_, value| Some(-value))?),
                Value::Text(_) => return Err(QueryError::bad("a string cannot be negated")),
            }),
            Expr::VectorSelector(selector) => self.instant_vector(selector, grid).map(Value::Vector),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, grid).map(Value::Vector),
            Expr::Binary(binary) => self.binary(binary, grid),
            Expr::Call(call) => self.call(call, grid),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                Err(QueryError::bad("a range vector stands where an instant vector or a scalar must"))
            }
            Expr::Extension(_) => Err(QueryError::bad("the expression has a part that is not known")),
        }
    }

    /// What an expression comes to, as a vector.
    fn vector(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        match self.value(expr, grid)? {
            Value::Vector(series) => Ok(series),
            _ => Err(QueryError::bad("expected type instant vector")),
        }
    }

    /// What an expression comes to, as a scalar per step.
    fn scalar(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match self.value(expr, grid)? {
            Value::Scalar(values) => Ok(values),
            _ => Err(QueryError::bad("expected type scalar")),
        }
    }

    /// What an expression comes to, as a text.
    fn text(&mut self, expr: &Expr, grid: Grid) -> Result<String, QueryError> {
        match self.value(expr, grid)? {
            Value::Text(text) => Ok(text),
            _ => Err(QueryError::bad("expected type string")),
        }
    }
}

/// Each value changed, told its step; names are dropped, since what they named has changed.
fn changed(series: Vec<StepSeries>, change: impl Fn(usize, f64) -> Option<f64>) -> Result<Vec<StepSeries>, QueryError> {
    let change_all = |one: StepSeries| StepSeries {
        labels: nameless(&one.labels),
        values: one.values.into_iter().enumerate().map(|(step, value)| change(step, value?)).collect(),
    };
    merged(series.into_iter().map(change_all).collect())
}
