//! Parquet files (Apache Parquet format 2): read as columns of text, which is what a data scientist's sample looks like, and
//! written from samples of series ([`samples`]).

mod distributions;
pub mod samples;

use ::parquet::{
    basic::Type as PhysicalType,
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use bytes::Bytes;

/// How every Parquet file begins and ends.
const MAGIC: &[u8; 4] = b"PAR1";

/// Flat columns of equal length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParquetTable {
    /// Name and values, in the file's order; what is null is empty.
    pub columns: Vec<(String, Vec<String>)>,
    /// Columns of lists, maps or groups, which have no one value per row.
    pub nested: Vec<String>,
}

/// Whether these are the bytes of a Parquet file.
pub fn is_parquet(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads a whole file.
///
/// # Errors
/// When it is cut off, damaged, encrypted or packed in a way that is not known; the text says what was met.
pub fn read(bytes: Bytes) -> Result<ParquetTable, ParquetError> {
    let reader = SerializedFileReader::new(bytes)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let mut table = ParquetTable::default();
    // Int96 is a moment in old writers; the row reader tells it as such.
    for field in schema.root_schema().get_fields() {
        if field.is_primitive() && field.get_physical_type() != PhysicalType::FIXED_LEN_BYTE_ARRAY {
            table.columns.push((field.name().to_owned(), Vec::new()));
        } else {
            table.nested.push(field.name().to_owned());
        }
    }
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let plain = row.get_column_iter().filter(|(name, _)| !table.nested.contains(name));
        let texts: Vec<String> = plain.map(|(_, field)| text(field)).collect();
        for ((_, values), text) in table.columns.iter_mut().zip(texts) {
            values.push(text);
        }
    }
    Ok(table)
}

/// One value as text that reads back as the same number.
fn text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Bool(value) => value.to_string(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(value) => value.clone(),
        Field::Bytes(value) => String::from_utf8_lossy(value.data()).into_owned(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::TimestampMillis(millis) => millis.to_string(),
        Field::TimestampMicros(micros) => (*micros as f64 / 1_000.0).to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::parquet::{
        basic::Compression,
        data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    use std::sync::Arc;

    fn file(compression: Compression) -> Vec<u8> {
        let schema = "message sample { optional double income; required int64 age; required binary region (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).expect("a schema"));
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).expect("a writer");
        let mut group = writer.next_row_group().expect("a group");
        let mut column = group.next_column().expect("fine").expect("income");
        column.typed::<DoubleType>().write_batch(&[1.5, -0.1], Some(&[1, 0, 1]), None).expect("written");
        column.close().expect("closed");
        let mut column = group.next_column().expect("fine").expect("age");
        column.typed::<Int64Type>().write_batch(&[40, 41, 9_007_199_254_740_993], None, None).expect("written");
        column.close().expect("closed");
        let mut column = group.next_column().expect("fine").expect("region");
        let regions = ["north", "south", "é"].map(ByteArray::from);
        column.typed::<ByteArrayType>().write_batch(&regions, None, None).expect("written");
        column.close().expect("closed");
        group.close().expect("closed");
        writer.close().expect("closed");
        bytes
    }

    #[test]
    fn plain_and_packed_columns_are_read_with_their_nulls() {
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())] {
            let bytes = file(compression);
            assert!(is_parquet(&bytes));
            let table = read(bytes.into()).expect("it is read");
            let column = |name: &str| table.columns.iter().find(|(n, _)| n == name).expect("there").1.clone();
            assert_eq!(column("income"), ["1.5", "", "-0.1"], "{compression}");
            assert_eq!(column("age"), ["40", "41", "9007199254740993"]);
            assert_eq!(column("region"), ["north", "south", "é"]);
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_no_panic() {
        let bytes = file(Compression::SNAPPY);
        for end in 0..bytes.len() {
            assert!(read(bytes[..end].to_vec().into()).is_err(), "{end} of {} bytes", bytes.len());
        }
    }
}
