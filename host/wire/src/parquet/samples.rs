//! Samples of series as a Parquet file: a column for each label (`__name__` among them; null where a series has none), the
//! moment as `timestamp` (milliseconds, UTC), and the `value`, bit for bit, stale markers too. A label that is itself called
//! `timestamp` or `value` has the column `label.timestamp` or `label.value`. A file for series that have native histograms has
//! columns for those too (see `distributions` beside this), and `value` is null in their rows.
//!
//! The file is made row group for row group, and what is done can be taken away at any time, so that a file of any length
//! needs the memory of one group.

use super::distributions::{self, Distributions};
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as PhysicalType, ZstdLevel},
    data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{ColumnPath, Type},
};
use std::{collections::BTreeSet, sync::Arc};
use tandem_domain::{Timestamp, histogram::NativeHistogram, series::Labels};

/// Rows of one group: enough for compression and for readers that skip groups, and some 10 MiB while it is written.
const ROWS_PER_GROUP: usize = 131_072;
/// Label columns of one file: a reader holds a buffer for each.
pub const MAX_LABEL_COLUMNS: usize = 2_000;
/// Columns that are no labels.
const OWN_COLUMNS: [&str; 2] = ["timestamp", "value"];

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SamplesFileError {
    /// More label names than a file can have columns.
    #[error("the series have {0} different label names, and a file can have {MAX_LABEL_COLUMNS}; choose fewer series")]
    TooManyLabels(usize),
    /// The format's library refuses it.
    #[error("the Parquet file cannot be written: {0}")]
    Format(#[from] ParquetError),
}

/// The column of a label.
pub fn column_of(label: &str) -> String {
    if OWN_COLUMNS.contains(&label) || distributions::is_own(label) {
        format!("label.{label}")
    } else {
        label.to_owned()
    }
}

/// A file that is being written.
pub struct SamplesFile {
    writer: SerializedFileWriter<Vec<u8>>,
    names: Vec<String>,
    /// Whether it has columns for native histograms.
    has_histograms: bool,
    group: Group,
}

/// Rows that wait for their group: columns of equal length, and the series that they belong to.
#[derive(Default)]
struct Group {
    series: Vec<Labels>,
    of_series: Vec<u32>,
    at: Vec<i64>,
    /// Of the rows that are floats.
    value: Vec<f64>,
    histograms: Distributions,
}

fn column(name: &str, physical: PhysicalType) -> Result<Type, ParquetError> {
    let builder = Type::primitive_type_builder(name, physical);
    let builder = match physical {
        PhysicalType::BYTE_ARRAY => builder
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::String))
            .with_converted_type(ConvertedType::UTF8),
        PhysicalType::INT64 => {
            let unit = LogicalType::timestamp(true, TimeUnit::MILLIS);
            builder.with_repetition(Repetition::REQUIRED).with_logical_type(Some(unit))
        }
        _ => builder.with_repetition(Repetition::REQUIRED),
    };
    builder.build()
}

impl Group {
    /// Notes whose the next rows are.
    fn rows_of(&mut self, labels: &Labels, rows: usize) {
        if self.series.last() != Some(labels) {
            self.series.push(labels.clone());
        }
        let number = self.series.len() as u32 - 1;
        self.of_series.extend(std::iter::repeat_n(number, rows));
    }
}

/// The column of values, which may be null where there are histograms.
fn value_column(has_histograms: bool) -> Result<Type, ParquetError> {
    let repetition = if has_histograms { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    Type::primitive_type_builder("value", PhysicalType::DOUBLE).with_repetition(repetition).build()
}

fn properties() -> WriterProperties {
    let own = |name: &str| ColumnPath::from(vec![name.to_owned()]);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROWS_PER_GROUP));
    for name in OWN_COLUMNS {
        properties = properties.set_column_dictionary_enabled(own(name), false);
    }
    properties.build()
}

