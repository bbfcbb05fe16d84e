//! The system's memory: one redb file. State tables, append-only logs, and the time-series engine, all written in group
//! commits by one writer thread and read from MVCC snapshots. It knows no record's meaning.
#![allow(clippy::todo, missing_docs, unused)] // skeleton; the store's author replaces it

use std::{ops::RangeBounds, path::Path};
use tandem_domain::{
    LogRecord, Record, Timestamp,
    series::{Points, SampleBatch, Series, SeriesDescription, SeriesId},
    target::TargetKey,
};

/// A key that the file keeps in order.
pub trait TableKey: Send + 'static {
    fn to_bytes(&self) -> Vec<u8>;
}
impl TableKey for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
}
impl TableKey for String {
    fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }
}
impl<A: TableKey, B: TableKey> TableKey for (A, B) {
    fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OpenError(String);
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(String);
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WriteError(String);
impl From<ReadError> for WriteError {
    fn from(error: ReadError) -> Self {
        WriteError(error.0)
    }
}

#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub cache_bytes: usize,
}
impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20 }
    }
}

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Opens `<folder>/tandem.redb`, makes it when there is none, migrates it when it is older, refuses it when it is newer or locked.
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Store, OpenError> {
        todo!()
    }
    /// A snapshot to read from. Keep it short: a long reader pins freed pages.
    pub fn read(&self) -> Result<ReadTx, ReadError> {
        todo!()
    }
    /// Runs `change` on the writer thread, in one transaction with others that wait, and returns after the fsync.
    /// An error from `change` rolls back only that change's writes.
    pub async fn write<T: Send + 'static>(&self, change: impl FnOnce(&mut WriteTx<'_>) -> Result<T, WriteError> + Send + 'static) -> Result<T, WriteError> {
        todo!()
    }
    /// Resolves when something was committed after `seen`; rooms wait on it instead of polling. Starts at 0.
    pub async fn committed_after(&self, seen: u64) -> u64 {
        todo!()
    }
}

/// A read snapshot.
pub struct ReadTx {}
impl ReadTx {
    pub fn get<R: Record>(&self, key: &R::Key) -> Result<Option<R>, ReadError> where R::Key: TableKey { todo!() }
    /// Records in key order.
    pub fn scan<R: Record>(&self, range: impl RangeBounds<R::Key>, limit: usize) -> Result<Vec<R>, ReadError> where R::Key: TableKey { todo!() }
    /// Records in reverse key order.
    pub fn scan_back<R: Record>(&self, range: impl RangeBounds<R::Key>, limit: usize) -> Result<Vec<R>, ReadError> where R::Key: TableKey { todo!() }
    pub fn count<R: Record>(&self) -> Result<u64, ReadError> { todo!() }
    /// Log records with sequence number > `after`, oldest first.
    pub fn log_after<L: LogRecord>(&self, after: u64, limit: usize) -> Result<Vec<(u64, L)>, ReadError> { todo!() }
    /// Log records with sequence number < `before`, newest first.
    pub fn log_before<L: LogRecord>(&self, before: u64, limit: usize) -> Result<Vec<(u64, L)>, ReadError> { todo!() }
    /// The newest sequence number; 0 when the log is empty.
    pub fn log_end<L: LogRecord>(&self) -> Result<u64, ReadError> { todo!() }
    /// How far a reader has come (see `WriteTx::set_cursor`); 0 at first.
    pub fn cursor(&self, reader: &str) -> Result<u64, ReadError> { todo!() }
    /// The number of a series of a target, if it is registered.
    pub fn series_id(&self, target: &TargetKey, description: &SeriesDescription) -> Result<Option<SeriesId>, ReadError> { todo!() }
    /// All series of a target.
    pub fn series_of_target(&self, target: &TargetKey) -> Result<Vec<Series>, ReadError> { todo!() }
    /// Points of a series from `start` to `end`, both included, as stored (values as sent).
    pub fn points(&self, series: SeriesId, start: Timestamp, end: Timestamp) -> Result<Points, ReadError> { todo!() }
    /// Sample batches in the order of arrival with sequence number > `after`; the detect room's input. Trimmed once flushed and old.
    pub fn samples_after(&self, after: u64, max_samples: usize) -> Result<Vec<(u64, SampleBatch)>, ReadError> { todo!() }
    /// The newest sample batch's sequence number.
    pub fn samples_end(&self) -> Result<u64, ReadError> { todo!() }
}

/// A write in progress; also reads, and sees its own writes.
pub struct WriteTx<'t> {
    _t: std::marker::PhantomData<&'t ()>,
}
impl WriteTx<'_> {
    pub fn get<R: Record>(&mut self, key: &R::Key) -> Result<Option<R>, WriteError> where R::Key: TableKey { todo!() }
    pub fn scan<R: Record>(&mut self, range: impl RangeBounds<R::Key>, limit: usize) -> Result<Vec<R>, WriteError> where R::Key: TableKey { todo!() }
    pub fn put<R: Record>(&mut self, record: &R) -> Result<(), WriteError> where R::Key: TableKey { todo!() }
    pub fn remove<R: Record>(&mut self, key: &R::Key) -> Result<(), WriteError> where R::Key: TableKey { todo!() }
    /// Appends to a log; answers the sequence number (from 1).
    pub fn append<L: LogRecord>(&mut self, record: &L) -> Result<u64, WriteError> { todo!() }
    /// Drops log records with sequence number <= `through`.
    pub fn trim_log<L: LogRecord>(&mut self, through: u64) -> Result<(), WriteError> { todo!() }
    /// The next number of a named sequence (from 1), for ids.
    pub fn next_id(&mut self, sequence: &str) -> Result<u64, WriteError> { todo!() }
    /// Remembers how far a reader has come in a log; commit it with the output it stands for.
    pub fn set_cursor(&mut self, reader: &str, sequence: u64) -> Result<(), WriteError> { todo!() }
    pub fn cursor(&mut self, reader: &str) -> Result<u64, WriteError> { todo!() }
    /// The number of a series, registering it when it is new. New ones are appended to the log `NewSeries`.
    pub fn register_series(&mut self, target: &TargetKey, description: &SeriesDescription) -> Result<SeriesId, WriteError> { todo!() }
    /// Appends samples; they are readable after the commit.
    pub fn append_samples(&mut self, batch: &SampleBatch) -> Result<(), WriteError> { todo!() }
}

/// That a series was registered, in order; what the map room reads.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct NewSeries {
    pub series: SeriesId,
    pub target: TargetKey,
}
impl LogRecord for NewSeries {
    const LOG: &'static str = "new_series";
    const VERSION: u16 = 1;
}
