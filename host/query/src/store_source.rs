//! The store as a source of series: each with its own labels, its name, and its target's `job` and `instance`.

use crate::{Matcher, QueryError, SelectedSeries, SeriesSource, SourceError};
use promql_parser::label::MatchOp;
use regex::Regex;
use std::sync::Arc;
use tandem_domain::{
    Timestamp,
    series::{Labels, SeriesId},
};
use tandem_store::{LabelFilter, LabelMatcher, LabelTest, Pattern, ReadTx, TimeRange};

/// One snapshot of the store. Series are found by its index; nothing is read before it is asked for.
pub struct StoreSource {
    read: ReadTx,
}

/// A pattern over the whole value, in which `.` is any character, as in Prometheus 3.
fn pattern(given: &Regex, text: &str) -> Pattern {
    Pattern::anchored(Regex::new(&format!("^(?s:{text})$")).unwrap_or_else(|_| given.clone()))
}

fn condition(matcher: &Matcher) -> LabelMatcher {
    let test = match &matcher.op {
        MatchOp::Equal => LabelTest::Equal(matcher.value.clone()),
        MatchOp::NotEqual => LabelTest::NotEqual(matcher.value.clone()),
        MatchOp::Re(regex) => LabelTest::Fits(pattern(regex, &matcher.value)),
        MatchOp::NotRe(regex) => LabelTest::Misses(pattern(regex, &matcher.value)),
    };
    LabelMatcher { name: matcher.name.clone(), test }
}

/// Series that fit one of the sets of matchers (all, where there is no set) and may have samples in the range.
pub fn label_filter(sets: &[Vec<Matcher>], range: Option<TimeRange>) -> LabelFilter {
    LabelFilter { sets: sets.iter().map(|set| set.iter().map(condition).collect()).collect(), range }
}

impl StoreSource {
    /// Over a snapshot.
    pub fn new(read: ReadTx) -> Self {
        Self { read }
    }

    /// The snapshot, for what is asked of series besides their samples.
    pub fn snapshot(&self) -> &ReadTx {
        &self.read
    }

    /// Labels of the series that a filter finds, by rising number.
    pub fn labels<'s>(&'s self, filter: &LabelFilter) -> impl Iterator<Item = Labels> + 's {
        self.read.select_series(filter).into_iter().filter_map(|id| self.read.series_labels(id))
    }

    fn one(&self, id: SeriesId, (start, end): TimeRange) -> Result<Option<SelectedSeries>, SourceError> {
        let failed = |error: tandem_store::ReadError| SourceError(error.to_string());
        let points = self.read.points(id, start, end).map_err(failed)?;
        let histograms = self.read.histograms(id, start, end).map_err(failed)?;
        if points.at.is_empty() && histograms.is_empty() {
            return Ok(None);
        }
        // One that was removed since it was found is gone.
        let Some(labels) = self.read.series_labels(id) else { return Ok(None) };
        let (mut at, mut value): (Vec<i64>, Vec<f64>) = (points.at.into_iter().map(|at| at.0).collect(), points.value);
        if !histograms.is_empty() {
            // A moment has a float or a histogram, and the histogram says more.
            let of_floats = std::mem::take(&mut at).into_iter().zip(std::mem::take(&mut value));
            let is_free = |at: i64| histograms.binary_search_by_key(&at, |(other, _)| other.0).is_err();
            (at, value) = of_floats.filter(|(at, _)| is_free(*at)).unzip();
        }
        let histograms = histograms.into_iter().map(|(at, histogram)| (at.0, Arc::new(histogram))).collect();
        Ok(Some(SelectedSeries { labels, at, value, histograms }))
    }
}

impl SeriesSource for StoreSource {
    fn select(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        limit: usize,
    ) -> Result<Vec<SelectedSeries>, SourceError> {
        let range = (Timestamp(start), Timestamp(end));
        let ids = self.read.select_series(&label_filter(&[matchers.to_vec()], Some(range)));
        ids.into_iter().filter_map(|id| self.one(id, range).transpose()).take(limit.saturating_add(1)).collect()
    }

    fn select_held(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        limit: usize,
        hold: &mut dyn FnMut(&SelectedSeries) -> Result<(), QueryError>,
    ) -> Result<Vec<SelectedSeries>, QueryError> {
        let range = (Timestamp(start), Timestamp(end));
        let mut found = Vec::new();
        for id in self.read.select_series(&label_filter(&[matchers.to_vec()], Some(range))) {
            let Some(series) = self.one(id, range)? else { continue };
            hold(&series)?;
            found.push(series);
            if found.len() > limit {
                break;
            }
        }
        Ok(found)
    }
}
