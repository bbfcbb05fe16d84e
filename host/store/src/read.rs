//! Reading from a snapshot.

use crate::{
    ReadError, TableKey, envelope,
    error::storage,
    exemplars::Ring,
    index::LabelIndex,
    leaves::{self, LastLeaves},
    logs::{self, LogPage, LogQuery, LogsKept},
    packing::unpack,
    series::{self, Head, ReaderEpoch, Window},
    wal::Wal,
};
use parking_lot::{Mutex, RwLock};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError};
use std::{
    ops::{Bound, RangeBounds},
    sync::{Arc, OnceLock},
};
use tandem_domain::{
    LogRecord, Record, Timestamp,
    series::{Points, SampleBatch, SeriesId},
};

/// Keys and values as bytes.
pub(crate) type Entries = Vec<(Vec<u8>, Vec<u8>)>;
/// One entry as redb gives it.
type Found<'a> =
    Result<(redb::AccessGuard<'a, &'static [u8]>, redb::AccessGuard<'a, &'static [u8]>), redb::StorageError>;
/// Bounds of keys as bytes.
pub(crate) type ByteBounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A table by its name; every table of the store maps bytes to bytes.
pub(crate) fn raw(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

pub(crate) fn table_name<R: Record>() -> String {
    if R::IN_LEAVES { leaves::table_of(R::TABLE) } else { format!("record/{}", R::TABLE) }
}

pub(crate) fn log_name<L: LogRecord>() -> String {
    format!("log/{}", L::LOG)
}

/// Last numbers given, by log or sequence.
pub(crate) const SEQUENCES: &str = "sequences";
/// How far readers have come.
pub(crate) const CURSORS: &str = "cursors";

pub(crate) fn byte_bounds<K: TableKey>(range: &impl RangeBounds<K>) -> ByteBounds {
    (range.start_bound().map(TableKey::to_bytes), range.end_bound().map(TableKey::to_bytes))
}

pub(crate) fn number(bytes: &[u8]) -> Result<u64, ReadError> {
    let array = bytes.try_into().map_err(|_| storage("a number is not eight bytes long"))?;
    Ok(u64::from_be_bytes(array))
}

/// How much is in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlocksKept {
    /// Blocks.
    pub blocks: u64,
    /// Pieces of series in them, which are what Prometheus calls chunks.
    pub pieces: u64,
    /// Samples, those of one moment that a merge will join counted each.
    pub samples: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// The first moment of the oldest window of two hours that has any.
    pub oldest: Option<Timestamp>,
    /// The last moment of the newest.
    pub newest: Option<Timestamp>,
}

/// A read snapshot. Keep it short: a long reader pins freed pages.
pub struct ReadTx {
    transaction: ReadTransaction,
    pub(crate) head: Arc<Head>,
    pub(crate) index: Arc<RwLock<LabelIndex>>,
    pub(crate) exemplars: Arc<RwLock<Ring>>,
    wal: Arc<Wal>,
    /// The last batch of samples at the time of the snapshot.
    samples_end: u64,
    last_leaves: Mutex<LastLeaves>,
    flushed: OnceLock<u64>,
    windows: OnceLock<Vec<Window>>,
    _epoch: ReaderEpoch,
}

impl ReadTx {
    pub(crate) fn new(
        transaction: ReadTransaction,
        head: Arc<Head>,
        index: Arc<RwLock<LabelIndex>>,
        exemplars: Arc<RwLock<Ring>>,
        (wal, samples_end): (Arc<Wal>, u64),
        epoch: ReaderEpoch,
    ) -> Self {
        let (last_leaves, flushed, windows) = (Mutex::default(), OnceLock::new(), OnceLock::new());
        Self { transaction, head, index, exemplars, wal, samples_end, last_leaves, flushed, windows, _epoch: epoch }
    }

