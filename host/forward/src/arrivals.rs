//! When batches arrived, as far as it matters: the log holds moments of samples, which a late sender may set long ago, and how
//! far a forward has fallen behind is counted from the arrival. So from time to time it is noted how far the log reached.

use serde::{Deserialize, Serialize};
use tandem_domain::Timestamp;

/// Notes kept: what is told of a batch's arrival is off by this part of `keep` at the most.
const NOTES: i64 = 32;

/// How far the log reached at some moments, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Arrivals(Vec<(u64, Timestamp)>);

impl Arrivals {
    /// Notes that the log reaches to `end` now; whether that was worth a note.
    pub(crate) fn note(&mut self, end: u64, now: Timestamp, keep_millis: i64) -> bool {
        let due = self
            .0
            .last()
            .is_none_or(|(through, at)| end > *through && (now.millis_since(*at) >= keep_millis / NOTES || now < *at));
        if due {
            self.0.push((end, now));
        }
        due
    }

    /// Forgets what tells of batches up to `through` only; `expired_through` needs none of it.
    pub(crate) fn settle(&mut self, through: u64) {
        let settled = self.0.iter().take_while(|(end, _)| *end <= through).count();
        // The last one says when the next note is due.
        self.0.drain(..settled.min(self.0.len().saturating_sub(1)));
    }

    /// Up to which batch all had arrived at a moment; 0 when nothing is known.
    pub(crate) fn reached_at(&self, moment: Timestamp) -> u64 {
        self.0.iter().filter(|(_, at)| *at <= moment).map(|(end, _)| *end).max().unwrap_or(0)
    }

    /// By when a batch had arrived; `now` when it came after the last note.
    pub(crate) fn arrived(&self, sequence: u64, now: Timestamp) -> Timestamp {
        self.0.iter().find(|(end, _)| *end >= sequence).map_or(now, |(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_long_ago_is_known_although_notes_are_few() {
        let keep = 3_200;
        let mut arrivals = Arrivals::default();
        for moment in 0..10_000 {
            arrivals.note(moment as u64 + 1, Timestamp(moment), keep);
            if moment % 7 == 0 {
                arrivals.settle((moment as u64).saturating_sub(4_000));
            }
        }
        assert!(arrivals.0.len() < 50, "{}", arrivals.0.len());
        let expired = arrivals.reached_at(Timestamp(9_999 - keep));
        assert!((6_600..=6_800).contains(&expired), "{expired}");
        let arrived = arrivals.arrived(6_650, Timestamp(10_000));
        assert!((6_649..=6_800).contains(&arrived.0), "{arrived:?}");
        assert_eq!(arrivals.arrived(20_000, Timestamp(12_345)), Timestamp(12_345));
        assert_eq!(Arrivals::default().reached_at(Timestamp::MAX), 0);
    }
}
