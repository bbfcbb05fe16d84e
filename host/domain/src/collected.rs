//! What collectors brought of topology and events, on its way to the map room.

use crate::{LogRecord, Severity, Timestamp, series::Labels, target::TargetInfo, topology::TopologyDraft};
use serde::{Deserialize, Serialize};

/// An event whose entity is not matched with the known ones yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectedEvent {
    /// When it happened.
    pub at: Timestamp,
    /// Index into the topology beside it.
    pub entity: u32,
    /// Stable dotted code.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// For people.
    pub title: String,
    /// Anything more.
    pub attributes: Labels,
}

/// Topology and events of one collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectedTopology {
    /// Where it came from.
    pub target: TargetInfo,
    /// The plugin that brought it.
    pub plugin: String,
    /// When.
    pub at: Timestamp,
    /// Entities and relations.
    pub topology: TopologyDraft,
    /// What happened to them.
    pub events: Vec<CollectedEvent>,
}

impl LogRecord for CollectedTopology {
    const LOG: &'static str = "collected_topology";
    const VERSION: u16 = 1;
}
