//! All series that have a meaning, in memory, kept up to date from the log of changes.

use crate::{
    room::{RoomError, reading},
    signal::MeaningChange,
};
use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
};
use tandem_domain::{
    meaning::Meaning,
    series::{MetricType, Series, SeriesId},
};
use tandem_store::{ReadError, ReadTx, Store};

/// Meanings read at once while everything is loaded.
const LOADED_AT_ONCE: usize = 4_096;
/// Records of changes taken in at once; each stands for at most some thousand series.
const CHANGES_AT_ONCE: usize = 16;

/// A series with its meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct MappedSeries {
    /// What its sender declares.
    pub metric_type: MetricType,
    /// What it means.
    pub meaning: Meaning,
}

/// What a refresh brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refreshed {
    /// Series whose meaning is new, changed or gone.
    pub changed: Vec<SeriesId>,
    /// Whether there is more to take in at once.
    pub more: bool,
}

/// All mapped series.
#[derive(Debug, Default)]
pub struct Catalogue {
    series: HashMap<SeriesId, Arc<MappedSeries>>,
    /// How far the log of changes is taken in; none before everything was loaded once.
    position: Option<u64>,
}

fn mapped(read: &ReadTx, meaning: Meaning) -> Result<Option<Arc<MappedSeries>>, ReadError> {
    let series = read.get::<Series>(&meaning.series.0)?;
    Ok(series.map(|series| Arc::new(MappedSeries { metric_type: series.description.metric_type, meaning })))
}

fn load(read: &ReadTx) -> Result<(u64, HashMap<SeriesId, Arc<MappedSeries>>), ReadError> {
    let mut all = HashMap::new();
    let mut after = Bound::Unbounded;
    loop {
        let part = read.scan::<Meaning>((after, Bound::Unbounded), LOADED_AT_ONCE)?;
        let Some(last) = part.last() else { break };
        after = Bound::Excluded(last.series.0);
        for meaning in part {
            let id = meaning.series;
            all.extend(mapped(read, meaning)?.map(|series| (id, series)));
        }
    }
    Ok((read.log_end::<MeaningChange>()?, all))
}

impl Catalogue {
    /// One series, if it has a meaning.
    pub fn get(&self, series: SeriesId) -> Option<&Arc<MappedSeries>> {
        self.series.get(&series)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (SeriesId, &Arc<MappedSeries>)> {
        self.series.iter().map(|(id, series)| (*id, series))
    }

    /// Takes in what changed since the last time; the first time everything.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn refresh(&mut self, store: &Store) -> Result<Refreshed, RoomError> {
        let Some(position) = self.position else {
            let (position, series) = reading(store, load).await?;
            self.position = Some(position);
            self.series = series;
            return Ok(Refreshed { changed: self.series.keys().copied().collect(), more: false });
        };
        let read = store.read()?;
        let found = read.log_after::<MeaningChange>(position, CHANGES_AT_ONCE)?;
        let Some((last, _)) = found.last() else { return Ok(Refreshed { changed: Vec::new(), more: false }) };
        self.position = Some(*last);
        let more = found.len() == CHANGES_AT_ONCE;
        let touched: BTreeSet<SeriesId> = found.into_iter().flat_map(|(_, change)| change.series).collect();
        for id in &touched {
            let now = match read.get::<Meaning>(&id.0)? {
                Some(meaning) => mapped(&read, meaning)?,
                None => None,
            };
            match now {
                Some(series) => self.series.insert(*id, series),
                None => self.series.remove(id),
            };
        }
        Ok(Refreshed { changed: touched.into_iter().collect(), more })
    }
}
