//! Deleting samples of a time, and whole series; and the return of a series that was removed and sends again.
//!
//! Samples are deleted by tombstones, which hide them until retention has dropped what they hide. A series that is removed is
//! gone from index and records. Doors remember numbers of series and are not told: a sample for a number that is gone brings
//! the series back, under the number it has by then.

use crate::{
    ReadError, ReadTx, Store, WriteError, WriteTx, envelope,
    error::storage,
    index::{Kind, LabelFilter, LabelIndex},
    series,
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    ops::Bound,
};
use tandem_domain::{
    Record, Timestamp,
    series::{HistogramBatch, Points, SampleBatch, Series, SeriesId},
};

/// Times whose samples are deleted, by series.
const TOMBSTONES: &str = "tombstones";
/// Series that were removed since the server started, for when they come back.
const REMOVED: &str = "removed_series";
/// The bits of the NaN by which Prometheus marks the end of a series.
const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;
/// How often series are looked for that have nothing any more, in milliseconds. One is forgotten when that was so twice.
const LOOK_EVERY_MILLIS: i64 = 3_600_000;
/// Series forgotten in one change, so that others do not wait long for the writer.
const MAX_FORGOTTEN: usize = 10_000;
/// Stretches of one series that are deleted at the most; more are joined, the nearest first, since each sample read is held
/// against them.
const MAX_STRETCHES: usize = 64;

/// Stretches of time, both ends included, ascending and apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stretches(Vec<(i64, i64)>);

impl Stretches {
    /// Joins one more.
    fn add(&mut self, start: i64, end: i64) {
        self.0.push((start, end));
        self.0.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(self.0.len());
        for (start, end) in self.0.drain(..) {
            match joined.last_mut() {
                Some(last) if start <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        self.0 = joined;
    }

    fn is_full(&self) -> bool {
        self.0.len() >= MAX_STRETCHES
    }

    /// Whether a moment lies in one of them.
    pub(crate) fn contains(&self, at: i64) -> bool {
        let place = self.0.partition_point(|(start, _)| *start <= at);
        place.checked_sub(1).is_some_and(|place| at <= self.0[place].1)
    }

    fn end(&self) -> i64 {
        self.0.last().map_or(i64::MIN, |(_, end)| *end)
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(start, end)| [start.to_be_bytes(), end.to_be_bytes()]).flatten().collect()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        let (pairs, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(storage("the stretches of a tombstone have the wrong length"));
        }
        let number = |bytes: &[u8]| bytes.first_chunk::<8>().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        Ok(Self(pairs.iter().map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect()))
    }
}

/// Reads the tombstones after opening.
pub(crate) fn load(read: &ReadTx, index: &mut LabelIndex) -> Result<(), ReadError> {
    for (key, bytes) in read.raw_range(TOMBSTONES, &(Bound::Unbounded, Bound::Unbounded), usize::MAX, false)? {
        index.bury(SeriesId(crate::read::number(&key)?), Stretches::from_bytes(&bytes)?);
    }
    Ok(())
}

/// The times whose samples of a series are deleted, as the file tells.
pub(crate) fn buried(read: &ReadTx, id: SeriesId) -> Result<Stretches, ReadError> {
    let bytes = read.raw_get(TOMBSTONES, &id.0.to_be_bytes())?;
    bytes.map_or_else(|| Ok(Stretches::default()), |bytes| Stretches::from_bytes(&bytes))
}

impl WriteTx<'_> {
    /// Deletes what series have from `start` to `end`, both included. What comes for that time later is hidden too.
    ///
    /// # Errors
    /// When a series has too many stretches deleted already, or as [`WriteTx::get`].
    pub fn delete_samples(&mut self, all: &[SeriesId], start: Timestamp, end: Timestamp) -> Result<(), WriteError> {
        if start > end {
            return Ok(());
        }
        for id in all {
            let key = id.0.to_be_bytes().to_vec();
            let known = self.raw_get(TOMBSTONES, &key)?.map(|bytes| Stretches::from_bytes(&bytes)).transpose()?;
            let mut stretches = known.unwrap_or_default();
            if stretches.is_full() {
                return Err(WriteError::Refused(format!(
                    "series {} has {MAX_STRETCHES} deleted stretches already; delete one that covers them",
                    id.0
                )));
            }
            stretches.add(start.0, end.0);
            self.raw_put(TOMBSTONES, key, Some(stretches.to_bytes()));
            self.registry.buried.insert(*id, stretches);
        }
        Ok(())
    }

