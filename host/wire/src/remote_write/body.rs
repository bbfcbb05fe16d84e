//! A body as columns, and its labels when they are asked for.

use crate::{
    described::describe,
    limits::WireLimits,
    protobuf::{Malformed, Reader},
    rejected::{Reason, Rejection, Rejections},
    series_key::SeriesKey,
};
use std::ops::Range;
use tandem_domain::{
    Timestamp,
    histogram::NativeHistogram,
    series::{MetricType, SeriesDescription},
};

/// A body as columns. `at` and `value` are of equal length; rows come in the body's order.
#[derive(Debug, Default)]
pub struct WriteBody<'b> {
    pub(super) symbols: Vec<&'b [u8]>,
    pub(super) refs: Vec<u32>,
    /// The series that have anything.
    pub series: Vec<SeriesRow<'b>>,
    /// Moments of all float samples.
    pub at: Vec<Timestamp>,
    /// Values of all float samples; [`super::STALE_NAN`] ends a series.
    pub value: Vec<f64>,
    /// All native histograms.
    pub histograms: Vec<(Timestamp, NativeHistogram)>,
    /// All exemplars.
    pub exemplars: Vec<Exemplar<'b>>,
    /// What 1.0 declares of metric families.
    pub metadata: Vec<Metadata<'b>>,
    /// How many samples are stale markers.
    pub stale_markers: u64,
    /// What could not be used; labels are checked later, by [`WriteBody::describe`].
    pub rejections: Rejections,
}

/// One series of a body: ranges into its columns.
#[derive(Debug, Clone)]
pub struct SeriesRow<'b> {
    /// Over its labels.
    pub key: SeriesKey,
    pub(super) labels: LabelsAt<'b>,
    /// Of `at` and `value`.
    pub samples: Range<u32>,
    /// Of `histograms`.
    pub histograms: Range<u32>,
    /// Of `exemplars`.
    pub exemplars: Range<u32>,
    /// What 2.0 declares of it.
    pub metadata: Option<Metadata<'b>>,
    /// When its counter or histogram began to count, if 2.0 says so (of its last sample).
    pub started_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub(super) enum LabelsAt<'b> {
    /// Fields 1 of this message are labels.
    Encoded(&'b [u8]),
    /// These references are name, value, name, value ….
    Refs(Range<u32>),
}

/// One observation with a trace to look at.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar<'b> {
    /// Mostly `trace_id` and `span_id`.
    pub labels: Vec<(&'b str, &'b str)>,
    /// What was observed.
    pub value: f64,
    /// When.
    pub at: Timestamp,
}

/// What a sender declares of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata<'b> {
    /// Name of the family; empty in 2.0, where it stands beside the series.
    pub family: &'b str,
    /// Its type.
    pub metric_type: MetricType,
    /// For people.
    pub help: &'b str,
    /// Its unit, or empty.
    pub unit: &'b str,
}

fn malformed(error: Malformed) -> Rejection {
    Rejection { reason: Reason::Malformed, text: error.to_string() }
}

fn text(bytes: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(bytes).map_err(|_| Rejection { reason: Reason::Malformed, text: "a label is not UTF-8".into() })
}

pub(super) fn label(bytes: &[u8]) -> Result<(&str, &str), Malformed> {
    let (mut name, mut value) = ("", "");
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Ok((name, value))
}

impl<'b> WriteBody<'b> {
    /// The labels of a row as they came, `__name__` among them.
    ///
    /// # Errors
    /// When they are malformed or lead to no symbol.
    pub fn pairs(&self, row: &SeriesRow<'b>) -> Result<Vec<(&'b str, &'b str)>, Rejection> {
        let mut pairs = Vec::new();
        match &row.labels {
            LabelsAt::Encoded(bytes) => {
                let mut reader = Reader::new(bytes);
                while let Some((number, field)) = reader.field().map_err(malformed)? {
                    if number == 1 {
                        pairs.push(label(field.bytes().map_err(malformed)?).map_err(malformed)?);
                    }
                }
            }
            LabelsAt::Refs(range) => {
                let refs = self.refs.get(range.start as usize..range.end as usize).unwrap_or_default();
                for pair in refs.chunks_exact(2) {
                    pairs.push((text(self.symbol(pair[0])?)?, text(self.symbol(pair[1])?)?));
                }
            }
        }
        Ok(pairs)
    }

    /// The series of a row: name, labels sorted and without `__name__`, and what 2.0 declares. Called when a key is met for
    /// the first time; the key itself needs no labels.
    ///
    /// # Errors
    /// When it has no name, a label twice, or labels beyond `limits`.
    pub fn describe(&self, row: &SeriesRow<'b>, limits: &WireLimits) -> Result<SeriesDescription, Rejection> {
        let mut described = describe(self.pairs(row)?, limits)?;
        if let Some(metadata) = row.metadata {
            described.metric_type = metadata.metric_type;
            described.unit = metadata.unit.to_owned();
        }
        Ok(described)
    }

    pub(super) fn symbol(&self, index: u32) -> Result<&'b [u8], Rejection> {
        self.symbols.get(index as usize).copied().ok_or_else(|| Rejection {
            reason: Reason::BadReference,
            text: format!("reference {index} leads to no symbol; there are {}", self.symbols.len()),
        })
    }
}
