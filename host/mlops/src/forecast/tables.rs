//! The room's private records.

use super::{method::Quantity, signals::Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_domain::{Record, Timestamp, meaning::Range};

/// How the forecaster was last fitted, and where the room stands. There is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Forecaster {
    /// Counts the fits; the version of the model.
    pub version: u64,
    /// When it was fitted.
    pub fitted_at: Timestamp,
    /// The longest course that it was fitted on, in points.
    pub fitted_points: u64,
    /// For how long a trend is believed, by quantity, in seconds.
    pub trend_seconds: BTreeMap<Quantity, f64>,
    /// When the latest round was.
    pub round_at: Timestamp,
    /// The newest value that it saw.
    pub seen_at: Timestamp,
    /// When the service and what lies below it were last told.
    pub told_at: Timestamp,
}

impl Record for Forecaster {
    const TABLE: &'static str = "forecaster";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        0
    }
}

/// How wide bands are, as a multiple of the errors seen before: moved so that nine of ten hold the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BandWidth {
    /// The signal.
    pub signal: String,
    /// How far ahead.
    pub horizon_seconds: u64,
    pub factor: f64,
}

impl Record for BandWidth {
    const TABLE: &'static str = "forecast_band_widths";
    const VERSION: u16 = 1;
    type Key = (String, u64);
    fn key(&self) -> (String, u64) {
        (self.signal.clone(), self.horizon_seconds)
    }
}

/// A forecast whose value is not known yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OwedLabel {
    /// For when it was made.
    pub due_at: Timestamp,
    /// The prediction's id.
    pub id: String,
    /// The signal.
    pub signal: String,
    /// How far ahead.
    pub horizon_seconds: u64,
    /// Where the value comes from.
    pub source: Source,
    /// What was said.
    pub band: Range,
}

/// A moment as a key; none before 1970 comes from a clock that is right.
pub(super) fn moment(at: Timestamp) -> u64 {
    at.0.max(0) as u64
}

impl Record for OwedLabel {
    const TABLE: &'static str = "forecast_owed_labels";
    const VERSION: u16 = 1;
    type Key = (u64, String);
    fn key(&self) -> (u64, String) {
        (moment(self.due_at), self.id.clone())
    }
}
