//! How one entity hangs on another.

use crate::{Record, entity::EntityId};
use serde::{Deserialize, Serialize};

/// The kind of a dependency. In all of them the dependent suffers when the dependency fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationKind {
    /// A model service or replica runs on a GPU or host.
    RunsOn,
    /// A host contains a disk, GPU, interface, sensor: the host is the dependent.
    Contains,
    /// A host, chassis or switch draws power from a UPS, PDU or power supply.
    PoweredBy,
    /// A host or interface reaches the network through a switch or port.
    ConnectedTo,
    /// A filesystem lies on a disk, an array on its members.
    StoredOn,
    /// Any other dependency.
    DependsOn,
}

/// A relation as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Who suffers.
    pub dependent: EntityId,
    /// Who is needed.
    pub dependency: EntityId,
    /// In what way.
    pub kind: RelationKind,
    /// The plugin or person that said so.
    pub source: String,
    /// When it was last confirmed.
    pub seen_at: crate::Timestamp,
}

impl Record for Relation {
    const TABLE: &'static str = "relations";
    const VERSION: u16 = 1;
    const IN_LEAVES: bool = true;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.dependent.to_string(), self.dependency.to_string())
    }
}
