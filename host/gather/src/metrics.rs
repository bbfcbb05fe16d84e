//! Counters of the room.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted since the server started.
#[derive(Debug, Default)]
pub struct GatherMetrics {
    attempts: AtomicU64,
    failures: AtomicU64,
    samples: AtomicU64,
    rejected_lines: AtomicU64,
    pushes: AtomicU64,
}

impl GatherMetrics {
    pub(crate) fn attempt(&self, succeeded: bool, samples: u64) {
        self.attempts.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(u64::from(!succeeded), Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
    }

    pub(crate) fn rejected(&self, lines: u64) {
        self.rejected_lines.fetch_add(lines, Ordering::Relaxed);
    }

    pub(crate) fn push(&self) {
        self.pushes.fetch_add(1, Ordering::Relaxed);
    }

    /// Name, meaning and value of each counter.
    pub fn read(&self) -> [(&'static str, &'static str, u64); 5] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("tandem_gather_attempts_total", "Scrapes and collections tried", read(&self.attempts)),
            ("tandem_gather_failures_total", "Scrapes and collections that failed", read(&self.failures)),
            ("tandem_gather_samples_total", "Samples taken in", read(&self.samples)),
            (
                "tandem_gather_rejected_lines_total",
                "Lines of metrics pages that could not be used",
                read(&self.rejected_lines),
            ),
            ("tandem_gather_pushes_total", "Payloads pushed to collectors", read(&self.pushes)),
        ]
    }
}
