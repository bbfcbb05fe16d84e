//! Opening, reading, writing, maintaining.

use crate::{
    OpenError, ReadError, ReadTx, WriteError, WriteTx,
    error::storage,
    file::Place,
    histograms,
    index::LabelIndex,
    limits::SeriesLimits,
    logs::{self, LogRetention},
    registry,
    removal::{self, Silent},
    series::{self, Epochs, Head},
    writer::{self, Change, TypedChange},
};
use parking_lot::RwLock;
use redb::{Database, ReadableDatabase};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tandem_domain::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

/// Changes that may wait for the writer; further ones wait in their callers.
const MAX_WAITING_CHANGES: usize = 1024;
/// How long samples are kept when the operator does not say, in milliseconds: 30 days.
const DEFAULT_RETENTION_MILLIS: i64 = 30 * 86_400_000;

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// redb's page cache, in bytes. Its own default of 1 GiB is more than a small server has.
    pub cache_bytes: usize,
    /// How long samples are kept, in milliseconds.
    pub retention_millis: i64,
    /// How many series there may be.
    pub series: SeriesLimits,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20, retention_millis: DEFAULT_RETENTION_MILLIS, series: SeriesLimits::default() }
    }
}

/// What the store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreMetrics {
    /// Commits, one fsync each.
    pub commits: u64,
    /// Changes in them.
    pub changes: u64,
    /// Commits that failed.
    pub failed_commits: u64,
    /// Samples in memory that are not in compressed chunks yet.
    pub head_samples: u64,
    /// Series that are registered.
    pub series: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// What reader and writer side share.
pub(crate) struct Shared {
    place: Place,
    options: StoreOptions,
    /// Absent while a file that failed is being opened again.
    database: RwLock<Option<Arc<Database>>>,
    head: Arc<Head>,
    index: Arc<RwLock<LabelIndex>>,
    silent: Silent,
    epochs: Arc<Epochs>,
    commits: AtomicU64,
    changes: AtomicU64,
    failed_commits: AtomicU64,
    committed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn database(&self) -> Result<Arc<Database>, ReadError> {
        self.database
            .read()
            .clone()
            .ok_or_else(|| ReadError::Storage("the file is being opened again after a failure".into()))
    }

    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    pub(crate) fn index(&self) -> &RwLock<LabelIndex> {
        &self.index
    }

    pub(crate) fn series_limits(&self) -> SeriesLimits {
        self.options.series
    }

    pub(crate) fn committed(&self) {
        self.committed.send_modify(|count| *count += 1);
    }

    pub(crate) fn count(&self, changes: u64, succeeded: bool) {
        self.changes.fetch_add(changes, Ordering::Relaxed);
        let counter = if succeeded { &self.commits } else { &self.failed_commits };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// After a failed write redb refuses everything until the file is opened again; what is durable is still there.
    pub(crate) fn reopen(&self) {
        let mut database = self.database.write();
        *database = None;
        match self.place.open(self.options.cache_bytes) {
            Ok(opened) => *database = Some(Arc::new(opened)),
            Err(error) => tracing::error!("the store could not be opened again after a failed write: {error}"),
        }
    }
}

/// The store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    changes: mpsc::Sender<Box<dyn Change>>,
}

impl Store {
    /// Opens `<folder>/tandem.redb`, makes it when there is none, migrates it when it is older.
    ///
    /// # Errors
    /// When it is locked, newer, not ours, or unusable; nothing is changed then.
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Store, OpenError> {
        Self::open_place(Place::Folder(folder.into()), options)
    }

