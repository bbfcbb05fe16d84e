//! A change to the store: writes are staged in memory until the change has succeeded, so that a change that refuses itself
//! or panics leaves nothing behind in the commit it shares with others.

use crate::{
    TableKey, WriteError, envelope,
    error::{storage, write_storage},
    index::LabelIndex,
    limits::SeriesLimits,
    logs::{self, LogBatch},
    read::{self, ByteBounds, CURSORS, Entries, SEQUENCES, byte_bounds, log_name, number, raw, table_name},
    registry::RegistryChanges,
    series,
};
use parking_lot::RwLock;
use redb::{ReadableTable, WriteTransaction};
use std::{
    collections::{BTreeMap, HashMap},
    ops::{Bound, RangeBounds},
};
use tandem_domain::{LogRecord, Record, series::SampleBatch};

type Staged = HashMap<String, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// A write in progress; also reads, and sees its own writes and those of changes before it in the same commit.
pub struct WriteTx<'t> {
    transaction: &'t WriteTransaction,
    staged: Staged,
    samples: Vec<(u64, SampleBatch)>,
    pub(crate) context: Context<'t>,
    pub(crate) registry: RegistryChanges,
}

/// What a change sees beside the file.
#[derive(Clone, Copy)]
pub(crate) struct Context<'t> {
    /// The registry as it was before the commit.
    pub index: &'t RwLock<LabelIndex>,
    /// What earlier changes of the commit did to it.
    pub earlier: &'t RegistryChanges,
    /// How many series there may be.
    pub limits: SeriesLimits,
}

/// What a change leaves for memory when its commit is durable.
pub(crate) struct Applied {
    pub samples: Vec<(u64, SampleBatch)>,
    pub registry: RegistryChanges,
}

impl<'t> WriteTx<'t> {
    pub(crate) fn new(transaction: &'t WriteTransaction, context: Context<'t>) -> Self {
        let registry = RegistryChanges::default();
        Self { transaction, staged: HashMap::new(), samples: Vec::new(), context, registry }
    }

