//! Blocks: samples of many series together in one value of a table, of a size that fills the file's pages. A column of moments
//! stands once for all series that share it, and each series' values stand apart, so that one is read without the others.
//!
//! A block holds, in this order: its version; how many columns of moments and how many series; each column (samples, bytes,
//! integers); each series (distance of its number from the one before, its column, bytes of its values); the values.

use super::{
    Columns,
    codec::{floats, integers},
};
use crate::varint::{put_varint, take_byte, take_bytes, take_varint};
use tandem_domain::series::SeriesId;

/// The shape that is written.
const VERSION: u8 = 1;
/// A block is closed before it is longer than this, in bytes: a page of 16 KiB with what redb needs of it and the key.
const BLOCK_BYTES: usize = (16 << 10) - 200;
/// Most samples of a series in one entry; more stand in further ones.
const MAX_ENTRY_SAMPLES: usize = 4_096;
/// Bytes of an entry beside its values, at most.
const ENTRY_BYTES: usize = 20;

/// A block that is complete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its last series.
    pub last: SeriesId,
    /// How many entries it has.
    pub entries: u64,
    /// How many samples.
    pub samples: u64,
    pub bytes: Vec<u8>,
}

/// Makes blocks of series that come by number.
#[derive(Default)]
pub(crate) struct BlockWriter {
    columns: Vec<u8>,
    moments: Vec<Vec<i64>>,
    entries: Vec<u8>,
    entry_count: u64,
    samples: u64,
    values: Vec<u8>,
    last: u64,
    done: Vec<Block>,
    encoded: Vec<u8>,
    encoded_moments: Vec<u8>,
    floats: floats::Scratch,
    integers: integers::Scratch,
}

impl BlockWriter {
    /// Adds the samples of a series, ascending in time, after those of series with lower numbers.
    pub(crate) fn add(&mut self, series: SeriesId, at: &[i64], value: &[f64]) {
        for (at, value) in at.chunks(MAX_ENTRY_SAMPLES).zip(value.chunks(MAX_ENTRY_SAMPLES)) {
            self.add_entry(series, at, value);
        }
    }

    fn add_entry(&mut self, series: SeriesId, at: &[i64], value: &[f64]) {
        let mut encoded = std::mem::take(&mut self.encoded);
        encoded.clear();
        floats::encode(value, &mut self.floats, &mut encoded);
        let mut column = self.moments.iter().rposition(|known| known == at);
        if column.is_none() {
            self.encoded_moments.clear();
            integers::encode(at, &mut self.integers, &mut self.encoded_moments);
        }
        let more = encoded.len() + ENTRY_BYTES + column.map_or(self.encoded_moments.len() + ENTRY_BYTES, |_| 0);
        if self.entry_count > 0 && self.bytes() + more > BLOCK_BYTES {
            self.close();
            if column.take().is_some() {
                self.encoded_moments.clear();
                integers::encode(at, &mut self.integers, &mut self.encoded_moments);
            }
        }
        let column = column.unwrap_or_else(|| {
            put_varint(&mut self.columns, at.len() as u64);
            put_varint(&mut self.columns, self.encoded_moments.len() as u64);
            self.columns.extend_from_slice(&self.encoded_moments);
            self.moments.push(at.to_vec());
            self.moments.len() - 1
        });
        put_varint(&mut self.entries, series.0.wrapping_sub(self.last));
        put_varint(&mut self.entries, column as u64);
        put_varint(&mut self.entries, encoded.len() as u64);
        self.values.extend_from_slice(&encoded);
        self.last = series.0;
        self.entry_count += 1;
        self.samples += at.len() as u64;
        self.encoded = encoded;
    }

    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.columns.len() + self.entries.len() + self.values.len()
    }

    fn close(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes());
        bytes.push(VERSION);
        put_varint(&mut bytes, self.moments.len() as u64);
        put_varint(&mut bytes, self.entry_count);
        bytes.extend_from_slice(&self.columns);
        bytes.extend_from_slice(&self.entries);
        bytes.extend_from_slice(&self.values);
        let (entries, samples) = (self.entry_count, self.samples);
        self.done.push(Block { last: SeriesId(self.last), entries, samples, bytes });
        self.columns.clear();
        self.moments.clear();
        self.entries.clear();
        self.values.clear();
        (self.entry_count, self.samples, self.last) = (0, 0, 0);
    }

    /// All blocks.
    pub(crate) fn finish(mut self) -> Vec<Block> {
        if self.entry_count > 0 {
            self.close();
        }
        self.done
    }
}

/// A block that is read.
pub(crate) struct BlockReader<'b> {
    columns: Vec<Column<'b>>,
    entries: Vec<Entry<'b>>,
    whole: Vec<i64>,
}

struct Column<'b> {
    samples: usize,
    bytes: &'b [u8],
    /// Once it was needed.
    moments: Option<Vec<i64>>,
}

#[derive(Clone, Copy)]
struct Entry<'b> {
    series: SeriesId,
    column: usize,
    values: &'b [u8],
}

