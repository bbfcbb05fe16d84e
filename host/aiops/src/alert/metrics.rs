//! What the alert room counts.

use crate::metrics::{Count, MetricSample};

/// Counters of the alert room.
#[derive(Debug, Default)]
pub struct AlertMetrics {
    /// Fault changes read.
    pub faults: Count,
    /// Alerts that others told.
    pub told: Count,
    /// Changes of alerts written.
    pub changes: Count,
    /// Alerts that fire and of which nobody is told.
    pub held: Count,
}

impl AlertMetrics {
    /// As shown.
    pub fn samples(&self) -> Vec<MetricSample> {
        vec![
            MetricSample::plain("tandem_alert_faults_total", "Fault changes read.", &self.faults),
            MetricSample::plain("tandem_alert_told_total", "Alerts that others told.", &self.told),
            MetricSample::plain("tandem_alert_changes_total", "Changes of alerts written.", &self.changes),
            MetricSample::plain("tandem_alert_held", "Alerts that fire and of which nobody is told yet.", &self.held),
        ]
    }
}
