//! A line of a log, from whichever door: what becomes an event once its entity is known.

use tandem_domain::{Severity, Timestamp, series::Labels};

/// One log record.
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

/// The beginning of a text, at most so many bytes, between characters.
pub(crate) fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}