impl SamplesFile {
    /// A file for series that have no other labels than these, `__name__` among them; with columns for native histograms where
    /// there are any.
    ///
    /// # Errors
    /// When there are too many.
    pub fn new(label_names: &BTreeSet<String>, has_histograms: bool) -> Result<Self, SamplesFileError> {
        if label_names.len() > MAX_LABEL_COLUMNS {
            return Err(SamplesFileError::TooManyLabels(label_names.len()));
        }
        let names: Vec<String> = label_names.iter().cloned().collect();
        let mut columns = Vec::with_capacity(names.len() + OWN_COLUMNS.len());
        for name in &names {
            columns.push(Arc::new(column(&column_of(name), PhysicalType::BYTE_ARRAY)?));
        }
        columns.push(Arc::new(column("timestamp", PhysicalType::INT64)?));
        columns.push(Arc::new(value_column(has_histograms)?));
        if has_histograms {
            columns.extend(distributions::types()?);
        }
        let schema = Arc::new(Type::group_type_builder("samples").with_fields(columns).build()?);
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties()))?;
        Ok(Self { writer, names, has_histograms, group: Group::default() })
    }

    /// Adds samples of one series: columns of equal length.
    ///
    /// # Errors
    /// When the format's library refuses them.
    pub fn push(&mut self, labels: &Labels, at: &[Timestamp], value: &[f64]) -> Result<(), SamplesFileError> {
        let mut from = 0;
        while from < at.len() {
            let until = at.len().min(from + ROWS_PER_GROUP - self.group.at.len());
            self.group.rows_of(labels, until - from);
            self.group.at.extend(at[from..until].iter().map(|at| at.0));
            self.group.value.extend_from_slice(&value[from..until]);
            from = until;
            if self.group.at.len() >= ROWS_PER_GROUP {
                self.write_group()?;
            }
        }
        Ok(())
    }

    /// Adds native histograms of one series. A file without columns for them takes none.
    ///
    /// # Errors
    /// When the format's library refuses them.
    pub fn push_histograms(
        &mut self,
        labels: &Labels,
        histograms: &[(Timestamp, NativeHistogram)],
    ) -> Result<(), SamplesFileError> {
        let taken = if self.has_histograms { histograms } else { &[] };
        for (at, histogram) in taken {
            self.group.rows_of(labels, 1);
            self.group.histograms.push(self.group.at.len(), histogram);
            self.group.at.push(at.0);
            if self.group.at.len() >= ROWS_PER_GROUP || self.group.histograms.buckets() >= distributions::MAX_BUCKETS {
                self.write_group()?;
            }
        }
        Ok(())
    }

    /// What is done of the file and was not taken yet.
    ///
    /// # Errors
    /// None in practice: memory takes everything.
    pub fn take(&mut self) -> Result<Vec<u8>, SamplesFileError> {
        self.writer.flush().map_err(ParquetError::from)?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    /// The rest of the file.
    ///
    /// # Errors
    /// As [`SamplesFile::push`].
    pub fn finish(mut self) -> Result<Vec<u8>, SamplesFileError> {
        self.write_group()?;
        self.writer.finish()?;
        self.take()
    }

    fn write_group(&mut self) -> Result<(), SamplesFileError> {
        let group = std::mem::take(&mut self.group);
        if group.at.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer.next_row_group()?;
        for name in &self.names {
            write_labels(&mut writer, name, &group)?;
        }
        let mut column = writer.next_column()?.ok_or_else(no_column)?;
        column.typed::<Int64Type>().write_batch(&group.at, None, None)?;
        column.close()?;
        let mut column = writer.next_column()?.ok_or_else(no_column)?;
        let floats = group.histograms.is_histogram(group.at.len()).into_iter().map(|is| i16::from(!is));
        let floats: Option<Vec<i16>> = self.has_histograms.then(|| floats.collect());
        column.typed::<DoubleType>().write_batch(&group.value, floats.as_deref(), None)?;
        column.close()?;
        if self.has_histograms {
            group.histograms.write(&mut writer, group.at.len())?;
        }
        writer.close()?;
        Ok(())
    }
}

