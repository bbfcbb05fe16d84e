//! Trains a dictionary for records (see `src/packing.rs`) on those of one store or several:
//! `cargo run --release --workspace --example dictionary -- OUTPUT DATA_FOLDER…`. Servers that own them must not be running.
//! The stores must have been written without packing, or with an earlier dictionary, whose rows are left out.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

/// Length of the dictionary, in bytes: it lies in memory once, and more gains little on records of some hundred bytes.
const DICTIONARY_BYTES: usize = 16 << 10;
/// Rows taken of a table, so that no kind of record outweighs the others.
const ROWS_PER_TABLE: usize = 1_500;
/// What the envelope of a record that is not packed begins with.
const PLAIN: u8 = 1;
/// A run of hexadecimal digits as long as this is a digest, in bytes.
const SHORTEST_DIGEST_BYTES: usize = 32;

/// SplitMix64, so that no digest resembles another.
fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Makes each digest of a record another one: they change with every build of a plugin, and would only take room.
fn without_digests(mut row: Vec<u8>, number: usize) -> Vec<u8> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let (mut start, row_length) = (0, row.len());
    while start < row_length {
        let length = row[start..].iter().take_while(|byte| is_digit(byte)).count();
        if length >= SHORTEST_DIGEST_BYTES {
            for (place, byte) in row[start..start + length].iter_mut().enumerate() {
                *byte = b"0123456789abcdef"[(mixed((number * row_length + place) as u64) % 16) as usize];
            }
        }
        start += length.max(1);
    }
    row
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let output = arguments.next().ok_or("give the output, then data folders")?;
    let mut samples: Vec<Vec<u8>> = Vec::new();
    for folder in arguments {
        let database = Database::open(std::path::Path::new(&folder).join("tandem.redb"))?;
        let transaction = database.begin_read()?;
        for table in transaction.list_tables()?.filter(|table| table.name().starts_with("record/")) {
            let name = table.name().to_owned();
            let definition: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(&name);
            let rows = transaction.open_table(definition)?;
            let rows = rows.iter()?.map(|row| row.map(|(_, value)| value.value().to_vec()));
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            let every = rows.len().div_ceil(ROWS_PER_TABLE).max(1);
            let plain = rows.into_iter().step_by(every).filter(|row| row.first() == Some(&PLAIN)).enumerate();
            samples.extend(plain.map(|(number, row)| without_digests(row, number)));
        }
    }
    let dictionary = zstd::dict::from_samples(&samples, DICTIONARY_BYTES)?;
    std::fs::write(&output, &dictionary)?;
    let plain: usize = samples.iter().map(Vec::len).sum();
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, &dictionary)?;
    let packed = samples.iter().map(|row| compressor.compress(row).map(|row| row.len())).sum::<Result<usize, _>>()?;
    println!("{} bytes from {} records; {plain} bytes of them come to {packed}", dictionary.len(), samples.len());
    Ok(())
}
