//! The operator's settings, their defaults and their JSON Schema.

use crate::{
    baseline::{Direction, Tuning},
    window::MAX_WINDOW_POINTS,
};

/// Half-width of the band in robust standard deviations. On the Numenta benchmark the score hardly changes from 3 to 7 and
/// falls beyond; 6 raises the fewest alarms of these.
const DEFAULT_K: f64 = 6.0;
/// Points in the window, the most there can be: longer ones score no better.
const DEFAULT_WINDOW_POINTS: usize = 128;
/// Points before the first score: below about 30 a MAD is too uncertain to multiply.
const DEFAULT_WARM_UP_POINTS: usize = 32;
/// Odd points in a row that make a new level: 15 minutes at a point every 15 s.
const DEFAULT_RELEARN_POINTS: u32 = 60;
/// A change of less than a twentieth of the usual value is not worth a look, however steady the value was.
const DEFAULT_MIN_RELATIVE: f64 = 0.05;
/// Smallest deviation for ratios (unit `1`): 2 percentage points.
const DEFAULT_MIN_RATIO: f64 = 0.02;
/// Smallest deviation for temperatures (unit `Cel`), which sensors give in whole degrees.
const DEFAULT_MIN_CELSIUS: f64 = 2.0;

/// The settings.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Half-width of the band in robust standard deviations.
    pub k: f64,
    /// Points in the window.
    pub window_points: usize,
    /// Points before the first score.
    pub warm_up_points: usize,
    /// Odd points in a row after which they are the new level.
    pub relearn_points: u32,
    /// Which deviations are odd.
    pub direction: Direction,
    /// Deviations that nobody cares for.
    pub min_deviation: MinDeviation,
}

/// Deviations below these are never odd.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MinDeviation {
    /// In the unit of the series (for counters per second); by unit when not given.
    pub absolute: Option<f64>,
    /// As a share of the usual value.
    pub relative: f64,
}

impl Default for MinDeviation {
    fn default() -> Self {
        Self { absolute: None, relative: DEFAULT_MIN_RELATIVE }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            k: DEFAULT_K,
            window_points: DEFAULT_WINDOW_POINTS,
            warm_up_points: DEFAULT_WARM_UP_POINTS,
            relearn_points: DEFAULT_RELEARN_POINTS,
            direction: Direction::Both,
            min_deviation: MinDeviation::default(),
        }
    }
}

/// The JSON Schema of [`Config`].
pub const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "k": {"type": "number", "minimum": 1, "maximum": 100, "default": 6},
    "window_points": {"type": "integer", "minimum": 32, "maximum": 128, "default": 128},
    "warm_up_points": {"type": "integer", "minimum": 8, "maximum": 128, "default": 32},
    "relearn_points": {"type": "integer", "minimum": 2, "maximum": 100000, "default": 60},
    "direction": {"enum": ["above", "below", "both"], "default": "both"},
    "min_deviation": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "absolute": {"type": ["number", "null"], "minimum": 0},
        "relative": {"type": "number", "minimum": 0, "maximum": 10, "default": 0.05}
      }
    }
  }
}"#;

impl Config {
    /// How a series of a unit is judged.
    ///
    /// # Errors
    /// A sentence that names the setting that cannot be.
    pub fn tuning(&self, unit: &str) -> Result<Tuning, String> {
        if !(self.k.is_finite() && self.k > 0.0) {
            return Err(format!("k is {}; give a number above 0, such as {DEFAULT_K}", self.k));
        }
        if !(1..=MAX_WINDOW_POINTS).contains(&self.window_points) {
            return Err(format!("window_points is {}; give 1 to {MAX_WINDOW_POINTS}", self.window_points));
        }
        if self.warm_up_points > self.window_points {
            return Err(format!(
                "warm_up_points ({}) is more than window_points ({}), so the series would warm for ever",
                self.warm_up_points, self.window_points
            ));
        }
        let by_unit = match unit {
            "1" => DEFAULT_MIN_RATIO,
            "Cel" => DEFAULT_MIN_CELSIUS,
            _ => 0.0,
        };
        let MinDeviation { absolute, relative } = self.min_deviation;
        if relative.is_nan() || relative < 0.0 || absolute.is_some_and(|a| a.is_nan() || a < 0.0) {
            return Err("min_deviation must not be below 0".into());
        }
        Ok(Tuning {
            k: self.k,
            window_points: self.window_points,
            warm_up_points: self.warm_up_points,
            relearn_points: self.relearn_points.max(2),
            direction: self.direction,
            min_absolute_deviation: absolute.unwrap_or(by_unit),
            min_relative_deviation: relative,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_impossible_settings_are_named() {
        assert_eq!(Config::default().tuning("Cel").unwrap().min_absolute_deviation, 2.0);
        let config: Config = serde_json::from_str(r#"{"warm_up_points": 64, "window_points": 32}"#).unwrap();
        assert!(config.tuning("").unwrap_err().contains("warm_up_points"));
        assert!(serde_json::from_str::<Config>(r#"{"treshold": 3}"#).is_err());
    }

    #[test]
    fn the_schema_is_json_and_names_every_setting() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        for name in ["k", "window_points", "warm_up_points", "relearn_points", "direction", "min_deviation"] {
            assert!(schema["properties"][name].is_object(), "{name}");
        }
    }
}
