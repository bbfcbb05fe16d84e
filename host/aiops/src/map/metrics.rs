//! What the map room counts.

use crate::metrics::{Count, MetricSample};

/// Counters of the map room.
#[derive(Debug, Default)]
pub struct MapMetrics {
    /// Showings of a target to a mapper.
    pub showings: Count,
    /// Showings that failed.
    pub failures: Count,
    /// Meanings written.
    pub meanings: Count,
    /// Meanings of mappers that could not be used.
    pub unusable: Count,
    /// Collections taken in.
    pub collections: Count,
    /// Targets that wait to be shown.
    pub waiting: Count,
}

impl MapMetrics {
    /// As shown.
    pub fn samples(&self) -> Vec<MetricSample> {
        vec![
            MetricSample::plain("tandem_map_showings_total", "Targets shown to mappers.", &self.showings),
            MetricSample::plain("tandem_map_failures_total", "Showings that a mapper failed.", &self.failures),
            MetricSample::plain("tandem_map_meanings_total", "Meanings written.", &self.meanings),
            MetricSample::plain("tandem_map_unusable_total", "Meanings that could not be used.", &self.unusable),
            MetricSample::plain("tandem_map_collections_total", "Collected topologies taken in.", &self.collections),
            MetricSample::plain("tandem_map_waiting_targets", "Targets that wait to be shown.", &self.waiting),
        ]
    }
}