    /// Runs `look` on a table; `None` when the table does not exist yet.
    pub(crate) fn with_table<T>(
        &self,
        name: &str,
        look: impl FnOnce(redb::ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        match self.transaction.open_table(raw(name)) {
            Ok(table) => look(table).map(Some),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(storage(error)),
        }
    }

    pub(crate) fn raw_get(&self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let found = self.with_table(table, |rows| {
            if leaves::has_leaves(table) {
                return leaves::get(&rows, table, key, &mut self.last_leaves.lock());
            }
            rows.get(key).map_err(storage)?.map(|row| unpack(table, row.value())).transpose()
        })?;
        Ok(found.flatten())
    }

    /// Keys and values in order, at most `limit`.
    pub(crate) fn raw_range(
        &self,
        table: &str,
        bounds: &ByteBounds,
        limit: usize,
        backwards: bool,
    ) -> Result<Entries, ReadError> {
        if empty_range(bounds) {
            return Ok(Vec::new());
        }
        let found = self.with_table(table, |rows| {
            if leaves::has_leaves(table) {
                return leaves::range(&rows, table, bounds, limit, backwards);
            }
            let bounds = (bounds.0.as_ref().map(Vec::as_slice), bounds.1.as_ref().map(Vec::as_slice));
            let range = rows.range::<&[u8]>(bounds).map_err(storage)?;
            let entry = |entry: Found<'_>| {
                let (key, value) = entry.map_err(storage)?;
                Ok((key.value().to_vec(), unpack(table, value.value())?))
            };
            if backwards {
                range.rev().take(limit).map(entry).collect()
            } else {
                range.take(limit).map(entry).collect()
            }
        })?;
        Ok(found.unwrap_or_default())
    }

    /// The record under a key.
    ///
    /// # Errors
    /// When the file cannot be read or the record is damaged; so for all functions here.
    pub fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>, ReadError>
    where
        R::Key: TableKey,
    {
        let found = self.raw_get(&table_name::<R>(), &key.to_bytes())?;
        found.map(|bytes| envelope::unwrap(R::TABLE, R::VERSION, &bytes)).transpose()
    }

    /// Records in key order, at most `limit`.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn scan<R: Record>(&self, range: impl RangeBounds<R::Key>, limit: usize) -> Result<Vec<R>, ReadError>
    where
        R::Key: TableKey,
    {
        self.records(&byte_bounds(&range), limit, false)
    }

    /// Records in reverse key order, at most `limit`.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn scan_back<R: Record>(&self, range: impl RangeBounds<R::Key>, limit: usize) -> Result<Vec<R>, ReadError>
    where
        R::Key: TableKey,
    {
        self.records(&byte_bounds(&range), limit, true)
    }

    fn records<R: Record>(&self, bounds: &ByteBounds, limit: usize, backwards: bool) -> Result<Vec<R>, ReadError> {
        let found = self.raw_range(&table_name::<R>(), bounds, limit, backwards)?;
        found.into_iter().map(|(_, bytes)| envelope::unwrap(R::TABLE, R::VERSION, &bytes)).collect()
    }

