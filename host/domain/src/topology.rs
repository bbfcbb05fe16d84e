//! Topology as plugins report it: entities and relations among them by index; and a count of its changes.

use crate::{Record, entity::EntityDraft, relation::RelationKind};
use serde::{Deserialize, Serialize};

/// A relation between two drafts of one list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelationDraft {
    /// Index of who suffers.
    pub dependent: u32,
    /// Index of who is needed.
    pub dependency: u32,
    /// In what way.
    pub kind: RelationKind,
}

/// What one plugin reports of topology in one answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TopologyDraft {
    /// Entities; referred to by index.
    pub entities: Vec<EntityDraft>,
    /// Relations among them.
    pub relations: Vec<RelationDraft>,
}

/// A count that rises whenever entities or relations change, so that graphs kept in memory know when they are old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyRevision {
    /// The count.
    pub revision: u64,
}

impl Record for TopologyRevision {
    const TABLE: &'static str = "topology_revision";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        0
    }
}
