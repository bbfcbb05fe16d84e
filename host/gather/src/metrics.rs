//! Counters of the room.

use crate::{
    ExemplarMetrics,
    limits::{Rejections, reason_of},
};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// Counted since the server started.
#[derive(Debug, Default)]
pub struct GatherMetrics {
    attempts: AtomicU64,
    failures: AtomicU64,
    samples: AtomicU64,
    rejected_lines: AtomicU64,
    too_new: AtomicU64,
    too_old: AtomicU64,
    beyond_label_limits: AtomicU64,
    refused_series: Mutex<BTreeMap<&'static str, u64>>,
    skipped: AtomicU64,
    pushes: AtomicU64,
    refused_pushes: AtomicU64,
    /// Exemplars of pages.
    pub exemplars: ExemplarMetrics,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl GatherMetrics {
    pub(crate) fn attempt(&self, succeeded: bool, samples: u64) {
        add(&self.attempts, 1);
        add(&self.failures, u64::from(!succeeded));
        add(&self.samples, samples);
    }

    pub(crate) fn rejected(&self, rejections: &Rejections) {
        add(&self.rejected_lines, rejections.lines.count);
        add(&self.too_new, rejections.too_new.count);
        add(&self.too_old, rejections.too_old.count);
        add(&self.beyond_label_limits, rejections.labels.count);
        if !rejections.series.is_empty() {
            let mut refused = self.refused_series.lock();
            for (refusal, tally) in &rejections.series {
                *refused.entry(reason_of(*refusal).name()).or_default() += tally.count;
            }
        }
    }

    pub(crate) fn skipped(&self, visits: u64) {
        add(&self.skipped, visits);
    }

    pub(crate) fn push(&self, accepted: bool, samples: u64) {
        add(&self.pushes, 1);
        add(&self.refused_pushes, u64::from(!accepted));
        add(&self.samples, samples);
    }

    /// Samples of new series of which no more are taken, by reason.
    pub fn refused_series(&self) -> BTreeMap<&'static str, u64> {
        self.refused_series.lock().clone()
    }

    /// Name, meaning and value of each counter.
    pub fn read(&self) -> [(&'static str, &'static str, u64); 10] {
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
            (
                "tandem_gather_samples_too_new_total",
                "Samples rejected because they lie in the future",
                read(&self.too_new),
            ),
            ("tandem_gather_samples_too_old_total", "Samples rejected because they are old", read(&self.too_old)),
            (
                "tandem_gather_samples_beyond_label_limits_total",
                "Samples rejected because their series has too many or too long labels",
                read(&self.beyond_label_limits),
            ),
            (
                "tandem_gather_skipped_visits_total",
                "Visits left out because the one before was still under way",
                read(&self.skipped),
            ),
            ("tandem_gather_pushes_total", "Payloads pushed to collectors", read(&self.pushes)),
            (
                "tandem_gather_refused_pushes_total",
                "Pushed payloads that were refused or not kept",
                read(&self.refused_pushes),
            ),
        ]
    }
}
