//! The two answers for a service, and how they hang together.

use crate::{Record, Timestamp, cause::Direction, entity::EntityId, series::SeriesId};
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

/// Something that may be to blame for a service's trouble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Whose fault.
    pub entity: EntityId,
    /// What people call it.
    pub name: String,
    /// 0 to 1, relative within the answer.
    pub score: f64,
    /// Where the cause lies if it is this one.
    pub kind: CauseKind,
    /// Why, for people.
    pub sentence: String,
    /// From the service down to it.
    pub path: Vec<EntityId>,
    /// What speaks for it, strongest first.
    pub signals: Vec<CandidateSignal>,
}

/// A signal that speaks for a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CandidateSignal {
    /// Its name in the case: canonical name and dimensions.
    pub name: String,
    /// How far it left its course, in spreads of its own.
    pub score: f64,
    /// Which way.
    pub direction: Direction,
    /// The series it is made of.
    #[serde(default)]
    pub series: Vec<SeriesId>,
}

/// What trouble has cost so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Requests that failed since it began, as far as they were counted.
    pub failed_requests: f64,
    /// Requests that were answered too late.
    pub late_requests: f64,
    /// Predictions that disagreed with their label.
    pub wrong_predictions: f64,
    /// Predictions made since it began.
    pub predictions: u64,
}

/// What to do, as a word that machines can read and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// Such as `drain-node`, `roll-back`, `retrain`.
    pub action: String,
    /// What to do, naming what to do it with.
    pub sentence: String,
}

/// How far the cause is to be believed, and what it rests on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Grounds {
    /// Whether the named cause should be believed.
    pub confident: bool,
    /// 0 to 1.
    pub confidence: f64,
    /// Why it is not confident; empty when it is, or when there is nothing to explain.
    pub doubt: String,
    /// What else is to be known of the answer, in sentences: clocks that are off, senders that fell silent.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// Who may be to blame, most likely first.
    pub candidates: Vec<Candidate>,
    /// When the trouble began.
    pub onset: Option<Timestamp>,
    /// The kept case that was asked, by which the answer can be explained and asked again.
    pub case: Option<u64>,
    /// What it costs.
    pub cost: Option<Cost>,
    /// What to do.
    pub suggestion: Option<Suggestion>,
}

/// Both answers for one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// How far that is to be believed; nothing in verdicts that were kept before it was told.
    #[serde(default)]
    pub grounds: Grounds,
    /// The story that is played, where the service is a demonstration.
    #[serde(default)]
    pub demonstration: Option<String>,
}

/// Who tells alerts of what is to blame for users' trouble. Such an alert follows from a verdict, and no verdict from it.
pub const BLAMES: &str = "verdict";

/// Whom the verdict on a service in trouble blames, in brief: for those who put together what several services feel of one cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blame {
    /// The service's name.
    pub service: String,
    /// When it was asked last.
    pub asked_at: Timestamp,
    /// Whether the answer is one to wait for no longer: it is confident, or nobody can answer.
    pub settled: bool,
    /// What lies below the service and comes first among those to blame for what its users feel; none where nothing does.
    pub entity: Option<EntityId>,
    /// What contains it: of whose parts other services may name others.
    #[serde(default)]
    pub within: Vec<EntityId>,
    /// Why, in a sentence; empty where nothing is.
    pub sentence: String,
}

impl Record for Blame {
    const TABLE: &'static str = "verdict_blames";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.service.clone()
    }
}
