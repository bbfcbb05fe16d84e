//! A leaf as bytes: how many records it holds, in two bytes, so that counting need not unpack it; then its records, packed. Of
//! each record: how many bytes of its key are those of the key before it, how many follow, the length of its value, the rest of
//! the key, the value.

use crate::{
    ReadError,
    packing::{compress, decompress},
    varint::{put_varint, take_bytes, take_varint},
};

/// Length of what stands before the packed records, in bytes.
const COUNT_BYTES: usize = 2;
/// Most records of a leaf: what its count can say.
pub(super) const MOST_RECORDS: usize = u16::MAX as usize;

/// Records in the making of a leaf, plain.
#[derive(Debug, Default)]
pub(super) struct Plain {
    bytes: Vec<u8>,
    last_key: Vec<u8>,
    records: usize,
}

impl Plain {
    /// Appends a record; keys must rise.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) {
        let shared = self.last_key.iter().zip(key).take_while(|(one, other)| one == other).count();
        put_varint(&mut self.bytes, shared as u64);
        put_varint(&mut self.bytes, (key.len() - shared) as u64);
        put_varint(&mut self.bytes, value.len() as u64);
        self.bytes.extend_from_slice(&key[shared..]);
        self.bytes.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        self.records += 1;
    }

    /// The leaf as it lies in its row.
    pub(super) fn pack(&self) -> Vec<u8> {
        let mut row = (self.records as u16).to_be_bytes().to_vec();
        row.extend(compress(&self.bytes));
        row
    }
}

/// How many records a leaf holds.
///
/// # Errors
/// When it is damaged.
pub(crate) fn records_in(table: &str, row: &[u8]) -> Result<u64, ReadError> {
    let count = row.first_chunk::<COUNT_BYTES>().ok_or_else(|| damaged(table, "a leaf is shorter than its count"))?;
    Ok(u64::from(u16::from_be_bytes(*count)))
}

/// The records of a leaf's row, plain.
///
/// # Errors
/// When it is damaged.
pub(super) fn unpack(table: &str, row: &[u8]) -> Result<Vec<u8>, ReadError> {
    let packed = row.get(COUNT_BYTES..).ok_or_else(|| damaged(table, "a leaf is shorter than its count"))?;
    decompress(table, packed)
}

/// Goes through the records of a plain leaf in the order of their keys, until `visit` answers false.
///
/// # Errors
/// When it is damaged.
pub(super) fn visit<'p>(
    table: &str,
    plain: &'p [u8],
    mut visit: impl FnMut(&[u8], &'p [u8]) -> bool,
) -> Result<(), ReadError> {
    let (mut rest, mut key) = (plain, Vec::new());
    while !rest.is_empty() {
        let value = next(&mut rest, &mut key).map_err(|what| damaged(table, &what))?;
        if !visit(&key, value) {
            break;
        }
    }
    Ok(())
}

/// The next record's value; its key is left in `key`, which holds the one before.
fn next<'p>(rest: &mut &'p [u8], key: &mut Vec<u8>) -> Result<&'p [u8], String> {
    let (shared, own, value) = (take_length(rest)?, take_length(rest)?, take_length(rest)?);
    if shared > key.len() {
        return Err("a key of a leaf shares more than there is".into());
    }
    key.truncate(shared);
    key.extend_from_slice(take_bytes(rest, own)?);
    take_bytes(rest, value)
}

fn take_length(rest: &mut &[u8]) -> Result<usize, String> {
    usize::try_from(take_varint(rest)?).map_err(|error| error.to_string())
}

fn damaged(table: &str, what: &str) -> ReadError {
    ReadError::Damaged { table: table.into(), what: what.into() }
}
