//! The logs between rooms that are nobody else's: what changed its meaning, which faults began or ended, which findings moved.

use serde::{Deserialize, Serialize};
use tandem_domain::{
    LogRecord, Severity, Timestamp,
    entity::EntityId,
    finding::Finding,
    series::{Labels, SeriesId},
};

/// Series whose meaning was given, changed or taken away; what the detect room reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeaningChange {
    /// Which series.
    pub series: Vec<SeriesId>,
}

impl LogRecord for MeaningChange {
    const LOG: &'static str = "meaning_changes";
    const VERSION: u16 = 1;
}

/// A fault that began or ended on a series; what the alert room reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultChange {
    /// When, by the samples.
    pub at: Timestamp,
    /// The detector plugin.
    pub detector: String,
    /// The series that told.
    pub series: SeriesId,
    /// Whose series, as known when it was written; it may have been merged since.
    pub entity: EntityId,
    /// Stable dotted code.
    pub code: String,
    /// Began (true) or ended.
    pub active: bool,
    /// How bad.
    pub severity: Severity,
    /// For people.
    pub title: String,
    /// What to do about it.
    pub advice: String,
    /// What tells alerts of one code and entity apart: the dimensions of the series.
    pub telling: Labels,
    /// More labels, for people and for grouping: those of the series as sent, with job and instance.
    pub labels: Labels,
    /// The value that told, in canonical units; NaN when the fault ended for another reason than a value.
    pub value: f64,
}

impl LogRecord for FaultChange {
    const LOG: &'static str = "fault_changes";
    const VERSION: u16 = 1;
}

impl FaultChange {
    /// What stays the same for one source of one fault: detector, series and code.
    pub fn source_key(&self) -> String {
        format!("{}/{}/{}", self.detector, self.series.0, self.code)
    }
}

/// A finding that began, grew or ended, as it stood then; what the correlate room reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingChange {
    /// As it stood.
    pub finding: Finding,
}

impl LogRecord for FindingChange {
    const LOG: &'static str = "finding_changes";
    const VERSION: u16 = 1;
}
