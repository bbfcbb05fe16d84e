//! Opening, reading, writing, maintaining.

use crate::{
    Disk, OpenError, ReadError, ReadTx, WriteError, WriteTx,
    error::storage,
    exemplars::{self, ExemplarChanges, MAX_EXEMPLARS, Ring, Swept},
    file::Place,
    histograms,
    index::LabelIndex,
    limits::SeriesLimits,
    logs::{self, LogRetention},
    registry::{self, Doubtful, RegistryChanges},
    removal::{self, Silent},
    series::{self, Epochs, Head, Upkeep},
    wal::Wal,
    write::Intake,
    writer::{self, Change, TypedChange},
};
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadableDatabase};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tandem_domain::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Changes that may wait for the writer; further ones wait in their callers.
const MAX_WAITING_CHANGES: usize = 1024;
/// How long samples are kept when the operator does not say, in milliseconds: 30 days.
const DEFAULT_RETENTION_MILLIS: i64 = 30 * 86_400_000;
/// How far behind the newest sample of its series one may come when the operator does not say, in milliseconds: 30 minutes.
const DEFAULT_LATE_MILLIS: i64 = 30 * 60_000;
/// Samples in memory when the operator does not say, in bytes: some eleven million samples, which is two hours of 20,000 series at
/// fifteen seconds, and is read again within a second after a crash.
const DEFAULT_HEAD_BYTES: usize = 192 << 20;
/// When samples come faster than they are flushed, so many times the head's size is the most that memory holds of them.
const MOST_HEADS: u64 = 2;

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// redb's page cache, in bytes. Its own default of 1 GiB is more than a small server has.
    pub cache_bytes: usize,
    /// How long samples are kept, in milliseconds.
    pub retention_millis: i64,
    /// How many series there may be.
    pub series: SeriesLimits,
    /// Bytes of samples in blocks beyond which the oldest are dropped; none for no limit.
    pub max_bytes: Option<u64>,
    /// How far behind the newest sample of its series one may come, in milliseconds.
    pub late_millis: i64,
    /// Bytes of samples in memory at which they are flushed.
    pub head_bytes: usize,
    /// How many exemplars are kept; the oldest go first.
    pub max_exemplars: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 32 << 20,
            retention_millis: DEFAULT_RETENTION_MILLIS,
            series: SeriesLimits::default(),
            max_bytes: None,
            late_millis: DEFAULT_LATE_MILLIS,
            head_bytes: DEFAULT_HEAD_BYTES,
            max_exemplars: MAX_EXEMPLARS,
        }
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
    /// Samples in memory that are not in blocks yet.
    pub head_samples: u64,
    /// Series that are registered.
    pub series: u64,
    /// Exemplars that are kept.
    pub exemplars: u64,
    /// Bytes of memory that samples in memory take.
    pub head_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the write-ahead log beside it.
    pub wal_bytes: u64,
}

/// What reader and writer side share.
pub(crate) struct Shared {
    place: Place,
    options: StoreOptions,
    /// Absent while a file that failed is being opened again.
    database: RwLock<Option<Arc<Database>>>,
    head: Arc<Head>,
    index: Arc<RwLock<LabelIndex>>,
    exemplars: Arc<RwLock<Ring>>,
    swept_exemplars: Swept,
    silent: Silent,
    /// What failed commits would have changed of the registry, until the file is open again and tells.
    doubtful: Mutex<Doubtful>,
    /// Whether failed commits would have changed exemplars, which are read anew then.
    doubtful_exemplars: AtomicBool,
    wal: Arc<Wal>,
    epochs: Arc<Epochs>,
    upkeep: tokio::sync::Mutex<Upkeep>,
    /// That the head is full is told here.
    full: Notify,
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

    pub(crate) fn exemplars(&self) -> &RwLock<Ring> {
        &self.exemplars
    }

    pub(crate) fn max_exemplars(&self) -> u64 {
        self.options.max_exemplars
    }

    pub(crate) fn series_limits(&self) -> SeriesLimits {
        self.options.series
    }

    pub(crate) fn wal(&self) -> &Wal {
        &self.wal
    }

