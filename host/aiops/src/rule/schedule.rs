//! When groups are evaluated. Pure: each has its own place in its interval, so that not all are at once, and the same place
//! after a restart.

use sha2::{Digest, Sha256};
use tandem_domain::Timestamp;

/// When a group is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slots {
    interval: i64,
    offset: i64,
}

impl Slots {
    /// Of a group by its file and name, with an interval in milliseconds.
    pub(super) fn of(file: &str, name: &str, interval: i64) -> Self {
        let hash = Sha256::new().chain_update((file.len() as u64).to_be_bytes()).chain_update(file).chain_update(name);
        let head: [u8; 8] = hash.finalize()[..8].try_into().unwrap_or_default();
        let place = (u64::from_be_bytes(head) >> 1) as i64;
        Self { interval: interval.max(1), offset: place % interval.max(1) }
    }

    /// The first of its moments after `now`.
    pub(super) fn after(&self, now: Timestamp) -> Timestamp {
        let since = (now.0 - self.offset).rem_euclid(self.interval);
        now.plus_millis(self.interval - since)
    }

    /// At `now`, when `due` is past: the latest of its moments, and how many before that were missed.
    pub(super) fn latest(&self, due: Timestamp, now: Timestamp) -> (Timestamp, u64) {
        let missed = (now.millis_since(due) / self.interval).max(0);
        (due.plus_millis(missed * self.interval), missed.unsigned_abs())
    }

    /// The moment after one of its moments.
    pub(super) fn next(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_place_and_what_is_missed_is_counted() {
        let slots = Slots::of("rules/a.yml", "gpus", 60_000);
        assert_eq!(slots, Slots::of("rules/a.yml", "gpus", 60_000), "the same after a restart");
        let first = slots.after(Timestamp(1_700_000_000_000));
        assert!((1..=60_000).contains(&first.millis_since(Timestamp(1_700_000_000_000))));
        assert_eq!(slots.after(first), slots.next(first));
        assert_eq!(slots.after(first.plus_millis(-1)), first);
        assert_eq!(slots.latest(first, first), (first, 0));
        assert_eq!(slots.latest(first, first.plus_millis(59_999)), (first, 0));
        assert_eq!(slots.latest(first, first.plus_millis(150_000)), (first.plus_millis(120_000), 2));
    }

    #[test]
    fn groups_are_spread_over_their_interval() {
        let places: std::collections::BTreeSet<i64> =
            (0..100).map(|n| Slots::of("f", &format!("g{n}"), 60_000).offset / 10_000).collect();
        assert_eq!(places.len(), 6, "a hundred groups leave no sixth of the minute empty");
    }
}
