//! What the operator may say of Tandem's own forecasts.

use serde::Deserialize;

/// Whether this machine is forecast.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForecastConfig {
    /// Disk fill, memory and network of this machine are forecast, as a model service of its own.
    pub enabled: bool,
}

impl Default for ForecastConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}
