//! To other servers: the message and its snappy block.

use super::{Exemplar, Metadata, Protocol, histogram};
use crate::{
    compressed::{CompressionError, pack_snappy},
    protobuf::Writer,
};
use std::collections::{HashMap, HashSet};
use tandem_domain::{Timestamp, histogram::NativeHistogram, series::MetricType};

/// A series on its way out.
#[derive(Debug, Clone, Default)]
pub struct OutgoingSeries<'s> {
    /// `__name__` among them, sorted by name.
    pub labels: Vec<(&'s str, &'s str)>,
    /// Oldest first.
    pub samples: Vec<(Timestamp, f64)>,
    /// Oldest first.
    pub histograms: Vec<(Timestamp, NativeHistogram)>,
    /// Oldest first.
    pub exemplars: Vec<Exemplar<'s>>,
    /// Its type, help and unit; in 1.0 it is written once for each family named.
    pub metadata: Option<Metadata<'s>>,
}

/// Writes a body ready to be posted with [`Protocol::headers`].
///
/// # Errors
/// When it is longer than snappy can say (4 GiB).
pub fn encode(protocol: Protocol, series: &[OutgoingSeries<'_>]) -> Result<Vec<u8>, CompressionError> {
    pack_snappy(&message(protocol, series))
}

/// Writes a body of 1.0 that tells of families and holds no series; in 2.0 what is declared travels with the series.
///
/// # Errors
/// As [`encode`].
pub fn encode_metadata(families: &[Metadata<'_>]) -> Result<Vec<u8>, CompressionError> {
    let mut writer = Writer::default();
    families.iter().for_each(|family| metadata(&mut writer, family));
    pack_snappy(&writer.into_bytes())
}

/// The message without its compression.
pub(super) fn message(protocol: Protocol, series: &[OutgoingSeries<'_>]) -> Vec<u8> {
    match protocol {
        Protocol::V1 => first(series),
        Protocol::V2 => second(series),
    }
}

fn sample(writer: &mut Writer, (at, value): &(Timestamp, f64)) {
    writer.message(2, |inside| {
        inside.double(1, *value);
        inside.number(2, at.0 as u64);
    });
}

/// What is declared of a family, as a field of a request of 1.0.
fn metadata(writer: &mut Writer, metadata: &Metadata<'_>) {
    writer.message(3, |inside| {
        inside.number(1, type_number(metadata.metric_type));
        inside.text(2, metadata.family);
        inside.text(4, metadata.help);
        inside.text(5, metadata.unit);
    });
}

fn first(series: &[OutgoingSeries<'_>]) -> Vec<u8> {
    let mut writer = Writer::default();
    let label = |writer: &mut Writer, (name, value): &(&str, &str)| {
        writer.message(1, |inside| {
            inside.text(1, name);
            inside.text(2, value);
        });
    };
    let mut families: HashSet<&str> = HashSet::new();
    for series in series {
        writer.message(1, |inside| {
            series.labels.iter().for_each(|pair| label(inside, pair));
            series.samples.iter().for_each(|pair| sample(inside, pair));
            for exemplar in &series.exemplars {
                inside.message(3, |inside| {
                    exemplar.labels.iter().for_each(|pair| label(inside, pair));
                    inside.double(2, exemplar.value);
                    inside.number(3, exemplar.at.0 as u64);
                });
            }
            for (at, value) in &series.histograms {
                inside.message(4, |inside| histogram::encode(inside, *at, value));
            }
        });
        if let Some(declared) = series.metadata.as_ref().filter(|metadata| !metadata.family.is_empty())
            && families.insert(declared.family)
        {
            metadata(&mut writer, declared);
        }
    }
    writer.into_bytes()
}

/// Texts by number, each once; the empty one is number 0, as the specification wants.
struct Symbols<'s> {
    texts: Vec<&'s str>,
    numbers: HashMap<&'s str, u64>,
}

impl<'s> Symbols<'s> {
    fn number(&mut self, text: &'s str) -> u64 {
        *self.numbers.entry(text).or_insert_with(|| {
            self.texts.push(text);
            self.texts.len() as u64 - 1
        })
    }

    fn refs(&mut self, labels: &[(&'s str, &'s str)]) -> Vec<u64> {
        labels.iter().flat_map(|(name, value)| [self.number(name), self.number(value)]).collect()
    }
}

fn second(series: &[OutgoingSeries<'_>]) -> Vec<u8> {
    let mut symbols = Symbols { texts: vec![""], numbers: HashMap::from([("", 0)]) };
    let mut rows = Writer::default();
    for series in series {
        let refs = symbols.refs(&series.labels);
        let exemplar_refs: Vec<Vec<u64>> =
            series.exemplars.iter().map(|exemplar| symbols.refs(&exemplar.labels)).collect();
        let texts = series.metadata.map(|metadata| (symbols.number(metadata.help), symbols.number(metadata.unit)));
        rows.message(5, |inside| {
            inside.packed(1, refs.into_iter());
            series.samples.iter().for_each(|pair| sample(inside, pair));
            for (at, value) in &series.histograms {
                inside.message(3, |inside| histogram::encode(inside, *at, value));
            }
            for (exemplar, refs) in series.exemplars.iter().zip(exemplar_refs) {
                inside.message(4, |inside| {
                    inside.packed(1, refs.into_iter());
                    inside.double(2, exemplar.value);
                    inside.number(3, exemplar.at.0 as u64);
                });
            }
            if let (Some(metadata), Some((help, unit))) = (series.metadata, texts) {
                inside.message(5, |inside| {
                    inside.number(1, type_number(metadata.metric_type));
                    inside.number(3, help);
                    inside.number(4, unit);
                });
            }
        });
    }
    let mut writer = Writer::default();
    // The empty first symbol is written too, so not by `text`, which leaves it out.
    symbols.texts.iter().for_each(|symbol| writer.bytes(4, symbol.as_bytes()));
    let mut bytes = writer.into_bytes();
    bytes.append(&mut rows.into_bytes());
    bytes
}

fn type_number(metric_type: MetricType) -> u64 {
    match metric_type {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::Summary => 5,
        MetricType::Info => 6,
    }
}
