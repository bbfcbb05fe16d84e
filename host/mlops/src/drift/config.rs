//! What the operator may say of drift reports.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Fewer rows say nothing: the customary least for a distribution to be compared at all.
pub(super) const LEAST_ROWS: usize = 30;

/// More rows make every step of a sample significant, and are slow to read.
const MOST_ROWS: usize = 100_000;

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
    /// After so many it is looked whether there is something new to report already.
    pub look_every_rows: u64,
    /// A service counts as drifted when at least this share of its columns has.
    pub drifted_share: f64,
    /// Services, by name, that are compared in another rhythm.
    pub service: BTreeMap<String, WindowsConfig>,
}

/// What is different for one service; what is absent is as for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WindowsConfig {
    /// As [`DriftConfig::reference_rows`].
    pub reference_rows: Option<usize>,
    /// As [`DriftConfig::window_rows`].
    pub window_rows: Option<usize>,
    /// As [`DriftConfig::report_every_rows`].
    pub report_every_rows: Option<u64>,
    /// The first report of a version is made after so many predictions behind its reference.
    pub first_report_rows: Option<u64>,
}

/// When and with what the predictions of one service are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub reference_rows: usize,
    pub window_rows: usize,
    pub report_every_rows: u64,
    pub first_report_rows: u64,
    pub look_every_rows: u64,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self {
            reference_rows: 1_000,
            window_rows: 1_000,
            report_every_rows: 500,
            look_every_rows: 100,
            drifted_share: 0.5,
            service: BTreeMap::new(),
        }
    }
}

impl DriftConfig {
    /// What holds for one service.
    pub(super) fn windows(&self, service: &str) -> Windows {
        let none = WindowsConfig::default();
        let own = self.service.get(service).unwrap_or(&none);
        let report_every_rows = own.report_every_rows.unwrap_or(self.report_every_rows);
        Windows {
            reference_rows: own.reference_rows.unwrap_or(self.reference_rows),
            window_rows: own.window_rows.unwrap_or(self.window_rows),
            report_every_rows,
            first_report_rows: own.first_report_rows.unwrap_or(report_every_rows),
            look_every_rows: self.look_every_rows,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        let each = self.service.keys().map(|name| (format!("drift.service.{name}"), self.windows(name)));
        let all = [("drift".to_owned(), self.windows(""))];
        all.into_iter().chain(each).try_for_each(|(key, windows)| windows.validate(&key))?;
        if self.look_every_rows == 0 {
            return Err("drift.look_every_rows is 0; give at least 1".into());
        }
        if !(0.0..=1.0).contains(&self.drifted_share) || self.drifted_share == 0.0 {
            return Err("drift.drifted_share must be above 0 and at most 1".into());
        }
        Ok(())
    }
}

impl Windows {
    fn validate(&self, key: &str) -> Result<(), String> {
        let rows = [("reference_rows", self.reference_rows), ("window_rows", self.window_rows)];
        for (name, rows) in rows {
            if rows < LEAST_ROWS {
                return Err(format!("{key}.{name} must be at least {LEAST_ROWS}; fewer rows say nothing"));
            }
            if rows > MOST_ROWS {
                return Err(format!("{key}.{name} must be at most {MOST_ROWS}; more rows make every step significant"));
            }
        }
        if self.report_every_rows == 0 || self.first_report_rows == 0 {
            return Err(format!("{key}: report_every_rows and first_report_rows are at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_may_have_its_own_rhythm_within_the_same_bounds() {
        let own = |rows| WindowsConfig { reference_rows: Some(rows), ..WindowsConfig::default() };
        let config =
            |rows| DriftConfig { service: BTreeMap::from([("chat".into(), own(rows))]), ..DriftConfig::default() };
        let fits = config(50);
        assert_eq!((fits.windows("chat").reference_rows, fits.windows("search").reference_rows), (50, 1_000));
        assert_eq!((fits.windows("chat").window_rows, fits.windows("chat").first_report_rows), (1_000, 500));
        assert_eq!(fits.validate(), Ok(()));
        let told = config(5).validate().expect_err("refused");
        assert!(told.starts_with("drift.service.chat.reference_rows"), "{told}");
        let none = DriftConfig { report_every_rows: 0, ..DriftConfig::default() };
        assert!(none.validate().is_err());
    }
}
