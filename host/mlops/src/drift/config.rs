//! What the operator may say of drift reports.

use serde::Deserialize;

/// Fewer rows say nothing: the customary least for a distribution to be compared at all.
pub(super) const LEAST_ROWS: usize = 30;

/// When and how predictions are compared.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftConfig {
    /// The first so many predictions of a version are its reference.
    pub reference_rows: usize,
    /// The latest so many are compared with it.
    pub window_rows: usize,
    /// A report is made after so many new predictions.
    pub report_every_rows: u64,
    /// A service counts as drifted when at least this share of its columns has.
    pub drifted_share: f64,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self { reference_rows: 1_000, window_rows: 1_000, report_every_rows: 500, drifted_share: 0.5 }
    }
}

impl DriftConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.reference_rows < LEAST_ROWS || self.window_rows < LEAST_ROWS {
            return Err(format!(
                "drift.reference_rows and drift.window_rows must be at least {LEAST_ROWS}; fewer rows say nothing"
            ));
        }
        if self.reference_rows > 100_000 || self.window_rows > 100_000 {
            return Err("drift.reference_rows and drift.window_rows must be at most 100000; more rows make every step significant".into());
        }
        if self.report_every_rows == 0 {
            return Err("drift.report_every_rows is 0; give at least 1".into());
        }
        if !(0.0..=1.0).contains(&self.drifted_share) || self.drifted_share == 0.0 {
            return Err("drift.drifted_share must be above 0 and at most 1".into());
        }
        Ok(())
    }
}
