//! Incidents: alerts with one cause, their state machine and their timeline.

use crate::{LogRecord, Record, Severity, Timestamp, alert::Fingerprint, entity::EntityId};
use serde::{Deserialize, Serialize};

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentStatus {
    /// Nobody has taken it yet.
    Open,
    /// Somebody has taken it.
    Acknowledged,
    /// All its alerts are over, or a person said so.
    Resolved,
    /// It came back within the reopening window.
    Reopened,
}

/// What can happen to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentAction {
    /// A person takes it.
    Acknowledge,
    /// All alerts are over, or a person says so.
    Resolve,
    /// An alert fires again.
    Reopen,
}

/// A change that the state machine does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an incident that is {from:?} cannot be changed by {action:?}")]
pub struct TransitionError {
    /// Where it stood.
    pub from: IncidentStatus,
    /// What was asked.
    pub action: IncidentAction,
}

impl IncidentStatus {
    /// The status after an action.
    ///
    /// # Errors
    /// When the action makes no sense in this status, such as acknowledging what is resolved.
    pub fn apply(self, action: IncidentAction) -> Result<IncidentStatus, TransitionError> {
        use IncidentAction::{Acknowledge, Reopen, Resolve};
        use IncidentStatus::{Acknowledged, Open, Reopened, Resolved};
        match (self, action) {
            (Open | Reopened, Acknowledge) => Ok(Acknowledged),
            (Open | Reopened | Acknowledged, Resolve) => Ok(Resolved),
            (Resolved, Reopen) => Ok(Reopened),
            (from, action) => Err(TransitionError { from, action }),
        }
    }

    /// Whether somebody still has to do something.
    pub fn is_active(self) -> bool {
        self != IncidentStatus::Resolved
    }
}

/// A signal that speaks for a cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Code of an alert or name of a series.
    pub name: String,
    /// How strongly.
    pub score: f64,
}

/// A cause with its evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// Whose fault.
    pub entity: EntityId,
    /// 0 to 1, relative within the incident.
    pub score: f64,
    /// What speaks for it.
    pub signals: Vec<Signal>,
    /// Why, naming the path.
    pub sentence: String,
}

/// One line of an incident's story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// Who: a room, a plugin or a principal.
    pub actor: String,
    /// What, in one sentence.
    pub text: String,
}

/// An incident as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: u64,
    /// The correlator that made it and its own key for it.
    pub correlator: String,
    /// See `correlator`.
    pub correlator_key: String,
    /// For people.
    pub title: String,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The worst severity of its alerts so far.
    pub severity: Severity,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it was resolved, when it is.
    pub resolved_at: Option<Timestamp>,
    /// When anything about it last changed.
    pub changed_at: Timestamp,
    /// Entities of its alerts, and those that depend on them and are services.
    pub entities: Vec<EntityId>,
    /// Its alerts.
    pub alerts: Vec<Fingerprint>,
    /// Evidence under it.
    pub findings: Vec<u64>,
    /// Most likely first.
    pub causes: Vec<Cause>,
    /// Its story, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// The incident into which it has gone up.
    pub merged_into: Option<u64>,
}

impl Record for Incident {
    const TABLE: &'static str = "incidents";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        self.id
    }
}

/// That an incident opened, resolved or reopened; what notifications read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentChange {
    /// Which incident.
    pub incident: u64,
    /// Its status after the change.
    pub status: IncidentStatus,
    /// When.
    pub at: Timestamp,
}

impl LogRecord for IncidentChange {
    const LOG: &'static str = "incident_changes";
    const VERSION: u16 = 1;
}
