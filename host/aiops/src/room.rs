//! What all rooms share: one bounded pass at a time, and the loop that calls for passes when the store changed.

use std::{future::Future, sync::Arc, time::Duration};
use tandem_domain::{Timestamp, time::Clock};
use tandem_store::{ReadError, ReadTx, Store, WriteError};
use tokio::sync::watch;

/// Commits that come within this time of each other are answered by one pass: a scrape of many targets commits many times.
const GATHERING_PAUSE_MILLIS: u64 = 50;

/// A room looks by itself at least so often, so that what depends on time alone happens.
const LONGEST_SLEEP_MILLIS: i64 = 5_000;

/// Pause after a pass that failed; the store or its disk needs a moment, and the log must not fill with the same line.
const FAILURE_PAUSE_MILLIS: u64 = 2_000;

/// Why a pass could not be finished. What was committed before stays; the next pass goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The store could not be read.
    #[error("reading: {0}")]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error("writing: {0}")]
    Write(#[from] WriteError),
}

/// What a pass left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Whether anything was done.
    pub worked: bool,
    /// Whether there is more to do at once.
    pub more: bool,
    /// When there will be something to do even if nothing is committed.
    pub wake_at: Option<Timestamp>,
}

impl Progress {
    /// Both together: more work if either has, the earlier wake.
    pub fn and(self, other: Progress) -> Progress {
        let wake_at = match (self.wake_at, other.wake_at) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Progress { worked: self.worked || other.worked, more: self.more || other.more, wake_at }
    }

    /// Remembers a moment at which there will be something to do.
    pub fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }
}

/// A room of the chain.
pub trait Room: Send {
    /// For logs.
    fn name(&self) -> &'static str;
    /// One bounded pass.
    fn step(&mut self, now: Timestamp) -> impl Future<Output = Result<Progress, RoomError>> + Send;
    /// Puts away what would be lost, at a shutdown in order.
    fn close(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// Steps a room whenever the store changed or its time has come, until shutdown.
pub async fn run<R: Room>(mut room: R, store: Store, clock: Arc<dyn Clock>, shutdown: watch::Receiver<bool>) {
    until_shutdown(&mut room, &store, clock.as_ref(), shutdown).await;
    room.close().await;
}

async fn until_shutdown<R: Room>(room: &mut R, store: &Store, clock: &dyn Clock, mut shutdown: watch::Receiver<bool>) {
    let mut seen = store.commit_count();
    loop {
        if *shutdown.borrow() {
            return;
        }
        let now = clock.now();
        let pause = match room.step(now).await {
            Ok(progress) if progress.more => continue_soon().await,
            Ok(progress) => until(progress.wake_at, now),
            Err(error) => {
                tracing::error!(room = room.name(), "a pass failed and will be tried again: {error}");
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(FAILURE_PAUSE_MILLIS)) => continue,
                    () = stopped(&mut shutdown) => return,
                }
            }
        };
        let Some(pause) = pause else { continue };
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            () = tokio::time::sleep(pause) => {}
            _ = store.committed_after(seen) => {
                tokio::time::sleep(Duration::from_millis(GATHERING_PAUSE_MILLIS)).await;
            }
        }
        seen = store.commit_count();
    }
}

/// Resolves at shutdown, or when nobody is left who could ask for it.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // What it answers holds a lock, and must not be kept.
    drop(shutdown.wait_for(|stop| *stop).await);
}

/// Reads on a thread that may block: a large target or a long history takes longer than an async task should.
///
/// # Errors
/// When the store cannot be read.
pub async fn reading<T: Send + 'static>(
    store: &Store,
    look: impl FnOnce(&ReadTx) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, RoomError> {
    let store = store.clone();
    let looked = tokio::task::spawn_blocking(move || look(&store.read()?)).await;
    Ok(looked.map_err(|error| ReadError::Storage(format!("the reading thread failed: {error}")))??)
}

/// Lets others run between two passes of a long piece of work.
async fn continue_soon() -> Option<Duration> {
    tokio::task::yield_now().await;
    None
}

fn until(wake_at: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let millis = wake_at.map_or(LONGEST_SLEEP_MILLIS, |at| at.millis_since(now)).clamp(1, LONGEST_SLEEP_MILLIS);
    Some(Duration::from_millis(millis.unsigned_abs()))
}

/// The wait before another try: doubled with each failure from `base`, up to `cap`, in milliseconds.
pub fn backoff_millis(failures: u32, base: i64, cap: i64) -> i64 {
    let doublings = failures.saturating_sub(1).min(40);
    base.saturating_mul(1_i64 << doublings).clamp(base.min(cap), cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_cap() {
        let waits: Vec<i64> = (1..=6).map(|failures| backoff_millis(failures, 1_000, 10_000)).collect();
        assert_eq!(waits, [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        assert_eq!(backoff_millis(u32::MAX, 1_000, 10_000), 10_000);
    }

    #[test]
    fn progress_keeps_the_earlier_wake() {
        let mut progress = Progress { wake_at: Some(Timestamp(5)), ..Progress::default() };
        progress.wake(Timestamp(3));
        let both = progress.and(Progress { more: true, wake_at: Some(Timestamp(4)), worked: false });
        assert_eq!(both, Progress { more: true, worked: false, wake_at: Some(Timestamp(3)) });
    }
}
