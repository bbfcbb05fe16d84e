//! The time-series engine: a write-ahead log as the durable form of what arrived; a head in memory; and blocks of compressed
//! samples in tables per time window (docs/adr/0007). Readers merge blocks and head.

mod block;
mod blocks;
mod codec;
mod epochs;
mod flush;
mod generation;
mod head;
mod maintain;
mod merge;
mod old_chunks;
mod table;
mod windows;

pub(crate) use epochs::{Epochs, ReaderEpoch};
pub(crate) use flush::flush;
pub use head::Appended;
pub(crate) use head::Head;
pub(crate) use maintain::{Upkeep, maintain};
pub(crate) use old_chunks::{chunks_to_blocks, window_of_table};
pub(crate) use table::MAX_SERIES;
pub(crate) use windows::{WINDOW_MILLIS, Window, all as all_windows, window_of};

use crate::{ReadError, ReadTx, wal::Wal};
use tandem_domain::{
    Timestamp,
    series::{Points, SeriesId},
};

/// The sequence of sample batches: the file tells in it which was the last that records were committed with.
pub(crate) const SAMPLES: &str = "samples";
/// How far the samples are in blocks, as a cursor that is no reader's.
pub(crate) const FLUSHED: &str = "engine/flushed";
/// Prefix of the cursors of those who read samples.
pub(crate) const SAMPLE_READERS: &str = "samples/";
/// Samples read at once when the head is rebuilt.
const REBUILD_SAMPLES: usize = 500_000;

/// Whether a series has samples in a range that are in no block yet, or were not long ago.
pub(crate) fn has_recent(head: &Head, series: SeriesId, start: Timestamp, end: Timestamp) -> bool {
    head.has(series, start, end)
}

/// Samples of one series as columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Columns {
    pub at: Vec<i64>,
    pub value: Vec<f64>,
}

impl Columns {
    pub(crate) fn clear(&mut self) {
        self.at.clear();
        self.value.clear();
    }

    /// Drops what lies outside of a range, of samples from an index on.
    fn keep_within(&mut self, from: usize, start: Timestamp, end: Timestamp) {
        let inside = |at: i64| start.0 <= at && at <= end.0;
        if self.at[from..].iter().all(|at| inside(*at)) {
            return;
        }
        let mut kept = from;
        for index in from..self.at.len() {
            if inside(self.at[index]) {
                (self.at[kept], self.value[kept]) = (self.at[index], self.value[index]);
                kept += 1;
            }
        }
        self.at.truncate(kept);
        self.value.truncate(kept);
    }

    /// Brings samples that stand in the order of arrival into the order of time; of two of one moment the later arrival stays.
    fn settle(&mut self) {
        if self.at.is_sorted_by(|earlier, later| earlier < later) {
            return;
        }
        let mut order: Vec<usize> = (0..self.at.len()).collect();
        order.sort_by_key(|index| self.at[*index]);
        let last_of_moment =
            |place: usize, index: usize| order.get(place + 1).is_none_or(|next| self.at[*next] != self.at[index]);
        let kept: Vec<usize> = order
            .iter()
            .enumerate()
            .filter(|(place, index)| last_of_moment(*place, **index))
            .map(|(_, index)| *index)
            .collect();
        *self = Self {
            at: kept.iter().map(|index| self.at[*index]).collect(),
            value: kept.iter().map(|index| self.value[*index]).collect(),
        };
    }

    fn into_points(self) -> Points {
        Points { at: self.at.into_iter().map(Timestamp).collect(), value: self.value }
    }
}

/// Points of series, which are ascending, from `start` to `end`: blocks in the order they were written, then the head; of two
/// samples of one moment the later arrival counts.
pub(crate) fn points(
    read: &ReadTx,
    head: &Head,
    series: &[SeriesId],
    start: Timestamp,
    end: Timestamp,
) -> Result<Vec<Points>, ReadError> {
    let mut found: Vec<Columns> = vec![Columns::default(); series.len()];
    let flushed = read.flushed()?;
    for window in read.windows()?.iter().filter(|window| window.start <= end.0 && start.0 < window.end()) {
        blocks::read_window(read, window, series, &mut found)?;
    }
    for (one, columns) in series.iter().zip(&mut found) {
        columns.keep_within(0, start, end);
        head.read(*one, start, end, flushed, columns);
        columns.settle();
    }
    Ok(found.into_iter().map(Columns::into_points).collect())
}

/// Fills the head after opening with what is not in blocks yet.
pub(crate) fn rebuild_head(read: &ReadTx, wal: &Wal, head: &Head) -> Result<(), ReadError> {
    let mut after = read.cursor(FLUSHED)?;
    head.flushed_through(after);
    loop {
        let batches = wal.after(after, wal.end(), REBUILD_SAMPLES)?;
        let Some((last, _)) = batches.last() else { return Ok(()) };
        after = *last;
        head.append(&batches);
    }
}

#[cfg(test)]
mod tests;
