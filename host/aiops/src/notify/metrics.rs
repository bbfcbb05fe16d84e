//! What the notify room counts.

use crate::metrics::{Count, MetricSample};

/// Counters of the notify room.
#[derive(Debug, Default)]
pub struct NotifyMetrics {
    /// Notifications that were taken.
    pub delivered: Count,
    /// Tries that failed.
    pub failed: Count,
    /// Notifications given up.
    pub given_up: Count,
}

impl NotifyMetrics {
    /// As shown.
    pub fn samples(&self) -> Vec<MetricSample> {
        vec![
            MetricSample::plain("tandem_notify_delivered_total", "Notifications that were taken.", &self.delivered),
            MetricSample::plain("tandem_notify_failed_total", "Tries of notifications that failed.", &self.failed),
            MetricSample::plain("tandem_notify_given_up_total", "Notifications given up.", &self.given_up),
        ]
    }
}
