//! The tasks of a running server: started with a name, told to stop once, waited for in the reverse order.

use std::time::Duration;
use tokio::{sync::watch, task::JoinHandle};

/// How long a task may take to come to its end.
const STOP_BUDGET: Duration = Duration::from_secs(10);

/// The tasks.
pub(crate) struct Tasks {
    shutdown: watch::Sender<bool>,
    running: Vec<(&'static str, JoinHandle<()>)>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { shutdown: watch::Sender::new(false), running: Vec::new() }
    }

    /// What tasks watch to know that they shall stop.
    pub(crate) fn stop_signal(&self) -> watch::Receiver<bool> {
        self.shutdown.subscribe()
    }

    pub(crate) fn start(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.running.push((name, tokio::spawn(task)));
    }

    /// Tells all to stop and waits for each, the last started first.
    pub(crate) async fn stop(mut self) {
        self.shutdown.send_replace(true);
        while let Some((name, mut task)) = self.running.pop() {
            match tokio::time::timeout(STOP_BUDGET, &mut task).await {
                Ok(Ok(())) => tracing::debug!(task = name, "stopped"),
                Ok(Err(error)) => tracing::error!(task = name, "ended by a fault: {error}"),
                Err(_) => {
                    tracing::warn!(task = name, "did not stop within {} s and is cut off", STOP_BUDGET.as_secs());
                    task.abort();
                }
            }
        }
    }
}
