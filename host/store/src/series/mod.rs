//! The time-series engine, first form: a log of sample batches as the durable form of what arrived, a
//! head in memory, and compressed chunks in one table per time window. Readers merge head and chunks.

mod chunks;
mod codec;
mod head;
mod maintain;

pub(crate) use chunks::{WINDOW_MILLIS, window_of, window_of_table};
pub(crate) use codec::encode_batch;
pub(crate) use head::{Epochs, Head, ReaderEpoch};
pub(crate) use maintain::maintain;

use crate::{ReadError, ReadTx, error::storage, read::number};
use std::ops::Bound;
use tandem_domain::{
    Timestamp,
    series::{Points, SampleBatch, SeriesId},
};

/// Sample batches in the order of arrival.
pub(crate) const SAMPLES: &str = "samples";
/// How far the samples are in chunks, as a cursor that is no reader's.
pub(crate) const FLUSHED: &str = "engine/flushed";
/// Prefix of the cursors of those who read samples.
pub(crate) const SAMPLE_READERS: &str = "samples/";
/// Batches read at once when the head is rebuilt.
const REBUILD_BATCHES: usize = 1024;

/// Whether a series has samples in a range that are in no chunk yet.
pub(crate) fn has_recent(head: &Head, series: SeriesId, start: Timestamp, end: Timestamp) -> bool {
    head.has(series, start, end)
}

/// Points of a series from `start` to `end`: chunks in the order they were written, then the head; of two samples of one
/// moment the later arrival counts.
pub(crate) fn points(
    read: &ReadTx,
    head: &Head,
    series: SeriesId,
    start: Timestamp,
    end: Timestamp,
) -> Result<Points, ReadError> {
    // Head first: a flush moves samples from the head to chunks that this older snapshot may not have, and the head keeps
    // them as long as this reader lives.
    let recent = head.samples(series, start, end);
    let mut samples = chunks::read(read, series, start, end)?;
    samples.extend(recent);
    samples.sort_by_key(|(at, _)| *at);
    let mut points = Points { at: Vec::with_capacity(samples.len()), value: Vec::with_capacity(samples.len()) };
    for (at, value) in samples {
        if points.at.last() == Some(&at) {
            points.value.pop();
        } else {
            points.at.push(at);
        }
        points.value.push(value);
    }
    Ok(points)
}

/// Batches after a sequence number until `max_samples` are reached, at least one.
pub(crate) fn samples_after(
    read: &ReadTx,
    after: u64,
    max_samples: usize,
) -> Result<Vec<(u64, SampleBatch)>, ReadError> {
    let mut found = Vec::new();
    let mut samples = 0;
    let mut after = after;
    while samples < max_samples {
        let bounds = (Bound::Excluded(after.to_be_bytes().to_vec()), Bound::Unbounded);
        let entries = read.raw_range(SAMPLES, &bounds, 16, false)?;
        if entries.is_empty() {
            break;
        }
        for (key, bytes) in entries {
            if samples >= max_samples && !found.is_empty() {
                break;
            }
            let batch = codec::decode_batch(&bytes).map_err(storage)?;
            after = number(&key)?;
            samples += batch.len();
            found.push((after, batch));
        }
    }
    Ok(found)
}

/// Fills the head after opening with what is not in chunks yet.
pub(crate) fn rebuild_head(read: &ReadTx, head: &Head) -> Result<(), ReadError> {
    let mut after = read.cursor(FLUSHED)?;
    loop {
        let batches = samples_after(read, after, REBUILD_BATCHES)?;
        let Some((last, _)) = batches.last() else { return Ok(()) };
        after = *last;
        head.append(batches);
    }
}

#[cfg(test)]
mod tests;
