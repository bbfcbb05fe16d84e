//! What the doors for senders count.

use crate::ExemplarMetrics;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tandem_domain::target::Door;
use tandem_wire::rejected::Rejections;

/// Counted since the server started.
#[derive(Debug, Default)]
pub struct SentMetrics {
    bodies: AtomicU64,
    samples: AtomicU64,
    log_lines: AtomicU64,
    withheld_events: AtomicU64,
    duplicates: AtomicU64,
    /// Exemplars of bodies.
    pub exemplars: ExemplarMetrics,
    rejected: Mutex<BTreeMap<&'static str, u64>>,
}

impl SentMetrics {
    pub(super) fn taken(&self, _door: Door, samples: u64, duplicates: u64, rejections: &Rejections) {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        self.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
        self.reject(rejections);
    }

    /// Lines of logs that were kept, and critical ones of them that did not become events.
    pub(super) fn logged(&self, lines: u64, withheld: u64, rejections: &Rejections) {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        self.log_lines.fetch_add(lines, Ordering::Relaxed);
        self.withheld_events.fetch_add(withheld, Ordering::Relaxed);
        self.reject(rejections);
    }

    fn reject(&self, rejections: &Rejections) {
        if !rejections.is_empty() {
            let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
            for (reason, count) in rejections.counts() {
                *rejected.entry(reason.name()).or_default() += count;
            }
        }
    }

    /// Bodies, samples and lines taken in.
    pub fn read(&self) -> [(&'static str, &'static str, u64); 5] {
        let duplicates = self.duplicates.load(Ordering::Relaxed);
        [
            ("tandem_sent_duplicates_total", "Samples among them that were there already", duplicates),
            ("tandem_sent_bodies_total", "Bodies of senders taken in", self.bodies.load(Ordering::Relaxed)),
            ("tandem_sent_samples_total", "Samples of senders taken in", self.samples.load(Ordering::Relaxed)),
            ("tandem_logs_lines_total", "Lines of logs taken in", self.log_lines.load(Ordering::Relaxed)),
            (
                "tandem_logs_withheld_events_total",
                "Critical lines that are kept and did not become events, being too many",
                self.withheld_events.load(Ordering::Relaxed),
            ),
        ]
    }

    /// Items of bodies that could not be taken in, by reason.
    pub fn rejected(&self) -> BTreeMap<&'static str, u64> {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
