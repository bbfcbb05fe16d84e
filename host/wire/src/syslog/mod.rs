//! Syslog: RFC 5424, and RFC 3164 with what devices make of it, over UDP (a datagram is a message) and TCP (RFC 6587).
//!
//! A message that keeps to neither becomes an entry whose text is all of it: what a device says is not lost for how it says
//! it. Only messages that are empty or too long are rejected.

mod frames;
mod modern;
mod old;
#[cfg(test)]
mod tests;

pub use frames::{Frames, MAX_MESSAGE_BYTES, frames};

use crate::{
    limits::WireLimits,
    log_entry::{LogEntry, cut},
    rejected::{Reason, Rejection},
};
use tandem_domain::{Severity, Timestamp, series::Labels};

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// What a message without a priority is (user, notice), as RFC 3164 says.
const DEFAULT_PRIORITY: u8 = 13;

/// What one of the two formats made of a message.
#[derive(Default)]
struct Parts {
    at: Option<Timestamp>,
    host: String,
    app: String,
    text: String,
    attributes: Vec<(String, String)>,
}

/// Reads one message; `now` is when it was received. RFC 3164 says neither year nor zone: times are taken as UTC, in the
/// year that brings them nearest to `now`.
///
/// # Errors
/// When it is empty or longer than [`MAX_MESSAGE_BYTES`].
pub fn parse(message: &[u8], now: Timestamp, limits: &WireLimits) -> Result<LogEntry, Rejection> {
    if message.len() > MAX_MESSAGE_BYTES {
        let text = format!("a syslog message of {} bytes; {MAX_MESSAGE_BYTES} are taken", message.len());
        return Err(Rejection { reason: Reason::TooMany, text });
    }
    // Devices write Latin-1 and worse; what is no UTF-8 is shown as such.
    let text = String::from_utf8_lossy(message);
    let text = text.trim_end_matches(['\n', '\r', '\0']);
    if text.trim().is_empty() {
        return Err(Rejection { reason: Reason::Malformed, text: "an empty syslog message".into() });
    }
    let (priority, rest) = priority(text).unwrap_or((DEFAULT_PRIORITY, text));
    let parts = match rest.strip_prefix("1 ").and_then(modern::parse) {
        Some(parts) => parts,
        None => old::parse(rest, now),
    };
    let (facility, level) = (usize::from(priority >> 3), usize::from(priority & 7));
    let severity = match level {
        0..=2 => Severity::Critical,
        3 | 4 => Severity::Warning,
        _ => Severity::Info,
    };
    let facility = FACILITIES.get(facility).copied().unwrap_or_default();
    let attributes = [("facility".to_owned(), facility.to_owned())]
        .into_iter()
        .chain(parts.attributes)
        .filter(|(name, _)| name.len() <= limits.name_bytes)
        .take(limits.labels)
        .map(|(name, value)| (name, cut(value, limits.value_bytes)));
    Ok(LogEntry {
        at: parts.at.unwrap_or(now),
        severity,
        level: LEVELS[level].to_owned(),
        host: cut(parts.host, limits.name_bytes),
        app: cut(parts.app, limits.name_bytes),
        text: cut(parts.text, limits.text_bytes),
        attributes: Labels::new(attributes),
    })
}

/// `<13>` at the front.
fn priority(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.strip_prefix('<')?.split_once('>')?;
    if digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let priority: u8 = digits.parse().ok().filter(|priority| *priority <= 191)?;
    Some((priority, rest))
}
