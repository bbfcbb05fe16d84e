//! The task that drives the room which asks why, and keeps what the verdicts say whenever they say something new.

use crate::ask::{AskMetrics, AskRoom, Asking};
use std::{sync::Arc, time::Duration};
use tandem_domain::{ports::RootCauses, time::Clock};
use tandem_store::{Store, WriteError};
use tokio::sync::watch;

/// How often it looks: trouble shows in quarters of a minute.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The room that asks, and its clock.
pub struct Verdicts {
    clock: Arc<dyn Clock>,
    ask: AskRoom,
}

impl Verdicts {
    /// At rest.
    pub fn new(store: Store, root_causes: Arc<dyn RootCauses>, clock: Arc<dyn Clock>) -> Self {
        Self { ask: AskRoom::new(store, root_causes), clock }
    }

    /// The counters, to be kept before it is run.
    pub fn metrics(&self) -> Arc<AskMetrics> {
        self.ask.metrics()
    }

    /// One bounded pass at the clock's moment.
    ///
    /// # Errors
    /// When the store cannot be read or written; the next pass does the same work again.
    pub async fn step(&mut self) -> Result<Asking, WriteError> {
        self.ask.step(self.clock.now()).await
    }

    /// Runs it until shutdown.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let rest = match self.step().await {
                Ok(asking) if asking.more => Duration::ZERO,
                Ok(_) => LOOK_EVERY,
                Err(error) => {
                    tracing::error!("verdicts could not be made or kept and will be tried again: {error}");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }
}
