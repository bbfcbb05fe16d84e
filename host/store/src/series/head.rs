//! What arrived recently, in memory, and who may still be reading it.

use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tandem_domain::{
    Timestamp,
    series::{SampleBatch, SeriesId},
};

/// One sample with the batch it came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadSample {
    pub sequence: u64,
    pub at: Timestamp,
    pub value: f64,
}

/// Recent samples by series, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Head {
    series: RwLock<HashMap<SeriesId, Vec<HeadSample>>>,
    latest: RwLock<HashMap<SeriesId, (Timestamp, f64)>>,
    samples: AtomicU64,
}

impl Head {
    /// Takes in batches after their commit.
    pub(crate) fn append(&self, batches: Vec<(u64, SampleBatch)>) {
        let mut series = self.series.write();
        let mut latest = self.latest.write();
        for (sequence, batch) in batches {
            self.samples.fetch_add(batch.len() as u64, Ordering::Relaxed);
            for ((id, at), value) in batch.series.iter().zip(&batch.at).zip(&batch.value) {
                series.entry(*id).or_default().push(HeadSample { sequence, at: *at, value: *value });
                let newest = latest.entry(*id).or_insert((*at, *value));
                if *at >= newest.0 {
                    *newest = (*at, *value);
                }
            }
        }
    }

    /// Samples of a series from `start` to `end`, in the order of arrival.
    pub(crate) fn samples(&self, series: SeriesId, start: Timestamp, end: Timestamp) -> Vec<(Timestamp, f64)> {
        let all = self.series.read();
        let of_series = all.get(&series).map(Vec::as_slice).unwrap_or_default();
        of_series.iter().filter(|sample| start <= sample.at && sample.at <= end).map(|s| (s.at, s.value)).collect()
    }

    /// Whether there is a sample of a series from `start` to `end`.
    pub(crate) fn has(&self, series: SeriesId, start: Timestamp, end: Timestamp) -> bool {
        let all = self.series.read();
        all.get(&series).is_some_and(|samples| samples.iter().any(|sample| start <= sample.at && sample.at <= end))
    }

    /// The newest sample of a series since the server started or a little before.
    pub(crate) fn latest(&self, series: SeriesId) -> Option<(Timestamp, f64)> {
        self.latest.read().get(&series).copied()
    }

    /// How many samples are held.
    pub(crate) fn sample_count(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Everything up to a batch, by series.
    pub(crate) fn through(&self, sequence: u64) -> Vec<(SeriesId, Vec<HeadSample>)> {
        let all = self.series.read();
        let of =
            |samples: &Vec<HeadSample>| samples.iter().filter(|s| s.sequence <= sequence).copied().collect::<Vec<_>>();
        all.iter().map(|(id, samples)| (*id, of(samples))).filter(|(_, samples)| !samples.is_empty()).collect()
    }

    /// The moment of the oldest sample held.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.series.read().values().filter_map(|samples| samples.first()).map(|sample| sample.at).min()
    }

    /// Forgets everything up to a batch.
    pub(crate) fn forget_through(&self, sequence: u64) {
        let mut all = self.series.write();
        let mut left = 0;
        all.retain(|_, samples| {
            samples.retain(|sample| sample.sequence > sequence);
            samples.shrink_to_fit();
            left += samples.len() as u64;
            !samples.is_empty()
        });
        self.samples.store(left, Ordering::Relaxed);
    }
}

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
