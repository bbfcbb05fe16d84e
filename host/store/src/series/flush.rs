//! A flush: a generation of the head becomes a run of blocks in each of its windows, in one commit with how far it goes.

use super::{
    Columns, FLUSHED,
    block::{Block, BlockWriter},
    blocks,
    generation::Generation,
    windows::{self, Run, window_of},
};
use crate::{Store, WriteError, WriteTx, index::Kind};
use roaring::RoaringTreemap;
use std::{collections::BTreeMap, sync::Arc};
use tandem_domain::series::SeriesId;

/// What a generation has of one window.
pub(super) struct Encoded {
    pub window: i64,
    pub blocks: Vec<Block>,
    /// The series that are there.
    pub present: RoaringTreemap,
}

#[derive(Default)]
struct Encoder {
    writer: BlockWriter,
    present: RoaringTreemap,
}

/// The blocks of a generation: each series by time, of samples of one moment the one that came last.
pub(super) fn encode(generation: &Generation) -> Vec<Encoded> {
    let mut encoders: BTreeMap<i64, Encoder> = BTreeMap::new();
    let mut columns = Columns::default();
    generation.each(|series, at, value| {
        std::mem::swap(&mut columns.at, at);
        std::mem::swap(&mut columns.value, value);
        columns.settle();
        add_by_window(series, &columns, &mut encoders);
    });
    let encoded = encoders.into_iter();
    encoded.map(|(window, Encoder { writer, present })| Encoded { window, blocks: writer.finish(), present }).collect()
}

fn add_by_window(series: SeriesId, columns: &Columns, encoders: &mut BTreeMap<i64, Encoder>) {
    let mut start = 0;
    while let Some(first) = columns.at.get(start) {
        let window = window_of(*first);
        let end = start + columns.at[start..].partition_point(|at| window_of(*at) == window);
        let encoder = encoders.entry(window).or_default();
        encoder.writer.add(series, &columns.at[start..end], &columns.value[start..end]);
        encoder.present.insert(series.0);
        start = end;
    }
}

fn write(transaction: &mut WriteTx<'_>, encoded: Vec<Encoded>, through: u64) -> Result<(), WriteError> {
    for Encoded { window, blocks, present } in encoded {
        transaction.note_presence(Kind::Floats, window, present)?;
        let mut window = windows::get(transaction, window)?;
        let (run, entries) = blocks::entries(Run { number: through, ..Run::default() }, blocks);
        let table = window.add_run(run);
        blocks::write(transaction, &table, entries);
        windows::put(transaction, &window)?;
    }
    transaction.set_cursor(FLUSHED, through)
}

/// Flushes what the head cut off, or else all it holds; whether there was something.
pub(crate) async fn flush(store: &Store) -> Result<bool, WriteError> {
    let Some(generation) = store.head().cut_off() else { return Ok(false) };
    store.wal().end_segment();
    let through = generation.through();
    // A commit whose answer was lost may have come through.
    if store.read()?.cursor(FLUSHED)? < through {
        let of_generation: Arc<Generation> = generation.clone();
        let encoded = tokio::task::spawn_blocking(move || encode(&of_generation)).await;
        let encoded = encoded.map_err(|error| WriteError::Panicked(error.to_string()))?;
        store.write(move |transaction| write(transaction, encoded, through)).await?;
    }
    store.epochs().retire_through(through);
    store.head().flushed_through(through);
    Ok(true)
}
