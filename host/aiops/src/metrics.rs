//! Counters of the rooms, for `/metrics`: each room adds its own, this is how they are shown.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that only rises, or a level that is set.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Sets it.
    pub fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    /// What it is now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One value as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSample {
    /// Full name, `_total` at the end of counters.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Labels.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl MetricSample {
    /// Without labels.
    pub fn plain(name: &'static str, help: &'static str, count: &Count) -> Self {
        Self { name, help, labels: Vec::new(), value: count.get() as f64 }
    }
}
