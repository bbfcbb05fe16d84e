//! Settings of the detect room.

use serde::Deserialize;

/// How detectors are fed, and when odd points become a finding.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectConfig {
    /// A finding opens when so many …
    pub odd_points: u32,
    /// … of so many recent points are anomalous.
    pub of_points: u32,
    /// A finding closes after so many points in a row that are not.
    pub quiet_points: u32,
    /// A finding of a series that says nothing any more closes after so many seconds.
    pub silence_seconds: u64,
    /// Learned state is saved at most this many seconds after it was learned.
    pub snapshot_seconds: u64,
    /// Series shown together are aligned in steps of so many seconds.
    pub align_seconds: u64,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            odd_points: 3,
            of_points: 5,
            quiet_points: 10,
            silence_seconds: 900,
            snapshot_seconds: 30,
            align_seconds: 15,
        }
    }
}

impl DetectConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=64).contains(&self.of_points) {
            return Err("of_points must be 1 to 64".into());
        }
        if !(1..=self.of_points).contains(&self.odd_points) {
            return Err(format!("odd_points must be 1 to {} (of_points)", self.of_points));
        }
        for (key, value) in [
            ("quiet_points", u64::from(self.quiet_points)),
            ("silence_seconds", self.silence_seconds),
            ("snapshot_seconds", self.snapshot_seconds),
            ("align_seconds", self.align_seconds),
        ] {
            if !(1..=86_400).contains(&value) {
                return Err(format!("{key} must be 1 to 86400"));
            }
        }
        Ok(())
    }
}
