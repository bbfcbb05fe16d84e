//! From a body's bytes to columns, in one pass over borrowed bytes.

use super::{
    Exemplar, Metadata, Protocol, STALE_NAN, SeriesRow, WriteBody, WriteError,
    body::{LabelsAt, label},
    histogram,
};
use crate::{
    compressed::{CompressionError, open_snappy},
    limits::WireLimits,
    protobuf::{Field, Malformed, Reader},
    rejected::{Reason, Rejection},
    series_key::{KeySeed, SeriesKey, append_label},
};
use tandem_domain::{Timestamp, series::MetricType};

/// What one histogram counts for among the items of a body, since it takes that much more memory than a sample.
const HISTOGRAM_ITEMS: usize = 16;
/// How much longer the labels of a 2.0 body may be, spelled out, than the body: symbols are there to be named often, and
/// real bodies reach ten times. Beyond it a short body would keep the server hashing.
const MAX_LABEL_EXPANSION: usize = 64;
/// Spelled-out label bytes that are free, so that short bodies may name a long symbol a few times.
const FREE_LABEL_BYTES: usize = 1 << 20;
/// What an exemplar counts for.
const EXEMPLAR_ITEMS: usize = 4;

/// Opens a posted body: the snappy block, whose length header is checked first.
///
/// # Errors
/// When it is damaged or longer than the limit.
pub fn open(body: &[u8], limits: &WireLimits) -> Result<Vec<u8>, CompressionError> {
    open_snappy(body, limits.decompressed_bytes)
}

/// Decodes an opened body.
///
/// # Errors
/// When the outermost message is malformed, or the body is of the other protocol.
pub fn decode<'b>(
    protocol: Protocol,
    body: &'b [u8],
    seed: KeySeed,
    limits: &WireLimits,
) -> Result<WriteBody<'b>, WriteError> {
    let mut decoder = Decoder {
        body: WriteBody::default(),
        protocol,
        seed,
        limits,
        left: limits.items,
        label_bytes_left: body.len().saturating_mul(MAX_LABEL_EXPANSION).saturating_add(FREE_LABEL_BYTES),
        scratch: Vec::new(),
    };
    decoder
        .request(body)
        .map_err(|error| WriteError::NoMessage { protocol: protocol.message(), reason: error.to_string() })?;
    Ok(decoder.body)
}

struct Decoder<'b, 'l> {
    body: WriteBody<'b>,
    protocol: Protocol,
    seed: KeySeed,
    limits: &'l WireLimits,
    /// Items that may still come.
    left: usize,
    /// Spelled-out label bytes that may still come.
    label_bytes_left: usize,
    scratch: Vec<u8>,
}

/// What a series brought so far, to be taken back should it turn out malformed.
struct Mark {
    samples: u32,
    histograms: u32,
    exemplars: u32,
    refs: u32,
    stale: u64,
}

/// Where the labels of a 1.0 series lie in its message.
#[derive(Default)]
struct Extent {
    start: usize,
    end: usize,
    scattered: bool,
}

impl From<Malformed> for Rejection {
    fn from(error: Malformed) -> Self {
        Rejection { reason: Reason::Malformed, text: format!("a series is malformed: {error}") }
    }
}

