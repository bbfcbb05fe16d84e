//! Moving samples from the head into chunks, and dropping what is too old.

use super::{
    FLUSHED, SAMPLE_READERS, SAMPLES,
    chunks::{self, WINDOW_MILLIS},
    codec,
    head::{Epochs, Head},
};
use crate::{Store, WriteError, index::Kind};
use roaring::RoaringTreemap;
use std::collections::BTreeMap;
use tandem_domain::{Timestamp, series::SeriesId};

/// The head is flushed when it holds this many samples: some 100 MB of memory.
const FLUSH_AT_SAMPLES: u64 = 2_000_000;
/// Or when its oldest sample is this old, in milliseconds: long enough for a chunk worth compressing.
const FLUSH_AT_AGE_MILLIS: i64 = 20 * 60_000;
/// Batches that a reader who has fallen behind may keep from being trimmed: what a day brings at fifteen seconds from a
/// hundred targets. A reader further behind reads chunks.
const MAX_KEPT_BATCHES: u64 = 600_000;

/// One pass: flush when it is time, trim what is flushed and read, forget what nobody reads, drop old windows.
pub(crate) async fn maintain(
    store: &Store,
    head: &Head,
    epochs: &Epochs,
    now: Timestamp,
    oldest_kept: Timestamp,
) -> Result<(), WriteError> {
    if let Some(sequence) = epochs.forgettable() {
        head.forget_through(sequence);
    }
    let old = head.oldest().is_some_and(|oldest| now.millis_since(oldest) >= FLUSH_AT_AGE_MILLIS);
    if old || head.sample_count() >= FLUSH_AT_SAMPLES {
        flush(store, head, epochs).await?;
    }
    drop_old_windows(store, oldest_kept).await
}

/// The chunks of a flush (table, key, bytes), and which series have some in which window.
#[derive(Default)]
struct EncodedChunks {
    chunks: Vec<(String, Vec<u8>, Vec<u8>)>,
    present: BTreeMap<i64, RoaringTreemap>,
}

async fn flush(store: &Store, head: &Head, epochs: &Epochs) -> Result<(), WriteError> {
    let (through, flushed) = {
        let read = store.read()?;
        (read.samples_end()?, read.cursor(FLUSHED)?)
    };
    if through <= flushed {
        return Ok(());
    }
    let encoded = encode(head, flushed, through).map_err(WriteError::Refused)?;
    store
        .write(move |transaction| {
            for (table, key, bytes) in encoded.chunks {
                transaction.put_chunk(&table, key, bytes);
            }
            for (window, series) in encoded.present {
                transaction.note_presence(Kind::Floats, window, series)?;
            }
            transaction.set_cursor(FLUSHED, through)?;
            let slowest = transaction.cursors_with_prefix(SAMPLE_READERS)?.into_iter().min().unwrap_or(through);
            let trimmable = slowest.min(through).max(through.saturating_sub(MAX_KEPT_BATCHES));
            transaction.trim(SAMPLES, trimmable)
        })
        .await?;
    epochs.retire_through(through);
    Ok(())
}

/// Samples that earlier flushes have moved may still stand in the head for old readers; they are left out.
fn encode(head: &Head, flushed: u64, through: u64) -> Result<EncodedChunks, String> {
    let mut windows: BTreeMap<(i64, SeriesId), (Vec<i64>, Vec<f64>)> = BTreeMap::new();
    for (series, samples) in head.through(through) {
        for sample in samples.into_iter().filter(|sample| sample.sequence > flushed) {
            let chunk = windows.entry((chunks::window_of(sample.at.0), series)).or_default();
            chunk.0.push(sample.at.0);
            chunk.1.push(sample.value);
        }
    }
    let mut encoded = EncodedChunks::default();
    for ((window, series), (at, value)) in windows {
        let bytes = codec::encode_chunk(through, &at, &value)?;
        encoded.chunks.push((chunks::table_of(window), chunks::key(series, through), bytes));
        encoded.present.entry(window).or_default().insert(series.0);
    }
    Ok(encoded)
}

async fn drop_old_windows(store: &Store, oldest_kept: Timestamp) -> Result<(), WriteError> {
    let names = store.read()?.table_names()?;
    let window = |name: &String| chunks::window_of_table(name);
    let too_old = |name: &String| window(name).is_some_and(|start| start.saturating_add(WINDOW_MILLIS) < oldest_kept.0);
    let old: Vec<String> = names.into_iter().filter(too_old).collect();
    if old.is_empty() {
        return Ok(());
    }
    store
        .write(move |transaction| {
            for name in &old {
                transaction.drop_table(name)?;
                if let Some(window) = chunks::window_of_table(name) {
                    transaction.drop_presence(Kind::Floats, window);
                }
            }
            Ok(())
        })
        .await
}
