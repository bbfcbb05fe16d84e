//! What the operator may say of the MLOps rooms.

use crate::{deploy::DeployConfig, drift::DriftConfig, forecast::ForecastConfig, monitor::MonitorConfig};
use serde::Deserialize;

/// One part per room.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlopsConfig {
    /// Forecasts of this machine.
    pub forecast: ForecastConfig,
    /// Predictions and labels.
    pub monitor: MonitorConfig,
    /// Drift reports.
    pub drift: DriftConfig,
    /// Deployments.
    pub deploy: DeployConfig,
}

impl MlopsConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        self.monitor.validate()?;
        self.drift.validate()?;
        self.deploy.validate()
    }
}
