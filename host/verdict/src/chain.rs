//! Asks why, then keeps what the verdicts say whenever they say something new; and the task that drives both.

use crate::{
    ask::{AskMetrics, AskRoom, Asking},
    history,
    reading::verdicts,
};
use std::{sync::Arc, time::Duration};
use tandem_domain::{Timestamp, ports::RootCauses, time::Clock};
use tandem_store::{ReadError, Store, WriteError};
use tokio::sync::watch;

/// How often it looks: trouble shows in quarters of a minute.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The room that asks, and the history.
pub struct Verdicts {
    store: Store,
    clock: Arc<dyn Clock>,
    ask: AskRoom,
}

impl Verdicts {
    /// At rest.
    pub fn new(store: Store, root_causes: Arc<dyn RootCauses>, clock: Arc<dyn Clock>) -> Self {
        Self { ask: AskRoom::new(store.clone(), root_causes), store, clock }
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
        let now = self.clock.now();
        let asking = self.ask.step(now).await?;
        self.remember(now).await?;
        Ok(asking)
    }

    async fn remember(&self, now: Timestamp) -> Result<usize, WriteError> {
        let store = self.store.clone();
        let judged = tokio::task::spawn_blocking(move || Ok(verdicts(&store.read()?, None, now)?)).await;
        let judged: Result<_, ReadError> =
            judged.map_err(|error| ReadError::Storage(format!("the reading thread failed: {error}")))?;
        history::keep(&self.store, judged?).await
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
