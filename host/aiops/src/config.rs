//! The `[aiops]` table: each room's own settings under its name.

use crate::{
    alert::AlertConfig, correlate::CorrelateConfig, detect::DetectConfig, map::MapConfig, objective::ObjectiveConfig,
    retain::RetainConfig,
};
use serde::Deserialize;

/// Settings of the AIOps rooms; every key optional.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AiopsConfig {
    /// How series get their meaning.
    pub map: MapConfig,
    /// How detectors are fed and when odd points become findings.
    pub detect: DetectConfig,
    /// What is expected of services of which nothing is said, and when that is missed.
    pub objective: ObjectiveConfig,
    /// When it is told that somebody is away.
    pub alert: AlertConfig,
    /// When incidents resolve and come back.
    pub correlate: CorrelateConfig,
    /// How long events and changes are kept.
    pub retain: RetainConfig,
}

impl AiopsConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        self.map.validate().map_err(|problem| format!("map: {problem}"))?;
        self.detect.validate().map_err(|problem| format!("detect: {problem}"))?;
        self.objective.validate().map_err(|problem| format!("objective: {problem}"))?;
        self.alert.validate().map_err(|problem| format!("alert: {problem}"))?;
        self.correlate.validate().map_err(|problem| format!("correlate: {problem}"))?;
        self.retain.validate().map_err(|problem| format!("retain: {problem}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_an_unknown_key_is_not() {
        assert_eq!(AiopsConfig::default().validate(), Ok(()));
        let read: Result<AiopsConfig, _> = serde_json::from_str(r#"{"detect": {"oddpoints": 3}}"#);
        assert!(read.unwrap_err().to_string().contains("oddpoints"));
        let read: AiopsConfig = serde_json::from_str(r#"{"detect": {"odd_points": 9}}"#).unwrap();
        assert!(read.validate().unwrap_err().contains("odd_points"));
    }
}
