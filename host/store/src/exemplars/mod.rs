//! Exemplars: kept in the order in which they arrived, as in a ring that turns. Bounded for each series and altogether, gone with
//! retention and with their series, durable with the commit that brings them. What is taken and what is not follows Prometheus.

mod ring;

pub(crate) use ring::{ExemplarChanges, Ring};

use crate::{
    ReadError, ReadTx, Store, WriteError, WriteTx, envelope,
    error::storage,
    read::{number, table_name},
};
use parking_lot::{Mutex, RwLock};
use ring::{Changed, MAX_OF_SERIES};
use std::ops::Bound;
use tandem_domain::{
    Record, Timestamp,
    exemplar::{Exemplar, KeptExemplar},
    series::{Labels, SeriesId},
};

/// Exemplars that are kept when the operator does not say: as many as Prometheus suggests; some 20 MB of the file.
pub(crate) const MAX_EXEMPLARS: u64 = 100_000;
/// Names and values of an exemplar's labels together, in characters: OpenMetrics' limit.
const MAX_LABEL_CHARS: usize = 128;
/// The sequence of their numbers.
const ARRIVALS: &str = "exemplars";
/// How often those beyond the retention are looked for, in milliseconds: samples leave by windows of two hours.
const LOOK_EVERY_MILLIS: i64 = 600_000;
/// Series whose old exemplars are dropped in one change, so that others do not wait long for the writer.
const MAX_SWEPT: usize = 10_000;

/// What became of exemplars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExemplarsAppended {
    /// Kept.
    pub kept: u64,
    /// The very same as the newest of their series, which is no error.
    pub duplicates: u64,
    /// Not after the newest of their series.
    pub out_of_order: u64,
    /// With labels of more than 128 characters.
    pub too_long: u64,
    /// Of a series that is not there.
    pub without_series: u64,
}

/// When exemplars beyond the retention were last looked for.
#[derive(Debug, Default)]
pub(crate) struct Swept(Mutex<Option<Timestamp>>);

impl WriteTx<'_> {
    /// Keeps exemplars, in the order given; they are found after the commit. Each must come after the newest of its series, and its
    /// labels are 128 characters at the most. Where there are too many, the oldest arrivals go.
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn append_exemplars(&mut self, batch: Vec<(SeriesId, Exemplar)>) -> Result<ExemplarsAppended, WriteError> {
        let mut appended = ExemplarsAppended::default();
        if batch.is_empty() || self.context.max_exemplars == 0 {
            return Ok(appended);
        }
        let series: Vec<SeriesId> = batch.iter().map(|(series, _)| *series).collect();
        // An exemplar alone does not bring a series back that was removed.
        let living = self.revived(&series, |_| true)?;
        for (place, (series, exemplar)) in batch.into_iter().enumerate() {
            let series = living.as_ref().map_or(Some(series), |living| living[place]);
            let labels = Labels::new(exemplar.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
            let exemplar = Exemplar { labels, ..exemplar };
            match series {
                None => appended.without_series += 1,
                Some(_) if exemplar.label_chars() > MAX_LABEL_CHARS => appended.too_long += 1,
                Some(series) => self.append_exemplar(series, exemplar, &mut appended)?,
            }
        }
        self.evict_exemplars()?;
        Ok(appended)
    }

    fn append_exemplar(
        &mut self,
        series: SeriesId,
        exemplar: Exemplar,
        appended: &mut ExemplarsAppended,
    ) -> Result<(), WriteError> {
        let mut changed = self.exemplars_of(series);
        if let Some(newest) = &changed.newest {
            if newest.exemplar.is_same(&exemplar) {
                appended.duplicates += 1;
                return Ok(());
            }
            if exemplar.at <= newest.exemplar.at {
                appended.out_of_order += 1;
                return Ok(());
            }
        }
        let arrival = self.next_id(ARRIVALS)?;
        let kept = KeptExemplar { arrival, series, exemplar };
        self.put(&kept)?;
        changed.added.push_back((kept.exemplar.at.0, arrival));
        changed.newest = Some(kept);
        let held = self.context.exemplars.read().places(series).len();
        if held - changed.gone + changed.added.len() > MAX_OF_SERIES {
            self.drop_oldest_exemplar(series, &mut changed)?;
        }
        self.exemplars.of_series.insert(series, changed);
        appended.kept += 1;
        Ok(())
    }

    /// How a series stands after what this change and those before it in the commit did.
    fn exemplars_of(&self, series: SeriesId) -> Changed {
        let earlier = &self.context.earlier_exemplars.of_series;
        let changed = self.exemplars.of_series.get(&series).or_else(|| earlier.get(&series));
        changed.cloned().unwrap_or_else(|| self.context.exemplars.read().unchanged(series))
    }

    fn drop_oldest_exemplar(&mut self, series: SeriesId, changed: &mut Changed) -> Result<(), WriteError> {
        let oldest = self.context.exemplars.read().places(series).nth(changed.gone);
        let arrival = match oldest {
            Some((_, arrival)) => {
                changed.gone += 1;
                Some(arrival)
            }
            None => changed.added.pop_front().map(|(_, arrival)| arrival),
        };
        arrival.map_or(Ok(()), |arrival| self.remove::<KeptExemplar>(&arrival))
    }

    /// Removes the oldest arrivals where there are more than there may be.
    fn evict_exemplars(&mut self) -> Result<(), WriteError> {
        let Some(last) = self.exemplars.of_series.values().filter_map(|one| Some(one.added.back()?.1)).max() else {
            return Ok(());
        };
        let through = last.saturating_sub(self.context.max_exemplars);
        let earlier = self.context.earlier_exemplars;
        let added = earlier.of_series.values().chain(self.exemplars.of_series.values());
        let first_added = added.filter_map(|one| Some(one.added.front()?.1)).min();
        let first = self.context.exemplars.read().first().or(first_added).unwrap_or(last);
        for arrival in first.max(earlier.evicted + 1).max(self.exemplars.evicted + 1)..=through {
            self.remove::<KeptExemplar>(&arrival)?;
        }
        self.exemplars.evicted = self.exemplars.evicted.max(through);
        Ok(())
    }

    /// Removes all that is kept of a series.
    pub(crate) fn remove_exemplars(&mut self, series: SeriesId) -> Result<(), WriteError> {
        self.remove_exemplars_while(series, |_| true)
    }

    /// Removes the oldest of a series as long as their moments are such.
    fn remove_exemplars_while(&mut self, series: SeriesId, is_gone: impl Fn(i64) -> bool) -> Result<(), WriteError> {
        let mut changed = self.exemplars_of(series);
        let known: Vec<_> = self.context.exemplars.read().places(series).skip(changed.gone).collect();
        if known.is_empty() && changed.added.is_empty() {
            return Ok(());
        }
        let all = known.len() + changed.added.len();
        let added: Vec<_> = changed.added.iter().copied().collect();
        let gone: Vec<_> = known.iter().copied().chain(added).take_while(|(at, _)| is_gone(*at)).collect();
        for (_, arrival) in &gone {
            self.remove::<KeptExemplar>(arrival)?;
        }
        changed.gone += gone.len().min(known.len());
        changed.added.drain(..gone.len().saturating_sub(known.len()));
        if gone.len() == all {
            changed.newest = None;
        }
        self.exemplars.of_series.insert(series, changed);
        Ok(())
    }
}

