//! The engine's upkeep: flushing, merging, forgetting, and dropping what is too old or too much.

use super::{FLUSHED, SAMPLE_READERS, WINDOW_MILLIS, flush::flush, merge::merge, windows};
use crate::{Store, WriteError};
use tandem_domain::Timestamp;

/// What a window that is over left in the head is flushed this long after the last flush, in milliseconds, so that samples that
/// come late one by one do not make a run each.
const FLUSH_LATE_EVERY_MILLIS: i64 = 60_000;
/// Passes of merging in one call, so that whoever maintains gets to flush in between.
const MERGE_PASSES: usize = 4;

/// What upkeep remembers between calls.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    last_flush: Option<Timestamp>,
}

/// One pass; whether there is more to do at once.
pub(crate) async fn maintain(store: &Store, upkeep: &mut Upkeep, now: Timestamp) -> Result<bool, WriteError> {
    if let Some(through) = store.epochs().forgettable() {
        store.head().forget_through(through);
    }
    let options = store.options();
    let over_before = now.plus_millis(-options.late_millis);
    if due(store, upkeep, over_before, now) && flush(store).await? {
        upkeep.last_flush = Some(now);
    }
    trim(store)?;
    drop_windows(store, now.plus_millis(-options.retention_millis), options.max_bytes).await?;
    for _ in 0..MERGE_PASSES {
        if store.head_is_full() {
            return Ok(true);
        }
        if !merge(store, over_before).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the head is to be flushed: it is full, or it holds samples of windows that are over.
fn due(store: &Store, upkeep: &Upkeep, over_before: Timestamp, now: Timestamp) -> bool {
    if store.head_is_full() {
        return true;
    }
    let over = |oldest: Timestamp| windows::window_of(oldest.0).saturating_add(WINDOW_MILLIS) <= over_before.0;
    let rested = upkeep.last_flush.is_none_or(|last| now.millis_since(last) >= FLUSH_LATE_EVERY_MILLIS);
    rested && store.head().oldest().is_some_and(over)
}

/// Removes what is flushed and read by all from the write-ahead log.
fn trim(store: &Store) -> Result<(), WriteError> {
    let read = store.read()?;
    let flushed = read.cursor(FLUSHED)?;
    let slowest = read.cursors_with_prefix(SAMPLE_READERS)?.into_iter().min().unwrap_or(flushed);
    store.wal().trim(flushed, slowest).map_err(crate::error::write_storage)
}

/// Drops windows that are over before a moment, and the oldest beyond so many bytes; never the newest one.
async fn drop_windows(store: &Store, oldest_kept: Timestamp, max_bytes: Option<u64>) -> Result<(), WriteError> {
    let all = windows::all(&store.read()?)?;
    let mut bytes: u64 = all.iter().map(|window| window.bytes()).sum();
    let mut dropped = Vec::new();
    for (index, window) in all.iter().enumerate() {
        let too_much = index + 1 < all.len() && max_bytes.is_some_and(|most| bytes > most);
        if window.end() < oldest_kept.0 || too_much {
            bytes -= window.bytes();
            dropped.push(window.start);
        }
    }
    if dropped.is_empty() {
        return Ok(());
    }
    tracing::info!(windows = dropped.len(), "samples beyond the retention are dropped");
    store
        .write(move |transaction| dropped.into_iter().try_for_each(|start| windows::drop_window(transaction, start)))
        .await
}
