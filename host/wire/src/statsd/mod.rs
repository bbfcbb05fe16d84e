//! StatsD over UDP: datagrams of lines `name:value|type|@rate|#tag:value,…`, with DogStatsD's tags and packed values.
//!
//! [`lines`] reads, the [`Aggregator`] holds what StatsD leaves to the server: totals of counters, values of gauges that
//! come as `+1` or `-1`, distributions of timers, members of sets. Counters become `name_total`, timers `name_seconds`
//! (native histograms, as histograms and distributions are), sets gauges. Events and service checks of DogStatsD are told
//! as unsupported. Grammar: Etsy's `metric_types` page and DogStatsD's datagram format.

mod aggregate;
#[cfg(test)]
mod tests;

pub use aggregate::{Aggregator, Flush, MAX_SERIES, MAX_SET_MEMBERS};

use crate::rejected::{Reason, Rejection};
use std::borrow::Cow;

/// Longest datagram that UDP carries, in bytes.
pub const MAX_DATAGRAM_BYTES: usize = 65_507;
/// Packed values of one line; DogStatsD clients pack what fits into a datagram.
const MAX_VALUES: usize = 10_000;

/// What a line does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change<'b> {
    /// Adds to a counter, already multiplied by the sample rate.
    Count(f64),
    /// Sets a gauge.
    Set(f64),
    /// Adds to a gauge.
    Adjust(f64),
    /// One observation of a timer, in seconds, that stands for so many.
    Timing(f64, f64),
    /// One observation of a histogram or distribution that stands for so many.
    Observe(f64, f64),
    /// A member of a set.
    Member(&'b str),
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'b> {
    /// The metric.
    pub name: &'b str,
    /// DogStatsD's; a tag without value has the value `true`.
    pub tags: Vec<(&'b str, &'b str)>,
    /// One, or several packed ones.
    pub changes: Vec<Change<'b>>,
}

fn bad(text: &str, what: &str) -> Rejection {
    Rejection { reason: Reason::Malformed, text: format!("{text:?}: {what}") }
}

/// Each line of a datagram.
pub fn lines(datagram: &[u8]) -> impl Iterator<Item = Result<Line<'_>, Rejection>> {
    datagram.split(|byte| *byte == b'\n').filter_map(|raw| {
        let text = match std::str::from_utf8(raw) {
            Ok(text) => text.trim_matches([' ', '\r', '\t', '\0']),
            Err(_) => return Some(Err(bad(&String::from_utf8_lossy(raw), "not UTF-8"))),
        };
        (!text.is_empty()).then(|| line(text))
    })
}

fn line(text: &str) -> Result<Line<'_>, Rejection> {
    if text.starts_with("_e{") || text.starts_with("_sc|") {
        let text = "events and service checks of DogStatsD are not taken".into();
        return Err(Rejection { reason: Reason::Unsupported, text });
    }
    // Tags may hold colons, so the name ends before the first bar.
    let head = text.split('|').next().unwrap_or_default();
    let (name, values) = head.split_once(':').ok_or_else(|| bad(text, "no value"))?;
    if name.is_empty() {
        return Err(bad(text, "no name"));
    }
    let mut sections = text.split('|').skip(1);
    let kind = sections.next().ok_or_else(|| bad(text, "no type"))?;
    let (mut rate, mut tags) = (1.0, Vec::new());
    for section in sections {
        if let Some(given) = section.strip_prefix('@') {
            let given: f64 = given.parse().map_err(|_| bad(text, "the sample rate is no number"))?;
            rate = Some(given).filter(|rate| *rate > 0.0 && *rate <= 1.0).ok_or_else(|| bad(text, "no sample rate"))?;
        } else if let Some(given) = section.strip_prefix('#') {
            let pairs = given.split(',').filter(|tag| !tag.is_empty());
            tags = pairs.map(|tag| tag.split_once(':').unwrap_or((tag, "true"))).collect();
        }
        // Others (container id, time) say nothing that is kept.
    }
    let changes = match kind {
        "s" => vec![Change::Member(values)],
        _ => {
            let values: Vec<&str> = values.split(':').take(MAX_VALUES + 1).collect();
            if values.len() > MAX_VALUES {
                return Err(bad(name, "more packed values than are taken"));
            }
            values.into_iter().map(|value| change(text, kind, value, rate)).collect::<Result<_, _>>()?
        }
    };
    Ok(Line { name, tags, changes })
}

fn change<'b>(text: &str, kind: &str, value: &str, rate: f64) -> Result<Change<'b>, Rejection> {
    let number: f64 = value.parse().map_err(|_| bad(text, "the value is no number"))?;
    if !number.is_finite() {
        return Err(bad(text, "the value is not finite"));
    }
    match kind {
        "c" | "m" => Ok(Change::Count(number / rate)),
        "g" if value.starts_with(['+', '-']) => Ok(Change::Adjust(number)),
        "g" => Ok(Change::Set(number)),
        "ms" => Ok(Change::Timing(number / 1_000.0, 1.0 / rate)),
        "h" | "d" => Ok(Change::Observe(number, 1.0 / rate)),
        _ => Err(bad(text, "the type is none of c, g, ms, h, d and s")),
    }
}

/// Names with dots become names with underscores.
fn named<'a>(name: &str, change: &Change<'_>) -> Cow<'a, str> {
    let name = crate::influx::name(name);
    Cow::Owned(match change {
        Change::Count(_) => format!("{name}_total"),
        Change::Timing(..) => format!("{name}_seconds"),
        _ => name,
    })
}
