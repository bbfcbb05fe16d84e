//! Samples in memory that are flushed together: for each series a chain of short pieces in one arena, so that memory is counted
//! exactly and freed at once.

use super::table::SeriesTable;
use tandem_domain::{
    Timestamp,
    series::{SampleBatch, SeriesId},
};

/// Samples in a piece: half a piece is empty for each series on average.
const PIECE_SAMPLES: usize = 8;
/// Pieces that are asked of memory at once.
const SLAB_PIECES: usize = 1024;
/// No piece follows.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Moment and value side by side: an append touches one line of the processor's cache.
    samples: [(i64, f64); PIECE_SAMPLES],
    next: u32,
}

/// Where the samples of a series stand.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    first: u32,
    last: u32,
    count: u32,
}

/// Samples that came one after another.
#[derive(Debug)]
pub(crate) struct Generation {
    chains: SeriesTable<Chain>,
    slabs: Vec<Box<[Piece]>>,
    pieces: usize,
    samples: u64,
    /// Number of the last batch in it.
    through: u64,
    oldest: i64,
}

impl Default for Generation {
    fn default() -> Self {
        Self { chains: SeriesTable::default(), slabs: Vec::new(), pieces: 0, samples: 0, through: 0, oldest: i64::MAX }
    }
}

impl Generation {
    /// Takes in a batch after its commit.
    pub(crate) fn append(&mut self, number: u64, batch: &SampleBatch) {
        for ((series, at), value) in batch.series.iter().zip(&batch.at).zip(&batch.value) {
            self.push(*series, at.0, *value);
        }
        self.through = number;
    }

    #[inline]
    fn push(&mut self, series: SeriesId, at: i64, value: f64) {
        // Numbers without a place are refused before they are written.
        let Some(chain) = self.chains.get_mut(series) else { return };
        let place = chain.count as usize % PIECE_SAMPLES;
        if place == 0 {
            if self.pieces == self.slabs.len() * SLAB_PIECES {
                let empty = Piece { samples: [(0, 0.0); PIECE_SAMPLES], next: NONE };
                self.slabs.push(vec![empty; SLAB_PIECES].into_boxed_slice());
            }
            let fresh = self.pieces as u32;
            self.pieces += 1;
            if chain.count == 0 {
                chain.first = fresh;
            } else {
                let last = chain.last as usize;
                self.slabs[last / SLAB_PIECES][last % SLAB_PIECES].next = fresh;
            }
            chain.last = fresh;
        }
        let last = chain.last as usize;
        self.slabs[last / SLAB_PIECES][last % SLAB_PIECES].samples[place] = (at, value);
        chain.count += 1;
        self.samples += 1;
        self.oldest = self.oldest.min(at);
    }

    /// Appends the samples of a series, in the order of arrival, to columns.
    pub(crate) fn read(&self, series: SeriesId, at: &mut Vec<i64>, value: &mut Vec<f64>) {
        if let Some(chain) = self.chains.get(series) {
            self.read_chain(chain, at, value);
        }
    }

    fn read_chain(&self, chain: &Chain, at: &mut Vec<i64>, value: &mut Vec<f64>) {
        for samples in self.pieces_of(chain) {
            at.extend(samples.iter().map(|sample| sample.0));
            value.extend(samples.iter().map(|sample| sample.1));
        }
    }

    fn pieces_of(&self, chain: &Chain) -> impl Iterator<Item = &[(i64, f64)]> {
        let (mut left, mut place) = (chain.count as usize, chain.first as usize);
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let piece = &self.slabs[place / SLAB_PIECES][place % SLAB_PIECES];
            let here = &piece.samples[..left.min(PIECE_SAMPLES)];
            (left, place) = (left - here.len(), piece.next as usize);
            Some(here)
        })
    }

    /// Whether there is a sample of a series from `start` to `end`.
    pub(crate) fn has(&self, series: SeriesId, start: Timestamp, end: Timestamp) -> bool {
        let inside = |sample: &(i64, f64)| start.0 <= sample.0 && sample.0 <= end.0;
        self.chains.get(series).is_some_and(|chain| self.pieces_of(chain).flatten().any(inside))
    }

    /// Shows the samples of each series, in the order of arrival, by series number.
    pub(crate) fn each(&self, mut show: impl FnMut(SeriesId, &mut Vec<i64>, &mut Vec<f64>)) {
        let (mut at, mut value) = (Vec::new(), Vec::new());
        for (series, chain) in self.chains.iter().filter(|(_, chain)| chain.count > 0) {
            at.clear();
            value.clear();
            self.read_chain(chain, &mut at, &mut value);
            show(series, &mut at, &mut value);
        }
    }

    /// How many samples.
    pub(crate) fn samples(&self) -> u64 {
        self.samples
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.slabs.len() * SLAB_PIECES * size_of::<Piece>() + self.chains.bytes()
    }

    /// The number of the last batch in it.
    pub(crate) fn through(&self) -> u64 {
        self.through
    }

    /// The moment of its oldest sample.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        (self.samples > 0).then_some(Timestamp(self.oldest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_come_back_by_series_in_the_order_they_came() {
        let mut generation = Generation::default();
        for number in 1..=50u64 {
            let mut batch = SampleBatch::default();
            for series in [3, 900, 7] {
                (0..series % 5).for_each(|step| {
                    batch.push(SeriesId(series), Timestamp(step as i64 - number as i64), number as f64)
                });
            }
            generation.append(number, &batch);
        }
        let mut seen = Vec::new();
        generation.each(|series, at, value| {
            assert_eq!(at.len(), value.len());
            let expected: Vec<i64> =
                (1..=50).flat_map(|number| (0..series.0 % 5).map(move |step| step as i64 - number)).collect();
            assert_eq!(*at, expected, "series {series:?}");
            seen.push(series.0);
            let (mut alone, mut values) = (Vec::new(), Vec::new());
            generation.read(series, &mut alone, &mut values);
            assert_eq!((&alone, &values), (&*at, &*value));
        });
        assert_eq!(seen, [3, 7]);
        assert_eq!(
            (generation.samples(), generation.through(), generation.oldest()),
            (50 * 5, 50, Some(Timestamp(-50)))
        );
        assert!(generation.bytes() < 1 << 20);
    }
}
