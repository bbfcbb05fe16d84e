//! What the room counts.

use super::tables::Answer;
use tandem_domain::{
    Failure,
    count::{Count, Reading},
};

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
        self.asked.add(1);
        match answer {
            Ok(answer) if answer.confident => self.confident.add(1),
            Ok(_) => {}
            Err(_) => self.failed.add(1),
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
