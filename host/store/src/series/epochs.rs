//! Which readers live, so that what they may still need is kept.

use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// Which readers live. What a flush has moved into chunks leaves the head only when every reader that began before the flush
/// was committed is gone: such a reader does not see the chunks.
#[derive(Debug, Default)]
pub(crate) struct Epochs {
    state: Mutex<EpochState>,
}

#[derive(Debug, Default)]
struct EpochState {
    now: u64,
    readers: BTreeMap<u64, usize>,
    retired: Vec<(u64, u64)>,
}

/// A living reader.
#[derive(Debug)]
pub(crate) struct ReaderEpoch {
    epochs: Arc<Epochs>,
    epoch: u64,
}

impl Epochs {
    /// A reader begins.
    pub(crate) fn enter(epochs: &Arc<Epochs>) -> ReaderEpoch {
        let mut state = epochs.state.lock();
        let epoch = state.now;
        *state.readers.entry(epoch).or_default() += 1;
        ReaderEpoch { epochs: epochs.clone(), epoch }
    }

    /// A flush up to a batch was committed; readers from now on see its chunks.
    pub(crate) fn retire_through(&self, sequence: u64) {
        let mut state = self.state.lock();
        let retired_in = state.now;
        state.retired.push((retired_in, sequence));
        state.now += 1;
    }

    /// Up to which batch the head may forget.
    pub(crate) fn forgettable(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let oldest_reader = state.readers.keys().next().copied().unwrap_or(u64::MAX);
        let sequence =
            state.retired.iter().filter(|(epoch, _)| *epoch < oldest_reader).map(|(_, sequence)| *sequence).max();
        state.retired.retain(|(epoch, _)| *epoch >= oldest_reader);
        sequence
    }
}

impl Drop for ReaderEpoch {
    fn drop(&mut self) {
        let mut state = self.epochs.state.lock();
        if let Some(count) = state.readers.get_mut(&self.epoch) {
            *count -= 1;
            if *count == 0 {
                state.readers.remove(&self.epoch);
            }
        }
    }
}
