//! Reading and writing blocks in their tables. A block's key is its run, its last series, and a number that tells blocks with
//! the same last series apart, so that the block with a series is the first one from that series on.

use super::{
    Columns,
    block::{Block, BlockReader},
    windows::{Run, Window},
};
use crate::{ReadError, ReadTx, WriteTx, error::storage, read::Entries};
use tandem_domain::series::SeriesId;

/// Length of a key, in bytes.
const KEY_BYTES: usize = 20;

fn key(run: u64, series: SeriesId, number: u32) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&run.to_be_bytes());
    key[8..16].copy_from_slice(&series.0.to_be_bytes());
    key[16..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The last series of a block and its number, by its key.
fn parts_of(key: &[u8]) -> Result<(SeriesId, u32), ReadError> {
    let broken = || storage("the key of a block has the wrong length");
    let key: &[u8; KEY_BYTES] = key.try_into().map_err(|_| broken())?;
    let series = u64::from_be_bytes(*key[8..].first_chunk().ok_or_else(broken)?);
    let number = u32::from_be_bytes(*key[16..].first_chunk().ok_or_else(broken)?);
    Ok((SeriesId(series), number))
}

/// The blocks of a run, of which some may have been written before, as keys and values; and what the run holds with them.
pub(crate) fn entries(mut run: Run, blocks: Vec<Block>) -> (Run, Entries) {
    let mut entries = Vec::with_capacity(blocks.len());
    for block in blocks {
        run.entries += block.entries;
        run.samples += block.samples;
        run.bytes += block.bytes.len() as u64;
        entries.push((key(run.number, block.last, run.blocks as u32).to_vec(), block.bytes));
        run.blocks += 1;
    }
    (run, entries)
}

/// Puts entries into a table.
pub(crate) fn write(transaction: &mut WriteTx<'_>, table: &str, entries: Entries) {
    entries.into_iter().for_each(|(key, value)| transaction.raw_put(table, key, Some(value)));
}

/// Shows blocks of a run, each with its last series and number: the first one from `from` on, and then as long as `show` answers
/// from where it wants to go on.
fn walk(
    read: &ReadTx,
    table: &str,
    run: u64,
    from: (SeriesId, u32),
    mut show: impl FnMut(SeriesId, u32, &[u8]) -> Result<Option<(SeriesId, u32)>, ReadError>,
) -> Result<(), ReadError> {
    read.with_table(table, |table| {
        let mut next = Some(from);
        while let Some((series, number)) = next {
            let bounds = key(run, series, number)..=key(run, SeriesId(u64::MAX), u32::MAX);
            let (first, last) = (bounds.start().as_slice(), bounds.end().as_slice());
            let Some(found) = table.range::<&[u8]>(first..=last).map_err(storage)?.next() else { break };
            let (found_key, value) = found.map_err(storage)?;
            let (last_series, number) = parts_of(found_key.value())?;
            next = show(last_series, number, value.value())?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Appends what a window has of series, which are ascending, to the columns of each: run by run, in the order of the runs.
pub(crate) fn read_window(
    read: &ReadTx,
    window: &Window,
    series: &[SeriesId],
    into: &mut [Columns],
) -> Result<(), ReadError> {
    let Some(first) = series.first() else { return Ok(()) };
    for (part, run) in window.runs() {
        let mut done = 0;
        walk(read, &window.table(part), run.number, (*first, 0), |last, number, bytes| {
            let mut block = BlockReader::open(bytes).map_err(storage)?;
            let here = done + series[done..].partition_point(|one| *one <= last);
            for place in done..here {
                block.read(series[place], &mut into[place]).map_err(storage)?;
            }
            done += series[done..].partition_point(|one| *one < last);
            // A series that ends a block may go on in the next.
            Ok(series.get(done).map(|one| if *one == last { (last, number + 1) } else { (*one, 0) }))
        })?;
    }
    Ok(())
}

/// What one run has of series from `from` on, block by block.
pub(crate) struct RunReader<'r> {
    read: &'r ReadTx,
    table: String,
    run: u64,
    next: Option<(SeriesId, u32)>,
    /// Series of the block that was read last, with their samples; the next one last.
    waiting: Vec<(SeriesId, Columns)>,
}

impl<'r> RunReader<'r> {
    pub(crate) fn new(read: &'r ReadTx, table: String, run: u64, from: SeriesId) -> Result<Self, ReadError> {
        let mut reader = Self { read, table, run, next: Some((from, 0)), waiting: Vec::new() };
        reader.fill(from)?;
        Ok(reader)
    }

    /// The next series, if there is one.
    pub(crate) fn series(&self) -> Option<SeriesId> {
        self.waiting.last().map(|(series, _)| *series)
    }

    /// Appends the next piece of samples if it is of a series; whether it was.
    pub(crate) fn take(&mut self, series: SeriesId, into: &mut Columns) -> Result<bool, ReadError> {
        if self.series() != Some(series) {
            return Ok(false);
        }
        if let Some((_, columns)) = self.waiting.pop() {
            into.at.extend(columns.at);
            into.value.extend(columns.value);
        }
        self.fill(series)?;
        Ok(true)
    }

    fn fill(&mut self, from: SeriesId) -> Result<(), ReadError> {
        while self.waiting.is_empty()
            && let Some((series, number)) = self.next
        {
            self.next = None;
            let (waiting, next) = (&mut self.waiting, &mut self.next);
            walk(self.read, &self.table, self.run, (series, number), |last, number, bytes| {
                let mut block = BlockReader::open(bytes).map_err(storage)?;
                let mut all: Vec<SeriesId> = block.series().filter(|one| *one >= from).collect();
                all.dedup();
                for one in all.into_iter().rev() {
                    let mut columns = Columns::default();
                    block.read(one, &mut columns).map_err(storage)?;
                    waiting.push((one, columns));
                }
                *next = Some((last, number + 1));
                Ok(None)
            })?;
        }
        Ok(())
    }
}
