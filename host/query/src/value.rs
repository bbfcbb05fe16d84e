//! What an expression comes to, for all steps together.

use crate::QueryError;
use std::collections::HashMap;
use tandem_domain::series::Labels;

/// One value at a moment, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When.
    pub at: i64,
    /// What.
    pub value: f64,
}

/// A series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleSeries {
    /// All labels it has.
    pub labels: Labels,
    /// Oldest first.
    pub samples: Vec<Sample>,
}

/// A series with a value or none at each step.
#[derive(Debug, Clone)]
pub(crate) struct StepSeries {
    pub labels: Labels,
    pub values: Vec<Option<f64>>,
}

/// What a part of an expression comes to.
pub(crate) enum Value {
    Scalar(Vec<f64>),
    Vector(Vec<StepSeries>),
    Text(String),
}

/// Joins series of one labelset that take turns; leaves out those that have no value at all.
///
/// # Errors
/// When two have a value at the same step.
pub(crate) fn merged(series: Vec<StepSeries>) -> Result<Vec<StepSeries>, QueryError> {
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut kept: Vec<StepSeries> = Vec::with_capacity(series.len());
    for one in series {
        if one.values.iter().all(Option::is_none) {
            continue;
        }
        let Some(place) = places.get(&one.labels) else {
            places.insert(one.labels.clone(), kept.len());
            kept.push(one);
            continue;
        };
        for (known, value) in kept[*place].values.iter_mut().zip(one.values) {
            match (&known, value) {
                (Some(_), Some(_)) => {
                    return Err(QueryError::execution("vector cannot contain metrics with the same labelset"));
                }
                (None, Some(_)) => *known = value,
                _ => {}
            }
        }
    }
    Ok(kept)
}
