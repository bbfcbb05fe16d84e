//! Evaluation of an expression for all steps of a grid together.

mod aggregate;
mod binary;
mod call;
mod change;
mod classic;
mod column;
mod distribution;
mod elementwise;
mod extended;
mod info;
mod notes;
mod numbers;
mod operators;
mod order;
mod over_range;
mod ranked;
mod relabel;
mod select;
mod sets;
mod window;

use crate::{
    Annotations, Grid, QueryError, QueryLimits, SeriesSource,
    language::tree::{Kind, Node},
    value::{Datum, StepSeries, Value},
};
use std::sync::Arc;
use tandem_domain::histogram::HistogramSum;

/// One evaluation: what it reads, what it may use, and what it has to tell.
pub(crate) struct Evaluator<'s> {
    source: &'s dyn SeriesSource,
    limits: &'s QueryLimits,
    /// The text, in which parts have their places.
    query: &'s str,
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
        query: &'s str,
        lookback: i64,
        subquery_step: i64,
        whole: Grid,
    ) -> Self {
        let annotations = Annotations::default();
        Self { source, limits, query, lookback, subquery_step, whole, held: 0, annotations }
    }

    /// Counts samples or values that are held.
    fn hold(&mut self, samples: usize) -> Result<(), QueryError> {
        self.held += samples;
        if self.held > self.limits.samples {
            return Err(QueryError::execution(
                "query processing would load too many samples into memory in query execution",
            ));
        }
        self.limits.check()?;
        self.limits.share.hold(samples, &|| self.limits.check())
    }

    /// Line and column of a place, both from 1.
    fn position(&self, at: usize) -> String {
        let before = &self.query.as_bytes()[..at.min(self.query.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("{line}:{column}")
    }

    /// Tells that the answer may be wrong, for the part at a place.
    fn warn(&mut self, at: usize, text: &str) {
        let position = self.position(at);
        self.annotations.warn(&format!("{text} ({position})"));
    }

    /// Tells that the query may be wrong, for the part at a place.
    fn inform(&mut self, at: usize, text: &str) {
        let position = self.position(at);
        self.annotations.info(&format!("{text} ({position})"));
    }

    /// What an expression comes to.
    pub(crate) fn value(&mut self, node: &Node, grid: Grid) -> Result<Value, QueryError> {
        self.limits.check()?;
        match &node.kind {
            Kind::Number(number) => Ok(Value::Scalar(vec![*number; grid.len()])),
            Kind::Text(text) => Ok(Value::Text(text.clone())),
            Kind::Negated(inner) => Ok(match self.value(inner, grid)? {
                Value::Scalar(values) => Value::Scalar(values.into_iter().map(|value| -value).collect()),
                Value::Vector(series) => Value::Vector(series.into_iter().map(negated).collect()),
                Value::Text(_) => return Err(QueryError::bad("a string cannot be negated")),
            }),
            Kind::Vector(selector) => self.instant_vector(selector, node.at, grid).map(Value::Vector),
            Kind::Aggregate(aggregate) => self.aggregate(aggregate, grid).map(Value::Vector),
            Kind::Binary(binary) => self.binary(binary, node.at, grid),
            Kind::Call(name, arguments) => self.call(name, arguments, grid),
            Kind::Matrix(..) | Kind::Subquery(_) => {
                Err(QueryError::bad("a range vector stands where an instant vector or a scalar must"))
            }
        }
    }

    /// What an expression comes to, as a vector.
    fn vector(&mut self, node: &Node, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        match self.value(node, grid)? {
            Value::Vector(series) => Ok(series),
            _ => Err(QueryError::bad("expected type instant vector")),
        }
    }

    /// What an expression comes to, as a scalar per step.
    fn scalar(&mut self, node: &Node, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match self.value(node, grid)? {
            Value::Scalar(values) => Ok(values),
            _ => Err(QueryError::bad("expected type scalar")),
        }
    }

    /// What an expression comes to, as a text.
    fn text(&mut self, node: &Node, grid: Grid) -> Result<String, QueryError> {
        match self.value(node, grid)? {
            Value::Text(text) => Ok(text),
            _ => Err(QueryError::bad("expected type string")),
        }
    }
}

fn negated(mut series: StepSeries) -> StepSeries {
    for value in series.values.iter_mut().flatten() {
        *value = match value {
            Datum::Float(value) => Datum::Float(-*value),
            Datum::Histogram(histogram) => {
                let mut negative = HistogramSum::of(histogram);
                negative.scale(-1.0);
                Datum::Histogram(Arc::new(negative.finish()))
            }
        };
    }
    series.drops_name = true;
    series
}

/// Each number changed, told its step; histograms are left out.
fn changed(series: Vec<StepSeries>, change: impl Fn(usize, f64) -> Option<f64>) -> Vec<StepSeries> {
    let change_all = |mut one: StepSeries| {
        let values = std::mem::take(&mut one.values);
        let changed = values.into_iter().enumerate().map(|(step, value)| match value {
            Some(Datum::Float(value)) => change(step, value).map(Datum::Float),
            _ => None,
        });
        let changed = changed.collect();
        one.renamed(changed)
    };
    series.into_iter().map(change_all).collect()
}