    /// What samples are held to on their way in.
    pub(crate) fn intake(&self) -> Intake<'_> {
        let crowded = self.head.unflushed_bytes() >= self.options.head_bytes as u64 * MOST_HEADS;
        Intake { head: &self.head, late_millis: self.options.late_millis, crowded }
    }

    pub(crate) fn tell_committed(&self) {
        self.committed.send_modify(|count| *count += 1);
        if self.head.unflushed_bytes() >= self.options.head_bytes as u64 {
            self.full.notify_one();
        }
    }

    pub(crate) fn count(&self, changes: u64, succeeded: bool) {
        self.changes.fetch_add(changes, Ordering::Relaxed);
        let counter = if succeeded { &self.commits } else { &self.failed_commits };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// After a failed write redb refuses everything until the file is opened again; what is durable is still there. Samples that
    /// were written with it are taken back, unless the file tells of them; the registry is brought to what the file tells. What
    /// does not succeed is tried again at the next commit, which fails.
    pub(crate) fn recover(&self, registry: RegistryChanges, exemplars: &ExemplarChanges) {
        self.doubtful.lock().add(registry);
        self.doubtful_exemplars.fetch_or(!exemplars.is_empty(), Ordering::Relaxed);
        let mut database = self.database.write();
        *database = None;
        match self.opened_again() {
            Ok((opened, came_through)) => {
                *database = Some(Arc::new(opened));
                drop(database);
                if came_through {
                    self.tell_committed();
                }
            }
            Err(error) => tracing::error!("the store could not be opened again after a failed write: {error}"),
        }
    }

    /// The file, opened again, with memory as it tells; and whether something of the commit came through after all.
    fn opened_again(&self) -> Result<(Database, bool), String> {
        let text = |error: ReadError| error.to_string();
        let opened = self.place.open(self.options.cache_bytes).map_err(|error| error.to_string())?;
        let known = writer::known_batch(&opened).map_err(text)?;
        let written = self.wal.settle(known).map_err(|error| error.to_string())?;
        // In the order of a commit that succeeds: series, then samples, then who reads them.
        let mut doubtful = self.doubtful.lock();
        let reading = self.reading(&opened).map_err(text)?;
        let registered = doubtful.settle(&reading, &self.index).map_err(text)?;
        if self.doubtful_exemplars.load(Ordering::Relaxed) {
            exemplars::load(&reading, &self.exemplars).map_err(text)?;
            self.doubtful_exemplars.store(false, Ordering::Relaxed);
        }
        if let Some(written) = written {
            let batches = self.wal.after(written.first - 1, written.last, usize::MAX).map_err(text)?;
            self.head.append(&batches);
            self.wal.confirm(written);
        }
        *doubtful = Doubtful::default();
        Ok((opened, registered || written.is_some()))
    }

    /// A snapshot of the file.
    fn reading(&self, database: &Database) -> Result<ReadTx, ReadError> {
        // The epoch is taken first: what it protects in the head was still there when the snapshot was made.
        let epoch = Epochs::enter(&self.epochs);
        // Then how far the samples go: whose they are, the snapshot knows.
        let samples_end = self.wal.end();
        let transaction = database.begin_read().map_err(storage)?;
        let (head, index, exemplars) = (self.head.clone(), self.index.clone(), self.exemplars.clone());
        Ok(ReadTx::new(transaction, head, index, exemplars, (self.wal.clone(), samples_end), epoch))
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

    /// Opens a store over a disk that a test makes; the function is called again when the file must be opened again.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with_backend<D: Disk>(
        make: impl Fn() -> Box<D> + Send + Sync + 'static,
        options: StoreOptions,
    ) -> Result<Store, OpenError> {
        Self::open_place(Place::Disk(Box::new(move || make() as Box<dyn Disk>)), options)
    }

    fn open_place(place: Place, options: StoreOptions) -> Result<Store, OpenError> {
        let unusable = |what: String| OpenError::Unusable { path: place.path(), what };
        let database = place.open(options.cache_bytes)?;
        let known = writer::known_batch(&database).map_err(|error| unusable(error.to_string()))?;
        let flushed = writer::flushed_batch(&database).map_err(|error| unusable(error.to_string()))?;
        let beside = place.beside().map_err(|error| unusable(error.to_string()))?;
        let wal = Wal::open(beside, known, flushed).map_err(unusable)?;
        let path = place.path();
        let unusable = |what: String| OpenError::Unusable { path: path.clone(), what };
        let shared = Arc::new(Shared {
            place,
            options,
            database: RwLock::new(Some(Arc::new(database))),
            head: Arc::new(Head::default()),
            index: Arc::default(),
            exemplars: Arc::default(),
            swept_exemplars: Swept::default(),
            silent: Silent::default(),
            doubtful: Mutex::default(),
            doubtful_exemplars: AtomicBool::new(false),
            wal: Arc::new(wal),
            epochs: Arc::new(Epochs::default()),
            upkeep: tokio::sync::Mutex::default(),
            full: Notify::new(),
            commits: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            failed_commits: AtomicU64::new(0),
            committed: watch::Sender::new(0),
        });
        let (changes, receiver) = mpsc::channel(MAX_WAITING_CHANGES);
        let store = Store { shared: shared.clone(), changes };
        let fill = || {
            let read = store.read()?;
            registry::load(&read, &shared.index)?;
            exemplars::load(&read, &shared.exemplars)?;
            series::rebuild_head(&read, &shared.wal, &shared.head)
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
        self.shared.reading(&*self.shared.database()?)
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

    /// Turns samples that have been in memory long enough into blocks, merges small runs of blocks, and drops what is beyond the
    /// retention; whether there is more to do at once. To be called every few seconds, and when [`Store::head_filled`] resolves.
    ///
    /// # Errors
    /// When the store cannot be read or written; the samples stay where they are.
    pub async fn maintain(&self, now: Timestamp) -> Result<bool, WriteError> {
        let mut upkeep = self.shared.upkeep.lock().await;
        let more = series::maintain(self, &mut upkeep, now).await?;
        let oldest_kept = now.plus_millis(-self.shared.options.retention_millis);
        histograms::maintain(self, now, oldest_kept).await?;
        exemplars::maintain(self, now, oldest_kept).await?;
        removal::maintain(self, now, oldest_kept).await?;
        Ok(more)
    }

    /// Turns all samples in memory into blocks.
    ///
    /// # Errors
    /// As [`Store::maintain`].
    pub async fn flush(&self) -> Result<(), WriteError> {
        let _upkeep = self.shared.upkeep.lock().await;
        while series::flush(self).await? {}
        Ok(())
    }

    /// Resolves when memory holds as many samples as it should.
    pub async fn head_filled(&self) {
        self.shared.full.notified().await;
    }

    /// Whether samples come faster than they are written, so that further ones are refused for the time being.
    pub fn is_crowded(&self) -> bool {
        self.shared.intake().crowded
    }

    pub(crate) fn index(&self) -> &RwLock<LabelIndex> {
        &self.shared.index
    }

    pub(crate) fn head(&self) -> &Head {
        &self.shared.head
    }

    pub(crate) fn exemplars(&self) -> &RwLock<Ring> {
        &self.shared.exemplars
    }

    pub(crate) fn swept_exemplars(&self) -> &Swept {
        &self.shared.swept_exemplars
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

    pub(crate) fn wal(&self) -> &Wal {
        &self.shared.wal
    }

    pub(crate) fn epochs(&self) -> &Epochs {
        &self.shared.epochs
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.shared.options
    }

    pub(crate) fn head_is_full(&self) -> bool {
        self.shared.head.growing_bytes() >= self.shared.options.head_bytes
    }

    /// What the store has done, and how big it is.
    pub fn metrics(&self) -> StoreMetrics {
        StoreMetrics {
            commits: self.shared.commits.load(Ordering::Relaxed),
            changes: self.shared.changes.load(Ordering::Relaxed),
            failed_commits: self.shared.failed_commits.load(Ordering::Relaxed),
            head_samples: self.shared.head.sample_count(),
            series: self.shared.index.read().len(),
            exemplars: self.shared.exemplars.read().len(),
            head_bytes: self.shared.head.unflushed_bytes(),
            file_bytes: self.shared.place.file_bytes(),
            wal_bytes: self.shared.wal.bytes(),
        }
    }
}
