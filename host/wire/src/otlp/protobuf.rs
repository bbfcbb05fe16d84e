//! The messages of OTLP from protobuf. What nests without bound has a depth, and what repeats without bound a budget.

use super::message::{
    AnyValue, ArrayValue, Buckets, Exemplar, ExponentialPoint, HistogramPoint, KeyValue, KeyValueList, LogRecord,
    Metric, NumberPoint, Points, QuantileValue, Resource, Scope, SummaryPoint,
};
use crate::protobuf::{Field, Malformed, Reader, zigzag};
use base64::Engine as _;
use std::borrow::Cow;

/// Lists within lists of one attribute; the deepest real ones are maps of lists.
const MAX_DEPTH: usize = 16;

/// How many repeated parts a body may still have.
pub(super) struct Budget(pub usize);

impl Budget {
    fn spend(&mut self) -> Result<(), Malformed> {
        self.0 = self.0.checked_sub(1).ok_or(Malformed("the body has more parts than are taken at once"))?;
        Ok(())
    }
}

pub(super) fn resource<'b>(mut reader: Reader<'b>, budget: &mut Budget) -> Result<Resource<'b>, Malformed> {
    let mut found = Resource::default();
    while let Some((number, field)) = reader.field()? {
        if number == 1 {
            found.attributes.push(key_value(field, budget, 0)?);
        }
    }
    Ok(found)
}

pub(super) fn scope(mut reader: Reader<'_>) -> Result<Scope<'_>, Malformed> {
    let mut found = Scope::default();
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => found.name = Cow::Borrowed(field.text()?),
            2 => found.version = Cow::Borrowed(field.text()?),
            _ => {}
        }
    }
    Ok(found)
}

fn key_value<'b>(field: Field<'b>, budget: &mut Budget, depth: usize) -> Result<KeyValue<'b>, Malformed> {
    budget.spend()?;
    let mut found = KeyValue::default();
    let mut reader = field.message()?;
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => found.key = Cow::Borrowed(field.text()?),
            2 => found.value = any_value(field, budget, depth)?,
            _ => {}
        }
    }
    Ok(found)
}

fn any_value<'b>(field: Field<'b>, budget: &mut Budget, depth: usize) -> Result<AnyValue<'b>, Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed("an attribute nests too deep"));
    }
    let mut found = AnyValue::default();
    let mut reader = field.message()?;
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => found.string_value = Some(Cow::Borrowed(field.text()?)),
            2 => found.bool_value = Some(field.number()? != 0),
            3 => found.int_value = Some(field.integer()?),
            4 => found.double_value = Some(field.double()?),
            5 => {
                let mut values = Vec::new();
                let mut inside = field.message()?;
                while let Some((number, field)) = inside.field()? {
                    if number == 1 {
                        budget.spend()?;
                        values.push(any_value(field, budget, depth + 1)?);
                    }
                }
                found.array_value = Some(ArrayValue { values });
            }
            6 => {
                let mut values = Vec::new();
                let mut inside = field.message()?;
                while let Some((number, field)) = inside.field()? {
                    if number == 1 {
                        values.push(key_value(field, budget, depth + 1)?);
                    }
                }
                found.kvlist_value = Some(KeyValueList { values });
            }
            7 => {
                let text = base64::engine::general_purpose::STANDARD.encode(field.bytes()?);
                found.bytes_value = Some(Cow::Owned(text));
            }
            _ => {}
        }
    }
    Ok(found)
}

pub(super) fn metric<'b>(mut reader: Reader<'b>, budget: &mut Budget) -> Result<Metric<'b>, Malformed> {
    let mut found = Metric::default();
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => found.name = Cow::Borrowed(field.text()?),
            2 => found.description = Cow::Borrowed(field.text()?),
            3 => found.unit = Cow::Borrowed(field.text()?),
            5 => found.gauge = Some(points(field, budget, number_point)?),
            7 => found.sum = Some(points(field, budget, number_point)?),
            9 => found.histogram = Some(points(field, budget, histogram_point)?),
            10 => found.exponential_histogram = Some(points(field, budget, exponential_point)?),
            11 => found.summary = Some(points(field, budget, summary_point)?),
            12 => found.metadata.push(key_value(field, budget, 0)?),
            _ => {}
        }
    }
    Ok(found)
}

fn points<'b, T>(
    field: Field<'b>,
    budget: &mut Budget,
    point: fn(Reader<'b>, &mut Budget) -> Result<T, Malformed>,
) -> Result<Points<T>, Malformed> {
    let mut found = Points::default();
    let mut reader = field.message()?;
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => {
                budget.spend()?;
                found.data_points.push(point(field.message()?, budget)?);
            }
            2 => found.aggregation_temporality = field.number32()?,
            3 => found.is_monotonic = field.number()? != 0,
            _ => {}
        }
    }
    Ok(found)
}

fn fixed(field: Field<'_>) -> Result<u64, Malformed> {
    match field {
        Field::Fixed64(bits) => Ok(bits),
        _ => Err(Malformed("a moment or count is not of fixed width")),
    }
}

