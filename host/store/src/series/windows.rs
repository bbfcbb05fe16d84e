//! What there is in blocks: for each window of time its parts, which are tables, and the runs in them. A flush adds a run to a
//! part; when a window is over, its parts are merged into one of a single run. Retention drops tables as a whole.

use crate::{ReadError, ReadTx, WriteError, WriteTx, envelope, index::Kind};
use serde::{Deserialize, Serialize};
use std::ops::Bound;

/// Length of a window, in milliseconds: two hours.
pub(crate) const WINDOW_MILLIS: i64 = 2 * 3_600_000;
/// Windows by their first moment.
const WINDOWS: &str = "windows";
const VERSION: u16 = 1;

/// The window a moment lies in, by its first moment.
pub(crate) fn window_of(at: i64) -> i64 {
    at.div_euclid(WINDOW_MILLIS).saturating_mul(WINDOW_MILLIS)
}

/// One window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    /// Its first moment, in milliseconds.
    pub start: i64,
    /// What readers read.
    pub parts: Vec<Part>,
    /// A merge that is under way.
    pub merge: Option<Merge>,
}

/// A table of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Which of the window's.
    pub number: u32,
    pub runs: Vec<Run>,
}

/// Blocks that were written together, by series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The last batch in it; of two samples of one moment that of the higher run counts.
    pub number: u64,
    pub blocks: u64,
    /// Pieces of series.
    pub entries: u64,
    pub samples: u64,
    pub bytes: u64,
}

/// A merge of parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Merge {
    /// The parts that are merged.
    pub of: Vec<u32>,
    /// The part that is written, which readers do not see yet.
    pub into: u32,
    /// The first series that is still to be merged.
    pub next_series: u64,
    /// What is written so far.
    pub run: Run,
}

impl Window {
    pub(crate) fn at(start: i64) -> Self {
        Self { start, parts: Vec::new(), merge: None }
    }

    /// The first moment after it.
    pub(crate) fn end(&self) -> i64 {
        self.start.saturating_add(WINDOW_MILLIS)
    }

    /// The table of a part.
    pub(crate) fn table(&self, part: u32) -> String {
        format!("blocks/{}/{part}", self.start)
    }

    /// The runs that readers read, with their parts, by run number.
    pub(crate) fn runs(&self) -> Vec<(u32, Run)> {
        let mut runs: Vec<_> =
            self.parts.iter().flat_map(|part| part.runs.iter().map(move |run| (part.number, *run))).collect();
        runs.sort_by_key(|(_, run)| run.number);
        runs
    }

    /// Tables of its parts, those that are being written too.
    pub(crate) fn tables(&self) -> Vec<String> {
        let parts = self.parts.iter().map(|part| part.number).chain(self.merge.iter().map(|merge| merge.into));
        parts.map(|part| self.table(part)).collect()
    }

    /// Bytes of its blocks.
    pub(crate) fn bytes(&self) -> u64 {
        let merged = self.merge.iter().map(|merge| merge.run.bytes);
        self.runs().iter().map(|(_, run)| run.bytes).chain(merged).sum()
    }

    /// A number that no part has.
    pub(crate) fn new_part(&self) -> u32 {
        let merging = self.merge.iter().map(|merge| merge.into);
        self.parts.iter().map(|part| part.number).chain(merging).max().map_or(0, |number| number + 1)
    }

    /// Adds a run; answers the table for its blocks. A part that is being merged gets no more.
    pub(crate) fn add_run(&mut self, run: Run) -> String {
        let merging = self.merge.as_ref().map(|merge| merge.of.clone()).unwrap_or_default();
        let fresh = self.new_part();
        let open = self.parts.iter_mut().find(|part| !merging.contains(&part.number));
        let number = match open {
            Some(part) => {
                part.runs.push(run);
                part.number
            }
            None => {
                self.parts.push(Part { number: fresh, runs: vec![run] });
                fresh
            }
        };
        self.table(number)
    }
}

/// Keys whose order is that of moments, negative ones too.
fn key(start: i64) -> Vec<u8> {
    ((start as u64) ^ (1 << 63)).to_be_bytes().to_vec()
}

/// All windows, oldest first.
pub(crate) fn all(read: &ReadTx) -> Result<Vec<Window>, ReadError> {
    let found = read.raw_range(WINDOWS, &(Bound::Unbounded, Bound::Unbounded), usize::MAX, false)?;
    found.into_iter().map(|(_, bytes)| from_bytes(&bytes)).collect()
}

/// One window, empty when there is none.
pub(crate) fn get(transaction: &WriteTx<'_>, start: i64) -> Result<Window, WriteError> {
    let found = transaction.raw_get(WINDOWS, &key(start))?;
    Ok(found.map_or(Ok(Window::at(start)), |bytes| from_bytes(&bytes))?)
}

/// The table of windows, and a window's key and bytes in it.
pub(crate) fn entry(window: &Window) -> Result<(&'static str, Vec<u8>, Vec<u8>), String> {
    Ok((WINDOWS, key(window.start), envelope::wrap(VERSION, window)?))
}

/// A window from its bytes.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Window, ReadError> {
    envelope::unwrap(WINDOWS, VERSION, bytes)
}

/// Puts a window in its place.
pub(crate) fn put(transaction: &mut WriteTx<'_>, window: &Window) -> Result<(), WriteError> {
    let unwritable = |what| WriteError::Unwritable { table: WINDOWS.into(), what };
    let (table, key, bytes) = entry(window).map_err(unwritable)?;
    transaction.raw_put(table, key, Some(bytes));
    Ok(())
}

/// Forgets a window and drops its tables.
pub(crate) fn drop_window(transaction: &mut WriteTx<'_>, start: i64) -> Result<(), WriteError> {
    let window = get(transaction, start)?;
    for table in window.tables() {
        transaction.drop_table(&table)?;
    }
    transaction.raw_put(WINDOWS, key(start), None);
    transaction.drop_presence(Kind::Floats, start);
    Ok(())
}
