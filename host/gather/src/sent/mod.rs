//! What senders send in other people's formats: remote write, OTLP, Influx' lines, and what listeners received. A body is decoded, its series
//! are found by key or registered, and its samples are committed before the sender is answered. Who sends is a target like
//! one that is scraped, by the labels `job` and `instance`, so that a series means the same by whichever door it came.

mod body;
mod commit;
mod influx;
mod known;
mod logs;
mod opening;
mod otlp;
mod remote_write;
mod series;
mod statsd;
mod tally;
#[cfg(test)]
mod tests;

pub use opening::Opened;
pub use remote_write::RemoteWritten;
pub use tally::SentMetrics;

use crate::declared::KnownMetadata;
use known::KnownSeries;
use logs::LogKeeper;
use opening::Opening;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tandem_domain::time::Clock;
use tandem_store::{Store, WriteError};
use tandem_wire::{
    compressed::CompressionError,
    limits::WireLimits,
    otlp::{Accumulator, OtlpError},
    rejected::Rejections,
    remote_write::{self as wire_remote_write, Unsupported},
    series_key::KeySeed,
};

/// How long a sender waits when samples come faster than they are written, before it is asked to come again.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked whether there is room again: some flushes take less than a tenth of a second.
const ROOM_EVERY: Duration = Duration::from_millis(20);

/// A body was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum SentError {
    /// Longer than a limit (413).
    #[error("{0}")]
    TooLong(String),
    /// Of a kind that is not taken (415).
    #[error("{0}")]
    Unsupported(String),
    /// It can never be taken (400).
    #[error("{0}")]
    Malformed(String),
    /// There is no room at present; nothing of it was kept, and it may be sent again (429).
    #[error("{0}")]
    Busy(String),
    /// Nothing of it was kept, and it may be sent again (503, or 429 when there is no room).
    #[error(transparent)]
    Store(#[from] WriteError),
}

impl From<CompressionError> for SentError {
    fn from(error: CompressionError) -> Self {
        let told = error.to_string();
        match error {
            CompressionError::TooLong { .. } => Self::TooLong(told),
            CompressionError::Unknown(_) => Self::Unsupported(told),
            CompressionError::Damaged { .. } => Self::Malformed(told),
        }
    }
}

impl From<Unsupported> for SentError {
    fn from(error: Unsupported) -> Self {
        Self::Unsupported(error.to_string())
    }
}

impl From<wire_remote_write::WriteError> for SentError {
    fn from(error: wire_remote_write::WriteError) -> Self {
        match error {
            wire_remote_write::WriteError::Compression(error) => error.into(),
            other => Self::Malformed(other.to_string()),
        }
    }
}

impl From<OtlpError> for SentError {
    fn from(error: OtlpError) -> Self {
        let told = error.to_string();
        match error {
            OtlpError::ContentType(_) => Self::Unsupported(told),
            OtlpError::TooLong { .. } => Self::TooLong(told),
            OtlpError::NoRequest(_) => Self::Malformed(told),
        }
    }
}

/// What became of a body.
#[derive(Debug, Default)]
pub struct Taken {
    /// Samples and native histograms that were kept.
    pub samples: u64,
    /// What was not, and why; it can never be.
    pub rejections: Rejections,
}

/// Takes bodies in. Many at a time; each is committed as a whole.
pub struct SentReceiver {
    store: Store,
    clock: Arc<dyn Clock>,
    seed: KeySeed,
    limits: WireLimits,
    known: KnownSeries,
    metadata: KnownMetadata,
    increments: Mutex<Accumulator>,
    logs: LogKeeper,
    opening: Opening,
    metrics: Arc<SentMetrics>,
}

/// What the operator says of the labels of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelLimits {
    /// Labels of one series.
    pub labels: usize,
    /// Bytes of a metric's or label's name.
    pub name_bytes: usize,
    /// Bytes of a label's value.
    pub value_bytes: usize,
}

impl Default for LabelLimits {
    fn default() -> Self {
        let WireLimits { labels, name_bytes, value_bytes, .. } = WireLimits::default();
        Self { labels, name_bytes, value_bytes }
    }
}

impl SentReceiver {
    /// With other limits for labels.
    #[must_use]
    pub fn with_label_limits(self, labels: LabelLimits) -> Self {
        let LabelLimits { labels, name_bytes, value_bytes } = labels;
        Self { limits: WireLimits { labels, name_bytes, value_bytes, ..self.limits }, ..self }
    }

    /// A receiver that knows no series yet.
    pub fn new(store: Store, clock: Arc<dyn Clock>, metrics: Arc<SentMetrics>) -> Self {
        Self {
            metadata: KnownMetadata::of(&store),
            store,
            clock,
            seed: KeySeed(rand::random()),
            limits: WireLimits::default(),
            known: KnownSeries::default(),
            increments: Mutex::default(),
            logs: LogKeeper::default(),
            opening: Opening::default(),
            metrics,
        }
    }

    /// With another time for which log records are kept, in milliseconds; older ones are rejected.
    pub fn keeping_logs(mut self, millis: i64) -> Self {
        self.logs.retention_millis = millis;
        self
    }

    /// Waits until the store takes samples in, before anything is done with a body.
    async fn has_room(&self) -> Result<(), SentError> {
        let room = async {
            while self.store.is_crowded() {
                tokio::time::sleep(ROOM_EVERY).await;
            }
        };
        let waited = tokio::time::timeout(ROOM_TIMEOUT, room).await;
        waited.map_err(|_| SentError::Store(WriteError::Crowded))
    }
}
