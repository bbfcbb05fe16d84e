//! Deployments: what should be served where, what the target says is served, and the state machine between.

use crate::{Failure, Record, Timestamp};
use serde::{Deserialize, Serialize};

/// What a target can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetAbilities {
    /// Whether traffic can be split.
    pub weighted: bool,
    /// In what steps.
    pub weight_step_basis_points: u32,
    /// Whether traffic can be mirrored.
    pub mirror: bool,
    /// Whether a revision can be drained.
    pub drain: bool,
    /// How many revisions it holds at once.
    pub max_revisions: u32,
}

/// A model version with what is needed to run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The model service.
    pub service: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The target's own keys.
    pub parameters: Vec<(String, String)>,
}

/// Where a revision stands at its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionPhase {
    /// Accepted, nothing has begun.
    Pending,
    /// Being loaded.
    Loading,
    /// Loaded, takes no traffic.
    Ready,
    /// Takes traffic.
    Serving,
    /// Could not be loaded or broke.
    Failed,
    /// No longer there.
    Gone,
}

/// What a target says of one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionState {
    /// The target's id for it.
    pub id: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Where it stands.
    pub phase: RevisionPhase,
    /// How many replicas answer.
    pub ready_replicas: u32,
    /// Traffic it should have.
    pub desired_basis_points: u32,
    /// Traffic it has.
    pub observed_basis_points: u32,
    /// Why, when it failed.
    pub message: String,
}

/// What a target says of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TargetObservation {
    /// Raised by the target at each change.
    pub generation: u64,
    /// All revisions it knows.
    pub revisions: Vec<RevisionState>,
    /// Where it can be reached.
    pub endpoints: Vec<String>,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentStatus {
    /// Asked for, not yet applied.
    Requested,
    /// Applied; the target has not said it is ready.
    Applying,
    /// The target says it is ready or serving.
    Live,
    /// The target refused or failed.
    Failed,
    /// Taken back.
    Aborted,
    /// Another deployment of the service took its place.
    Superseded,
}

/// A deployment as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its number; also the idempotency key given to the target.
    pub id: u64,
    /// The target plugin.
    pub plugin: String,
    /// The target's address, as configured or given.
    pub target: String,
    /// What to serve.
    pub revision: Revision,
    /// Where it stands.
    pub status: DeploymentStatus,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// When the target accepted it; how long it may load counts from here.
    #[serde(default)]
    pub applied_at: Option<Timestamp>,
    /// The target's id of the revision, once applied.
    pub revision_id: Option<String>,
    /// What the target last said.
    pub observed: Option<TargetObservation>,
    /// When it last said so.
    pub observed_at: Option<Timestamp>,
    /// Why the last call failed.
    pub failure: Option<Failure>,
    /// Tries that failed in a row.
    pub failures_in_a_row: u32,
}

impl Record for Deployment {
    const TABLE: &'static str = "deployments";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        self.id
    }
}