impl ReadTx {
    /// Exemplars of a series from `start` to `end`, both included, oldest first.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn exemplars(&self, series: SeriesId, start: Timestamp, end: Timestamp) -> Result<Vec<Exemplar>, ReadError> {
        let wanted: Vec<_> = {
            let ring = self.exemplars.read();
            ring.places(series).filter(|(at, _)| start.0 <= *at && *at <= end.0).collect()
        };
        let mut found = Vec::with_capacity(wanted.len());
        for (at, arrival) in wanted {
            // What left since the snapshot, or came since, is not there.
            let kept = self.get::<KeptExemplar>(&arrival)?.filter(|_| !self.is_deleted(series, Timestamp(at)));
            found.extend(kept.map(|kept| kept.exemplar));
        }
        Ok(found)
    }

    /// Whether there are exemplars of a series.
    pub fn has_exemplars(&self, series: SeriesId) -> bool {
        self.exemplars.read().has(series)
    }
}

/// Fills the ring with what the file has, whatever it held.
pub(crate) fn load(read: &ReadTx, ring: &RwLock<Ring>) -> Result<(), ReadError> {
    let mut found = Ring::default();
    let all = (Bound::Unbounded, Bound::Unbounded);
    for (key, bytes) in read.raw_range(&table_name::<KeptExemplar>(), &all, usize::MAX, false)? {
        let kept: KeptExemplar = envelope::unwrap(KeptExemplar::TABLE, KeptExemplar::VERSION, &bytes)?;
        if number(&key)? != kept.arrival {
            return Err(storage("an exemplar lies under another number than its own"));
        }
        found.push(kept);
    }
    *ring.write() = found;
    Ok(())
}

/// Drops what is beyond the retention.
pub(crate) async fn maintain(store: &Store, now: Timestamp, oldest_kept: Timestamp) -> Result<(), WriteError> {
    let swept = store.swept_exemplars();
    if swept.0.lock().is_some_and(|swept_at| now.millis_since(swept_at) < LOOK_EVERY_MILLIS) {
        return Ok(());
    }
    let old = store.exemplars().read().older_than(oldest_kept.0);
    for some in old.chunks(MAX_SWEPT) {
        let some = some.to_vec();
        let is_old = move |at: i64| at < oldest_kept.0;
        store.write(move |tx| some.iter().try_for_each(|series| tx.remove_exemplars_while(*series, is_old))).await?;
    }
    *swept.0.lock() = Some(now);
    Ok(())
}