    /// Opens a store over backends that a test makes; the function is called again when the file must be opened again.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with_backend(
        make: impl Fn() -> Box<dyn redb::StorageBackend> + Send + Sync + 'static,
        options: StoreOptions,
    ) -> Result<Store, OpenError> {
        Self::open_place(Place::Backend(Box::new(make)), options)
    }

    fn open_place(place: Place, options: StoreOptions) -> Result<Store, OpenError> {
        let database = place.open(options.cache_bytes)?;
        let shared = Arc::new(Shared {
            place,
            options,
            database: RwLock::new(Some(Arc::new(database))),
            head: Arc::new(Head::default()),
            index: Arc::default(),
            silent: Silent::default(),
            epochs: Arc::new(Epochs::default()),
            commits: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            failed_commits: AtomicU64::new(0),
            committed: watch::Sender::new(0),
        });
        let unusable = |what: String| OpenError::Unusable { path: "tandem.redb".into(), what };
        let (changes, receiver) = mpsc::channel(MAX_WAITING_CHANGES);
        let store = Store { shared: shared.clone(), changes };
        let fill = || {
            let read = store.read()?;
            registry::load(&read, &shared.index)?;
            series::rebuild_head(&read, &shared.head)
        };
        fill().map_err(|error| unusable(error.to_string()))?;
        std::thread::Builder::new()
            .name("tandem-store".into())
            .spawn(move || writer::run(&shared, receiver))
            .map_err(|error| unusable(error.to_string()))?;
        Ok(store)
    }

    /// A snapshot to read from. Keep it short: a long reader pins freed pages.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self) -> Result<ReadTx, ReadError> {
        // The epoch is taken first: what it protects in the head was still there when the snapshot was made.
        let epoch = Epochs::enter(&self.shared.epochs);
        let transaction = self.shared.database()?.begin_read().map_err(storage)?;
        Ok(ReadTx::new(transaction, self.shared.head.clone(), self.shared.index.clone(), epoch))
    }

    /// Runs `change` on the writer thread, in one transaction with others that wait, and returns after the fsync.
    ///
    /// # Errors
    /// An error or panic of `change` rolls back only its own writes; a failed commit keeps nothing of any change in it.
    pub async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        let change = Box::new(TypedChange::new(change, reply));
        self.changes.send(change).await.map_err(|_| WriteError::Closed)?;
        answer.await.map_err(|_| WriteError::Closed)?
    }

    /// Resolves when something was committed after `seen`; answers the present count of commits. Starts at 0.
    pub async fn committed_after(&self, seen: u64) -> u64 {
        let mut watched = self.shared.committed.subscribe();
        // The sender lives as long as the store does.
        watched.wait_for(|count| *count > seen).await.map(|count| *count).unwrap_or(seen)
    }

    /// The present count of commits.
    pub fn commit_count(&self) -> u64 {
        *self.shared.committed.borrow()
    }

    /// Turns samples that have been in memory long enough into compressed chunks, and drops what is older than the
    /// retention. To be called every few seconds.
    ///
    /// # Errors
    /// When the store cannot be read or written; the samples stay where they are.
    pub async fn maintain(&self, now: Timestamp) -> Result<(), WriteError> {
        let oldest_kept = now.plus_millis(-self.shared.options.retention_millis);
        series::maintain(self, &self.shared.head, &self.shared.epochs, now, oldest_kept).await?;
        histograms::maintain(self, now, oldest_kept).await?;
        removal::maintain(self, now, oldest_kept).await
    }

    pub(crate) fn index(&self) -> &RwLock<LabelIndex> {
        &self.shared.index
    }

    pub(crate) fn head(&self) -> &Head {
        &self.shared.head
    }

    pub(crate) fn silent(&self) -> &Silent {
        &self.shared.silent
    }

    /// Joins small blocks of logs, and drops what is older than the retention or more than it. To be called every few seconds.
    ///
    /// # Errors
    /// As [`Store::maintain`].
    pub async fn maintain_logs(&self, retention: LogRetention, now: Timestamp) -> Result<(), WriteError> {
        logs::maintain(self, retention, now).await
    }

    /// What the store has done, and how big it is.
    pub fn metrics(&self) -> StoreMetrics {
        StoreMetrics {
            commits: self.shared.commits.load(Ordering::Relaxed),
            changes: self.shared.changes.load(Ordering::Relaxed),
            failed_commits: self.shared.failed_commits.load(Ordering::Relaxed),
            head_samples: self.shared.head.sample_count(),
            series: self.shared.index.read().len(),
            file_bytes: self.shared.place.file_bytes(),
        }
    }
}