fn number_point<'b>(mut reader: Reader<'b>, budget: &mut Budget) -> Result<NumberPoint<'b>, Malformed> {
    let mut found = NumberPoint::default();
    while let Some((number, field)) = reader.field()? {
        match number {
            2 => found.start_time_unix_nano = fixed(field)?,
            3 => found.time_unix_nano = fixed(field)?,
            4 => found.as_double = Some(field.double()?),
            5 => found.exemplars.push(exemplar(field, budget)?),
            6 => found.as_int = Some(fixed(field)? as i64),
            7 => found.attributes.push(key_value(field, budget, 0)?),
            8 => found.flags = field.number32()?,
            _ => {}
        }
    }
    Ok(found)
}

fn exemplar<'b>(field: Field<'b>, budget: &mut Budget) -> Result<Exemplar<'b>, Malformed> {
    budget.spend()?;
    let mut found = Exemplar::default();
    let mut reader = field.message()?;
    while let Some((number, field)) = reader.field()? {
        match number {
            2 => found.time_unix_nano = fixed(field)?,
            3 => found.as_double = Some(field.double()?),
            4 => found.span_id = hex(field.bytes()?),
            5 => found.trace_id = hex(field.bytes()?),
            6 => found.as_int = Some(fixed(field)? as i64),
            7 => found.filtered_attributes.push(key_value(field, budget, 0)?),
            _ => {}
        }
    }
    Ok(found)
}

/// The number of a trace or span, of which the longest has sixteen bytes.
fn hex(bytes: &[u8]) -> Cow<'static, str> {
    Cow::Owned(bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

fn histogram_point<'b>(mut reader: Reader<'b>, budget: &mut Budget) -> Result<HistogramPoint<'b>, Malformed> {
    let mut found = HistogramPoint::default();
    while let Some((number, field)) = reader.field()? {
        match number {
            2 => found.start_time_unix_nano = fixed(field)?,
            3 => found.time_unix_nano = fixed(field)?,
            4 => found.count = fixed(field)?,
            5 => found.sum = Some(field.double()?),
            6 => field.words(|count| {
                found.bucket_counts.push(count);
                budget.spend()
            })?,
            7 => field.words(|bits| {
                found.explicit_bounds.push(f64::from_bits(bits));
                budget.spend()
            })?,
            8 => found.exemplars.push(exemplar(field, budget)?),
            9 => found.attributes.push(key_value(field, budget, 0)?),
            10 => found.flags = field.number32()?,
            _ => {}
        }
    }
    Ok(found)
}

fn exponential_point<'b>(mut reader: Reader<'b>, budget: &mut Budget) -> Result<ExponentialPoint<'b>, Malformed> {
    let mut found = ExponentialPoint::default();
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => found.attributes.push(key_value(field, budget, 0)?),
            2 => found.start_time_unix_nano = fixed(field)?,
            3 => found.time_unix_nano = fixed(field)?,
            4 => found.count = fixed(field)?,
            5 => found.sum = Some(field.double()?),
            6 => found.scale = zigzag(field.number()?) as i32,
            7 => found.zero_count = fixed(field)?,
            8 => found.positive = buckets(field.message()?, budget)?,
            9 => found.negative = buckets(field.message()?, budget)?,
            10 => found.flags = field.number32()?,
            11 => found.exemplars.push(exemplar(field, budget)?),
            14 => found.zero_threshold = Some(field.double()?),
            _ => {}
        }
    }
    Ok(found)
}

fn buckets(mut reader: Reader<'_>, budget: &mut Budget) -> Result<Buckets, Malformed> {
    let mut found = Buckets::default();
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => found.offset = zigzag(field.number()?) as i32,
            2 => field.numbers(|count| {
                found.bucket_counts.push(count);
                budget.spend()
            })?,
            _ => {}
        }
    }
    Ok(found)
}

fn summary_point<'b>(mut reader: Reader<'b>, budget: &mut Budget) -> Result<SummaryPoint<'b>, Malformed> {
    let mut found = SummaryPoint::default();
    while let Some((number, field)) = reader.field()? {
        match number {
            2 => found.start_time_unix_nano = fixed(field)?,
            3 => found.time_unix_nano = fixed(field)?,
            4 => found.count = fixed(field)?,
            5 => found.sum = Some(field.double()?),
            6 => {
                budget.spend()?;
                let mut value = QuantileValue::default();
                let mut inside = field.message()?;
                while let Some((number, field)) = inside.field()? {
                    match number {
                        1 => value.quantile = Some(field.double()?),
                        2 => value.value = Some(field.double()?),
                        _ => {}
                    }
                }
                found.quantile_values.push(value);
            }
            7 => found.attributes.push(key_value(field, budget, 0)?),
            8 => found.flags = field.number32()?,
            _ => {}
        }
    }
    Ok(found)
}

pub(super) fn log_record<'b>(mut reader: Reader<'b>, budget: &mut Budget) -> Result<LogRecord<'b>, Malformed> {
    let mut found = LogRecord::default();
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => found.time_unix_nano = fixed(field)?,
            2 => found.severity_number = field.number32()? as i32,
            3 => found.severity_text = Cow::Borrowed(field.text()?),
            5 => found.body = any_value(field, budget, 0)?,
            6 => found.attributes.push(key_value(field, budget, 0)?),
            9 => found.trace_id = hex(field.bytes()?),
            10 => found.span_id = hex(field.bytes()?),
            11 => found.observed_time_unix_nano = fixed(field)?,
            12 => found.event_name = Cow::Borrowed(field.text()?),
            _ => {}
        }
    }
    Ok(found)
}
