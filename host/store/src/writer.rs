//! The one writer thread: takes the changes that wait, runs them in one transaction, and answers all of them after its commit.
//! Samples go into the write-ahead log, everything else into the file, and where there is nothing else the file is left alone:
//! one fsync for one commit then, and two where there is both.

use crate::{
    ReadError, WriteError, WriteTx,
    error::{storage, write_storage},
    exemplars::ExemplarChanges,
    read::{CURSORS, SEQUENCES, number, raw},
    registry::RegistryChanges,
    series::{FLUSHED, SAMPLES},
    store::Shared,
    write::{Context, StagedBatch},
};
use redb::{Database, Durability, ReadableDatabase, TableError, WriteTransaction};
use std::{
    any::Any,
    cell::OnceCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio::sync::{mpsc, oneshot};

/// Most changes in one commit, so that the first of them does not wait long.
const MAX_CHANGES_PER_COMMIT: usize = 512;

/// A change that waits for its turn.
pub(crate) trait Change: Send {
    /// Runs it; whether its writes shall be kept.
    fn run(&mut self, transaction: &mut WriteTx<'_>) -> bool;
    /// Answers whoever waits; `committed` is what became of the commit.
    fn answer(self: Box<Self>, committed: Result<(), WriteError>);
}

/// A change with a typed answer.
pub(crate) struct TypedChange<T, F> {
    change: Option<F>,
    outcome: Option<Result<T, WriteError>>,
    reply: oneshot::Sender<Result<T, WriteError>>,
}

impl<T, F> TypedChange<T, F> {
    pub(crate) fn new(change: F, reply: oneshot::Sender<Result<T, WriteError>>) -> Self {
        Self { change: Some(change), outcome: None, reply }
    }
}

impl<T: Send, F: FnOnce(&mut WriteTx<'_>) -> Result<T, WriteError> + Send> Change for TypedChange<T, F> {
    fn run(&mut self, transaction: &mut WriteTx<'_>) -> bool {
        let Some(change) = self.change.take() else { return false };
        let outcome = catch_unwind(AssertUnwindSafe(|| change(transaction)))
            .unwrap_or_else(|panic| Err(WriteError::Panicked(panic_text(panic.as_ref()))));
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn answer(self: Box<Self>, committed: Result<(), WriteError>) {
        let outcome = match (self.outcome, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(WriteError::Closed),
        };
        // Whoever waited may have gone away; the change is kept all the same.
        let _ = self.reply.send(outcome);
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".into())
}

/// A transaction that begins when it is first needed: what brings only samples needs none.
pub(crate) struct Deferred<'d> {
    database: &'d Database,
    begun: OnceCell<WriteTransaction>,
}

impl<'d> Deferred<'d> {
    fn new(database: &'d Database) -> Self {
        Self { database, begun: OnceCell::new() }
    }

    /// The transaction.
    pub(crate) fn get(&self) -> Result<&WriteTransaction, WriteError> {
        if let Some(begun) = self.begun.get() {
            return Ok(begun);
        }
        let mut transaction = self.database.begin_write().map_err(write_storage)?;
        transaction.set_durability(Durability::Immediate).map_err(write_storage)?;
        // So that a file of many gigabytes opens at once after a kill, instead of being walked from end to end; a commit of records
        // pays for it with a second fsync. Samples by themselves need no transaction.
        transaction.set_quick_repair(true);
        Ok(self.begun.get_or_init(|| transaction))
    }
}

/// Runs until every sender is gone.
pub(crate) fn run(shared: &Arc<Shared>, mut changes: mpsc::Receiver<Box<dyn Change>>) {
    while let Some(first) = changes.blocking_recv() {
        let mut group = vec![first];
        while group.len() < MAX_CHANGES_PER_COMMIT {
            match changes.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        let (mut registry, mut exemplars) = (RegistryChanges::default(), ExemplarChanges::default());
        let committed = commit(shared, &mut group, &mut registry, &mut exemplars);
        if let Err(error) = &committed {
            tracing::error!(changes = group.len(), "a commit failed: {error}");
            shared.recover(registry, &exemplars);
        }
        shared.count(group.len() as u64, committed.is_ok());
        for change in group {
            change.answer(committed.clone());
        }
    }
}

/// Runs changes and commits what they leave. What becomes of the registry and of exemplars is gathered in `registry` and
/// `exemplars`, which are empty after success.
fn commit(
    shared: &Arc<Shared>,
    group: &mut [Box<dyn Change>],
    registry: &mut RegistryChanges,
    exemplars: &mut ExemplarChanges,
) -> Result<(), WriteError> {
    let database: Arc<Database> = shared.database().map_err(write_storage)?;
    let deferred = Deferred::new(&database);
    let mut batches: Vec<StagedBatch> = Vec::new();
    let mut has_records = false;
    for change in group {
        let context = Context {
            index: shared.index(),
            earlier: registry,
            limits: shared.series_limits(),
            exemplars: shared.exemplars(),
            earlier_exemplars: exemplars,
            max_exemplars: shared.max_exemplars(),
            intake: shared.intake(),
        };
        let mut staged = WriteTx::new(&deferred, context);
        if change.run(&mut staged) {
            let applied = staged.apply()?;
            batches.extend(applied.batches);
            has_records |= applied.has_records;
            registry.extend(applied.registry);
            exemplars.extend(applied.exemplars);
        }
    }
    let first = shared.wal().next();
    let (bytes, samples): (Vec<_>, Vec<_>) =
        batches.into_iter().zip(first..).map(|(staged, number)| (staged.bytes, (number, staged.batch))).unzip();
    if has_records && let Some((last, _)) = samples.last() {
        // What is in the log with this number counts when this is committed.
        let mut sequences = deferred.get()?.open_table(raw(SEQUENCES)).map_err(write_storage)?;
        sequences.insert(SAMPLES.as_bytes(), last.to_be_bytes().as_slice()).map_err(write_storage)?;
    }
    let written = if bytes.is_empty() { None } else { Some(shared.wal().write(&bytes, has_records)) };
    let written = written.transpose().map_err(write_storage)?;
    match deferred.begun.into_inner() {
        Some(transaction) if has_records => transaction.commit().map_err(write_storage)?,
        Some(transaction) => transaction.abort().map_err(write_storage)?,
        None => {}
    }
    // Series first: whoever meets a sample finds whose it is. Then memory: who is told of a batch finds its samples.
    std::mem::take(registry).reach(shared.index());
    std::mem::take(exemplars).reach(shared.exemplars());
    shared.head().append(&samples);
    if let Some(written) = written {
        shared.wal().confirm(written);
    }
    shared.tell_committed();
    Ok(())
}

/// The last batch of samples that the file tells of.
pub(crate) fn known_batch(database: &Database) -> Result<u64, ReadError> {
    number_under(database, SEQUENCES, SAMPLES)
}

/// The last batch whose samples are in blocks.
pub(crate) fn flushed_batch(database: &Database) -> Result<u64, ReadError> {
    number_under(database, CURSORS, FLUSHED)
}

fn number_under(database: &Database, table: &str, key: &str) -> Result<u64, ReadError> {
    let read = database.begin_read().map_err(storage)?;
    match read.open_table(raw(table)) {
        Ok(table) => table.get(key.as_bytes()).map_err(storage)?.map_or(Ok(0), |bytes| number(bytes.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(storage(error)),
    }
}
