//! One forward's loop: read the log after the cursor, send, and move the cursor on.

use crate::{
    deliver::{Deliverer, LoopFound, Terms},
    metadata::{self, FAMILIES_PER_REQUEST},
    outgoing::{Met, Remembered},
    round::Round,
    status::{DropReason, ForwardState, Telling, add},
    tables::{ForwardRecord, Gap},
};
use std::{sync::Arc, sync::atomic::Ordering, time::Duration};
use tandem_domain::{Timestamp, series::SampleBatch, time::Clock};
use tandem_store::{ReadError, ReadTx, Store, WriteError};
use tandem_wire::remote_write::Protocol;
use tokio::{sync::watch, time::Instant};

/// Samples sent together when there are many: some 5 MiB in memory, and enough of each series to be worth its labels.
pub(crate) const ROUND_SAMPLES: usize = 200_000;
/// How often the cursor is committed: what was delivered since is sent again after a crash.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// Commits that come within this time of each other are read together.
const GATHERING_PAUSE: Duration = Duration::from_millis(50);
/// A lane looks after itself at least so often.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// Pause after a failure of the store.
const FAILURE_PAUSE: Duration = Duration::from_secs(2);
/// How long requests under way may take to end when the server stops; what is not done then is sent again.
const FINISH_WITHIN: Duration = Duration::from_secs(3);

/// The store failed; what was committed stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaneError {
    #[error("reading: {0}")]
    Read(#[from] ReadError),
    #[error("writing: {0}")]
    Write(#[from] WriteError),
}

/// How a pass ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Done,
    Stopped,
    Looped,
}

/// One forward.
pub(crate) struct Lane {
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub deliverer: Deliverer,
    pub remembered: Remembered,
    pub record: ForwardRecord,
    pub telling: Arc<Telling>,
    /// The record holds more than the file.
    pub uncommitted: bool,
    pub committed_at: Instant,
    pub metadata_at: Instant,
}

/// What was read of the log.
struct Gathered {
    round: Round,
    through: u64,
    reached: Option<Timestamp>,
    /// There was no more.
    exhausted: bool,
}

/// Comes back when the server stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the server is gone, which is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The newest moment of a batch.
fn newest(batch: &SampleBatch) -> Option<Timestamp> {
    batch.at.iter().chain(batch.histograms.iter().map(|(_, at)| at)).max().copied()
}

