//! Where series come from.

use crate::QueryError;
use promql_parser::label::{MatchOp, Matcher};
use std::sync::Arc;
use tandem_domain::{histogram::NativeHistogram, series::Labels};

/// The data could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// One series with what it has in the time asked for. A moment has a float or a native histogram.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SelectedSeries {
    /// All labels, `__name__` among them.
    pub labels: Labels,
    /// Moments of the floats: milliseconds since the epoch, ascending.
    pub at: Vec<i64>,
    /// Floats, as many as moments; [`crate::STALE_NAN`] ends a series.
    pub value: Vec<f64>,
    /// Native histograms with their moments in milliseconds, ascending; a sum of [`crate::STALE_NAN`] ends a series.
    pub histograms: Vec<(i64, Arc<NativeHistogram>)>,
}

/// Series by their labels.
pub trait SeriesSource {
    /// The series that fit all matchers, with their samples from `start` to `end` (milliseconds, both included). No more than
    /// `limit` series plus one are needed: one more tells that there are too many.
    ///
    /// # Errors
    /// When they cannot be read.
    fn select(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        limit: usize,
    ) -> Result<Vec<SelectedSeries>, SourceError>;

    /// As [`SeriesSource::select`], each series held to what the query may use before the next one is read. What reads much at once
    /// does this itself.
    ///
    /// # Errors
    /// As [`SeriesSource::select`], and what `hold` says.
    fn select_held(
        &self,
        matchers: &[Matcher],
        start: i64,
        end: i64,
        limit: usize,
        hold: &mut dyn FnMut(&SelectedSeries) -> Result<(), QueryError>,
    ) -> Result<Vec<SelectedSeries>, QueryError> {
        let found = self.select(matchers, start, end, limit)?;
        found.iter().try_for_each(hold)?;
        Ok(found)
    }
}

/// Whether labels fit all matchers; a label that is not there is an empty one.
pub fn matches(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| {
        let value = labels.get(&matcher.name).unwrap_or_default();
        match &matcher.op {
            MatchOp::Equal => value == matcher.value,
            MatchOp::NotEqual => value != matcher.value,
            MatchOp::Re(pattern) => pattern.is_match(value),
            MatchOp::NotRe(pattern) => !pattern.is_match(value),
        }
    })
}
