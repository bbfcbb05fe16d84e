//! What an expression comes to, for all steps together.

use crate::{QueryError, labels::nameless};
use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::Arc,
};
use tandem_domain::{histogram::NativeHistogram, series::Labels};

/// A value: a number or a distribution.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// A number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<NativeHistogram>),
}

impl Datum {
    /// The number, where it is one.
    pub fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }

    /// The histogram, where it is one.
    pub fn histogram(&self) -> Option<&Arc<NativeHistogram>> {
        match self {
            Self::Float(_) => None,
            Self::Histogram(histogram) => Some(histogram),
        }
    }
}

impl From<f64> for Datum {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<NativeHistogram> for Datum {
    fn from(histogram: NativeHistogram) -> Self {
        Self::Histogram(Arc::new(histogram))
    }
}

/// One value at a moment, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When.
    pub at: i64,
    /// What.
    pub value: Datum,
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
    /// Its values are no longer what its name says. The name stays until the end, so that functions of labels can still use it.
    pub drops_name: bool,
    pub values: Vec<Option<Datum>>,
}

impl StepSeries {
    /// Without labels.
    pub(crate) fn bare(values: impl IntoIterator<Item = f64>) -> Self {
        let values = values.into_iter().map(|value| Some(Datum::Float(value))).collect();
        Self { labels: Labels::default(), drops_name: false, values }
    }

    /// Of its values others are made, which its name no longer says.
    pub(crate) fn renamed(self, values: Vec<Option<Datum>>) -> Self {
        Self { labels: self.labels, drops_name: true, values }
    }
}

/// What a part of an expression comes to.
pub(crate) enum Value {
    Scalar(Vec<f64>),
    Vector(Vec<StepSeries>),
    Text(String),
}

/// Where labelsets are kept, by their hashes: the labels themselves stay where they are.
pub(crate) struct Places(HashMap<u64, usize>);

impl Places {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(HashMap::with_capacity(capacity))
    }

    /// The place of a labelset; `next`, which is then its place, where it is new.
    pub(crate) fn of<'l>(&mut self, labels: &Labels, next: usize, known: impl Fn(usize) -> &'l Labels) -> usize {
        let mut hasher = DefaultHasher::new();
        labels.hash(&mut hasher);
        let mut key = hasher.finish();
        loop {
            match self.0.get(&key) {
                Some(place) if known(*place) == labels => return *place,
                // Another one has its hash.
                Some(_) => key = key.wrapping_add(1),
                None => {
                    self.0.insert(key, next);
                    return next;
                }
            }
        }
    }
}

/// Joins series of one labelset that take turns; leaves out those that have no value at all.
///
/// # Errors
/// When two have a value at the same step.
pub(crate) fn merged(series: Vec<StepSeries>) -> Result<Vec<StepSeries>, QueryError> {
    let mut places = Places::with_capacity(series.len());
    let mut kept: Vec<StepSeries> = Vec::with_capacity(series.len());
    for one in series {
        if one.values.iter().all(Option::is_none) {
            continue;
        }
        let place = places.of(&one.labels, kept.len(), |place| &kept[place].labels);
        if place == kept.len() {
            kept.push(one);
            continue;
        }
        kept[place].drops_name |= one.drops_name;
        for (known, value) in kept[place].values.iter_mut().zip(one.values) {
            match (&known, value) {
                (Some(_), Some(_)) => {
                    return Err(QueryError::execution("vector cannot contain metrics with the same labelset"));
                }
                (None, value @ Some(_)) => *known = value,
                _ => {}
            }
        }
    }
    Ok(kept)
}

/// Series as they are told: without the names that no longer say what they are.
///
/// # Errors
/// When two are then the same.
pub(crate) fn told(mut series: Vec<StepSeries>) -> Result<Vec<StepSeries>, QueryError> {
    for one in series.iter_mut().filter(|one| one.drops_name) {
        one.labels = nameless(&one.labels);
        one.drops_name = false;
    }
    merged(series)
}
