//! Lines of logs: what a program or machine said, and who it was.

use crate::{Severity, Timestamp, series::Labels, target::TargetKey};
use std::sync::Arc;

/// One line of a log, as its sender tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When it happened; when it was received, where the sender does not say.
    pub at: Timestamp,
    /// How bad, in our three grades.
    pub severity: Severity,
    /// The sender's own word for it: `err`, `WARN`.
    pub level: String,
    /// The machine, or empty.
    pub host: String,
    /// The program or service, or empty.
    pub app: String,
    /// What it says.
    pub text: String,
    /// Anything more: structured data, facility, trace.
    pub attributes: Labels,
}

/// Whose a line is. Entities are named by their aliases (`kind:scheme:value`, see [`crate::entity::EntityAlias`]), so that
/// lines stay with an entity that is merged with another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogSource {
    /// Who sent it.
    pub sender: TargetKey,
    /// The alias of the entity that wrote it.
    pub writer: String,
    /// The alias of the machine it ran on, where that is told and is another entity; empty otherwise.
    pub machine: String,
}

/// A line with whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcedLog {
    /// Whose.
    pub source: Arc<LogSource>,
    /// What.
    pub entry: LogEntry,
}

/// Where a line stands among all: by its moment, then in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPlace {
    /// When it happened.
    pub at: Timestamp,
    /// Its number; never given twice.
    pub sequence: u64,
}

impl LogPlace {
    /// Behind every line.
    pub const END: LogPlace = LogPlace { at: Timestamp::MAX, sequence: u64::MAX };
}
