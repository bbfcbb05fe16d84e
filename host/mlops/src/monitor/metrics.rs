//! What the monitor room counts.

use tandem_domain::count::{Count, Reading};

/// Counters of the monitor room.
#[derive(Debug, Default)]
pub(crate) struct MonitorCounts {
    pub(super) predictions: Count,
    pub(super) labels: Count,
    pub(super) labels_waiting: Count,
    pub(super) labels_dropped: Count,
    pub(super) predictions_forgotten: Count,
}

impl MonitorCounts {
    pub(crate) fn read(&self) -> Vec<Reading> {
        vec![
            (
                "tandem_monitor_predictions_total",
                "Predictions taken in since the store was made",
                self.predictions.get(),
            ),
            ("tandem_monitor_labels_total", "Labels taken in since the store was made", self.labels.get()),
            ("tandem_monitor_labels_waiting", "Labels whose prediction has not come", self.labels_waiting.get()),
            (
                "tandem_monitor_labels_dropped_total",
                "Labels given up because their prediction did not come",
                self.labels_dropped.get(),
            ),
            (
                "tandem_monitor_predictions_forgotten_total",
                "Predictions forgotten because there were more than are kept",
                self.predictions_forgotten.get(),
            ),
        ]
    }
}
