//! The operator's settings, their defaults and their JSON Schema.

/// An alert joins an incident that changed no longer ago than this.
const DEFAULT_WINDOW_SECONDS: u32 = 600;
/// The longer reach in time of a member that still fires: batteries last an hour, and what fails then belongs to them.
const DEFAULT_FIRING_WINDOW_SECONDS: u32 = 3_600;
/// Steps on the dependency path: service, replica, pod, GPU, host, power supply, UPS are six.
const DEFAULT_MAX_HOPS: u32 = 8;
/// A change counts as a possible cause for this long: most bad deployments show within half an hour.
const DEFAULT_CHANGE_SECONDS: u32 = 1_800;
/// Alerts without any known relation belong together when no two neighbours in time lie further apart than this.
const DEFAULT_BURST_SECONDS: u32 = 75;
/// What Tandem itself tells of answers that are wrong; drift is shown and opens no alert.
const DEFAULT_ANSWER_CODES: [&str; 1] = ["objective.quality"];

/// The settings.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long after an incident's last change a connected alert still joins it.
    pub window_seconds: u32,
    /// The same where the member it is connected with still fires.
    pub firing_window_seconds: u32,
    /// The longest dependency path followed.
    pub max_hops: u32,
    /// How long before an alert a change still speaks for its entity.
    pub change_seconds: u32,
    /// Labels that hold alerts of unknown things together: all of them that either alert has must be equal.
    pub scope_labels: Vec<String>,
    /// The largest gap in time between alerts that only their name or scope holds together; 0 keeps them all apart.
    pub burst_seconds: u32,
    /// Codes of alerts on answers that are wrong, each with those that begin with it and a point.
    pub answer_codes: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window_seconds: DEFAULT_WINDOW_SECONDS,
            firing_window_seconds: DEFAULT_FIRING_WINDOW_SECONDS,
            max_hops: DEFAULT_MAX_HOPS,
            change_seconds: DEFAULT_CHANGE_SECONDS,
            scope_labels: ["cluster", "namespace"].map(String::from).to_vec(),
            burst_seconds: DEFAULT_BURST_SECONDS,
            answer_codes: DEFAULT_ANSWER_CODES.map(String::from).to_vec(),
        }
    }
}

/// The JSON Schema of [`Config`].
pub const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "window_seconds": {"type": "integer", "minimum": 1, "maximum": 86400, "default": 600},
    "firing_window_seconds": {"type": "integer", "minimum": 1, "maximum": 604800, "default": 3600},
    "max_hops": {"type": "integer", "minimum": 1, "maximum": 16, "default": 8},
    "change_seconds": {"type": "integer", "minimum": 0, "maximum": 86400, "default": 1800},
    "scope_labels": {"type": "array", "items": {"type": "string"}, "maxItems": 8, "default": ["cluster", "namespace"]},
    "burst_seconds": {"type": "integer", "minimum": 0, "maximum": 3600, "default": 75},
    "answer_codes": {"type": "array", "items": {"type": "string"}, "maxItems": 64, "default": ["objective.quality"]}
  }
}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_names_every_setting_and_its_default() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let defaults: serde_json::Map<String, serde_json::Value> = schema["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, rule)| (name.clone(), rule["default"].clone()))
            .collect();
        let config: Config = serde_json::from_value(defaults.into()).unwrap();
        assert_eq!(config, Config::default());
    }
}
