//! Topology as plugins report it: entities and relations among them by index.

use crate::{entity::EntityDraft, relation::RelationKind};
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
