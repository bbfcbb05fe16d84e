//! Caring for what is kept: small blocks are joined, what is too old or too much is dropped. One pass does a bounded part
//! of it; the next one goes on.

use super::{
    LogWindow, LogsKept, Part,
    block::{self, Encoded, Head},
    body::{self, Numbered},
    hour_of,
};
use crate::{ReadError, ReadTx, Store, WriteError, WriteTx};
use std::ops::Bound;
use tandem_domain::Timestamp;

/// Small blocks of an hour that are joined: at one line a second some in a minute, so that a search never has many to open.
const JOIN_AT_BLOCKS: u64 = 64;
/// How long an hour may still get lines after its end, in milliseconds; then all its small blocks are joined.
const LATE_MILLIS: i64 = 5 * 60_000;
/// Lines joined in one pass, and bytes of what they say: some tens of megabytes in memory.
const MAX_JOINED_ENTRIES: u64 = 32_768;
const MAX_JOINED_BYTES: u64 = 8 << 20;
/// Heads looked at for small ones, or dropped, in one pass.
const MAX_HEADS: usize = 20_000;
/// Hours that there can be: ten years of them.
const MAX_WINDOWS: usize = 100_000;

/// How long lines are kept, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRetention {
    /// In milliseconds.
    pub age_millis: i64,
    /// In bytes, compressed, without the file's own overhead.
    pub bytes: u64,
}

/// What is kept.
pub(crate) fn kept(read: &ReadTx) -> Result<LogsKept, ReadError> {
    let windows = read.scan::<LogWindow>(.., MAX_WINDOWS)?;
    let sum = |of: fn(&LogWindow) -> u64| windows.iter().map(of).sum();
    Ok(LogsKept { entries: sum(|window| window.entries), bytes: sum(|window| window.bytes) })
}

/// One pass.
pub(crate) async fn maintain(store: &Store, retention: LogRetention, now: Timestamp) -> Result<(), WriteError> {
    let windows = store.read()?.scan::<LogWindow>(.., MAX_WINDOWS)?;
    let oldest = hour_of(now.plus_millis(-retention.age_millis));
    let mut excess = windows.iter().filter(|window| window.hour >= oldest).map(|window| window.bytes).sum::<u64>();
    excess = excess.saturating_sub(retention.bytes);
    let mut gone = Vec::new();
    for window in &windows {
        let spare = window.hour >= oldest;
        if spare && (excess == 0 || window.bytes > excess) {
            break;
        }
        excess = excess.saturating_sub(if spare { window.bytes } else { 0 });
        gone.push(window.hour);
    }
    let rest: Vec<LogWindow> = windows.into_iter().filter(|window| !gone.contains(&window.hour)).collect();
    if !gone.is_empty() {
        store.write(move |tx| gone.iter().try_for_each(|hour| drop_hour(tx, *hour))).await?;
    }
    if let (true, Some(window)) = (excess > 0, rest.first()) {
        drop_oldest_blocks(store, window.hour, excess).await?;
    }
    let closed = hour_of(now.plus_millis(-LATE_MILLIS));
    let due = |window: &&LogWindow| window.small >= if window.hour < closed { 2 } else { JOIN_AT_BLOCKS };
    match rest.iter().filter(due).max_by_key(|window| window.small) {
        Some(window) => join(store, window.hour).await,
        None => Ok(()),
    }
}

fn drop_hour(tx: &mut WriteTx<'_>, hour: u64) -> Result<(), WriteError> {
    for part in Part::ALL {
        tx.drop_table(&part.table(hour))?;
    }
    tx.remove::<LogWindow>(&hour)
}

/// Heads of an hour with their keys, oldest first.
fn heads(read: &ReadTx, hour: u64) -> Result<Vec<(Vec<u8>, Head)>, ReadError> {
    let all = (Bound::Unbounded, Bound::Unbounded);
    let found = read.raw_range(&Part::Heads.table(hour), &all, MAX_HEADS, false)?;
    found.into_iter().map(|(key, bytes)| Ok((key, Head::read(&bytes)?))).collect()
}

/// Takes blocks out of an hour; false, and nothing is done, when one of them is gone already.
fn remove(tx: &mut WriteTx<'_>, hour: u64, blocks: &[(Vec<u8>, Head)]) -> Result<bool, WriteError> {
    let Some(mut window) = tx.get::<LogWindow>(&hour)? else { return Ok(false) };
    for (key, _) in blocks {
        if !tx.has_chunk(&Part::Heads.table(hour), key)? {
            return Ok(false);
        }
    }
    for (key, head) in blocks {
        for part in Part::ALL {
            tx.remove_chunk(&part.table(hour), key.clone());
        }
        window.entries = window.entries.saturating_sub(u64::from(head.entries));
        window.bytes = window.bytes.saturating_sub(u64::from(head.stored));
        window.blocks = window.blocks.saturating_sub(1);
        window.small = window.small.saturating_sub(u64::from(head.is_small()));
    }
    tx.put(&window)?;
    Ok(true)
}

/// Drops the oldest blocks of an hour until so many bytes are gone.
async fn drop_oldest_blocks(store: &Store, hour: u64, excess: u64) -> Result<(), WriteError> {
    let mut bytes = 0;
    let mut dropped = heads(&store.read()?, hour)?;
    let count = dropped.iter().take_while(|(_, head)| {
        let more = bytes < excess;
        bytes += u64::from(head.stored);
        more
    });
    dropped.truncate(count.count());
    store.write(move |tx| remove(tx, hour, &dropped).map(drop)).await
}

/// Joins small blocks of an hour.
async fn join(store: &Store, hour: u64) -> Result<(), WriteError> {
    let reader = store.clone();
    let joined = tokio::task::spawn_blocking(move || read_joined(&reader.read()?, hour)).await;
    let failed = |error: tokio::task::JoinError| WriteError::Panicked(error.to_string());
    let Some(Joined { old, new, first }) = joined.map_err(failed)?? else { return Ok(()) };
    let change = move |tx: &mut WriteTx<'_>| {
        if remove(tx, hour, &old)? {
            block::put(tx, &new, first)?;
        }
        Ok(())
    };
    store.write(change).await
}

/// Small blocks, and what they are joined.
struct Joined {
    old: Vec<(Vec<u8>, Head)>,
    new: Vec<Encoded>,
    /// What the new blocks' line numbers count from.
    first: u64,
}

fn read_joined(read: &ReadTx, hour: u64) -> Result<Option<Joined>, WriteError> {
    let (mut entries, mut bytes) = (0, 0);
    let fits = |(_, head): &(Vec<u8>, Head)| {
        entries += u64::from(head.entries);
        bytes += u64::from(head.said);
        entries <= MAX_JOINED_ENTRIES && bytes <= MAX_JOINED_BYTES
    };
    let small = heads(read, hour)?.into_iter().filter(|(_, head)| head.is_small());
    let old: Vec<_> = small.take_while(fits).collect();
    if old.len() < 2 {
        return Ok(None);
    }
    let first = old.iter().map(|(_, head)| head.first).min().unwrap_or(0);
    let mut lines = Vec::new();
    for (key, head) in &old {
        let Some(bytes) = read.raw_get(&Part::Bodies.table(hour), key)? else { return Ok(None) };
        let opened = body::open(&bytes, head.first)?;
        let numbered = |row: &body::Row| Numbered { log: opened.line(row), offset: row.place.sequence - first };
        lines.extend(opened.rows.iter().map(numbered));
    }
    Ok(Some(Joined { old, new: block::encode(lines)?, first }))
}
