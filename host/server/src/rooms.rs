//! The rooms of both halves: run by tasks of their own as time goes by, or stepped by hand to quiet, moment by moment, by
//! whoever plays with a clock of his own.

use crate::running::Tasks;
use std::sync::Arc;
use tandem_aiops::{Chain, Progress, RoomError};
use tandem_domain::{Timestamp, time::Clock};
use tandem_mlops::Mlops;
use tandem_store::Store;
use tandem_verdict::Verdicts;

/// Passes at one moment after which it is given up to wait for quiet: a pass is bounded, and the largest step of a story
/// needs some tens.
const MOST_PASSES: usize = 2_000;

/// What came of settling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Whether nothing was left to do at this moment.
    pub quiet: bool,
    /// When there will be something to do, even if nothing comes in.
    pub wake_at: Option<Timestamp>,
}

/// The rooms at rest.
pub struct Rooms {
    aiops: Chain,
    mlops: Mlops,
    verdicts: Verdicts,
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Rooms {
    pub(crate) fn new(aiops: Chain, mlops: Mlops, verdicts: Verdicts, store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { aiops, mlops, verdicts, store, clock }
    }

    /// Runs them until the tasks are stopped.
    pub(crate) fn start(self, tasks: &mut Tasks) {
        tasks.start("aiops", self.aiops.run(self.clock, tasks.stop_signal()));
        tasks.start("mlops", self.mlops.run(tasks.stop_signal()));
        tasks.start("verdict", self.verdicts.run(tasks.stop_signal()));
    }

    /// Steps them until nothing is left to do at the clock's moment, which must stand still meanwhile.
    ///
    /// # Errors
    /// When the store fails in one of the rooms of the AIOps half; the other half tells its failures in the log and tries
    /// again, as it does in a running server.
    pub async fn settle(&mut self) -> Result<Settled, RoomError> {
        let mut progress = Progress::default();
        for _ in 0..MOST_PASSES {
            let before = self.store.commit_count();
            progress = self.aiops.step(self.clock.now()).await?;
            self.mlops.step().await;
            if progress.more || self.store.commit_count() != before {
                continue;
            }
            let asking = self.verdicts.step().await?;
            asking.wake_at.into_iter().for_each(|at| progress.wake(at));
            if !asking.more && self.store.commit_count() == before {
                return Ok(Settled { quiet: true, wake_at: progress.wake_at });
            }
        }
        Ok(Settled { quiet: false, wake_at: progress.wake_at })
    }
}
