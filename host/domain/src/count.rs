//! What a room counts of itself, and how it is shown.

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

/// Name, meaning and value of a count as `/metrics` shows it; `_total` at the end of a name marks one that only rises, everything
/// else is a level.
pub type Reading = (&'static str, &'static str, u64);
