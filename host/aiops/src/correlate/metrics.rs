//! What the correlate room counts.

use crate::metrics::{Count, MetricSample};

/// Counters of the correlate room.
#[derive(Debug, Default)]
pub struct CorrelateMetrics {
    /// Incidents that are not resolved.
    pub active: Count,
    /// Alerts that became incidents of their own for want of a correlator.
    pub passed_through: Count,
    /// Correlators that fail now.
    pub failing: Count,
}

impl CorrelateMetrics {
    /// As shown.
    pub fn samples(&self) -> Vec<MetricSample> {
        vec![
            MetricSample::plain("tandem_incidents_active", "Incidents that are not resolved.", &self.active),
            MetricSample::plain(
                "tandem_correlate_passed_through_total",
                "Alerts that became incidents of their own for want of a correlator.",
                &self.passed_through,
            ),
            MetricSample::plain("tandem_correlate_failing", "Correlators that fail now.", &self.failing),
        ]
    }
}
