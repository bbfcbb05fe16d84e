//! What the operator may say of predictions.

use serde::Deserialize;

/// How much is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// Predictions kept, over all services; the oldest go first.
    pub keep_predictions: u64,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self { keep_predictions: 1_000_000 }
    }
}

impl MonitorConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.keep_predictions < 1_000 {
            return Err("monitor.keep_predictions is below 1000; drift needs at least so many".into());
        }
        Ok(())
    }
}
