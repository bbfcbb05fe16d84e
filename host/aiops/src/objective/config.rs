//! What the operator says of services: `[[service]]`.

use crate::rule::Span;
use serde::Deserialize;
use tandem_domain::objective::{Indicator, Objective};

/// Longest time that an answer may be promised within, in milliseconds.
const LONGEST_WITHIN_MILLIS: i64 = 3_600_000;

/// A service and its objectives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Its name, as model servers or predictions tell it.
    pub name: String,
    /// Percent of requests that shall be answered, such as 99.9.
    pub availability: Option<f64>,
    /// Percent of requests that shall be answered within a time.
    pub latency: Option<LatencyConfig>,
    /// Percent of predictions that shall agree with their labels.
    pub quality: Option<f64>,
}

/// A promise about time.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyConfig {
    /// The time, such as `300ms`.
    pub within: Span,
    /// Percent of requests.
    pub target: f64,
}

fn share(key: &str, percent: f64) -> Result<f64, String> {
    // A hundred percent allows nothing, and every single failure would be a breach.
    if percent > 0.0 && percent < 100.0 {
        return Ok(percent / 100.0);
    }
    Err(format!("{key} = {percent} must be above 0 and below 100 percent"))
}

impl ServiceConfig {
    /// The objectives.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn objectives(&self) -> Result<Vec<Objective>, String> {
        let mut objectives = Vec::new();
        if let Some(percent) = self.availability {
            objectives.push(Objective { indicator: Indicator::Availability, target: share("availability", percent)? });
        }
        if let Some(latency) = self.latency {
            if !(1..=LONGEST_WITHIN_MILLIS).contains(&latency.within.0) {
                return Err("latency.within must be 1ms to 1h".into());
            }
            let indicator = Indicator::Latency { within_seconds: latency.within.0 as f64 / 1_000.0 };
            objectives.push(Objective { indicator, target: share("latency.target", latency.target)? });
        }
        if let Some(percent) = self.quality {
            objectives.push(Objective { indicator: Indicator::Quality, target: share("quality", percent)? });
        }
        Ok(objectives)
    }

    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if self.name.trim().is_empty() {
            return Err("name is empty; give the name that model servers or predictions tell".into());
        }
        if self.objectives()?.is_empty() {
            return Err(format!("{:?} has no objective: give availability, latency or quality", self.name));
        }
        Ok(())
    }
}

/// How objectives are watched: `[aiops.objective]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveConfig {
    /// Percent of requests that a service shall answer for which the operator gives no objective; none with 0.
    pub availability: f64,
    /// So many bad ones must come together before an objective is called broken: one that fails among a handful says little.
    pub least_bad: f64,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self { availability: 99.0, least_bad: 10.0 }
    }
}

impl ObjectiveConfig {
    /// The objectives of a service that was found and not configured.
    pub fn of_found(&self) -> Vec<Objective> {
        let target = self.availability / 100.0;
        let objective = Objective { indicator: Indicator::Availability, target };
        if target > 0.0 { vec![objective] } else { Vec::new() }
    }

    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if !(0.0..100.0).contains(&self.availability) {
            return Err("availability must be 0 (none) or below 100 percent".into());
        }
        if !(1.0..=1e9).contains(&self.least_bad) {
            return Err("least_bad must be 1 to 1000000000".into());
        }
        Ok(())
    }
}
