//! What is noted while values are made, told once for each series.

use super::Evaluator;

/// One thing to tell of a series' values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    MixedFloatsAndHistograms,
    MixedSchemas,
    NotACounter,
    NotAGauge,
    ReconciledSubtraction,
    ReconciledAddition,
    ReconciledAggregation,
    CollidedAddition,
    CollidedSubtraction,
    CollidedAggregation,
    HistogramsIgnored,
    QuantileSkewed,
    QuantileLost,
    FractionSkewed,
}

const ALL: [Note; 14] = [
    Note::MixedFloatsAndHistograms,
    Note::MixedSchemas,
    Note::NotACounter,
    Note::NotAGauge,
    Note::ReconciledSubtraction,
    Note::ReconciledAddition,
    Note::ReconciledAggregation,
    Note::CollidedAddition,
    Note::CollidedSubtraction,
    Note::CollidedAggregation,
    Note::HistogramsIgnored,
    Note::QuantileSkewed,
    Note::QuantileLost,
    Note::FractionSkewed,
];

/// Notes, each once.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Notes(u32);

impl Notes {
    pub(super) fn add(&mut self, note: Note) {
        self.0 |= 1 << note as u32;
    }

    fn has(self, note: Note) -> bool {
        self.0 & (1 << note as u32) != 0
    }
}

impl Evaluator<'_> {
    /// Tells what was noted of a metric, for the part at a place.
    pub(super) fn tell(&mut self, notes: Notes, metric: &str, at: usize) {
        if notes.0 == 0 {
            return;
        }
        let named = |text: &str| {
            if metric.is_empty() { text.to_owned() } else { format!("{text} for metric name {metric:?}") }
        };
        for note in ALL.into_iter().filter(|note| notes.has(*note)) {
            match note {
                Note::MixedFloatsAndHistograms => self
                    .warn(at, &format!("encountered a mix of histograms and floats for metric name {metric:?}")),
                Note::MixedSchemas => self.warn(
                    at,
                    &format!(
                        "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {metric:?}"
                    ),
                ),
                Note::NotACounter => {
                    self.warn(at, &format!("this native histogram metric is not a counter: {metric:?}"));
                }
                Note::NotAGauge => {
                    self.warn(at, &format!("this native histogram metric is not a gauge: {metric:?}"));
                }
                Note::ReconciledSubtraction => {
                    self.inform(at, "mismatched custom buckets were reconciled during subtraction");
                }
                Note::ReconciledAddition => {
                    self.inform(at, "mismatched custom buckets were reconciled during addition");
                }
                Note::ReconciledAggregation => {
                    self.inform(at, "mismatched custom buckets were reconciled during aggregation");
                }
                Note::CollidedAddition => self.warn(at, "conflicting counter resets during histogram addition"),
                Note::CollidedSubtraction => {
                    self.warn(at, "conflicting counter resets during histogram subtraction");
                }
                Note::CollidedAggregation => {
                    self.warn(at, "conflicting counter resets during histogram aggregation");
                }
                Note::HistogramsIgnored => self.inform(
                    at,
                    &format!(
                        "ignored histograms in a range containing both floats and histograms for metric name {metric:?}"
                    ),
                ),
                Note::QuantileSkewed => self.inform(
                    at,
                    &named("input to histogram_quantile has NaN observations, result is skewed higher"),
                ),
                Note::QuantileLost => {
                    self.inform(at, &named("input to histogram_quantile has NaN observations, result is NaN"));
                }
                Note::FractionSkewed => self.inform(
                    at,
                    &named(
                        "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                    ),
                ),
            }
        }
    }
}
