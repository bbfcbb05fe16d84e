//! How many visits may be under way. A slow target waits among slow ones and keeps no quick one waiting.

use tandem_domain::target::TargetStatus;
use tokio::sync::Semaphore;

/// Visits to quick targets under way at once: few enough that a burst does not hold thousands of pages in memory.
const MAX_QUICK_VISITS_AT_ONCE: usize = 256;
/// Visits to slow targets under way at once, beside the quick ones: they hardly hold anything while they wait for an answer,
/// so that only thousands of dead targets get in each other's way.
const MAX_SLOW_VISITS_AT_ONCE: usize = 1_024;
/// A target whose last visit took longer is slow, in milliseconds: most exporters answer within a tenth of it.
const SLOW_VISIT_MILLIS: u64 = 1_000;

/// The two lanes.
pub(crate) struct Lanes {
    quick: Semaphore,
    slow: Semaphore,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { quick: Semaphore::new(MAX_QUICK_VISITS_AT_ONCE), slow: Semaphore::new(MAX_SLOW_VISITS_AT_ONCE) }
    }
}

impl Lanes {
    /// The lane of a target.
    pub(crate) fn of(&self, status: &TargetStatus) -> &Semaphore {
        if status.last_duration_millis > SLOW_VISIT_MILLIS { &self.slow } else { &self.quick }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::{
        series::Labels,
        target::{Door, TargetInfo, TargetKey},
    };

    #[test]
    fn targets_that_were_slow_wait_among_slow_ones() {
        let lanes = Lanes::default();
        let key = TargetKey { job: "j".into(), instance: "h:1".into() };
        let info = TargetInfo { key, labels: Labels::default() };
        let mut status = crate::intake::unvisited(info, Door::Scrape, None);
        assert!(std::ptr::eq(lanes.of(&status), &raw const lanes.quick));
        status.last_duration_millis = SLOW_VISIT_MILLIS + 1;
        assert!(std::ptr::eq(lanes.of(&status), &raw const lanes.slow));
    }
}
