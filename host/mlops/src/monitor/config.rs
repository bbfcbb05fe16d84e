//! What the operator may say of predictions.

use serde::Deserialize;

/// Milliseconds of a day.
const DAY_MILLIS: i64 = 86_400_000;
/// The longest that labels may be kept, in days: beyond ten years it is a slip of the pen.
const LONGEST_KEPT_DAYS: u32 = 3_650;

/// How much is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitorConfig {
    /// Predictions kept, over all services; the oldest go first. As many labels are kept.
    pub keep_predictions: u64,
    /// A label older than so many days is forgotten, and with it that it waits for its prediction.
    pub keep_labels_days: u32,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        // A label comes weeks after its prediction (a loan, a claim), hardly ever before it.
        Self { keep_predictions: 1_000_000, keep_labels_days: 30 }
    }
}

impl MonitorConfig {
    /// How long a label is kept.
    pub(super) fn keep_labels_millis(&self) -> i64 {
        i64::from(self.keep_labels_days) * DAY_MILLIS
    }

    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.keep_predictions < 1_000 {
            return Err("monitor.keep_predictions is below 1000; drift needs at least so many".into());
        }
        if !(1..=LONGEST_KEPT_DAYS).contains(&self.keep_labels_days) {
            return Err(format!("monitor.keep_labels_days must be 1 to {LONGEST_KEPT_DAYS}"));
        }
        Ok(())
    }
}
