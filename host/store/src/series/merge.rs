//! Merging: when a window is over, its runs become one, a slice of series at a time, so that no pass takes long and none holds a
//! transaction while it encodes. Readers see the old runs until the last slice is written.

use super::{
    Columns,
    block::{Block, BlockWriter},
    blocks::{self, RunReader},
    windows::{self, Merge, Part, Run, Window},
};
use crate::{ReadError, Store, WriteError};
use tandem_domain::{Timestamp, series::SeriesId};

/// Samples merged in a pass: some tens of milliseconds of work, and memory for as many.
const PASS_SAMPLES: usize = 1_000_000;
/// Pieces of fewer samples than this, on average, are worth merging: what begins a piece costs some five bytes.
const SHORT_PIECE_SAMPLES: u64 = 200;
/// So many runs are merged however long their pieces are, since each is looked up on reading.
const MANY_RUNS: usize = 8;

/// A window that is over and whose runs should be one, or whose merge is under way.
fn due(windows: &[Window], over_before: Timestamp) -> Option<&Window> {
    let worth = |window: &&Window| {
        let runs = window.runs();
        let (samples, entries) = runs.iter().fold((0, 0), |sum, (_, run)| (sum.0 + run.samples, sum.1 + run.entries));
        let short = samples < entries * SHORT_PIECE_SAMPLES;
        let over = window.end() <= over_before.0;
        window.merge.is_some() || (over && (runs.len() >= MANY_RUNS || runs.len() > 1 && short && !nearly_one(&runs)))
    };
    windows.iter().find(worth)
}

/// Whether nearly all lies in one run, so that merging would write it anew for the sake of little.
fn nearly_one(runs: &[(u32, Run)]) -> bool {
    let all: u64 = runs.iter().map(|(_, run)| run.bytes).sum();
    runs.iter().any(|(_, run)| run.bytes > all / 10 * 9)
}

/// What a pass brought.
struct Slice {
    blocks: Vec<Block>,
    /// Where the next pass begins; none when all is merged.
    next: Option<u64>,
}

fn merge_slice(store: &Store, window: &Window, merge: &Merge) -> Result<Slice, ReadError> {
    let read = store.read()?;
    let runs = window.runs().into_iter().filter(|(part, _)| merge.of.contains(part));
    let from = SeriesId(merge.next_series);
    let mut readers = runs
        .map(|(part, run)| RunReader::new(&read, window.table(part), run.number, from))
        .collect::<Result<Vec<_>, _>>()?;
    let mut writer = BlockWriter::default();
    let (mut samples, mut columns) = (0, Columns::default());
    while let Some(series) = readers.iter().filter_map(RunReader::series).min() {
        if samples >= PASS_SAMPLES {
            return Ok(Slice { blocks: writer.finish(), next: Some(series.0) });
        }
        columns.clear();
        for reader in &mut readers {
            while reader.take(series, &mut columns)? {}
        }
        columns.settle();
        samples += columns.at.len();
        writer.add(series, &columns.at, &columns.value);
    }
    Ok(Slice { blocks: writer.finish(), next: None })
}

/// Begins a merge of all parts of a window.
fn begin(window: &mut Window) -> Merge {
    let number = window.runs().last().map_or(0, |(_, run)| run.number);
    let of = window.parts.iter().map(|part| part.number).collect();
    let run = Run { number, ..Run::default() };
    let merge = Merge { of, into: window.new_part(), next_series: 0, run };
    window.merge = Some(merge.clone());
    merge
}

/// One pass over a window that is over before a moment; whether there was one.
pub(crate) async fn merge(store: &Store, over_before: Timestamp) -> Result<bool, WriteError> {
    let all = windows::all(&store.read()?)?;
    let Some(mut window) = due(&all, over_before).cloned() else { return Ok(false) };
    let start = window.start;
    let merge = match window.merge.clone() {
        Some(merge) => merge,
        None => {
            let merge = begin(&mut window);
            let begun = merge.clone();
            // A flush that comes in between keeps off the parts that are merged.
            store
                .write(move |transaction| {
                    let mut window = windows::get(transaction, start)?;
                    window.merge = Some(begun);
                    windows::put(transaction, &window)
                })
                .await?;
            merge
        }
    };
    let (reading, slice_of) = (store.clone(), merge.clone());
    let slice = tokio::task::spawn_blocking(move || merge_slice(&reading, &window, &slice_of)).await;
    let slice = slice.map_err(|error| WriteError::Panicked(error.to_string()))??;
    store
        .write(move |transaction| {
            let mut window = windows::get(transaction, start)?;
            let table = window.table(merge.into);
            let (run, entries) = blocks::entries(merge.run, slice.blocks);
            blocks::write(transaction, &table, entries);
            match slice.next {
                Some(next_series) => window.merge = Some(Merge { next_series, run, ..merge }),
                None => {
                    for part in &merge.of {
                        transaction.drop_table(&window.table(*part))?;
                    }
                    window.parts.retain(|part| !merge.of.contains(&part.number));
                    window.parts.insert(0, Part { number: merge.into, runs: vec![run] });
                    window.merge = None;
                }
            }
            windows::put(transaction, &window)
        })
        .await?;
    Ok(true)
}
