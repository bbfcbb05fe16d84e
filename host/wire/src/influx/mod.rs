//! The Influx line protocol, as `/write` (v1) and `/api/v2/write` take it.
//!
//! Each field becomes a series `measurement_field`, each tag a label; characters that Prometheus names do not have become
//! `_`. Integers become floats (exact to 2^53), booleans 1 and 0. Strings are no samples: they are counted and left. A line
//! that is malformed costs itself. Grammar: InfluxData's `line-protocol` specification and its corpus.

mod encode;
mod parse;
#[cfg(test)]
mod tests;

pub use encode::{Unwritable, encode};
pub use parse::{Field, LineFault, Point, points};

use crate::{
    described::describe,
    limits::WireLimits,
    rejected::{Reason, Rejection, Rejections},
    series_key::{KeySeed, SeriesKey},
};
use std::borrow::Cow;
use tandem_domain::{
    Timestamp,
    series::{MetricType, SeriesDescription},
};

/// The unit of the moments of a body (query parameter `precision`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// `ns` or `n`; where nothing is said.
    #[default]
    Nanoseconds,
    /// `us`, `u` or `µs`.
    Microseconds,
    /// `ms`.
    Milliseconds,
    /// `s`.
    Seconds,
    /// `m`, in v1 only.
    Minutes,
    /// `h`, in v1 only.
    Hours,
}

/// The query names a unit that there is not (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("precision {0:?} is not known; give ns, us, ms, s, m or h")]
pub struct UnknownPrecision(pub String);

impl Precision {
    /// Reads the query parameter.
    ///
    /// # Errors
    /// When it names no known unit.
    pub fn of(word: Option<&str>) -> Result<Self, UnknownPrecision> {
        match word.unwrap_or_default() {
            "" | "ns" | "n" => Ok(Self::Nanoseconds),
            "us" | "u" | "µs" => Ok(Self::Microseconds),
            "ms" => Ok(Self::Milliseconds),
            "s" => Ok(Self::Seconds),
            "m" => Ok(Self::Minutes),
            "h" => Ok(Self::Hours),
            other => Err(UnknownPrecision(other.to_owned())),
        }
    }

    /// How many nanoseconds one is.
    pub fn nanos(self) -> i64 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60_000_000_000,
            Self::Hours => 3_600_000_000_000,
        }
    }
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct InfluxSample {
    /// Over name and labels.
    pub key: SeriesKey,
    /// Its series.
    pub series: SeriesDescription,
    /// When; `now` where the line says nothing.
    pub at: Timestamp,
    /// How much.
    pub value: f64,
}

/// A body as samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InfluxBatch {
    /// In the body's order.
    pub samples: Vec<InfluxSample>,
    /// Fields that are strings, which are left.
    pub strings: u64,
    /// Lines and fields that could not be used, by reason.
    pub rejections: Rejections,
}

/// Decodes an opened body.
pub fn decode(body: &[u8], precision: Precision, now: Timestamp, seed: KeySeed, limits: &WireLimits) -> InfluxBatch {
    let mut batch = InfluxBatch::default();
    let mut scratch = Vec::new();
    for point in points(body, precision) {
        let point = match point {
            Ok(point) => point,
            Err(fault) => {
                batch.rejections.note(Reason::Malformed, 1, || fault.to_string());
                continue;
            }
        };
        if let Err(rejection) = fits(&point, limits) {
            batch.rejections.add(rejection, point.fields.len() as u64);
            continue;
        }
        let at = point.nanos.map_or(now, |nanos| Timestamp(nanos.div_euclid(1_000_000)));
        let tags = labels(&point);
        for (field, value) in &point.fields {
            let value = match value {
                Field::Float(value) => *value,
                Field::Integer(value) => *value as f64,
                Field::Unsigned(value) => *value as f64,
                Field::Boolean(value) => f64::from(u8::from(*value)),
                Field::Text(_) => {
                    batch.strings += 1;
                    continue;
                }
            };
            if batch.samples.len() >= limits.items {
                batch.rejections.note(Reason::TooMany, 1, || format!("a body may hold {} samples", limits.items));
                continue;
            }
            let name = name(&format!("{}_{field}", point.measurement));
            match series(&name, &tags, seed, limits, &mut scratch) {
                Ok((key, series)) => batch.samples.push(InfluxSample { key, series, at, value }),
                Err(rejection) => batch.rejections.add(rejection, 1),
            }
        }
    }
    batch
}

/// Names and tags are repeated for each field, so that they are held to the limits first: a line may have a million fields.
fn fits(point: &Point<'_>, limits: &WireLimits) -> Result<(), Rejection> {
    let refuse = |reason, text: String| Err(Rejection { reason, text });
    if point.measurement.len() > limits.name_bytes {
        return refuse(Reason::BadName, format!("a measurement's name is longer than {} bytes", limits.name_bytes));
    }
    let measurement = &point.measurement;
    if point.tags.len() > limits.labels {
        let text = format!("{measurement} has {} tags, and {} are taken", point.tags.len(), limits.labels);
        return refuse(Reason::TooManyLabels, text);
    }
    let bytes: usize = point.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > limits.label_bytes {
        let text = format!("the tags of {measurement} are longer than {} bytes together", limits.label_bytes);
        return refuse(Reason::LabelsTooLong, text);
    }
    Ok(())
}

fn labels<'p>(point: &'p Point<'_>) -> Vec<(Cow<'p, str>, &'p str)> {
    let mut labels: Vec<_> = point.tags.iter().map(|(name, value)| (label(name), value.as_ref())).collect();
    labels.sort();
    // Tags that only differ in characters that labels do not have meet on one name; the first stays.
    labels.dedup_by(|later, earlier| later.0 == earlier.0);
    labels
}

fn series(
    name: &str,
    tags: &[(Cow<'_, str>, &str)],
    seed: KeySeed,
    limits: &WireLimits,
    scratch: &mut Vec<u8>,
) -> Result<(SeriesKey, SeriesDescription), Rejection> {
    let mut pairs: Vec<(&str, &str)> = vec![("__name__", name)];
    pairs.extend(tags.iter().map(|(name, value)| (name.as_ref(), *value)));
    pairs.sort_unstable();
    let key = seed.of_pairs(pairs.iter().copied(), scratch);
    let mut series = describe(pairs, limits)?;
    series.metric_type = MetricType::Gauge;
    Ok((key, series))
}

/// A metric's name of characters that Prometheus has.
pub(crate) fn name(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut name: String = text.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// A label's name of characters that Prometheus has; those that it keeps for itself get a word before.
pub(crate) fn label(text: &str) -> Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.chars().all(fits) && !text.starts_with(|c: char| c.is_ascii_digit()) && !text.starts_with("__") {
        return Cow::Borrowed(text);
    }
    let escaped: String = text.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    match escaped.as_bytes() {
        [b'_', b'_', ..] => Cow::Owned(format!("key{escaped}")),
        [b'0'..=b'9', ..] => Cow::Owned(format!("_{escaped}")),
        _ => Cow::Owned(escaped),
    }
}
