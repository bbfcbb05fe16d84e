//! A change to the store: writes are staged in memory until the change has succeeded, so that a change that refuses itself
//! or panics leaves nothing behind in the commit it shares with others.

use crate::{
    ReadError, TableKey, WriteError, envelope,
    error::{storage, write_storage},
    exemplars::{ExemplarChanges, Ring},
    index::LabelIndex,
    leaves::{self, LastLeaves},
    limits::SeriesLimits,
    logs::{self, LogBatch},
    packing::{pack, unpack},
    read::{self, ByteBounds, CURSORS, Entries, SEQUENCES, byte_bounds, log_name, number, raw, table_name},
    registry::RegistryChanges,
    series::{self, Appended, Head},
    wal,
    writer::Deferred,
};
use parking_lot::RwLock;
use redb::ReadableTable;
use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    ops::{Bound, RangeBounds},
};
use tandem_domain::{
    LogRecord, Record, Timestamp,
    series::{SampleBatch, SeriesId},
};

type Staged = HashMap<String, BTreeMap<Vec<u8>, Option<Vec<u8>>>>;

/// A write in progress; also reads, and sees its own writes and those of changes before it in the same commit.
pub struct WriteTx<'t> {
    transaction: &'t Deferred<'t>,
    staged: Staged,
    batches: Vec<StagedBatch>,
    dropped_tables: bool,
    /// Of the file as it was before this change.
    last_leaves: RefCell<LastLeaves>,
    pub(crate) context: Context<'t>,
    pub(crate) registry: RegistryChanges,
    pub(crate) exemplars: ExemplarChanges,
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
    /// The exemplars that there were before the commit.
    pub exemplars: &'t RwLock<Ring>,
    /// What earlier changes of the commit did to them.
    pub earlier_exemplars: &'t ExemplarChanges,
    /// How many there may be.
    pub max_exemplars: u64,
    pub intake: Intake<'t>,
}

/// What samples are held to on their way in.
#[derive(Clone, Copy)]
pub(crate) struct Intake<'t> {
    pub head: &'t Head,
    /// How far behind the newest sample of its series one may lie, in milliseconds.
    pub late_millis: i64,
    /// Whether the head holds as much as it may.
    pub crowded: bool,
}

/// A batch on its way into the write-ahead log and the head.
pub(crate) struct StagedBatch {
    pub bytes: Vec<u8>,
    pub batch: SampleBatch,
}

/// What a change leaves when its records are in the transaction.
pub(crate) struct Applied {
    pub batches: Vec<StagedBatch>,
    pub registry: RegistryChanges,
    pub exemplars: ExemplarChanges,
    /// Whether there is something in the transaction to commit.
    pub has_records: bool,
}

impl<'t> WriteTx<'t> {
    pub(crate) fn new(transaction: &'t Deferred<'t>, context: Context<'t>) -> Self {
        let (staged, registry) = (HashMap::new(), RegistryChanges::default());
        let (last_leaves, exemplars) = (RefCell::default(), ExemplarChanges::default());
        Self {
            transaction,
            staged,
            batches: Vec::new(),
            dropped_tables: false,
            last_leaves,
            context,
            registry,
            exemplars,
        }
    }

    /// Writes what was staged into the transaction; answers what is for the write-ahead log and the index.
    pub(crate) fn apply(mut self) -> Result<Applied, WriteError> {
        self.tell_of_series()?;
        let has_records = self.dropped_tables || !self.staged.is_empty();
        for (name, entries) in self.staged {
            let mut table = self.transaction.get()?.open_table(raw(&name)).map_err(write_storage)?;
            if leaves::has_leaves(&name) {
                leaves::rewrite(&mut table, &name, entries)?;
                continue;
            }
            for (key, value) in entries {
                match value {
                    Some(value) => table.insert(key.as_slice(), pack(&name, &value).as_ref()).map(drop),
                    None => table.remove(key.as_slice()).map(drop),
                }
                .map_err(write_storage)?;
            }
        }
        Ok(Applied { batches: self.batches, registry: self.registry, exemplars: self.exemplars, has_records })
    }