impl<'b> Decoder<'b, '_> {
    fn request(&mut self, bytes: &'b [u8]) -> Result<(), Malformed> {
        let series_field = match self.protocol {
            Protocol::V1 => 1,
            Protocol::V2 => {
                self.symbols(bytes)?;
                5
            }
        };
        let mut reader = Reader::new(bytes);
        while let Some((number, field)) = reader.field()? {
            match (number, self.protocol) {
                (number, _) if number == series_field => self.series(field.bytes()?),
                (3, Protocol::V1) => self.family(field.bytes()?),
                // The numbers of the two messages do not meet, so that a body under the wrong name is told as such.
                (1..=3, Protocol::V2) => return Err(Malformed("it holds fields of prometheus.WriteRequest")),
                (4 | 5, Protocol::V1) => return Err(Malformed("it holds fields of io.prometheus.write.v2.Request")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Symbols may lie anywhere in the message, so they are gathered before any series is read.
    fn symbols(&mut self, bytes: &'b [u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        while let Some((number, field)) = reader.field()? {
            if number == 4 {
                if self.body.symbols.len() >= self.limits.items {
                    return Err(Malformed("it has more symbols than items are taken"));
                }
                self.body.symbols.push(field.bytes()?);
            }
        }
        Ok(())
    }

    fn series(&mut self, message: &'b [u8]) {
        let body = &self.body;
        let mark = Mark {
            samples: body.at.len() as u32,
            histograms: body.histograms.len() as u32,
            exemplars: body.exemplars.len() as u32,
            refs: body.refs.len() as u32,
            stale: body.stale_markers,
        };
        if let Err(rejection) = self.fields(message, &mark) {
            let lost = (self.body.at.len() as u64 - u64::from(mark.samples))
                + (self.body.histograms.len() as u64 - u64::from(mark.histograms));
            self.take_back(&mark);
            self.body.rejections.add(rejection, lost.max(1));
        }
    }

    fn take_back(&mut self, mark: &Mark) {
        let body = &mut self.body;
        body.at.truncate(mark.samples as usize);
        body.value.truncate(mark.samples as usize);
        body.histograms.truncate(mark.histograms as usize);
        body.exemplars.truncate(mark.exemplars as usize);
        body.refs.truncate(mark.refs as usize);
        body.stale_markers = mark.stale;
    }

    fn fields(&mut self, message: &'b [u8], mark: &Mark) -> Result<(), Rejection> {
        let mut reader = Reader::new(message);
        let mut extent = Extent::default();
        let mut started_at = None;
        let mut metadata = None;
        loop {
            let before = reader.position();
            let Some((number, field)) = reader.field()? else { break };
            match (number, self.protocol) {
                (1, Protocol::V1) => {
                    field.bytes()?;
                    if extent.end == 0 {
                        extent.start = before;
                    } else if extent.end != before {
                        extent.scattered = true;
                    }
                    extent.end = reader.position();
                }
                (1, Protocol::V2) => field.numbers(|reference| {
                    // What is no 32 bit number leads to no symbol, and is found out there.
                    self.body.refs.push(u32::try_from(reference).unwrap_or(u32::MAX));
                    Ok(())
                })?,
                (2, _) => self.sample(field.bytes()?, &mut started_at)?,
                (3, Protocol::V1) | (4, Protocol::V2) => self.exemplar(field.bytes()?)?,
                (4, Protocol::V1) | (3, Protocol::V2) => self.histogram(field.bytes()?, &mut started_at)?,
                (5, Protocol::V2) => metadata = Some(self.metadata(field.bytes()?)?),
                _ => {}
            }
        }
        let (key, labels) = match self.protocol {
            Protocol::V1 => self.encoded_labels(message, &extent)?,
            Protocol::V2 => self.symbol_labels(mark)?,
        };
        let body = &mut self.body;
        let row = SeriesRow {
            key,
            labels,
            samples: mark.samples..body.at.len() as u32,
            histograms: mark.histograms..body.histograms.len() as u32,
            exemplars: mark.exemplars..body.exemplars.len() as u32,
            metadata,
            started_at,
        };
        if row.samples.is_empty() && row.histograms.is_empty() && row.exemplars.is_empty() {
            self.take_back(mark);
        } else {
            body.series.push(row);
        }
        Ok(())
    }

    fn spend(&mut self, items: usize) -> Result<(), Rejection> {
        self.left = self.left.checked_sub(items).ok_or_else(|| Rejection {
            reason: Reason::TooMany,
            text: format!("a body may hold {} samples; send the rest in another", self.limits.items),
        })?;
        Ok(())
    }

    #[inline]
    fn sample(&mut self, bytes: &[u8], started_at: &mut Option<Timestamp>) -> Result<(), Rejection> {
        self.spend(1)?;
        let (mut value, mut at) = (0.0, 0);
        // As every known sender writes it: the value, then the moment.
        if let (Some(0x09), Some(0x10)) = (bytes.first(), bytes.get(9)) {
            let mut reader = Reader::new(&bytes[1..]);
            value = f64::from_bits(reader.fixed64()?);
            reader.varint()?;
            at = reader.varint()? as i64;
            if !reader.is_empty() {
                self.rest_of_sample(&bytes[1 + reader.position()..], &mut value, &mut at, started_at)?;
            }
        } else {
            self.rest_of_sample(bytes, &mut value, &mut at, started_at)?;
        }
        self.body.stale_markers += u64::from(value.to_bits() == STALE_NAN);
        self.body.at.push(Timestamp(at));
        self.body.value.push(value);
        Ok(())
    }

    fn rest_of_sample(
        &self,
        bytes: &[u8],
        value: &mut f64,
        at: &mut i64,
        started_at: &mut Option<Timestamp>,
    ) -> Result<(), Malformed> {
        let mut reader = Reader::new(bytes);
        while let Some((number, field)) = reader.field()? {
            match (number, self.protocol) {
                (1, _) => *value = field.double()?,
                (2, _) => *at = field.integer()?,
                (3, Protocol::V2) => *started_at = moment_if_set(field)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A bad histogram costs itself, not its series.
    fn histogram(&mut self, bytes: &[u8], started_at: &mut Option<Timestamp>) -> Result<(), Rejection> {
        self.spend(HISTOGRAM_ITEMS)?;
        match histogram::decode(bytes, self.limits.buckets) {
            Ok(decoded) => {
                if self.protocol == Protocol::V2 && decoded.started_at.is_some() {
                    *started_at = decoded.started_at;
                }
                self.body.histograms.push((decoded.at, decoded.histogram));
            }
            Err(rejection) => self.body.rejections.add(rejection, 1),
        }
        Ok(())
    }

    /// A bad exemplar costs itself, not its series.
    fn exemplar(&mut self, bytes: &'b [u8]) -> Result<(), Rejection> {
        self.spend(EXEMPLAR_ITEMS)?;
        match self.exemplar_fields(bytes) {
            Ok(exemplar) => self.body.exemplars.push(exemplar),
            Err(rejection) => self.body.rejections.add(rejection, 1),
        }
        Ok(())
    }

    fn exemplar_fields(&self, bytes: &'b [u8]) -> Result<Exemplar<'b>, Rejection> {
        let mut exemplar = Exemplar { labels: Vec::new(), value: 0.0, at: Timestamp(0) };
        let mut refs = Vec::new();
        let too_many = || Rejection { reason: Reason::TooManyLabels, text: "an exemplar has too many labels".into() };
        let mut reader = Reader::new(bytes);
        while let Some((number, field)) = reader.field()? {
            match (number, self.protocol) {
                (1, Protocol::V1) => exemplar.labels.push(label(field.bytes()?)?),
                (1, Protocol::V2) => field.numbers(|reference| {
                    refs.push(u32::try_from(reference).unwrap_or(u32::MAX));
                    Ok(())
                })?,
                (2, _) => exemplar.value = field.double()?,
                (3, _) => exemplar.at = Timestamp(field.integer()?),
                _ => {}
            }
            if exemplar.labels.len().max(refs.len() / 2) > self.limits.labels {
                return Err(too_many());
            }
        }
        for pair in refs.chunks(2) {
            let [name, value] = pair else { return Err(odd()) };
            exemplar.labels.push((self.text(*name)?, self.text(*value)?));
        }
        Ok(exemplar)
    }

    /// A symbol as text. A long one is refused before it is looked at, since a few bytes can name it over and over.
    fn text(&self, index: u32) -> Result<&'b str, Rejection> {
        if self.body.symbol(index)?.len() > self.limits.value_bytes {
            let text = format!("symbol {index} is longer than {} bytes", self.limits.value_bytes);
            return Err(Rejection { reason: Reason::LabelsTooLong, text });
        }
        std::str::from_utf8(self.body.symbol(index)?)
            .map_err(|_| Rejection { reason: Reason::Malformed, text: format!("symbol {index} is not UTF-8") })
    }

    fn metadata(&mut self, bytes: &'b [u8]) -> Result<Metadata<'b>, Rejection> {
        let (mut kind, mut help, mut unit) = (0, 0, 0);
        let mut reader = Reader::new(bytes);
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => kind = field.number()?,
                3 => help = field.number32()?,
                4 => unit = field.number32()?,
                _ => {}
            }
        }
        // Without symbols a reference of 0 means nothing said; metadata never costs a series.
        let text = |index| self.text(index).unwrap_or_default();
        Ok(Metadata { family: "", metric_type: metric_type(kind), help: text(help), unit: text(unit) })
    }

    /// What 1.0 declares of a family.
    fn family(&mut self, bytes: &'b [u8]) {
        let read = || -> Result<Metadata<'b>, Malformed> {
            let mut metadata = Metadata { family: "", metric_type: MetricType::Unknown, help: "", unit: "" };
            let mut reader = Reader::new(bytes);
            while let Some((number, field)) = reader.field()? {
                match number {
                    1 => metadata.metric_type = metric_type(field.number()?),
                    2 => metadata.family = field.text()?,
                    4 => metadata.help = field.text()?,
                    5 => metadata.unit = field.text()?,
                    _ => {}
                }
            }
            Ok(metadata)
        };
        let read = match read() {
            Ok(metadata) if metadata.family.is_empty() => {
                Err(Rejection { reason: Reason::NoName, text: "metadata names no family".into() })
            }
            read => read.map_err(Rejection::from).and_then(|metadata| self.spend(EXEMPLAR_ITEMS).map(|()| metadata)),
        };
        match read {
            Ok(metadata) => self.body.metadata.push(metadata),
            Err(rejection) => self.body.rejections.add(rejection, 1),
        }
    }

    fn encoded_labels(&mut self, message: &'b [u8], extent: &Extent) -> Result<(SeriesKey, LabelsAt<'b>), Rejection> {
        if !extent.scattered {
            let labels = &message[extent.start..extent.end];
            return Ok((self.seed.of_encoded(labels), LabelsAt::Encoded(labels)));
        }
        self.scratch.clear();
        let mut reader = Reader::new(message);
        loop {
            let before = reader.position();
            match reader.field()? {
                Some((1, _)) => self.scratch.extend_from_slice(&message[before..reader.position()]),
                Some(_) => {}
                None => break,
            }
        }
        Ok((self.seed.of_encoded(&self.scratch), LabelsAt::Encoded(message)))
    }

    /// References are held to the limits here already: a few bytes of them can name long symbols over and over.
    fn symbol_labels(&mut self, mark: &Mark) -> Result<(SeriesKey, LabelsAt<'b>), Rejection> {
        let range = mark.refs..self.body.refs.len() as u32;
        let refs = &self.body.refs[mark.refs as usize..];
        if !refs.len().is_multiple_of(2) {
            return Err(odd());
        }
        if refs.len() / 2 > self.limits.labels + 1 {
            let text = format!("a series has {} labels, and {} are taken", refs.len() / 2, self.limits.labels);
            return Err(Rejection { reason: Reason::TooManyLabels, text });
        }
        self.scratch.clear();
        for pair in refs.chunks_exact(2) {
            let (name, value) = (self.body.symbol(pair[0])?, self.body.symbol(pair[1])?);
            let too_long = self.scratch.len() + name.len() + value.len() > 2 * self.limits.label_bytes;
            if too_long || name.len() > self.limits.name_bytes || value.len() > self.limits.value_bytes {
                let text = "a label, or all labels of a series together, are longer than the limits".into();
                return Err(Rejection { reason: Reason::LabelsTooLong, text });
            }
            append_label(&mut self.scratch, name, value);
        }
        self.label_bytes_left = self.label_bytes_left.checked_sub(self.scratch.len()).ok_or_else(|| Rejection {
            reason: Reason::TooMany,
            text: "the labels of the body, spelled out, are far longer than the body; send fewer series at once".into(),
        })?;
        Ok((self.seed.of_encoded(&self.scratch), LabelsAt::Refs(range)))
    }
}

fn odd() -> Rejection {
    Rejection { reason: Reason::BadReference, text: "label references come in pairs, and there is an odd one".into() }
}

fn moment_if_set(field: Field<'_>) -> Result<Option<Timestamp>, Malformed> {
    Ok(Some(field.integer()?).filter(|millis| *millis != 0).map(Timestamp))
}

fn metric_type(number: u64) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 | 7 => MetricType::Gauge,
        3 | 4 => MetricType::Histogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        _ => MetricType::Unknown,
    }
}
