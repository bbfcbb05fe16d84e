//! What arrived recently, in memory: the generation that grows, and those that were cut off to be flushed, kept until no reader
//! needs them; of each series its newest sample.

use super::{generation::Generation, table::SeriesTable};
use parking_lot::RwLock;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tandem_domain::{
    Timestamp,
    series::{SampleBatch, SeriesId},
};

/// Recent samples.
#[derive(Debug, Default)]
pub(crate) struct Head {
    state: RwLock<State>,
    /// Bytes of what is not in blocks yet, for a quick look.
    unflushed_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    growing: Generation,
    /// Oldest first.
    cut_off: Vec<Arc<Generation>>,
    newest: SeriesTable<Newest>,
    /// Number of the last batch whose samples are in blocks.
    flushed: u64,
}

/// The newest sample of a series.
#[derive(Debug, Clone, Copy)]
struct Newest {
    at: i64,
    value: f64,
}

impl Default for Newest {
    fn default() -> Self {
        Self { at: i64::MIN, value: 0.0 }
    }
}

/// What becomes of a batch on its way in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Samples that are kept.
    pub kept: u64,
    /// Samples that were there already: of the same series and moment and with the same value.
    pub duplicates: u64,
    /// Samples further behind the newest one of their series than is taken; they are not kept.
    pub too_late: u64,
}

impl Head {
    /// Sorts out samples that are not to be kept: those that repeat the newest of their series, and those further behind it than
    /// `late_millis`. What came since the server started is known, and what was in memory before.
    pub(crate) fn admit(&self, batch: &SampleBatch, late_millis: i64) -> (Appended, Option<SampleBatch>) {
        let mut appended = Appended { kept: batch.len() as u64, ..Appended::default() };
        let mut unwanted: Vec<usize> = Vec::new();
        {
            let state = self.state.read();
            for (row, ((series, at), value)) in batch.series.iter().zip(&batch.at).zip(&batch.value).enumerate() {
                let Some(newest) = state.newest.get(*series) else { continue };
                if at.0 == newest.at && value.to_bits() == newest.value.to_bits() {
                    appended.duplicates += 1;
                    unwanted.push(row);
                } else if at.0 < newest.at.saturating_sub(late_millis) {
                    appended.too_late += 1;
                    unwanted.push(row);
                }
            }
        }
        if unwanted.is_empty() {
            return (appended, None);
        }
        appended.kept -= unwanted.len() as u64;
        let mut unwanted = unwanted.into_iter().peekable();
        let mut wanted = SampleBatch::default();
        for row in 0..batch.len() {
            if unwanted.next_if_eq(&row).is_none() {
                wanted.push(batch.series[row], batch.at[row], batch.value[row]);
            }
        }
        (appended, Some(wanted))
    }

    /// Takes in batches after their commit.
    pub(crate) fn append(&self, batches: &[(u64, SampleBatch)]) {
        let mut state = self.state.write();
        let State { growing, newest, .. } = &mut *state;
        for (number, batch) in batches {
            growing.append(*number, batch);
            for ((series, at), value) in batch.series.iter().zip(&batch.at).zip(&batch.value) {
                if let Some(newest) = newest.get_mut(*series).filter(|newest| newest.at <= at.0) {
                    *newest = Newest { at: at.0, value: *value };
                }
            }
        }
        self.count(&state);
    }

    fn count(&self, state: &State) {
        let cut_off = state.cut_off.iter().filter(|generation| generation.through() > state.flushed);
        let bytes = state.growing.bytes() + cut_off.map(|generation| generation.bytes()).sum::<usize>();
        self.unflushed_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// Samples of a series from `start` to `end`, in the order of arrival, behind what the columns hold; without those of
    /// batches up to `flushed`, which the reader finds in blocks.
    pub(crate) fn read(
        &self,
        series: SeriesId,
        start: Timestamp,
        end: Timestamp,
        flushed: u64,
        into: &mut super::Columns,
    ) {
        let from = into.at.len();
        {
            let state = self.state.read();
            for generation in state.cut_off.iter().filter(|generation| generation.through() > flushed) {
                generation.read(series, &mut into.at, &mut into.value);
            }
            state.growing.read(series, &mut into.at, &mut into.value);
        }
        into.keep_within(from, start, end);
    }

    /// Whether there is a sample of a series from `start` to `end`.
    pub(crate) fn has(&self, series: SeriesId, start: Timestamp, end: Timestamp) -> bool {
        let state = self.state.read();
        let mut generations = state.cut_off.iter().map(|generation| &**generation).chain([&state.growing]);
        generations.any(|generation| generation.has(series, start, end))
    }

    /// The newest sample of a series since the server started or a little before.
    pub(crate) fn latest(&self, series: SeriesId) -> Option<(Timestamp, f64)> {
        let newest = self.state.read().newest.get(series).copied()?;
        (newest.at > i64::MIN).then_some((Timestamp(newest.at), newest.value))
    }

    /// How many samples are not in blocks yet.
    pub(crate) fn sample_count(&self) -> u64 {
        let state = self.state.read();
        let cut_off = state.cut_off.iter().filter(|generation| generation.through() > state.flushed);
        state.growing.samples() + cut_off.map(|generation| generation.samples()).sum::<u64>()
    }

    /// Bytes of what is not in blocks yet.
    pub(crate) fn unflushed_bytes(&self) -> u64 {
        self.unflushed_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of the generation that grows.
    pub(crate) fn growing_bytes(&self) -> usize {
        self.state.read().growing.bytes()
    }

    /// The moment of the oldest sample that is not in blocks yet.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let state = self.state.read();
        let cut_off = state.cut_off.iter().filter(|generation| generation.through() > state.flushed);
        cut_off.filter_map(|generation| generation.oldest()).chain(state.growing.oldest()).min()
    }

    /// What is to be flushed next: what an earlier flush cut off and did not bring to its end, or else what has grown.
    pub(crate) fn cut_off(&self) -> Option<Arc<Generation>> {
        let mut state = self.state.write();
        let flushed = state.flushed;
        if let Some(left) = state.cut_off.iter().find(|generation| generation.through() > flushed) {
            return Some(left.clone());
        }
        if state.growing.samples() == 0 {
            return None;
        }
        let grown = Arc::new(std::mem::take(&mut state.growing));
        state.cut_off.push(grown.clone());
        Some(grown)
    }

    /// Batches up to a number are in blocks.
    pub(crate) fn flushed_through(&self, number: u64) {
        let mut state = self.state.write();
        state.flushed = state.flushed.max(number);
        self.count(&state);
    }

    /// Forgets generations up to a batch.
    pub(crate) fn forget_through(&self, number: u64) {
        let forgotten = {
            let mut state = self.state.write();
            let kept = state.cut_off.iter().position(|generation| generation.through() > number);
            let forgotten = kept.unwrap_or(state.cut_off.len());
            state.cut_off.drain(..forgotten).collect::<Vec<_>>()
        };
        // Freed with nobody waiting.
        drop(forgotten);
    }
}
