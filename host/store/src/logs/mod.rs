//! Lines of logs, kept in blocks by time: some thousand lines compressed together, with a head that tells times, grades and
//! whose they are, and a filter of their words, so that a search opens only blocks that can hold what it looks for.
//!
//! A block lies in the three tables of its hour: `heads`, `words`, `bodies`. Small blocks of small bodies are joined by
//! [`maintain`]; what is too old or too much goes hour by hour, and within the oldest hour block by block.

mod bits;
mod block;
mod body;
mod maintain;
mod search;
#[cfg(test)]
mod tests;
mod words;

pub use block::LogBatch;
pub use maintain::LogRetention;
pub use search::{LogPage, LogQuery, LogText};

pub(crate) use block::append;
pub(crate) use maintain::{kept, maintain};
pub(crate) use search::search;

use serde::{Deserialize, Serialize};
use tandem_domain::{Record, Timestamp};

/// The stretch of time whose blocks share tables, in milliseconds: an hour is little enough to be dropped whole when space
/// is short, and a year of hours is few enough to be listed.
pub(crate) const WINDOW_MILLIS: i64 = 3_600_000;

/// What is kept of one hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct LogWindow {
    /// Hours since the epoch.
    pub hour: u64,
    /// Lines.
    pub entries: u64,
    /// Bytes of all three tables, without the file's own overhead.
    pub bytes: u64,
    /// Blocks.
    pub blocks: u64,
    /// Of them, blocks that may be joined.
    pub small: u64,
}

impl Record for LogWindow {
    const TABLE: &'static str = "log_windows";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        self.hour
    }
}

/// What all hours hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogsKept {
    /// Lines.
    pub entries: u64,
    /// Bytes, compressed, without the file's own overhead.
    pub bytes: u64,
}

/// The hour of a moment; moments before the epoch lie in the first.
pub(crate) fn hour_of(at: Timestamp) -> u64 {
    u64::try_from(at.0.div_euclid(WINDOW_MILLIS)).unwrap_or(0)
}

/// One of an hour's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Heads,
    Words,
    Bodies,
}

impl Part {
    pub(crate) const ALL: [Part; 3] = [Part::Heads, Part::Words, Part::Bodies];

    pub(crate) fn table(self, hour: u64) -> String {
        let part = match self {
            Part::Heads => "heads",
            Part::Words => "words",
            Part::Bodies => "bodies",
        };
        format!("logs/{part}/{hour:016x}")
    }
}