    /// Removes series with all that they have up to a moment; answers how many were there.
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn delete_series(&mut self, all: &[SeriesId], now: Timestamp) -> Result<u64, WriteError> {
        let mut removed = 0;
        for id in all {
            if self.forget_series(*id)? {
                // Whatever covers all of a series takes the place of what covered parts of it.
                self.raw_put(TOMBSTONES, id.0.to_be_bytes().to_vec(), None);
                self.delete_samples(&[*id], Timestamp::MIN, now)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Takes a series out of records and index; whether it was there.
    fn forget_series(&mut self, id: SeriesId) -> Result<bool, WriteError> {
        let Some(series) = self.get::<Series>(&id.0)? else { return Ok(false) };
        self.remove::<Series>(&id.0)?;
        let unwritable = |what| WriteError::Unwritable { table: REMOVED.into(), what };
        let bytes = envelope::wrap(Series::VERSION, &series).map_err(unwritable)?;
        self.raw_put(REMOVED, id.0.to_be_bytes().to_vec(), Some(bytes));
        self.remove_exemplars(id)?;
        self.registry.forget(id);
        Ok(true)
    }

    /// Drops what is kept of series that no door remembers.
    fn forget_removed(&mut self) -> Result<(), WriteError> {
        for (key, _) in self.raw_range(REMOVED, &(Bound::Unbounded, Bound::Unbounded), usize::MAX)? {
            let id = SeriesId(crate::read::number(&key)?);
            if !self.context.index.read().is_removed(id) {
                self.raw_put(REMOVED, key, None);
            }
        }
        Ok(())
    }

    /// The numbers by which samples are to be kept whose series may have been removed: none where all are as they were. A
    /// sample without a number ends a series that is gone already.
    pub(crate) fn revived(
        &mut self,
        all: &[SeriesId],
        is_end: impl Fn(usize) -> bool,
    ) -> Result<Option<Vec<Option<SeriesId>>>, WriteError> {
        let gone: HashSet<SeriesId> = {
            let index = self.context.index.read();
            if !index.has_removed() && !self.registry.has_removed() && !self.context.earlier.has_removed() {
                return Ok(None);
            }
            let is_gone = |id: &SeriesId| {
                self.registry
                    .is_removed(*id)
                    .or_else(|| self.context.earlier.is_removed(*id))
                    .unwrap_or_else(|| index.is_removed(*id))
            };
            all.iter().copied().filter(is_gone).collect()
        };
        if gone.is_empty() {
            return Ok(None);
        }
        let mut now: HashMap<SeriesId, SeriesId> = HashMap::new();
        let mut found = Vec::with_capacity(all.len());
        for (place, id) in all.iter().enumerate() {
            found.push(match (gone.contains(id), now.get(id)) {
                (false, _) => Some(*id),
                (true, Some(known)) => Some(*known),
                (true, None) if is_end(place) => None,
                (true, None) => {
                    let revived = self.revive(*id)?;
                    now.insert(*id, revived);
                    Some(revived)
                }
            });
        }
        Ok(Some(found))
    }

    /// A batch for the series as they are now, where one of it was removed.
    pub(crate) fn with_living(&mut self, batch: &SampleBatch) -> Result<Option<SampleBatch>, WriteError> {
        let is_end = |place: usize| batch.value.get(place).is_some_and(|value| value.to_bits() == STALE_NAN);
        let Some(now) = self.revived(&batch.series, is_end)? else { return Ok(None) };
        let mut living = SampleBatch::default();
        for ((id, at), value) in now.into_iter().zip(&batch.at).zip(&batch.value) {
            if let Some(id) = id {
                living.push(id, *at, *value);
            }
        }
        Ok(Some(living))
    }

    /// As [`WriteTx::with_living`], of native histograms.
    pub(crate) fn with_living_histograms(
        &mut self,
        batch: &HistogramBatch,
    ) -> Result<Option<HistogramBatch>, WriteError> {
        let is_end = |place: usize| batch.histogram.get(place).is_some_and(|one| one.sum.to_bits() == STALE_NAN);
        let Some(now) = self.revived(&batch.series, is_end)? else { return Ok(None) };
        let mut living = HistogramBatch::default();
        for ((id, at), histogram) in now.into_iter().zip(&batch.at).zip(&batch.histogram) {
            if let Some(id) = id {
                living.push(id, *at, histogram.clone());
            }
        }
        Ok(Some(living))
    }

    /// Brings a series back; under another number where it was registered anew meanwhile.
    fn revive(&mut self, id: SeriesId) -> Result<SeriesId, WriteError> {
        let key = id.0.to_be_bytes();
        let Some(bytes) = self.raw_get(REMOVED, &key)? else { return Ok(id) };
        let series: Series = envelope::unwrap(Series::TABLE, Series::VERSION, &bytes)?;
        if let Some(known) = self.registered_as(&series) {
            return Ok(known);
        }
        self.raw_put(REMOVED, key.to_vec(), None);
        self.bring_back(series)?;
        Ok(id)
    }
}

impl ReadTx {
    /// Takes deleted samples out.
    pub(crate) fn without_deleted(&self, series: SeriesId, points: &mut Points) {
        let index = self.index.read();
        let Some(stretches) = index.buried(series) else { return };
        let kept = points.at.iter().zip(&points.value).filter(|(at, _)| !stretches.contains(at.0));
        let (at, value) = kept.map(|(at, value)| (*at, *value)).unzip();
        *points = Points { at, value };
    }

    /// Whether what a series has at a moment is deleted.
    pub(crate) fn is_deleted(&self, series: SeriesId, at: Timestamp) -> bool {
        self.index.read().buried(series).is_some_and(|stretches| stretches.contains(at.0))
    }
}

/// Series that had nothing when they were last looked for.
#[derive(Debug, Default)]
pub(crate) struct Silent(Mutex<Option<(Timestamp, HashSet<SeriesId>)>>);

/// Forgets series that have had nothing for a while, and tombstones of what retention has dropped.
pub(crate) async fn maintain(store: &Store, now: Timestamp, oldest_kept: Timestamp) -> Result<(), WriteError> {
    let before = match &*store.silent().0.lock() {
        Some((looked_at, _)) if now.millis_since(*looked_at) < LOOK_EVERY_MILLIS => return Ok(()),
        Some((_, silent)) => silent.clone(),
        None => HashSet::new(),
    };
    let first = store.silent().0.lock().is_none();
    if first {
        // What was removed before the server started is remembered by no door.
        store.write(|tx| tx.forget_removed()).await?;
    }
    let of_store = store.clone();
    let looking = tokio::task::spawn_blocking(move || silent_series(&of_store));
    let silent = looking.await.map_err(|error| WriteError::Panicked(error.to_string()))??;
    let forgotten: Vec<SeriesId> = silent.intersection(&before).copied().collect();
    for some in forgotten.chunks(MAX_FORGOTTEN) {
        let (some, of_store) = (some.to_vec(), store.clone());
        // One that was sent meanwhile stays; one that is sent in this very commit comes back with its next sample.
        let still = move |id: &SeriesId| !series::has_recent(of_store.head(), *id, Timestamp::MIN, Timestamp::MAX);
        store
            .write(move |tx| some.iter().filter(|id| still(id)).try_for_each(|id| tx.forget_series(*id).map(drop)))
            .await?;
    }
    let over: Vec<SeriesId> = store.index().read().buried_before(oldest_kept);
    if !over.is_empty() {
        store
            .write(move |tx| {
                for id in over {
                    tx.raw_put(TOMBSTONES, id.0.to_be_bytes().to_vec(), None);
                    tx.registry.buried.insert(id, Stretches::default());
                }
                Ok(())
            })
            .await?;
    }
    *store.silent().0.lock() = Some((now, silent));
    Ok(())
}

/// Series that have nothing in any window and nothing in memory.
fn silent_series(store: &Store) -> Result<HashSet<SeriesId>, ReadError> {
    let read = store.read()?;
    let all = read.select_series(&LabelFilter::default());
    let everything = {
        let index = store.index().read();
        let all = |kind| index.presence(kind).between(Timestamp::MIN, Timestamp::MAX, 0);
        all(Kind::Floats) | all(Kind::Histograms)
    };
    let is_silent = |id: &SeriesId| {
        !everything.contains(id.0) && !series::has_recent(store.head(), *id, Timestamp::MIN, Timestamp::MAX)
    };
    Ok(all.into_iter().filter(is_silent).collect())
}

impl LabelIndex {
    /// Series whose tombstones end before a moment.
    fn buried_before(&self, moment: Timestamp) -> Vec<SeriesId> {
        self.all_buried().filter(|(_, stretches)| stretches.end() < moment.0).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stretches_hold_what_was_added(
            added in prop::collection::vec((-50i64..50, 0i64..20), 0..12),
            at in -80i64..80,
        ) {
            let mut stretches = Stretches::default();
            added.iter().for_each(|(start, length)| stretches.add(*start, start + length));
            let expected = added.iter().any(|(start, length)| (*start..=start + length).contains(&at));
            prop_assert_eq!(stretches.contains(at), expected);
            prop_assert_eq!(Stretches::from_bytes(&stretches.to_bytes()).expect("reads"), stretches);
        }
    }
}
