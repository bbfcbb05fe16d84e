//! Exemplars: single observations that stand for a sample, with what leads to more about them, mostly a trace.

use crate::{
    Record, Timestamp,
    series::{Labels, SeriesId},
};
use serde::{Deserialize, Serialize};

/// One observation of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    /// Mostly `trace_id` and `span_id`.
    pub labels: Labels,
    /// What was observed.
    pub value: f64,
    /// When, in milliseconds; the moment of the visit where the exporter does not say.
    pub at: Timestamp,
    /// Whether its sender said when. One that says no time is the same however often it is shown.
    pub timed: bool,
}

impl Exemplar {
    /// Names and values of its labels together, in characters.
    pub fn label_chars(&self) -> usize {
        self.labels.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum()
    }

    /// Whether another is the same observation.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_time = self.at == other.at || !(self.timed || other.timed);
        same_time && self.labels == other.labels && self.value.to_bits() == other.value.to_bits()
    }
}

/// An exemplar as it is kept: in the order of arrival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptExemplar {
    /// Its number, from 1; never given twice.
    pub arrival: u64,
    /// Whose it is.
    pub series: SeriesId,
    /// What was observed.
    pub exemplar: Exemplar,
}

impl Record for KeptExemplar {
    const TABLE: &'static str = "exemplars";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        self.arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exemplar_without_a_time_is_the_same_at_each_visit() {
        let of = |at, timed, value| {
            let labels = Labels::new([("trace_id".to_owned(), "añ".to_owned())]);
            Exemplar { labels, value, at: Timestamp(at), timed }
        };
        assert!(of(1, false, 2.0).is_same(&of(9, false, 2.0)));
        assert!(!of(1, true, 2.0).is_same(&of(9, false, 2.0)));
        assert!(of(9, true, f64::NAN).is_same(&of(9, true, f64::NAN)));
        assert!(!of(9, true, 2.0).is_same(&of(9, true, 3.0)));
        assert_eq!(of(1, true, 1.0).label_chars(), 10);
    }
}
