//! Native histograms on the wire, and what they are as float series.

use crate::{
    protobuf::{Field, Malformed, Reader, Writer, zigzag},
    rejected::{Reason, Rejection},
};
use tandem_domain::{
    Timestamp,
    histogram::{Buckets, NativeHistogram, ResetHint, Span},
};

/// A histogram as decoded.
pub(super) struct Decoded {
    pub at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub histogram: NativeHistogram,
}

/// One side as it comes: counts as such or as differences.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

const TOO_LARGE: Malformed = Malformed("a histogram has more buckets than the limit");

impl Side {
    fn span(&mut self, mut reader: Reader<'_>, limit: usize) -> Result<(), Malformed> {
        let (mut offset, mut length) = (0, 0);
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => offset = zigzag(field.number()?) as i32,
                2 => length = field.number32()?,
                _ => {}
            }
        }
        if self.spans.len() >= limit {
            return Err(TOO_LARGE);
        }
        self.spans.push(Span { offset, length });
        Ok(())
    }

    fn deltas(&mut self, field: Field<'_>, limit: usize) -> Result<(), Malformed> {
        field.numbers(|number| {
            self.deltas.push(zigzag(number));
            if self.deltas.len() > limit { Err(TOO_LARGE) } else { Ok(()) }
        })
    }

    fn counts(&mut self, field: Field<'_>, limit: usize) -> Result<(), Malformed> {
        doubles(&mut self.counts, field, limit)
    }

    fn buckets(self) -> Buckets {
        let mut counts = self.counts;
        let mut running = 0_i64;
        counts.extend(self.deltas.into_iter().map(|delta| {
            running = running.saturating_add(delta);
            running as f64
        }));
        Buckets { spans: self.spans, counts }
    }
}

fn doubles(values: &mut Vec<f64>, field: Field<'_>, limit: usize) -> Result<(), Malformed> {
    field.words(|bits| {
        values.push(f64::from_bits(bits));
        if values.len() > limit { Err(TOO_LARGE) } else { Ok(()) }
    })
}

/// Reads one and checks it, with at most `limit` buckets a side.
pub(super) fn decode(bytes: &[u8], limit: usize) -> Result<Decoded, Rejection> {
    let bad = |text: String| Rejection { reason: Reason::BadHistogram, text };
    let decoded = fields(bytes, limit).map_err(|error| bad(error.to_string()))?;
    decoded.histogram.check().map_err(|error| bad(format!("a histogram contradicts itself: {error}")))?;
    Ok(decoded)
}

fn fields(bytes: &[u8], limit: usize) -> Result<Decoded, Malformed> {
    let (mut positive, mut negative) = (Side::default(), Side::default());
    let (mut at, mut started_at) = (0, 0);
    let mut histogram = NativeHistogram {
        schema: 0,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 0.0,
        sum: 0.0,
        positive: Buckets::default(),
        negative: Buckets::default(),
        custom_bounds: Vec::new(),
        reset: ResetHint::Unknown,
        whole: true,
    };
    let mut reader = Reader::new(bytes);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => histogram.count = field.number()? as f64,
            2 => (histogram.count, histogram.whole) = (field.double()?, false),
            3 => histogram.sum = field.double()?,
            4 => histogram.schema = zigzag(field.number()?) as i32,
            5 => histogram.zero_threshold = field.double()?,
            6 => histogram.zero_count = field.number()? as f64,
            7 => histogram.zero_count = field.double()?,
            8 => negative.span(field.message()?, limit)?,
            9 => negative.deltas(field, limit)?,
            10 => negative.counts(field, limit)?,
            11 => positive.span(field.message()?, limit)?,
            12 => positive.deltas(field, limit)?,
            13 => positive.counts(field, limit)?,
            14 => {
                histogram.reset = match field.number()? {
                    1 => ResetHint::Yes,
                    2 => ResetHint::No,
                    3 => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                }
            }
            15 => at = field.integer()?,
            16 => doubles(&mut histogram.custom_bounds, field, limit)?,
            17 => started_at = field.integer()?,
            _ => {}
        }
    }
    (histogram.positive, histogram.negative) = (positive.buckets(), negative.buckets());
    let started_at = Some(started_at).filter(|millis| *millis != 0).map(Timestamp);
    Ok(Decoded { at: Timestamp(at), started_at, histogram })
}

/// Writes one; both protocols have the same fields.
pub(super) fn encode(writer: &mut Writer, at: Timestamp, histogram: &NativeHistogram) {
    if histogram.whole {
        writer.number_always(1, histogram.count as u64);
    } else {
        writer.double_always(2, histogram.count);
    }
    writer.double(3, histogram.sum);
    writer.signed(4, histogram.schema.into());
    writer.double(5, histogram.zero_threshold);
    if histogram.whole {
        writer.number_always(6, histogram.zero_count as u64);
    } else {
        writer.double_always(7, histogram.zero_count);
    }
    for (first, side) in [(8, &histogram.negative), (11, &histogram.positive)] {
        for span in &side.spans {
            writer.message(first, |inside| {
                inside.signed(1, span.offset.into());
                inside.number(2, span.length.into());
            });
        }
        if histogram.whole {
            let mut before = 0;
            let deltas = side.counts.iter().map(|count| {
                let delta = *count as i64 - before;
                before = *count as i64;
                crate::protobuf::zigzagged(delta)
            });
            writer.packed(first + 1, deltas);
        } else {
            writer.packed_doubles(first + 2, &side.counts);
        }
    }
    let reset = match histogram.reset {
        ResetHint::Unknown => 0,
        ResetHint::Yes => 1,
        ResetHint::No => 2,
        ResetHint::Gauge => 3,
    };
    writer.number(14, reset);
    writer.number(15, at.0 as u64);
    writer.packed_doubles(16, &histogram.custom_bounds);
}
