//! A bounded number of samples that are sent together: shared out by series, so that each series' samples stay in order, and
//! cut into requests.

use std::ops::Range;
use tandem_domain::{Timestamp, series::SeriesId};

/// What waits.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value {
    Float(f64),
    /// A native histogram, which is read from the store when it is sent: a round of them would not fit into memory.
    Histogram,
}

/// A sample that waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub series: SeriesId,
    pub at: Timestamp,
    pub value: Value,
}

/// Samples in the order of arrival; shared out once, when it is full.
#[derive(Debug, Default)]
pub(crate) struct Round {
    pub samples: Vec<Waiting>,
}

/// Spreads numbers that follow one another; the golden ratio's bits.
fn spread(series: SeriesId) -> u64 {
    series.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

impl Round {
    pub(crate) fn push(&mut self, series: SeriesId, at: Timestamp, value: f64) {
        self.samples.push(Waiting { series, at, value: Value::Float(value) });
    }

    pub(crate) fn push_histogram(&mut self, series: SeriesId, at: Timestamp) {
        self.samples.push(Waiting { series, at, value: Value::Histogram });
    }

    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// As many shards as there are full requests, at most `max_shards`; for each the requests it sends one after another, as
    /// parts of the samples. Samples of one series stay in the order of arrival, within one shard.
    pub(crate) fn share_out(&mut self, max_samples: usize, max_shards: usize) -> Vec<Vec<Range<usize>>> {
        let shards = self.samples.len().div_ceil(max_samples).clamp(1, max_shards) as u64;
        let shard = |waiting: &Waiting| spread(waiting.series) % shards;
        self.samples.sort_by_key(|waiting| (shard(waiting), waiting.series));
        let mut shared = Vec::new();
        let mut from = 0;
        for part in self.samples.chunk_by(|a, b| shard(a) == shard(b)) {
            let until = from + part.len();
            shared.push((from..until).step_by(max_samples).map(|at| at..until.min(at + max_samples)).collect());
            from = until;
        }
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn each_sample_is_in_one_request_and_each_series_in_one_shard_in_order() {
        let mut round = Round::default();
        for step in 0..50 {
            for series in 1..=200 {
                round.push(SeriesId(series), Timestamp(step), (series * 1_000) as f64 + step as f64);
            }
        }
        let shards = round.share_out(300, 7);
        assert_eq!(shards.len(), 7);
        let mut shard_of = HashMap::new();
        let mut last: HashMap<SeriesId, i64> = HashMap::new();
        let mut seen = HashSet::new();
        for (number, requests) in shards.iter().enumerate() {
            for request in requests {
                assert!(request.len() <= 300 && !request.is_empty());
                for waiting in &round.samples[request.clone()] {
                    assert_eq!(*shard_of.entry(waiting.series).or_insert(number), number);
                    assert!(last.insert(waiting.series, waiting.at.0).is_none_or(|before| before < waiting.at.0));
                    let Value::Float(value) = waiting.value else { panic!("only floats were pushed") };
                    assert!(seen.insert(value.to_bits()));
                }
            }
        }
        assert_eq!(seen.len(), 10_000);
    }

    #[test]
    fn few_samples_go_in_one_request() {
        let mut round = Round::default();
        (1..=20).for_each(|series| round.push(SeriesId(series), Timestamp(0), 0.0));
        let shares = round.share_out(100, 8);
        assert_eq!((shares.len(), shares[0].as_slice()), (1, &[std::ops::Range { start: 0, end: 20 }][..]));
    }
}