impl Lane {
    /// Until the server stops, or the forward is found to lead back to it.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        self.tell();
        while !*stop.borrow() {
            match self.pass(&mut stop).await {
                Ok(Pass::Done) => {}
                Ok(Pass::Stopped) => break,
                Ok(Pass::Looped) => return self.refuse().await,
                Err(error) => {
                    tracing::error!(forward = self.record.name, "a pass failed and will be tried again: {error}");
                    tokio::select! {
                        () = tokio::time::sleep(FAILURE_PAUSE) => {}
                        () = stopped(&mut stop) => break,
                    }
                }
            }
        }
        if let Err(error) = self.commit().await {
            tracing::error!(forward = self.record.name, "how far it has come was not kept: {error}");
        }
    }

    async fn pass(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Pass, LaneError> {
        self.look_after().await?;
        if self.deliverer.protocol() == Protocol::V1
            && Instant::now() >= self.metadata_at
            && self.tell_metadata().await.is_err()
        {
            return Ok(Pass::Looped);
        }
        if self.record.gap.is_some() {
            return self.catch_up(stop).await;
        }
        let repeated = self.record.sending_through.is_some();
        let Some(mut gathered) = self.gather(stop).await? else { return Ok(Pass::Stopped) };
        if !gathered.round.is_empty() && !repeated {
            // With it goes how far the round before has come.
            (self.record.sending_through, self.uncommitted) = (Some(gathered.through), true);
            self.commit().await?;
        }
        let arrived = self.record.arrivals.arrived(gathered.through, self.clock.now());
        let terms = Terms { expires_at: arrived.plus_millis(self.keep_millis()), repeated };
        let pass = self.deliver(&mut gathered.round, terms, stop).await?;
        if pass == Pass::Done && gathered.through > self.record.through {
            (self.record.through, self.record.reached) = (gathered.through, gathered.reached);
            self.settled();
        }
        Ok(pass)
    }

    pub(crate) fn keep_millis(&self) -> i64 {
        i64::try_from(self.deliverer.config.keep.0.as_millis()).unwrap_or(i64::MAX)
    }

    /// The record has moved on.
    pub(crate) fn settled(&mut self) {
        self.record.arrivals.settle(self.record.through);
        self.record.sending_through = None;
        self.uncommitted = true;
        self.tell();
    }

    fn tell(&self) {
        self.telling.through.store(self.record.through, Ordering::Relaxed);
        self.telling.reached.store(self.record.reached.unwrap_or(Timestamp::MIN).0, Ordering::Relaxed);
    }

    /// What is due by time alone: notes of arrivals, giving up what has waited too long, committing.
    async fn look_after(&mut self) -> Result<(), LaneError> {
        let (now, end) = (self.clock.now(), self.store.read()?.samples_end()?);
        let keep = self.keep_millis();
        self.uncommitted |= self.record.arrivals.note(end, now, keep);
        let expired = self.record.arrivals.reached_at(now.plus_millis(-keep));
        if self.record.gap.is_none() && expired > self.record.through {
            let batches = expired - self.record.through;
            let why = format!("{batches} batches waited longer than {} s and are not sent", keep / 1_000);
            tracing::error!(forward = self.record.name, "{why}");
            self.telling.skipped(batches, why);
            self.record.through = expired;
            self.settled();
        }
        if self.uncommitted && self.committed_at.elapsed() >= COMMIT_EVERY {
            self.commit().await?;
        }
        Ok(())
    }

    /// Writes down how far it has come, and lets the log be trimmed up to there.
    pub(crate) async fn commit(&mut self) -> Result<(), WriteError> {
        if self.uncommitted {
            let record = self.record.clone();
            let keep = move |tx: &mut tandem_store::WriteTx<'_>| {
                tx.set_cursor(&ForwardRecord::cursor(&record.name), record.through)?;
                tx.put(&record)
            };
            self.store.write(keep).await?;
            (self.uncommitted, self.committed_at) = (false, Instant::now());
        }
        Ok(())
    }

    /// Reads until a request is full, its time is up, or it is time to look after other things.
    async fn gather(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Option<Gathered>, LaneError> {
        let mut gathered = Gathered {
            round: Round::default(),
            through: self.record.through,
            reached: self.record.reached,
            exhausted: false,
        };
        let began = Instant::now();
        let mut deadline = began + LONGEST_SLEEP.min(if self.uncommitted { COMMIT_EVERY } else { LONGEST_SLEEP });
        loop {
            let seen = self.store.commit_count();
            let waited = gathered.round.len();
            self.read_log(&mut gathered)?;
            self.telling.pending_samples.store(gathered.round.len() as u64, Ordering::Relaxed);
            let full = gathered.round.len() >= self.deliverer.config.max_samples_per_send;
            let repeating = self.record.sending_through.is_some();
            if full || repeating || !gathered.exhausted || self.record.gap.is_some() {
                return Ok(Some(gathered));
            }
            if waited == 0 && !gathered.round.is_empty() {
                deadline = Instant::now() + self.deliverer.config.batch_deadline.0;
            }
            let more = async {
                self.store.committed_after(seen).await;
                tokio::time::sleep(GATHERING_PAUSE).await;
            };
            tokio::select! {
                () = more => {}
                () = tokio::time::sleep_until(deadline) => return Ok(Some(gathered)),
                () = stopped(stop) => return Ok(None),
            }
        }
    }

    /// Takes from the log what there is, up to a round's size.
    fn read_log(&mut self, gathered: &mut Gathered) -> Result<(), LaneError> {
        let read = self.store.read()?;
        // Not in the middle of a round: its samples stand for series that are remembered.
        if gathered.round.is_empty() {
            self.remembered.refresh(&read)?;
        }
        // What was under way when the server stopped is sent as it was then.
        let last = self.record.sending_through;
        while last.map_or(gathered.round.len() < ROUND_SAMPLES, |last| gathered.through < last) {
            let room = ROUND_SAMPLES.saturating_sub(gathered.round.len()).max(1);
            let mut batches = read.samples_after(gathered.through, room)?;
            batches.retain(|(sequence, _)| last.is_none_or(|last| *sequence <= last));
            let first = batches.first().map(|(sequence, _)| *sequence);
            let end = read.samples_end()?;
            let next = first.unwrap_or(end + 1);
            if next > gathered.through + 1 {
                if gathered.through == self.record.through {
                    let until = batches.first().and_then(|(_, batch)| newest(batch));
                    self.note_gap(next - 1, until.unwrap_or_else(|| self.clock.now()));
                }
                return Ok(());
            }
            if batches.is_empty() {
                gathered.exhausted = true;
                return Ok(());
            }
            for (sequence, batch) in batches {
                self.take(&read, &batch, &mut gathered.round)?;
                gathered.through = sequence;
                gathered.reached = newest(&batch).max(gathered.reached);
            }
        }
        Ok(())
    }

    fn take(&mut self, read: &ReadTx, batch: &SampleBatch, round: &mut Round) -> Result<(), ReadError> {
        let mut deleted = 0;
        for ((series, at), value) in batch.series.iter().zip(&batch.at).zip(&batch.value) {
            match self.remembered.meet(read, *series)? {
                Met::Sent(_) => round.push(*series, *at, *value),
                Met::NotChosen => {}
                Met::Gone => deleted += 1,
            }
        }
        let histograms = if self.deliverer.config.send_native_histograms { batch.histograms.as_slice() } else { &[] };
        for (series, at) in histograms {
            match self.remembered.meet(read, *series)? {
                Met::Sent(_) => round.push_histogram(*series, *at),
                Met::NotChosen => {}
                Met::Gone => deleted += 1,
            }
        }
        if deleted > 0 {
            let now = self.clock.now();
            self.telling.dropped(DropReason::Deleted, deleted, "their series were deleted before they were sent", now);
        }
        Ok(())
    }

    /// The log was trimmed although this forward had not read it: what is missing is read from the chunks.
    fn note_gap(&mut self, trimmed_through: u64, until: Timestamp) {
        let trimmed = trimmed_through - self.record.through;
        let oldest = self.clock.now().plus_millis(-self.keep_millis());
        let from = self.record.reached.unwrap_or(oldest).max(oldest);
        tracing::warn!(
            forward = self.record.name,
            "{trimmed} batches were trimmed before they were sent; {} s are read from the chunks instead",
            until.millis_since(from) / 1_000
        );
        add(&self.telling.trimmed_batches, trimmed);
        self.record.through = trimmed_through;
        self.record.gap = Some(Gap { from, until, part_from: from, next_series: 0 });
        self.settled();
    }

    /// Sends a round. Arrivals go on being noted meanwhile: a receiver may be down for hours.
    pub(crate) async fn deliver(
        &mut self,
        round: &mut Round,
        terms: Terms,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Pass, LaneError> {
        if round.is_empty() {
            return Ok(Pass::Done);
        }
        self.telling.pending_samples.store(round.len() as u64, Ordering::Relaxed);
        let keep = self.keep_millis();
        let Self { deliverer, remembered, record, store, clock, uncommitted, .. } = self;
        let delivering = deliverer.deliver(round, remembered, store, terms);
        tokio::pin!(delivering);
        let mut stopping = false;
        let finish = tokio::time::sleep(Duration::MAX);
        tokio::pin!(finish);
        let outcome = loop {
            tokio::select! {
                outcome = &mut delivering => break outcome,
                () = &mut finish, if stopping => return Ok(Pass::Stopped),
                () = stopped(stop), if !stopping => {
                    stopping = true;
                    finish.as_mut().reset(Instant::now() + FINISH_WITHIN);
                }
                () = tokio::time::sleep(LONGEST_SLEEP) => {
                    let end = store.read()?.samples_end()?;
                    if record.arrivals.note(end, clock.now(), keep) {
                        let noted = record.clone();
                        store.write(move |tx| tx.put(&noted)).await?;
                        *uncommitted = true;
                    }
                }
            }
        };
        self.telling.pending_samples.store(0, Ordering::Relaxed);
        Ok(if outcome == Err(LoopFound) { Pass::Looped } else { Pass::Done })
    }

    async fn tell_metadata(&mut self) -> Result<(), LoopFound> {
        let families = metadata::families(self.remembered.all_sent());
        for part in families.chunks(FAMILIES_PER_REQUEST) {
            self.deliverer.tell_metadata(part).await?;
        }
        // Nothing was met yet: soon again.
        let pause = if families.is_empty() { COMMIT_EVERY } else { self.deliverer.config.metadata_interval.0 };
        self.metadata_at = Instant::now() + pause;
        Ok(())
    }

    /// It leads back here: nothing more is sent, and nothing is kept for it.
    async fn refuse(self) {
        let name = self.record.name;
        let why = "the receiver is this server itself; give the address of another".to_owned();
        tracing::error!(forward = name, "{why}");
        self.telling.failed(why, ForwardState::Refused);
        let forget = move |tx: &mut tandem_store::WriteTx<'_>| {
            tx.remove_cursor(&ForwardRecord::cursor(&name))?;
            tx.remove::<ForwardRecord>(&name)
        };
        if let Err(error) = self.store.write(forget).await {
            tracing::error!("what was kept for it could not be removed: {error}");
        }
    }
}
