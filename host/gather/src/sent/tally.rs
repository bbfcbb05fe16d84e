//! What the doors for senders count.

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
    rejected: Mutex<BTreeMap<&'static str, u64>>,
}

impl SentMetrics {
    pub(super) fn taken(&self, _door: Door, samples: u64, rejections: &Rejections) {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
        if !rejections.is_empty() {
            let mut rejected = self.rejected.lock().unwrap_or_else(PoisonError::into_inner);
            for (reason, count) in rejections.counts() {
                *rejected.entry(reason.name()).or_default() += count;
            }
        }
    }

    /// Bodies and samples taken in.
    pub fn read(&self) -> [(&'static str, &'static str, u64); 2] {
        [
            ("tandem_sent_bodies_total", "Bodies of senders taken in", self.bodies.load(Ordering::Relaxed)),
            ("tandem_sent_samples_total", "Samples of senders taken in", self.samples.load(Ordering::Relaxed)),
        ]
    }

    /// Items of bodies that could not be taken in, by reason.
    pub fn rejected(&self) -> BTreeMap<&'static str, u64> {
        self.rejected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