    /// How many records a table holds.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn count<R: Record>(&self) -> Result<u64, ReadError> {
        let name = table_name::<R>();
        let count = self.with_table(&name, |table| {
            if !R::IN_LEAVES {
                return table.len().map_err(storage);
            }
            let leaves = table.iter().map_err(storage)?;
            leaves.map(|row| leaves::records_in(&name, row.map_err(storage)?.1.value())).sum()
        });
        Ok(count?.unwrap_or(0))
    }

    /// Log records with a sequence number above `after`, oldest first.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn log_after<L: LogRecord>(&self, after: u64, limit: usize) -> Result<Vec<(u64, L)>, ReadError> {
        self.log::<L>(&(Bound::Excluded(after.to_bytes()), Bound::Unbounded), limit, false)
    }

    /// Log records with a sequence number below `before`, newest first.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn log_before<L: LogRecord>(&self, before: u64, limit: usize) -> Result<Vec<(u64, L)>, ReadError> {
        self.log::<L>(&(Bound::Unbounded, Bound::Excluded(before.to_bytes())), limit, true)
    }

    fn log<L: LogRecord>(
        &self,
        bounds: &ByteBounds,
        limit: usize,
        backwards: bool,
    ) -> Result<Vec<(u64, L)>, ReadError> {
        let found = self.raw_range(&log_name::<L>(), bounds, limit, backwards)?;
        found
            .into_iter()
            .map(|(key, bytes)| Ok((number(&key)?, envelope::unwrap(L::LOG, L::VERSION, &bytes)?)))
            .collect()
    }

    /// The newest sequence number ever given in a log; 0 when it never held anything.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn log_end<L: LogRecord>(&self) -> Result<u64, ReadError> {
        self.sequence(&log_name::<L>())
    }

    fn sequence(&self, name: &str) -> Result<u64, ReadError> {
        self.raw_get(SEQUENCES, name.as_bytes())?.map_or(Ok(0), |bytes| number(&bytes))
    }

    /// How far a reader has come (see `WriteTx::set_cursor`); 0 at first.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn cursor(&self, reader: &str) -> Result<u64, ReadError> {
        self.raw_get(CURSORS, reader.as_bytes())?.map_or(Ok(0), |bytes| number(&bytes))
    }

    /// Points of a series from `start` to `end`, both included, values as sent.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn points(&self, series: SeriesId, start: Timestamp, end: Timestamp) -> Result<Points, ReadError> {
        Ok(self.points_of_many(&[series], start, end)?.pop().unwrap_or_default())
    }

    /// Points of many series, each as [`ReadTx::points`] gives them and in the order asked for; faster than one by one, since
    /// series that lie together are read together.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn points_of_many(
        &self,
        series: &[SeriesId],
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Vec<Points>, ReadError> {
        if series.is_sorted_by(|earlier, later| earlier < later) {
            let mut found = series::points(self, &self.head, series, start, end)?;
            series.iter().zip(&mut found).for_each(|(one, points)| self.without_deleted(*one, points));
            return Ok(found);
        }
        let mut ascending = series.to_vec();
        ascending.sort_unstable();
        ascending.dedup();
        let found = self.points_of_many(&ascending, start, end)?;
        let of = |one: &SeriesId| ascending.binary_search(one).ok().and_then(|place| found.get(place)).cloned();
        Ok(series.iter().map(|one| of(one).unwrap_or_default()).collect())
    }

    /// The newest sample of a series that arrived since the server started or shortly before, if any.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn latest(&self, series: SeriesId) -> Result<Option<(Timestamp, f64)>, ReadError> {
        Ok(self.head.latest(series).filter(|(at, _)| !self.is_deleted(series, *at)))
    }

    /// Sample batches in the order of arrival with a sequence number above `after`, until `max_samples` are reached (at least
    /// one batch).
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn samples_after(&self, after: u64, max_samples: usize) -> Result<Vec<(u64, SampleBatch)>, ReadError> {
        self.wal.after(after, self.samples_end, max_samples)
    }

    /// The newest sample batch's sequence number; 0 at first.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn samples_end(&self) -> Result<u64, ReadError> {
        Ok(self.samples_end)
    }

    /// Lines of logs, newest first.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn logs(&self, query: &LogQuery) -> Result<LogPage, ReadError> {
        logs::search(self, query)
    }

    /// How many lines of logs are kept.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn logs_kept(&self) -> Result<LogsKept, ReadError> {
        logs::kept(self)
    }

    /// How much is in blocks.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn blocks_kept(&self) -> Result<BlocksKept, ReadError> {
        let mut kept = BlocksKept::default();
        for window in self.windows()? {
            kept.oldest.get_or_insert(Timestamp(window.start));
            kept.newest = Some(Timestamp(window.end() - 1));
            for (_, run) in window.runs() {
                kept.blocks += run.blocks;
                kept.pieces += run.entries;
                kept.samples += run.samples;
                kept.bytes += run.bytes;
            }
        }
        Ok(kept)
    }

    /// The moment of the oldest sample that is in no block yet.
    pub fn oldest_in_memory(&self) -> Option<Timestamp> {
        self.head.oldest()
    }

    /// The last batch whose samples this snapshot has in blocks.
    pub(crate) fn flushed(&self) -> Result<u64, ReadError> {
        if let Some(flushed) = self.flushed.get() {
            return Ok(*flushed);
        }
        let found = self.cursor(series::FLUSHED)?;
        Ok(*self.flushed.get_or_init(|| found))
    }

    /// What this snapshot has in blocks, oldest first.
    pub(crate) fn windows(&self) -> Result<&[Window], ReadError> {
        if let Some(windows) = self.windows.get() {
            return Ok(windows);
        }
        let found = series::all_windows(self)?;
        Ok(self.windows.get_or_init(|| found))
    }

    pub(crate) fn cursors_with_prefix(&self, prefix: &str) -> Result<Vec<u64>, ReadError> {
        let bounds = (Bound::Included(prefix.as_bytes().to_vec()), Bound::Unbounded);
        let found = self.raw_range(CURSORS, &bounds, usize::MAX, false)?;
        let mine = found.into_iter().take_while(|(key, _)| key.starts_with(prefix.as_bytes()));
        mine.map(|(_, value)| number(&value)).collect()
    }
}

/// redb refuses a range whose start lies behind its end; for us it is simply empty.
pub(crate) fn empty_range(bounds: &ByteBounds) -> bool {
    match (&bounds.0, &bounds.1) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
    }
}
