//! The settings.

use tandem_sdk::types::Failure;

/// What the operator can set.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// From which confidence on the first cause should be believed.
    pub confidence_floor: f64,
    /// How long before the onset a change may lie, in seconds.
    pub change_seconds: u32,
    /// Causes told at most.
    pub max_causes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { confidence_floor: 0.45, change_seconds: 1_800, max_causes: 10 }
    }
}

/// The JSON Schema of [`Config`].
pub(crate) const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "confidence_floor": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.45},
    "change_seconds": {"type": "integer", "minimum": 0, "maximum": 86400, "default": 1800},
    "max_causes": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
  }
}"#;

impl Config {
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if (0.0..=1.0).contains(&self.confidence_floor) && self.max_causes > 0 {
            Ok(())
        } else {
            Err(Failure::misconfigured("confidence_floor must lie in 0 to 1, and max_causes be at least 1"))
        }
    }
}