impl<'b> BlockReader<'b> {
    /// Reads what stands in a block, and no samples yet.
    pub(crate) fn open(mut bytes: &'b [u8]) -> Result<Self, String> {
        let bytes = &mut bytes;
        let version = take_byte(bytes)?;
        if version != VERSION {
            return Err(format!("a block has version {version}, and this server reads version {VERSION}"));
        }
        let (column_count, entry_count) = (take_varint(bytes)?, take_varint(bytes)?);
        // Each takes two bytes at least, so that a number that lies asks for no memory.
        if column_count.saturating_add(entry_count) > bytes.len() as u64 {
            return Err("a block claims more than it has".into());
        }
        let mut columns = Vec::with_capacity(column_count as usize);
        for _ in 0..column_count {
            let samples = take_varint(bytes)? as usize;
            let length = take_varint(bytes)? as usize;
            if samples > MAX_ENTRY_SAMPLES {
                return Err(format!("a block claims {samples} samples of one series"));
            }
            columns.push(Column { samples, bytes: take_bytes(bytes, length)?, moments: None });
        }
        let mut found = Vec::with_capacity(entry_count as usize);
        let mut series = 0_u64;
        for _ in 0..entry_count {
            series = series.wrapping_add(take_varint(bytes)?);
            let (column, length) = (take_varint(bytes)? as usize, take_varint(bytes)? as usize);
            if column >= columns.len() {
                return Err("a block names a column that it does not have".into());
            }
            found.push((SeriesId(series), column, length));
        }
        let mut entries = Vec::with_capacity(found.len());
        for (series, column, length) in found {
            entries.push(Entry { series, column, values: take_bytes(bytes, length)? });
        }
        Ok(Self { columns, entries, whole: Vec::new() })
    }

    /// The series of its entries, in order; one may stand there more than once.
    pub(crate) fn series(&self) -> impl Iterator<Item = SeriesId> {
        self.entries.iter().map(|entry| entry.series)
    }

    /// Appends the samples of a series to columns.
    pub(crate) fn read(&mut self, series: SeriesId, into: &mut Columns) -> Result<(), String> {
        let start = self.entries.partition_point(|entry| entry.series < series);
        for index in start..self.entries.len() {
            let entry = self.entries[index];
            if entry.series != series {
                break;
            }
            let column = &mut self.columns[entry.column];
            floats::decode(entry.values, column.samples, &mut self.whole, &mut into.value)?;
            if column.moments.is_none() {
                let mut moments = Vec::new();
                integers::decode(column.bytes, column.samples, &mut moments)?;
                column.moments = Some(moments);
            }
            into.at.extend_from_slice(column.moments.as_deref().unwrap_or_default());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(series: &[(u64, Vec<i64>, Vec<f64>)]) -> Vec<Block> {
        let mut writer = BlockWriter::default();
        series.iter().for_each(|(id, at, value)| writer.add(SeriesId(*id), at, value));
        writer.finish()
    }

    #[test]
    fn many_series_share_their_moments_and_each_is_read_alone() {
        let at: Vec<i64> = (0..480).map(|step| 1_790_000_000_000 + step * 15_000).collect();
        let series: Vec<_> = (0..300)
            .map(|id| (id * 3 + 5, at.clone(), (0..480).map(|step| (step * id % 90) as f64 / 10.0).collect::<Vec<_>>()))
            .collect();
        let blocks = blocks(&series);
        assert!(blocks.len() > 3 && blocks.iter().all(|block| block.bytes.len() <= BLOCK_BYTES));
        let filled: usize = blocks.iter().map(|block| block.bytes.len()).sum();
        assert!(filled > (blocks.len() - 1) * BLOCK_BYTES * 9 / 10, "pages are filled");
        assert_eq!(
            blocks.iter().map(|block| (block.entries, block.samples)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
            (300, 300 * 480)
        );
        for (id, at, value) in &series {
            let id = SeriesId(*id);
            let block = blocks.iter().find(|block| block.last >= id).expect("a block");
            let mut reader = BlockReader::open(&block.bytes).expect("opens");
            assert!(reader.series().next().expect("not empty") <= id);
            let mut columns = Columns::default();
            reader.read(id, &mut columns).expect("reads");
            assert_eq!((&columns.at, &columns.value), (at, value));
            reader.read(SeriesId(id.0 + 1), &mut columns).expect("reads");
            assert_eq!(columns.at.len(), 480, "nothing of another");
        }
    }

    #[test]
    fn a_series_with_very_many_samples_stands_in_several_entries() {
        let at: Vec<i64> = (0..20_000).map(|step| step * step).collect();
        let value: Vec<f64> = at.iter().map(|at| (*at as f64).sqrt().sin()).collect();
        let blocks = blocks(&[(1, vec![1], vec![1.0]), (7, at.clone(), value.clone()), (9, vec![2], vec![2.0])]);
        let mut columns = Columns::default();
        for block in &blocks {
            BlockReader::open(&block.bytes).expect("opens").read(SeriesId(7), &mut columns).expect("reads");
        }
        assert_eq!((columns.at, columns.value), (at, value));
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes: Vec<u8> = [VERSION].into_iter().chain(bytes).collect();
            if let Ok(mut reader) = BlockReader::open(&bytes) {
                for series in reader.series().collect::<Vec<_>>() {
                    let _ = reader.read(series, &mut Columns::default());
                }
            }
        }

        #[test]
        fn a_changed_byte_is_no_panic(place in any::<prop::sample::Index>(), bits in 1u8..) {
            let at: Vec<i64> = (0..50).map(|step| step * 15_000).collect();
            let series: Vec<_> = (1..20).map(|id| (id, at.clone(), at.iter().map(|at| (at * id as i64) as f64).collect())).collect();
            let mut bytes = blocks(&series).remove(0).bytes;
            let place = place.index(bytes.len());
            bytes[place] ^= bits;
            if let Ok(mut reader) = BlockReader::open(&bytes) {
                for series in reader.series().collect::<Vec<_>>() {
                    let _ = reader.read(series, &mut Columns::default());
                }
            }
        }
    }
}
