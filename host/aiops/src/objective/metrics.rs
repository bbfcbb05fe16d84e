//! What the objective room counts.

use crate::metrics::{Count, MetricSample};

/// Counters of the objective room.
#[derive(Debug, Default)]
pub struct ObjectiveMetrics {
    /// Objectives that are watched.
    pub objectives: Count,
    /// Those that are burning.
    pub burning: Count,
    /// Slots that were counted.
    pub slots: Count,
    /// Slots that were left out because the room was behind by more than any window reaches.
    pub skipped_slots: Count,
}

impl ObjectiveMetrics {
    /// As shown.
    pub fn samples(&self) -> Vec<MetricSample> {
        vec![
            MetricSample::plain("tandem_objective_watched", "Objectives that are watched.", &self.objectives),
            MetricSample::plain("tandem_objective_burning", "Objectives whose budget burns.", &self.burning),
            MetricSample::plain("tandem_objective_slots_total", "Quarters of a minute counted.", &self.slots),
            MetricSample::plain(
                "tandem_objective_skipped_slots_total",
                "Quarters of a minute left out after a long pause.",
                &self.skipped_slots,
            ),
        ]
    }
}
