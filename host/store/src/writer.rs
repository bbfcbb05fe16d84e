//! The one writer thread: takes the changes that wait, runs them in one transaction, and answers all of them after the one
//! fsync of its commit.

use crate::{WriteError, WriteTx, error::write_storage, registry::RegistryChanges, store::Shared, write::Context};
use redb::{Database, Durability};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tandem_domain::series::SampleBatch;
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
        let committed = commit(shared, &mut group);
        if let Err(error) = &committed {
            tracing::error!(changes = group.len(), "a commit failed: {error}");
            shared.reopen();
        }
        shared.count(group.len() as u64, committed.is_ok());
        for change in group {
            change.answer(committed.clone());
        }
    }
}

fn commit(shared: &Arc<Shared>, group: &mut [Box<dyn Change>]) -> Result<(), WriteError> {
    let database: Arc<Database> = shared.database().map_err(write_storage)?;
    let mut transaction = database.begin_write().map_err(write_storage)?;
    transaction.set_durability(Durability::Immediate).map_err(write_storage)?;
    let mut samples: Vec<(u64, SampleBatch)> = Vec::new();
    let mut registry = RegistryChanges::default();
    for change in group {
        let mut staged = WriteTx::new(
            &transaction,
            Context { index: shared.index(), earlier: &registry, limits: shared.series_limits() },
        );
        if change.run(&mut staged) {
            let applied = staged.apply()?;
            samples.extend(applied.samples);
            registry.extend(applied.registry);
        }
    }
    transaction.commit().map_err(write_storage)?;
    // Series first: whoever meets a sample finds whose it is.
    registry.reach(shared.index());
    shared.head().append(samples);
    shared.committed();
    Ok(())
}
