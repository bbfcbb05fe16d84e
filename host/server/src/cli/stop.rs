//! What ends a command that goes on until somebody stops it: Ctrl-C, or the signal by which systems end their services.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, caught from when it is made.
#[derive(Debug)]
pub(super) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Catches them from here on.
    ///
    /// # Errors
    /// When the system does not let them be caught.
    pub(super) fn catch() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for either.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
