//! The store as a source of series: each with its own labels, its name, and its target's `job` and `instance`.

use crate::{METRIC_NAME, Matcher, SelectedSeries, SeriesSource, SourceError, matches};
use tandem_domain::{
    Timestamp,
    series::{Labels, Series, SeriesId},
};
use tandem_store::{ReadError, ReadTx};

/// One snapshot of the store.
pub struct StoreSource {
    read: ReadTx,
    series: Vec<(SeriesId, Labels)>,
}

/// All labels of a series. Its own `job` and `instance` count before its target's.
fn labels_of(series: &Series) -> Labels {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let name = [(METRIC_NAME.to_owned(), series.description.metric.clone())];
    let target =
        [("job".to_owned(), series.target.job.clone()), ("instance".to_owned(), series.target.instance.clone())];
    Labels::new(name.into_iter().chain(series.description.labels.iter().map(owned)).chain(target))
}

impl StoreSource {
    /// Over a snapshot.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(read: ReadTx) -> Result<Self, ReadError> {
        let series = read.scan::<Series>(.., usize::MAX)?;
        let series = series.iter().map(|one| (one.id, labels_of(one))).collect();
        Ok(Self { read, series })
    }

    /// Labels of the series that fit one of the sets of matchers; all, where there is no set.
    pub fn labels<'s>(&'s self, sets: &'s [Vec<Matcher>]) -> impl Iterator<Item = &'s Labels> {
        let fits = move |labels: &&Labels| sets.is_empty() || sets.iter().any(|set| matches(labels, set));
        self.series.iter().map(|(_, labels)| labels).filter(fits)
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
        let mut found = Vec::new();
        for (id, labels) in self.series.iter().filter(|(_, labels)| matches(labels, matchers)) {
            let points = self.read.points(*id, Timestamp(start), Timestamp(end));
            let points = points.map_err(|error| SourceError(error.to_string()))?;
            if !points.at.is_empty() {
                let at = points.at.into_iter().map(|at| at.0).collect();
                found.push(SelectedSeries { labels: labels.clone(), at, value: points.value, histograms: Vec::new() });
            }
            if found.len() > limit {
                break;
            }
        }
        Ok(found)
    }
}
