//! A body of any format as rows over columns, ready to be committed: each series by its key, and those that were never met with
//! what they are.

use super::known::KnownSeries;
use tandem_domain::{
    Timestamp,
    exemplar::Exemplar,
    histogram::NativeHistogram,
    metadata::MetricMetadata,
    series::{Labels, SeriesDescription, split_target},
    target::TargetKey,
};
use tandem_wire::series_key::{KeyMap, SeriesKey};

/// One series of a body with its samples.
pub(super) struct Row {
    pub key: SeriesKey,
    /// Which of the columns are its own.
    pub samples: std::ops::Range<usize>,
}

/// A series met for the first time.
pub(super) struct Newcomer {
    pub key: SeriesKey,
    pub target: TargetKey,
    /// What is known of the target beside its key.
    pub target_labels: Labels,
    pub series: SeriesDescription,
    /// Whether it has anything but exemplars, which alone make no series.
    pub registers: bool,
}

impl Newcomer {
    /// From a series with `job` and `instance` among its labels. Prometheus gives `up` the labels of the target and no others.
    pub(super) fn of(key: SeriesKey, series: SeriesDescription) -> Self {
        let (target, series) = split_target(series);
        let target_labels = if series.metric == "up" { series.labels.clone() } else { Labels::default() };
        Self { key, target, target_labels, series, registers: true }
    }
}

/// A body ready to be committed.
#[derive(Default)]
pub(super) struct Body {
    pub rows: Vec<Row>,
    pub newcomers: Vec<Newcomer>,
    pub at: Vec<Timestamp>,
    pub value: Vec<f64>,
    /// Native histograms, each with its series.
    pub histograms: Vec<(SeriesKey, Timestamp, NativeHistogram)>,
    /// Exemplars, each with its series, in the order in which they are to be kept.
    pub exemplars: Vec<(SeriesKey, Exemplar)>,
    /// What is declared of metrics and was not known.
    pub metadata: Vec<MetricMetadata>,
    places: KeyMap<usize>,
}

impl Body {
    /// Columns whose rows come next.
    pub(super) fn of(at: Vec<Timestamp>, value: Vec<f64>) -> Self {
        Self { at, value, ..Self::default() }
    }

    /// Adds a row over the columns; `newcomer` is asked when its key was never met.
    pub(super) fn row(
        &mut self,
        known: &KnownSeries,
        key: SeriesKey,
        samples: std::ops::Range<usize>,
        newcomer: impl FnOnce() -> Newcomer,
    ) {
        self.rows.push(Row { key, samples });
        if !known.has(key) {
            self.meet(key, newcomer);
        }
    }

    /// Adds a native histogram; `newcomer` as for a row.
    pub(super) fn histogram(
        &mut self,
        known: &KnownSeries,
        key: SeriesKey,
        at: Timestamp,
        histogram: NativeHistogram,
        newcomer: impl FnOnce() -> Newcomer,
    ) {
        self.histograms.push((key, at, histogram));
        if !known.has(key) {
            self.meet(key, newcomer);
        }
    }

    /// Notes a series that was never met, once.
    pub(super) fn meet(&mut self, key: SeriesKey, newcomer: impl FnOnce() -> Newcomer) {
        match self.places.get(&key) {
            Some(place) => self.newcomers[*place].registers = true,
            None => self.meet_first(key, newcomer()),
        }
    }

    /// Notes a series of which there are exemplars; alone they register none.
    pub(super) fn meet_exemplars(&mut self, key: SeriesKey, newcomer: impl FnOnce() -> Newcomer) {
        if !self.places.contains_key(&key) {
            self.meet_first(key, Newcomer { registers: false, ..newcomer() });
        }
    }

    fn meet_first(&mut self, key: SeriesKey, newcomer: Newcomer) {
        self.places.insert(key, self.newcomers.len());
        self.newcomers.push(newcomer);
    }

    /// Where among the newcomers a series is.
    pub(super) fn place(&self, key: SeriesKey) -> Option<usize> {
        self.places.get(&key).copied()
    }

    /// Adds one sample as a row of its own.
    pub(super) fn sample(
        &mut self,
        known: &KnownSeries,
        key: SeriesKey,
        at: Timestamp,
        value: f64,
        newcomer: impl FnOnce() -> Newcomer,
    ) {
        let place = self.at.len();
        self.at.push(at);
        self.value.push(value);
        self.row(known, key, place..place + 1, newcomer);
    }
}

/// How much of a body was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Floats.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars, with those that were there already.
    pub exemplars: u64,
}
