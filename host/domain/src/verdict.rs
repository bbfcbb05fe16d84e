//! The two answers for a service, and how they hang together.

use crate::{Timestamp, entity::EntityId};
use serde::{Deserialize, Serialize};

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As expected.
    Ok,
    /// Not as expected.
    Degraded,
    /// Nothing is known, and why is in the evidence.
    Unknown,
}

/// Is the model working?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelAnswer {
    /// The answer.
    pub state: Health,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Sentences.
    pub evidence: Vec<String>,
}

/// Is the infrastructure behind it healthy?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfrastructureAnswer {
    /// The answer.
    pub state: Health,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Open incidents on the service's dependency path.
    pub incidents: Vec<u64>,
}

/// Where the cause lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CauseKind {
    /// In the model itself.
    Model,
    /// In what the model is given.
    Data,
    /// Below the model.
    Infrastructure,
    /// In both.
    Both,
    /// Nothing is wrong.
    None,
    /// Something is wrong and it cannot be said where.
    Unknown,
}

/// Both answers for one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The service's name.
    pub service: String,
    /// As of when.
    pub at: Timestamp,
    /// Is the model working?
    pub model: ModelAnswer,
    /// Is the infrastructure healthy?
    pub infrastructure: InfrastructureAnswer,
    /// Where the cause lies.
    pub cause: CauseKind,
    /// Whose fault, when it is known.
    pub cause_entity: Option<EntityId>,
    /// How the answers hang together.
    pub sentence: String,
}
