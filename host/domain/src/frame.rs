//! What detectors see and answer: groups of series, frames of aligned columns, scores and faults.

use crate::{
    Severity, Timestamp,
    entity::EntityId,
    meaning::FaultRule,
    series::{Labels, MetricType},
};
use serde::{Deserialize, Serialize};

/// The number of a group within one watch; chosen by the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u32);

/// A series with its meaning, as a detector is told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Canonical name.
    pub name: String,
    /// Canonical unit.
    pub unit: String,
    /// What its sender declares.
    pub metric_type: MetricType,
    /// Whose it is.
    pub entity: EntityId,
    /// What tells it apart.
    pub dimensions: Labels,
    /// On canonical values.
    pub fault_rules: Vec<FaultRule>,
}

/// One series, or several aligned in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Known by this ever after.
    pub id: GroupId,
    /// In a fixed order.
    pub members: Vec<Member>,
}

/// New points of one group, in canonical units.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Which group.
    pub group: GroupId,
    /// Moments, strictly ascending.
    pub at: Vec<Timestamp>,
    /// Member after member: member m's column is `value[m * at.len()..(m + 1) * at.len()]`. NaN is missing.
    pub value: Vec<f64>,
}

/// Which members made a point odd.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// Index into the columns of the scores it belongs to.
    pub index: u32,
    /// One share per member; they sum to 1.
    pub share: Vec<f64>,
}

/// Answers for points of one group, in columns of equal length (`low` and `high` may be empty instead).
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// Which group.
    pub group: GroupId,
    /// The points answered.
    pub at: Vec<Timestamp>,
    /// At least 1 is anomalous; finite.
    pub score: Vec<f64>,
    /// Lower end of the expected band.
    pub low: Vec<f64>,
    /// Upper end of the expected band.
    pub high: Vec<f64>,
    /// For points of several members.
    pub attributions: Vec<Attribution>,
    /// How many of the points, from the first, were answered while still learning.
    pub warming: u32,
}

/// A fault that began or ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Which group.
    pub group: GroupId,
    /// Index of the member in the group.
    pub member: u32,
    /// When.
    pub at: Timestamp,
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
    /// The value that told, in canonical units.
    pub value: f64,
}

/// What a watch answers to a batch of frames.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// For statistical detectors.
    pub scores: Vec<Scores>,
    /// For detectors that know.
    pub faults: Vec<Fault>,
    /// Groups that could not be observed, and why; the watch goes on without them.
    pub failed: Vec<(GroupId, crate::Failure)>,
}

/// The state of one group, in the detector's own form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupState {
    /// Which group.
    pub group: GroupId,
    /// The detector's own bytes.
    pub state: Vec<u8>,
}
