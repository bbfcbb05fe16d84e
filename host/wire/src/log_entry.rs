//! Lines of logs, from whichever door, held to the limits.

pub use tandem_domain::log::LogEntry;

/// The beginning of a text, at most so many bytes, between characters.
pub(crate) fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}
