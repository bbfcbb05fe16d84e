//! When a target is visited: at a fixed place in its interval, the same after every restart and spread over all targets.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use tandem_domain::Timestamp;
use tokio::time::Instant;

/// How far the moment of a visit may lie from the planned one and still count as it, in milliseconds: what a busy machine
/// takes to wake a task. Evenly spaced samples take up less room.
const MAX_ALIGNED_MILLIS: i64 = 10;

/// Where in its interval a target is visited.
pub(crate) fn phase(key: &impl Hash, interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(hasher.finish() % millis)
}

/// How many visits were left out between two that were made.
fn left_out(between: Duration, interval: Duration) -> u64 {
    let intervals = between.as_nanos() / interval.as_nanos().max(1);
    u64::try_from(intervals.saturating_sub(1)).unwrap_or(u64::MAX)
}

/// The moments at which one target is visited.
pub(crate) struct Ticks {
    interval: Duration,
    next: Instant,
    /// The clock's time at `next`.
    next_at: Timestamp,
    last: Option<Instant>,
}

/// A moment to visit a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    /// As planned.
    pub at: Timestamp,
    /// Visits that were left out since the one before, because that was still under way.
    pub skipped: u64,
}

impl Ticks {
    /// From now on, at a place in the interval.
    pub(crate) fn new(now: Timestamp, interval: Duration, phase: Duration) -> Self {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1);
        let interval_millis = millis(interval);
        let wait = (phase.as_millis() as i64 - now.0.rem_euclid(interval_millis)).rem_euclid(interval_millis);
        let next = Instant::now() + Duration::from_millis(wait.unsigned_abs());
        Self { interval, next, next_at: now.plus_millis(wait), last: None }
    }

    /// How long until the next.
    pub(crate) fn wait(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Waits for the next. May be dropped and called again.
    pub(crate) async fn tick(&mut self) -> Tick {
        tokio::time::sleep_until(self.next).await;
        // Of moments that have gone by, the last counts, and comes at once.
        let late = Instant::now().saturating_duration_since(self.next);
        self.advance(u32::try_from(late.as_nanos() / self.interval.as_nanos().max(1)).unwrap_or(u32::MAX));
        let (this, at) = (self.next, self.next_at);
        let skipped = self.last.map_or(0, |last| left_out(this - last, self.interval));
        self.last = Some(this);
        self.advance(1);
        Tick { at, skipped }
    }

    fn advance(&mut self, intervals: u32) {
        let by = self.interval * intervals;
        self.next += by;
        self.next_at = self.next_at.plus_millis(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }
}

/// The moment that the samples of a visit get: the planned one where the visit began close to it.
pub(crate) fn aligned(planned: Timestamp, now: Timestamp, interval: Duration) -> Timestamp {
    let close = MAX_ALIGNED_MILLIS.min(i64::try_from(interval.as_millis() / 100).unwrap_or(i64::MAX));
    if now.millis_since(planned).abs() <= close { planned } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::target::TargetKey;

    #[test]
    fn places_are_spread_and_stay_the_same() {
        let key = |n: u32| TargetKey { job: "node".into(), instance: format!("h{n}:9100") };
        let interval = Duration::from_secs(15);
        let places: Vec<Duration> = (0..1000).map(|n| phase(&key(n), interval)).collect();
        assert!(places.iter().all(|place| *place < interval));
        let early = places.iter().filter(|place| place.as_secs() < 5).count();
        assert!((200..470).contains(&early), "{early} of 1000 in the first third");
        assert_eq!(phase(&key(1), interval), phase(&key(1), interval));
    }

    #[test]
    fn visits_that_were_left_out_are_counted() {
        let interval = Duration::from_secs(15);
        assert_eq!(left_out(interval, interval), 0);
        assert_eq!(left_out(4 * interval, interval), 3);
        assert_eq!(left_out(Duration::ZERO, interval), 0);
    }

    #[tokio::test]
    async fn ticks_keep_their_place_in_the_interval_and_count_those_missed() {
        let interval = Duration::from_millis(50);
        let mut ticks = Ticks::new(Timestamp(1_000_007), interval, Duration::from_millis(12));
        assert!(ticks.wait() <= Duration::from_millis(5));
        let first = ticks.tick().await;
        assert!(first.at.0 >= 1_000_012 && first.at.0 % 50 == 12, "{first:?}");
        // So many have gone by, however late this machine wakes a task.
        tokio::time::sleep(Duration::from_millis(220)).await;
        let next = ticks.tick().await;
        let apart = next.at.millis_since(first.at);
        assert!(apart >= 200 && apart % 50 == 0, "{next:?}");
        assert_eq!(next.skipped, (apart / 50 - 1).unsigned_abs());
    }

    #[test]
    fn a_moment_close_to_the_planned_one_is_it() {
        let interval = Duration::from_secs(15);
        assert_eq!(aligned(Timestamp(1_000), Timestamp(1_009), interval), Timestamp(1_000));
        assert_eq!(aligned(Timestamp(1_000), Timestamp(1_011), interval), Timestamp(1_011));
        assert_eq!(aligned(Timestamp(1_000), Timestamp(1_002), Duration::from_millis(100)), Timestamp(1_002));
    }
}
