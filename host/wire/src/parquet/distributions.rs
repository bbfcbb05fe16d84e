//! The columns of native histograms in a file of samples: numbers of the whole, and three lists of equal length with the bounds
//! and counts of the buckets that hold anything, as answers of queries show them. All are null in the row of a float.

use super::samples::no_column;
use parquet::{
    basic::{ConvertedType, LogicalType, Repetition, Type as PhysicalType},
    data_type::{DataType, DoubleType, Int32Type},
    errors::ParquetError,
    file::writer::SerializedRowGroupWriter,
    schema::types::{Type, TypePtr},
};
use std::sync::Arc;
use tandem_domain::histogram::NativeHistogram;

/// Columns of one number, all of them doubles but the schema.
const NUMBERS: [&str; 4] = ["histogram_count", "histogram_sum", "histogram_zero_threshold", "histogram_zero_count"];
const SCHEMA: &str = "histogram_schema";
/// Columns of lists.
const LISTS: [&str; 3] = ["histogram_lower", "histogram_upper", "histogram_bucket"];
/// Whether a column is one of these.
pub(super) fn is_own(name: &str) -> bool {
    NUMBERS.contains(&name) || LISTS.contains(&name) || name == SCHEMA
}

/// Buckets that wait for their row group at the most: some 24 MB.
pub(super) const MAX_BUCKETS: usize = 1 << 20;

/// The histograms of a group's rows.
#[derive(Debug, Default)]
pub(super) struct Distributions {
    /// Which rows they are, ascending.
    rows: Vec<usize>,
    numbers: [Vec<f64>; NUMBERS.len()],
    schemas: Vec<i32>,
    /// How many buckets each has.
    lengths: Vec<usize>,
    lists: [Vec<f64>; LISTS.len()],
}

impl Distributions {
    /// Adds the histogram of a row, which is behind all others.
    pub(super) fn push(&mut self, row: usize, histogram: &NativeHistogram) {
        self.rows.push(row);
        let NativeHistogram { count, sum, zero_threshold, zero_count, schema, .. } = histogram;
        for (column, number) in self.numbers.iter_mut().zip([count, sum, zero_threshold, zero_count]) {
            column.push(*number);
        }
        self.schemas.push(*schema);
        let before = self.buckets();
        for bucket in histogram.all_buckets().into_iter().filter(|bucket| bucket.count != 0.0) {
            for (column, number) in self.lists.iter_mut().zip([bucket.lower, bucket.upper, bucket.count]) {
                column.push(number);
            }
        }
        self.lengths.push(self.buckets() - before);
    }

    /// Buckets of all of them.
    pub(super) fn buckets(&self) -> usize {
        self.lists[0].len()
    }

    /// Whether a row is a histogram, for each of so many rows.
    pub(super) fn is_histogram(&self, rows: usize) -> Vec<bool> {
        let mut is_histogram = vec![false; rows];
        self.rows.iter().for_each(|row| is_histogram[*row] = true);
        is_histogram
    }

    /// Writes the columns of so many rows.
    pub(super) fn write(
        &self,
        writer: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
        rows: usize,
    ) -> Result<(), ParquetError> {
        let present: Vec<i16> = self.is_histogram(rows).into_iter().map(i16::from).collect();
        for numbers in &self.numbers {
            write_column::<DoubleType>(writer, numbers, &present, None)?;
        }
        write_column::<Int32Type>(writer, &self.schemas, &present, None)?;
        let (present, continued) = self.levels(rows);
        self.lists.iter().try_for_each(|list| write_column::<DoubleType>(writer, list, &present, Some(&continued)))
    }

    /// Of the lists: whether there is none (0), an empty one (1) or an element (2), and whether an element goes on a list (1).
    fn levels(&self, rows: usize) -> (Vec<i16>, Vec<i16>) {
        let (mut present, mut continued) = (Vec::new(), Vec::new());
        let mut lengths = self.rows.iter().zip(&self.lengths).peekable();
        for row in 0..rows {
            let length = lengths.next_if(|(of, _)| **of == row).map(|(_, length)| *length);
            match length {
                None => present.push(0),
                Some(0) => present.push(1),
                Some(length) => present.extend(std::iter::repeat_n(2, length)),
            }
            continued.push(0);
            continued.extend(std::iter::repeat_n(1, length.unwrap_or(0).saturating_sub(1)));
        }
        (present, continued)
    }
}

fn write_column<T: DataType>(
    writer: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    present: &[i16],
    continued: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut column = writer.next_column()?.ok_or_else(no_column)?;
    column.typed::<T>().write_batch(values, Some(present), continued)?;
    column.close()?;
    Ok(())
}

/// The types of the columns, in the order in which they are written.
pub(super) fn types() -> Result<Vec<TypePtr>, ParquetError> {
    let number = |name: &str, physical: PhysicalType| {
        Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
    };
    let list = |name: &str| {
        let element = Type::primitive_type_builder("element", PhysicalType::DOUBLE);
        let element = element.with_repetition(Repetition::REQUIRED).build()?;
        let repeated = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
        let repeated = repeated.with_fields(vec![Arc::new(element)]).build()?;
        let whole = Type::group_type_builder(name)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::List))
            .with_converted_type(ConvertedType::LIST);
        whole.with_fields(vec![Arc::new(repeated)]).build().map(Arc::new)
    };
    let numbers = NUMBERS.iter().map(|name| number(name, PhysicalType::DOUBLE));
    let schema = std::iter::once_with(|| number(SCHEMA, PhysicalType::INT32));
    numbers.chain(schema).chain(LISTS.iter().map(|name| list(name))).collect()
}
