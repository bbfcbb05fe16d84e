//! Settings of the alert room.

use serde::Deserialize;

/// When absence is told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertConfig {
    /// Who is away (an exporter, a host, a replica beside which others answer) is no alarm for so many minutes: so long does a
    /// restart take. 0 tells at once.
    pub away_minutes: u32,
}

/// The longest that absence may go untold, in minutes: a day.
const LONGEST_AWAY_MINUTES: u32 = 1_440;

impl Default for AlertConfig {
    fn default() -> Self {
        // A server with eight GPUs is back after ten minutes of memory training and driver start.
        Self { away_minutes: 15 }
    }
}

impl AlertConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if self.away_minutes > LONGEST_AWAY_MINUTES {
            return Err(format!("away_minutes must be at most {LONGEST_AWAY_MINUTES}"));
        }
        Ok(())
    }

    /// The same in milliseconds.
    pub(super) fn away_millis(&self) -> i64 {
        i64::from(self.away_minutes) * 60_000
    }
}