    /// Writes what was staged into the transaction; answers what is for the head and the index.
    pub(crate) fn apply(mut self) -> Result<Applied, WriteError> {
        self.tell_of_series()?;
        for (name, entries) in self.staged {
            let mut table = self.transaction.open_table(raw(&name)).map_err(write_storage)?;
            for (key, value) in entries {
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice()).map(drop),
                    None => table.remove(key.as_slice()).map(drop),
                }
                .map_err(write_storage)?;
            }
        }
        Ok(Applied { samples: self.samples, registry: self.registry })
    }

    pub(crate) fn raw_get(&self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, WriteError> {
        if let Some(staged) = self.staged.get(name).and_then(|entries| entries.get(key)) {
            return Ok(staged.clone());
        }
        let table = self.transaction.open_table(raw(name)).map_err(storage)?;
        let found = table.get(key).map_err(storage)?.map(|value| value.value().to_vec());
        Ok(found)
    }

    pub(crate) fn raw_range(&self, name: &str, bounds: &ByteBounds, limit: usize) -> Result<Entries, WriteError> {
        if read::empty_range(bounds) {
            return Ok(Vec::new());
        }
        let staged = self.staged.get(name);
        let staged_here = staged.map_or(0, BTreeMap::len);
        let table = self.transaction.open_table(raw(name)).map_err(storage)?;
        let slices = (bounds.0.as_ref().map(Vec::as_slice), bounds.1.as_ref().map(Vec::as_slice));
        let mut merged = BTreeMap::new();
        // Staged removals can hide at most as many entries as are staged.
        for entry in table.range::<&[u8]>(slices).map_err(storage)?.take(limit.saturating_add(staged_here)) {
            let (key, value) = entry.map_err(storage)?;
            merged.insert(key.value().to_vec(), Some(value.value().to_vec()));
        }
        let staged_range = staged.into_iter().flat_map(|entries| entries.range::<Vec<u8>, _>(bounds.clone()));
        merged.extend(staged_range.map(|(key, value)| (key.clone(), value.clone())));
        Ok(merged.into_iter().filter_map(|(key, value)| Some((key, value?))).take(limit).collect())
    }

    pub(crate) fn raw_put(&mut self, name: &str, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.staged.entry(name.to_owned()).or_default().insert(key, value);
    }

    /// The record under a key.
    ///
    /// # Errors
    /// When the file cannot be read or the record is damaged; so for all functions that read.
    pub fn get<R: Record>(&mut self, key: &R::Key) -> Result<Option<R>, WriteError>
    where
        R::Key: TableKey,
    {
        let found = self.raw_get(&table_name::<R>(), &key.to_bytes())?;
        Ok(found.map(|bytes| envelope::unwrap(R::TABLE, R::VERSION, &bytes)).transpose()?)
    }

    /// Records in key order, at most `limit`.
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn scan<R: Record>(&mut self, range: impl RangeBounds<R::Key>, limit: usize) -> Result<Vec<R>, WriteError>
    where
        R::Key: TableKey,
    {
        let found = self.raw_range(&table_name::<R>(), &byte_bounds(&range), limit)?;
        found.into_iter().map(|(_, bytes)| Ok(envelope::unwrap(R::TABLE, R::VERSION, &bytes)?)).collect()
    }

    /// Puts a record under its key.
    ///
    /// # Errors
    /// When the record cannot be written down.
    pub fn put<R: Record>(&mut self, record: &R) -> Result<(), WriteError>
    where
        R::Key: TableKey,
    {
        let unwritable = |what| WriteError::Unwritable { table: R::TABLE.into(), what };
        let bytes = envelope::wrap(R::VERSION, record).map_err(unwritable)?;
        self.raw_put(&table_name::<R>(), record.key().to_bytes(), Some(bytes));
        Ok(())
    }

    /// Removes the record under a key.
    ///
    /// # Errors
    /// None at present; a result like its siblings'.
    pub fn remove<R: Record>(&mut self, key: &R::Key) -> Result<(), WriteError>
    where
        R::Key: TableKey,
    {
        self.raw_put(&table_name::<R>(), key.to_bytes(), None);
        Ok(())
    }

    /// Appends to a log; answers the sequence number, from 1.
    ///
    /// # Errors
    /// As [`WriteTx::put`].
    pub fn append<L: LogRecord>(&mut self, record: &L) -> Result<u64, WriteError> {
        let unwritable = |what| WriteError::Unwritable { table: L::LOG.into(), what };
        let bytes = envelope::wrap(L::VERSION, record).map_err(unwritable)?;
        let name = log_name::<L>();
        let sequence = self.next_id(&name)?;
        self.raw_put(&name, sequence.to_bytes(), Some(bytes));
        Ok(sequence)
    }

    /// Drops log records with a sequence number up to `through`.
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn trim_log<L: LogRecord>(&mut self, through: u64) -> Result<(), WriteError> {
        self.trim(&log_name::<L>(), through)
    }

    pub(crate) fn trim(&mut self, name: &str, through: u64) -> Result<(), WriteError> {
        let bounds = (Bound::Unbounded, Bound::Included(through.to_bytes()));
        for (key, _) in self.raw_range(name, &bounds, usize::MAX)? {
            self.raw_put(name, key, None);
        }
        Ok(())
    }

    /// The next number of a named sequence, from 1; never given twice.
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn next_id(&mut self, sequence: &str) -> Result<u64, WriteError> {
        let last = self.raw_get(SEQUENCES, sequence.as_bytes())?.map_or(Ok(0), |bytes| number(&bytes))?;
        self.raw_put(SEQUENCES, sequence.as_bytes().to_vec(), Some((last + 1).to_bytes()));
        Ok(last + 1)
    }

    /// The first of so many numbers of a named sequence, which are its next ones; never given twice.
    pub(crate) fn reserve_ids(&mut self, sequence: &str, count: u64) -> Result<u64, WriteError> {
        let last = self.raw_get(SEQUENCES, sequence.as_bytes())?.map_or(Ok(0), |bytes| number(&bytes))?;
        self.raw_put(SEQUENCES, sequence.as_bytes().to_vec(), Some((last + count).to_bytes()));
        Ok(last + 1)
    }

    /// Keeps lines of logs; they are found after the commit.
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn append_logs(&mut self, batch: &LogBatch) -> Result<(), WriteError> {
        logs::append(self, batch)
    }

    /// Remembers how far a reader has come in a log; to be committed with the output it stands for. Readers of samples are
    /// named `samples/…`: what they have not read yet is not trimmed.
    ///
    /// # Errors
    /// None at present; a result like its siblings'.
    pub fn set_cursor(&mut self, reader: &str, sequence: u64) -> Result<(), WriteError> {
        self.raw_put(CURSORS, reader.as_bytes().to_vec(), Some(sequence.to_bytes()));
        Ok(())
    }

    /// Forgets a reader.
    ///
    /// # Errors
    /// None at present; a result like its siblings'.
    pub fn remove_cursor(&mut self, reader: &str) -> Result<(), WriteError> {
        self.raw_put(CURSORS, reader.as_bytes().to_vec(), None);
        Ok(())
    }

    /// How far a reader has come.
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn cursor(&mut self, reader: &str) -> Result<u64, WriteError> {
        Ok(self.raw_get(CURSORS, reader.as_bytes())?.map_or(Ok(0), |bytes| number(&bytes))?)
    }

    /// Appends samples; they are readable after the commit.
    ///
    /// # Errors
    /// When the columns differ in length, or as [`WriteTx::put`].
    pub fn append_samples(&mut self, batch: &SampleBatch) -> Result<(), WriteError> {
        if batch.is_empty() {
            return Ok(());
        }
        let revived = self.with_living(batch)?;
        let batch = revived.as_ref().unwrap_or(batch);
        let bytes = series::encode_batch(batch).map_err(WriteError::Refused)?;
        let sequence = self.next_id(series::SAMPLES)?;
        self.raw_put(series::SAMPLES, sequence.to_bytes(), Some(bytes));
        self.samples.push((sequence, batch.clone()));
        Ok(())
    }

    pub(crate) fn has_chunk(&self, table: &str, key: &[u8]) -> Result<bool, WriteError> {
        Ok(self.raw_get(table, key)?.is_some())
    }

    pub(crate) fn remove_chunk(&mut self, table: &str, key: Vec<u8>) {
        self.raw_put(table, key, None);
    }

    pub(crate) fn put_chunk(&mut self, table: &str, key: Vec<u8>, bytes: Vec<u8>) {
        self.raw_put(table, key, Some(bytes));
    }

    pub(crate) fn cursors_with_prefix(&self, prefix: &str) -> Result<Vec<u64>, WriteError> {
        let bounds = (Bound::Included(prefix.as_bytes().to_vec()), Bound::Unbounded);
        let found = self.raw_range(CURSORS, &bounds, usize::MAX)?;
        let mine = found.into_iter().take_while(|(key, _)| key.starts_with(prefix.as_bytes()));
        mine.map(|(_, value)| Ok(number(&value)?)).collect()
    }

    pub(crate) fn drop_table(&mut self, name: &str) -> Result<(), WriteError> {
        self.transaction.delete_table(raw(name)).map_err(write_storage)?;
        Ok(())
    }
}
