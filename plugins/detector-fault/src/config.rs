//! The operator's settings: faults switched off and severities changed, by patterns on the code.

use std::collections::BTreeMap;
use tandem_sdk::types::Severity;

/// The settings. In a pattern `*` stands for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Codes that are never told.
    pub off: Vec<String>,
    /// Severities that hold in place of the rules' own; of several patterns that fit, the longest holds.
    pub severity: BTreeMap<String, Level>,
}

/// A severity by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Info,
    /// To be looked at.
    Warning,
    /// To be mended now.
    Critical,
}

/// The JSON Schema of [`Config`].
pub const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "off": {"type": "array", "items": {"type": "string", "minLength": 1}, "default": [],
            "description": "patterns of fault codes that are never told, such as gpu.xid.13 or sensor.*"},
    "severity": {"type": "object", "additionalProperties": {"enum": ["info", "warning", "critical"]}, "default": {},
                 "description": "severity by pattern of the fault code; the longest pattern that fits holds"}
  }
}"#;

impl Config {
    /// Whether a code is switched off.
    pub fn is_off(&self, code: &str) -> bool {
        self.off.iter().any(|pattern| fits(pattern, code))
    }

    /// The severity of a code whose rule says `own`.
    pub fn severity_of(&self, code: &str, own: Severity) -> Severity {
        let fitting = self.severity.iter().filter(|(pattern, _)| fits(pattern, code));
        match fitting.max_by_key(|(pattern, _)| pattern.len()).map(|(_, level)| level) {
            Some(Level::Info) => Severity::Info,
            Some(Level::Warning) => Severity::Warning,
            Some(Level::Critical) => Severity::Critical,
            None => own,
        }
    }
}

/// Whether a text fits a pattern in which `*` stands for any run of characters.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = tail.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("gpu.xid.13", "gpu.xid.13", true),
            ("gpu.xid.1", "gpu.xid.13", false),
            ("gpu.*", "gpu.xid.13", true),
            ("*", "", true),
            ("*.down", "interface.down", true),
            ("g*.x*.13", "gpu.xid.13", true),
            ("g*.x*.14", "gpu.xid.13", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_longest_pattern_that_fits_sets_the_severity() {
        let config: Config = serde_json::from_str(
            r#"{"severity": {"gpu.*": "warning", "gpu.xid.79": "critical"}, "off": ["sensor.*"]}"#,
        )
        .unwrap();
        assert_eq!(config.severity_of("gpu.xid.79", Severity::Info), Severity::Critical);
        assert_eq!(config.severity_of("gpu.xid.13", Severity::Info), Severity::Warning);
        assert_eq!(config.severity_of("ups.overload", Severity::Info), Severity::Info);
        assert!(config.is_off("sensor.critical") && !config.is_off("gpu.xid.79"));
    }

    #[test]
    fn an_unknown_setting_or_severity_is_an_error() {
        assert!(serde_json::from_str::<Config>(r#"{"mute": []}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"severity": {"a": "bad"}}"#).is_err());
        assert!(serde_json::from_str::<serde_json::Value>(SCHEMA).is_ok());
    }
}
