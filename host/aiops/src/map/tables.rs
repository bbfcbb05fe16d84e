//! What the map room keeps for itself.

use serde::{Deserialize, Serialize};
use tandem_domain::{
    Failure, Record, Timestamp,
    entity::EntityId,
    series::{Labels, SeriesId},
    target::TargetKey,
};

/// A target as one text, for keys: job and instance with a zero byte between them, which neither can hold.
pub fn target_text(target: &TargetKey) -> String {
    format!("{}\0{}", target.job, target.instance)
}

/// A target that has sent series, with the labels it was last shown with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownTarget {
    /// Which target.
    pub target: TargetKey,
    /// The operator's labels at the last showing.
    pub labels: Labels,
}

impl Record for KnownTarget {
    const TABLE: &'static str = "map_targets";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        target_text(&self.target)
    }
}

/// A target that has something new to show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingTarget {
    /// Which target.
    pub target: TargetKey,
    /// When it first had something new.
    pub since: Timestamp,
    /// When something new last came.
    pub last: Timestamp,
    /// Changes with every news, so that what comes during a showing is not forgotten after it.
    pub news: u64,
    /// Whether everything is to be shown again, because labels of the target changed.
    pub again: bool,
}

impl Record for PendingTarget {
    const TABLE: &'static str = "map_pending";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        target_text(&self.target)
    }
}

/// What one mapper was last shown of one target, and what it claims there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedTarget {
    /// Which target.
    pub target: TargetKey,
    /// The mapper.
    pub plugin: String,
    /// Its digest then.
    pub digest: String,
    /// The newest series shown.
    pub through: SeriesId,
    /// How many meanings it gave, won or not.
    pub meanings: u64,
    /// Relations it reported: dependent and dependency, as they were called then.
    pub relations: Vec<(EntityId, EntityId)>,
    /// When the target was last known to be alive, to the step of the sweep.
    pub alive_at: Timestamp,
}

impl Record for MappedTarget {
    const TABLE: &'static str = "map_claims";
    const VERSION: u16 = 1;
    const IN_LEAVES: bool = true;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (target_text(&self.target), self.plugin.clone())
    }
}

/// A mapper that could not say what a target's series mean. Visible to the API; gone when it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapFailure {
    /// The mapper.
    pub plugin: String,
    /// The target.
    pub target: TargetKey,
    /// Why.
    pub failure: Failure,
    /// When it last failed.
    pub at: Timestamp,
    /// How often in a row.
    pub failures: u32,
    /// When it is tried again at the latest.
    pub retry_at: Timestamp,
}

impl Record for MapFailure {
    const TABLE: &'static str = "map_failures";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (target_text(&self.target), self.plugin.clone())
    }
}

/// A relation turned around: the index behind "who needs this".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationDependent {
    /// Who is needed.
    pub dependency: EntityId,
    /// Who suffers.
    pub dependent: EntityId,
}

impl Record for RelationDependent {
    const TABLE: &'static str = "relation_dependents";
    const VERSION: u16 = 1;
    const IN_LEAVES: bool = true;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.dependency.0.clone(), self.dependent.0.clone())
    }
}