    pub(crate) fn raw_get(&self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, WriteError> {
        if let Some(staged) = self.staged.get(name).and_then(|entries| entries.get(key)) {
            return Ok(staged.clone());
        }
        let table = self.transaction.get()?.open_table(raw(name)).map_err(storage)?;
        if leaves::has_leaves(name) {
            return Ok(leaves::get(&table, name, key, &mut self.last_leaves.borrow_mut())?);
        }
        let found = table.get(key).map_err(storage)?.map(|value| unpack(name, value.value()));
        Ok(found.transpose()?)
    }

    pub(crate) fn raw_range(&self, name: &str, bounds: &ByteBounds, limit: usize) -> Result<Entries, WriteError> {
        if read::empty_range(bounds) {
            return Ok(Vec::new());
        }
        let staged = self.staged.get(name);
        let staged_here = staged.map_or(0, BTreeMap::len);
        let table = self.transaction.get()?.open_table(raw(name)).map_err(storage)?;
        // Staged removals can hide at most as many entries as are staged.
        let most = limit.saturating_add(staged_here);
        let kept = if leaves::has_leaves(name) {
            leaves::range(&table, name, bounds, most, false)?
        } else {
            rows_in(&table, name, bounds, most)?
        };
        let mut merged: BTreeMap<_, _> = kept.into_iter().map(|(key, value)| (key, Some(value))).collect();
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

    /// Appends samples; they are readable after the commit. What repeats the newest sample of its series, or lies too far behind
    /// it, is left out and counted.
    ///
    /// # Errors
    /// When the columns differ in length, a series was never registered, or memory is full of what is not flushed yet.
    pub fn append_samples(&mut self, batch: &SampleBatch) -> Result<Appended, WriteError> {
        if batch.is_empty() {
            return Ok(Appended::default());
        }
        if self.context.intake.crowded {
            return Err(WriteError::Crowded);
        }
        if let Some(unknown) = batch.series.iter().find(|series| series.0 >= series::MAX_SERIES) {
            return Err(WriteError::Refused(format!("there is no series {}", unknown.0)));
        }
        let revived = self.with_living(batch)?;
        let batch = revived.as_ref().unwrap_or(batch);
        let uneven = batch.at.len() != batch.len() || batch.value.len() != batch.len();
        let (appended, wanted) = if uneven {
            Default::default()
        } else {
            self.context.intake.head.admit(batch, self.context.intake.late_millis)
        };
        let batch = wanted.unwrap_or_else(|| batch.clone());
        if batch.is_empty() {
            return Ok(appended);
        }
        let bytes = wal::encode_batch(&batch).map_err(WriteError::Refused)?;
        self.batches.push(StagedBatch { bytes, batch });
        Ok(appended)
    }

    /// Notes in the log that histograms came: who reads the log finds them by that.
    pub(crate) fn note_histograms(&mut self, histograms: Vec<(SeriesId, Timestamp)>) -> Result<(), WriteError> {
        let batch = SampleBatch { histograms, ..SampleBatch::default() };
        let bytes = wal::encode_batch(&batch).map_err(WriteError::Refused)?;
        self.batches.push(StagedBatch { bytes, batch });
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

    pub(crate) fn drop_table(&mut self, name: &str) -> Result<(), WriteError> {
        self.dropped_tables = true;
        self.transaction.get()?.delete_table(raw(name)).map_err(write_storage)?;
        Ok(())
    }
}

/// Rows of a table in order, at most `limit`.
fn rows_in(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    name: &str,
    bounds: &ByteBounds,
    limit: usize,
) -> Result<Entries, ReadError> {
    let slices = (bounds.0.as_ref().map(Vec::as_slice), bounds.1.as_ref().map(Vec::as_slice));
    let rows = table.range::<&[u8]>(slices).map_err(storage)?.take(limit);
    rows.map(|row| {
        let (key, value) = row.map_err(storage)?;
        Ok((key.value().to_vec(), unpack(name, value.value())?))
    })
    .collect()
}
