//! What the room counts.

use super::tables::Answer;
use std::sync::atomic::{AtomicU64, Ordering};
use tandem_domain::Failure;

/// Name, meaning and value; `_total` at the end of a name marks a counter, everything else is a level.
pub type Reading = (&'static str, &'static str, u64);

/// A count that only rises, or a level that is set.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of the room.
#[derive(Debug, Default)]
pub struct AskMetrics {
    pub(super) troubled: Count,
    asked: Count,
    confident: Count,
    failed: Count,
}

impl AskMetrics {
    pub(super) fn told(&self, answer: &Result<Answer, Failure>) {
        self.asked.add();
        match answer {
            Ok(answer) if answer.confident => self.confident.add(),
            Ok(_) => {}
            Err(_) => self.failed.add(),
        }
    }

    /// As shown on `/metrics`.
    pub fn read(&self) -> Vec<Reading> {
        vec![
            ("tandem_verdict_troubled_services", "Services that are in trouble.", self.troubled.get()),
            ("tandem_verdict_asked_total", "Cases asked who is to blame.", self.asked.get()),
            ("tandem_verdict_confident_total", "Cases with an answer to stand by.", self.confident.get()),
            ("tandem_verdict_failed_total", "Cases that got no answer.", self.failed.get()),
        ]
    }
}
