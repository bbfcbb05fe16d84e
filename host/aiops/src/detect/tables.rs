//! What the detect room keeps for itself.

use super::{align::Aligner, tracker::Tracker};
use crate::signal::FaultChange;
use serde::{Deserialize, Serialize};
use tandem_domain::{Failure, Record, Timestamp};

/// What one detector has learned of one group, with what the host knows of it, as of one moment in the order of samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectorState {
    /// The detector.
    pub plugin: String,
    /// The group's key, the same across restarts.
    pub group: String,
    /// Of the group's members: another definition makes the state useless.
    pub definition: String,
    /// The detector's digest that wrote it.
    pub digest: String,
    /// The detector's own bytes.
    #[serde(with = "serde_bytes")]
    pub state: Vec<u8>,
    /// All samples with a sequence number up to this are in it.
    pub through: u64,
    /// The last moment given to the detector.
    pub last_at: Timestamp,
    /// Where findings stand.
    pub tracker: Tracker,
    /// Rows being filled, for groups of several members.
    pub aligner: Option<Aligner>,
}

impl Record for DetectorState {
    const TABLE: &'static str = "detector_states";
    const VERSION: u16 = 1;
    const IN_LEAVES: bool = true;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.plugin.clone(), self.group.clone())
    }
}

/// The number of a group's open finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFinding {
    /// The detector.
    pub plugin: String,
    /// The group's key.
    pub group: String,
    /// The finding.
    pub finding: u64,
}

impl Record for OpenFinding {
    const TABLE: &'static str = "detector_open_findings";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.plugin.clone(), self.group.clone())
    }
}

/// A fault that a detector said began and has not said ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveFault {
    /// As it began.
    pub change: FaultChange,
}

impl Record for ActiveFault {
    const TABLE: &'static str = "detector_active_faults";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.change.detector.clone(), self.change.source_key())
    }
}

/// A group that a detector could not observe. Visible to the API; gone when it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectorFailure {
    /// The detector.
    pub plugin: String,
    /// The group's key; empty when the detector could not be opened at all.
    pub group: String,
    /// Why.
    pub failure: Failure,
    /// When it last failed.
    pub at: Timestamp,
    /// How often in a row.
    pub failures: u32,
    /// When it is tried again.
    pub retry_at: Timestamp,
}

impl Record for DetectorFailure {
    const TABLE: &'static str = "detector_failures";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.plugin.clone(), self.group.clone())
    }
}
