//! Counters of the rooms, for `/metrics`: each room counts its own, this is how they are shown.

use crate::{deploy::DeployCounts, drift::DriftCounts, forecast::ForecastCounts, monitor::MonitorCounts};
use std::sync::Arc;
use tandem_domain::count::Reading;

/// The counters of all rooms; they outlive the rooms' start.
#[derive(Debug, Clone)]
pub struct MlopsMetrics {
    pub(crate) forecast: Arc<ForecastCounts>,
    pub(crate) monitor: Arc<MonitorCounts>,
    pub(crate) drift: Arc<DriftCounts>,
    pub(crate) deploy: Arc<DeployCounts>,
}

impl MlopsMetrics {
    /// As shown on `/metrics`.
    pub fn read(&self) -> Vec<Reading> {
        let mut readings = self.forecast.read();
        readings.extend(self.monitor.read());
        readings.extend(self.drift.read());
        readings.extend(self.deploy.read());
        readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_room_is_read_and_no_name_is_given_twice() {
        let metrics = MlopsMetrics {
            forecast: Arc::default(),
            monitor: Arc::default(),
            drift: Arc::default(),
            deploy: Arc::default(),
        };
        let names: Vec<&str> = metrics.read().into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for room in ["tandem_forecast_", "tandem_monitor_", "tandem_drift_", "tandem_deploy_"] {
            assert!(names.iter().any(|name| name.starts_with(room)), "{room}");
        }
    }
}