pub(super) fn no_column() -> ParquetError {
    ParquetError::General("the schema has fewer columns than are written".into())
}

fn write_labels(
    writer: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    name: &str,
    group: &Group,
) -> Result<(), SamplesFileError> {
    let of_series: Vec<Option<ByteArray>> = group
        .series
        .iter()
        .map(|labels| labels.get(name).map(|value| ByteArray::from(value.as_bytes().to_vec())))
        .collect();
    let rows = || group.of_series.iter().map(|number| &of_series[*number as usize]);
    let present: Vec<i16> = rows().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<ByteArray> = rows().flatten().cloned().collect();
    let mut column = writer.next_column()?.ok_or_else(no_column)?;
    column.typed::<ByteArrayType>().write_batch(&values, Some(&present), None)?;
    column.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use parquet::{
        file::reader::{FileReader, SerializedFileReader},
        record::Field,
    };
    use tandem_domain::histogram::{Buckets, ResetHint, Span};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// Rows as text of the labels, moment, bits of the value.
    fn rows(bytes: Vec<u8>) -> (Vec<(String, i64, u64)>, usize) {
        let reader = SerializedFileReader::new(Bytes::from(bytes)).expect("a file");
        let mut found = Vec::new();
        for row in reader.get_row_iter(None).expect("rows") {
            let (mut text, mut at, mut value) = (Vec::new(), 0, 0);
            for (name, field) in row.expect("a row").get_column_iter() {
                match field {
                    Field::Null => {}
                    Field::Str(label) => text.push(format!("{name}={label}")),
                    Field::TimestampMillis(millis) => at = *millis,
                    Field::Double(number) => value = number.to_bits(),
                    other => panic!("{name}: {other:?}"),
                }
            }
            found.push((text.join(","), at, value));
        }
        (found, reader.num_row_groups())
    }

    #[test]
    fn samples_come_back_bit_for_bit_with_the_labels_they_have() {
        let names = ["__name__", "job", "value", "zone"].map(str::to_owned).into();
        let mut file = SamplesFile::new(&names, false).expect("a file");
        let stale = f64::from_bits(crate::remote_write::STALE_NAN);
        let values = [-0.0, f64::NEG_INFINITY, 5e-324, stale, f64::NAN];
        let at = [-1, 0, 1, 2, i64::MAX].map(Timestamp);
        file.push(&labels(&[("__name__", "up"), ("job", "é\"\n")]), &at, &values).expect("pushed");
        file.push(&labels(&[("__name__", "x"), ("value", "v"), ("zone", "z")]), &[Timestamp(7)], &[1.5])
            .expect("pushed");
        let (found, groups) = rows(file.finish().expect("finished"));
        let first = "__name__=up,job=é\"\n".to_owned();
        let mut wanted: Vec<_> =
            at.iter().zip(values).map(|(at, value)| (first.clone(), at.0, value.to_bits())).collect();
        wanted.push(("__name__=x,label.value=v,zone=z".into(), 7, 1.5_f64.to_bits()));
        assert_eq!((found, groups), (wanted, 1));
    }

    #[test]
    fn native_histograms_have_columns_of_their_own_and_no_value() {
        let mut file = SamplesFile::new(&["__name__".to_owned()].into(), true).expect("a file");
        let of = labels(&[("__name__", "latency")]);
        let histogram = |counts: &[f64]| NativeHistogram {
            schema: 0,
            zero_threshold: 0.25,
            zero_count: 2.0,
            count: 2.0 + counts.iter().sum::<f64>(),
            sum: 7.5,
            positive: Buckets { spans: vec![Span { offset: 0, length: counts.len() as u32 }], counts: counts.to_vec() },
            negative: Buckets::default(),
            custom_bounds: Vec::new(),
            reset: ResetHint::Unknown,
            whole: true,
        };
        let empty = NativeHistogram { zero_count: 0.0, count: 0.0, sum: 0.0, ..histogram(&[]) };
        file.push(&of, &[Timestamp(1)], &[0.5]).expect("pushed");
        let three =
            [(Timestamp(2), histogram(&[1.0, 0.0, 3.0])), (Timestamp(3), empty), (Timestamp(4), histogram(&[5.0]))];
        file.push_histograms(&of, &three).expect("pushed");
        file.push(&of, &[Timestamp(5)], &[1.5]).expect("pushed");
        let reader = SerializedFileReader::new(Bytes::from(file.finish().expect("finished"))).expect("a file");
        let rows: Vec<String> = reader
            .get_row_iter(None)
            .expect("rows")
            .map(|row| {
                let row = row.expect("a row");
                let told = row.get_column_iter().filter(|(_, field)| **field != Field::Null);
                told.map(|(name, field)| format!("{}={field}", name.trim_start_matches("histogram_")))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        let at = |millis: i64| format!("1970-01-01 00:00:00.00{millis} +00:00");
        let named = |millis: i64| format!("__name__=\"latency\" timestamp={}", at(millis));
        assert_eq!(
            rows,
            [
                format!("{} value=0.5", named(1)),
                format!(
                    "{} count=6.0 sum=7.5 zero_threshold=0.25 zero_count=2.0 schema=0 lower=[-2.5E-1, 0.5, 2.0] \
                     upper=[0.25, 1.0, 4.0] bucket=[2.0, 1.0, 3.0]",
                    named(2)
                ),
                format!(
                    "{} count=0E0 sum=0E0 zero_threshold=0.25 zero_count=0E0 schema=0 lower=[] upper=[] bucket=[]",
                    named(3)
                ),
                format!(
                    "{} count=7.0 sum=7.5 zero_threshold=0.25 zero_count=2.0 schema=0 lower=[-2.5E-1, 0.5] upper=[0.25, 1.0] \
                     bucket=[2.0, 5.0]",
                    named(4)
                ),
                format!("{} value=1.5", named(5)),
            ]
        );
    }

    #[test]
    fn a_long_file_is_taken_away_group_for_group() {
        let mut file = SamplesFile::new(&["__name__".to_owned()].into(), false).expect("a file");
        let (mut bytes, mut longest, rows_of_one) = (Vec::new(), 0, 50_000);
        for number in 0..10_i64 {
            let at: Vec<_> = (0..rows_of_one).map(|step| Timestamp(step * 15_000)).collect();
            let values: Vec<f64> = (0..rows_of_one).map(|step| (step * number) as f64).collect();
            file.push(&labels(&[("__name__", &format!("m{number}"))]), &at, &values).expect("pushed");
            let part = file.take().expect("taken");
            longest = longest.max(part.len());
            bytes.extend(part);
            assert!(file.group.at.len() < ROWS_PER_GROUP);
        }
        bytes.extend(file.finish().expect("finished"));
        assert!(longest < bytes.len() / 2, "{longest} of {}", bytes.len());
        let (found, groups) = rows(bytes);
        assert_eq!((found.len(), groups), (500_000, 4));
        assert_eq!(found[449_999], ("__name__=m8".into(), 49_999 * 15_000, (49_999.0_f64 * 8.0).to_bits()));
    }

    #[test]
    fn no_samples_are_a_file_too_and_too_many_labels_are_none() {
        let (found, groups) =
            rows(SamplesFile::new(&BTreeSet::new(), false).and_then(SamplesFile::finish).expect("a file"));
        assert_eq!((found.len(), groups), (0, 0));
        let many = (0..=MAX_LABEL_COLUMNS).map(|number| format!("l{number}")).collect();
        assert!(matches!(SamplesFile::new(&many, false), Err(SamplesFileError::TooManyLabels(_))));
    }
}
