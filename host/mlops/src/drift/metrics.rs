//! What the drift room counts.

use tandem_domain::count::{Count, Reading};

/// Counters of the drift room.
#[derive(Debug, Default)]
pub(crate) struct DriftCounts {
    pub(super) reports: Count,
    pub(super) drifted: Count,
    pub(super) insufficient: Count,
    pub(super) failed: Count,
    pub(super) failed_lines: Count,
    pub(super) dropped: Count,
    pub(super) unread: Count,
}

impl DriftCounts {
    pub(crate) fn read(&self) -> Vec<Reading> {
        vec![
            ("tandem_drift_reports_total", "Drift reports made", self.reports.get()),
            ("tandem_drift_reports_drifted_total", "Drift reports that say drifted", self.drifted.get()),
            (
                "tandem_drift_reports_insufficient_total",
                "Drift reports that could not say for want of rows",
                self.insufficient.get(),
            ),
            ("tandem_drift_reports_failed_total", "Drift reports in which every metric failed", self.failed.get()),
            (
                "tandem_drift_failed_measurements_total",
                "Measurements of one column by one metric that failed",
                self.failed_lines.get(),
            ),
            (
                "tandem_drift_reports_dropped_total",
                "Old drift reports dropped to keep their number bounded",
                self.dropped.get(),
            ),
            ("tandem_drift_unread_predictions", "Predictions the room has not read yet", self.unread.get()),
        ]
    }
}
