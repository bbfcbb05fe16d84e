//! Things that happened at a moment.

use crate::{LogRecord, Severity, Timestamp, entity::EntityId, series::Labels};
use serde::{Deserialize, Serialize};

/// An event of an entity, in the order it was learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// To whom.
    pub entity: EntityId,
    /// Stable dotted code: `gpu.xid.79`.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// For people.
    pub title: String,
    /// Anything more.
    pub attributes: Labels,
    /// The plugin or room that reported it.
    pub source: String,
}

impl LogRecord for Event {
    const LOG: &'static str = "events";
    const VERSION: u16 = 1;
}
