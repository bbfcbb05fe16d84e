//! Settings of the correlate room.

use serde::Deserialize;

/// When incidents resolve and come back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorrelateConfig {
    /// An incident resolves when all its alerts have been over for this many seconds; one that has come back lately is held for
    /// minutes, see `rules`.
    pub hold_seconds: u64,
    /// An incident comes back, rather than a new one opening, when an alert of it fires again within this many seconds.
    pub reopen_seconds: u64,
    /// An alert waits this many seconds for a correlator that fails; then it is an incident of its own.
    pub patience_seconds: u64,
}

impl Default for CorrelateConfig {
    fn default() -> Self {
        Self { hold_seconds: 5, reopen_seconds: 3_600, patience_seconds: 10 }
    }
}

impl CorrelateConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        for (key, value, most) in [
            ("hold_seconds", self.hold_seconds, 3_600),
            ("reopen_seconds", self.reopen_seconds, 604_800),
            ("patience_seconds", self.patience_seconds, 3_600),
        ] {
            if value > most {
                return Err(format!("{key} must be at most {most}"));
            }
        }
        Ok(())
    }
}
