//! Entities: things that can be healthy or not, and the keys by which different collectors know the same one.

use crate::{Record, Timestamp, series::Labels};
use serde::{Deserialize, Serialize};
use std::fmt;

/// `kind:identity`, from the strongest key seen: `gpu:GPU-6f1c…`, `host:4c4c4544-…`, `ups:rack7-a`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntityId(pub String);

impl fmt::Display for EntityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl EntityId {
    /// The part before the first colon.
    pub fn kind(&self) -> &str {
        self.0.split_once(':').map_or(self.0.as_str(), |(kind, _)| kind)
    }

    /// The part after the first colon.
    pub fn identity(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, identity)| identity)
    }
}

/// How firmly a key identifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStrength {
    /// Names one thing in the world.
    Unique,
    /// Names one thing where it was seen.
    Local,
}

/// One name by which an entity is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdentityKey {
    /// Such as `uuid`, `serial`, `wwn`, `mac`, `machine-id`, `hostname`, `address`.
    pub scheme: String,
    /// The value, as seen.
    pub value: String,
    /// How firmly it identifies.
    pub strength: KeyStrength,
}

/// An entity as a plugin reports it, before it is matched with the known ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityDraft {
    /// Lower case with dashes.
    pub kind: String,
    /// Strongest first; at least one.
    pub keys: Vec<IdentityKey>,
    /// What people call it.
    pub name: String,
    /// Anything more.
    pub attributes: Labels,
}

/// An entity as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// From the strongest key.
    pub id: EntityId,
    /// The kind in the id.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// Every key seen, strongest first.
    pub keys: Vec<IdentityKey>,
    /// The union of what was reported, newest value first.
    pub attributes: Labels,
    /// When it was first reported.
    pub first_seen_at: Timestamp,
    /// When it was last reported.
    pub last_seen_at: Timestamp,
    /// Set when this entity turned out to be another one that has a stronger key; readers follow it.
    pub merged_into: Option<EntityId>,
}

impl Record for Entity {
    const TABLE: &'static str = "entities";
    const VERSION: u16 = 1;
    const IN_LEAVES: bool = true;
    type Key = String;
    fn key(&self) -> String {
        self.id.0.clone()
    }
}

/// Which entity a key leads to; the index behind matching and behind looking up an alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntityAlias {
    /// `kind`, `scheme` and `value` joined by colons.
    pub alias: String,
    /// The entity known by it.
    pub entity: EntityId,
}

impl EntityAlias {
    /// The alias under which a key of a kind is indexed.
    pub fn of(kind: &str, key: &IdentityKey) -> String {
        format!("{kind}:{}:{}", key.scheme, key.value)
    }
}

impl Record for EntityAlias {
    const TABLE: &'static str = "entity_aliases";
    const VERSION: u16 = 1;
    const IN_LEAVES: bool = true;
    type Key = String;
    fn key(&self) -> String {
        self.alias.clone()
    }
}
