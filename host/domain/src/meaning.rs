//! What a series means: whose it is, its canonical name and unit, which values mean missing, and which mean a fault.

use crate::{
    Record, Severity,
    entity::EntityId,
    series::{Labels, SeriesId},
    topology::TopologyDraft,
};
use serde::{Deserialize, Serialize};

/// An inclusive range of values; an infinite end is open.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Lowest value inside.
    pub low: f64,
    /// Highest value inside.
    pub high: f64,
}

impl Range {
    /// Whether a value lies inside; NaN never does.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// When a value means a fault.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// On while the value lies in the range.
    Within(Range),
    /// Happens when the value changes to one in the range.
    ChangedTo(Range),
    /// Happens when a counter rises; over after this many seconds of rest.
    Rises {
        /// Seconds of rest that end it.
        rest_seconds: u32,
    },
}

/// A fault that a series can tell of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultRule {
    /// Stable dotted code.
    pub code: String,
    /// When.
    pub condition: Condition,
    /// How bad.
    pub severity: Severity,
    /// For people.
    pub title: String,
    /// What to do about it.
    pub advice: String,
    /// For `ChangedTo`: the value that ends it.
    pub resting: Option<f64>,
    /// For `ChangedTo`: seconds without change that end it; 0 for never.
    pub rest_seconds: u32,
}

/// The meaning that a mapper gave one of the series it was shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeaningDraft {
    /// Index of the series in the list shown.
    pub series: u32,
    /// Index of the entity in the mapping's topology.
    pub entity: u32,
    /// What it says; `entity` of the body is set when the drafts are matched.
    pub body: MeaningBody,
}

/// The part of a meaning that does not depend on numbering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeaningBody {
    /// Canonical dotted name.
    pub name: String,
    /// Canonical unit.
    pub unit: String,
    /// Canonical value = sent value × scale + offset.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// Sent values that mean "no value".
    pub missing: Vec<Range>,
    /// What tells members of one entity and name apart.
    pub dimensions: Labels,
    /// Faults it can tell of, on sent values.
    pub fault_rules: Vec<FaultRule>,
}

impl MeaningBody {
    /// The canonical value of a sent one; NaN where it means missing.
    pub fn canonical(&self, sent: f64) -> f64 {
        if self.missing.iter().any(|range| range.contains(sent)) { f64::NAN } else { sent * self.scale + self.offset }
    }
}

/// A mapper's answer for one target.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Mapping {
    /// Entities and relations it found.
    pub topology: TopologyDraft,
    /// At most one per series shown.
    pub meanings: Vec<MeaningDraft>,
}

/// The meaning of a series as the store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Meaning {
    /// Which series.
    pub series: SeriesId,
    /// Whose it is.
    pub entity: EntityId,
    /// What it says.
    pub body: MeaningBody,
    /// The mapper that said so.
    pub mapper: String,
    /// The mapper's content digest; another digest makes the meaning anew.
    pub mapper_digest: String,
}

impl Record for Meaning {
    const TABLE: &'static str = "meanings";
    const VERSION: u16 = 1;
    const IN_LEAVES: bool = true;
    type Key = u64;
    fn key(&self) -> u64 {
        self.series.0
    }
}

/// That a series is an entity's: the index behind "all series of an entity".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitySeries {
    /// Whose.
    pub entity: EntityId,
    /// Which.
    pub series: SeriesId,
}

impl Record for EntitySeries {
    const TABLE: &'static str = "entity_series";
    const VERSION: u16 = 1;
    const IN_LEAVES: bool = true;
    type Key = (String, u64);
    fn key(&self) -> (String, u64) {
        (self.entity.0.clone(), self.series.0)
    }
}
