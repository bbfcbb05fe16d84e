//! What rules are evaluated over: one snapshot of the store, and what earlier rules of the group came to in this evaluation.

use std::{collections::HashMap, ops::RangeInclusive, sync::Mutex};
use tandem_domain::series::Labels;
use tandem_query::{Datum, Matcher, QueryError, SelectedSeries, SeriesSource, SourceError, StoreSource, matches};

/// No series at all.
pub(super) struct Nothing;

impl SeriesSource for Nothing {
    fn select(&self, _: &[Matcher], _: i64, _: i64, _: usize) -> Result<Vec<SelectedSeries>, SourceError> {
        Ok(Vec::new())
    }
}

/// A series by all its labels, a moment in milliseconds, and a value.
pub(super) type WrittenSample = (Labels, i64, Datum);

/// The store with what is not committed yet on top.
pub(super) struct GroupSource {
    store: StoreSource,
    fresh: Mutex<Vec<WrittenSample>>,
}

impl GroupSource {
    pub(super) fn new(store: StoreSource) -> Self {
        Self { store, fresh: Mutex::default() }
    }

    /// Adds what a rule came to.
    pub(super) fn add(&self, samples: &[WrittenSample]) {
        self.fresh.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend_from_slice(samples);
    }
}

/// Adds a sample to a series. What the store holds of the same moment or later came from another sender, and counts.
fn lay_on(series: &mut SelectedSeries, at: i64, value: &Datum) {
    let last = series.at.last().copied().max(series.histograms.last().map(|(at, _)| *at));
    if last.is_some_and(|last| last >= at) {
        return;
    }
    match value {
        Datum::Float(value) => {
            series.at.push(at);
            series.value.push(*value);
        }
        Datum::Histogram(histogram) => series.histograms.push((at, histogram.clone())),
    }
}

impl SeriesSource for GroupSource {
    fn select(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        limit: usize,
    ) -> Result<Vec<SelectedSeries>, SourceError> {
        Ok(self.with_fresh(self.store.select(matchers, start, end, limit)?, matchers, start..=end))
    }

    fn select_held(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        limit: usize,
        hold: &mut dyn FnMut(&SelectedSeries) -> Result<(), QueryError>,
    ) -> Result<Vec<SelectedSeries>, QueryError> {
        // What rules came to in this evaluation is a sample for each series, and held by the group as it is.
        let found = self.store.select_held(matchers, start, end, limit, hold)?;
        Ok(self.with_fresh(found, matchers, start..=end))
    }
}

impl GroupSource {
    /// What the store holds with what is not committed yet.
    fn with_fresh(
        &self,
        mut found: Vec<SelectedSeries>,
        matchers: &[Matcher],
        times: RangeInclusive<i64>,
    ) -> Vec<SelectedSeries> {
        let fresh = self.fresh.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut places: HashMap<Labels, usize> = HashMap::new();
        for (labels, at, value) in fresh.iter() {
            if !times.contains(at) || !matches(labels, matchers) {
                continue;
            }
            if places.is_empty() {
                places = found.iter().enumerate().map(|(place, series)| (series.labels.clone(), place)).collect();
            }
            let place = *places.entry(labels.clone()).or_insert(found.len());
            if place == found.len() {
                found.push(SelectedSeries { labels: labels.clone(), ..SelectedSeries::default() });
            }
            lay_on(&mut found[place], *at, value);
        }
        found
    }
}
