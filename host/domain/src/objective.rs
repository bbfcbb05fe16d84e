//! What a service promises to those who use it, and how it keeps that: the symptoms that users feel.

use crate::{Record, Severity, Timestamp, entity::EntityId};
use serde::{Deserialize, Serialize};

/// What is counted as good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Indicator {
    /// A request that was answered.
    Availability,
    /// A request that was answered within a time.
    Latency {
        /// The time, in seconds.
        within_seconds: f64,
    },
    /// A prediction that agreed with its label.
    Quality,
}

impl Indicator {
    /// Its name in keys and alerts; a service has at most one objective of each.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::Latency { .. } => "latency",
            Self::Quality => "quality",
        }
    }
}

/// A share of good among all that a service shall reach over [`BUDGET_DAYS`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// What is counted.
    pub indicator: Indicator,
    /// The share, above 0 and below 1.
    pub target: f64,
}

/// Days over which an objective allows its share of bad.
pub const BUDGET_DAYS: i64 = 30;

impl Objective {
    /// The share of bad that it allows.
    pub fn allowed(&self) -> f64 {
        1.0 - self.target
    }
}

/// Who told alerts of objectives.
pub const OBJECTIVES: &str = "objectives";

/// What was counted over some time until now.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// How many minutes back.
    pub minutes: i64,
    /// Share of them in which it was counted at all, 0 to 1: a service that is new has no past.
    pub covered: f64,
    /// Good ones.
    pub good: f64,
    /// All.
    pub total: f64,
}

impl Counted {
    /// Bad ones; a counter that was set back never makes it negative.
    pub fn bad(&self) -> f64 {
        (self.total - self.good).max(0.0)
    }

    /// All, had there been as many in the time before it was counted.
    pub fn total_of_all_minutes(&self) -> f64 {
        if self.covered > 0.0 { self.total / self.covered } else { self.total }
    }

    /// Share of bad; none where nothing was counted.
    pub fn bad_share(&self) -> Option<f64> {
        (self.total > 0.0).then(|| self.bad() / self.total)
    }
}

/// Whether an objective is kept at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeping {
    /// It is, or so little is bad that it says nothing.
    Kept,
    /// Its budget is spent too fast.
    Burning,
    /// Nothing was counted lately.
    Unknown,
}

/// How a service keeps one of its objectives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveStanding {
    /// The service's name.
    pub service: String,
    /// The objective.
    pub objective: Objective,
    /// As of when.
    pub at: Timestamp,
    /// Whether it is kept.
    pub keeping: Keeping,
    /// How bad it is, when it is not.
    pub severity: Option<Severity>,
    /// Since when it is so.
    pub since: Timestamp,
    /// What was counted, the shortest time first.
    pub counted: Vec<Counted>,
    /// In one sentence.
    pub sentence: String,
    /// Replicas through which users feel it; empty when it is all of them, or nobody knows whose it is.
    #[serde(default)]
    pub of: Vec<EntityId>,
    /// Where it is held against what was usual, and not only against what the operator promised.
    #[serde(default)]
    pub learned: Option<Learned>,
}

/// What was usual of a service, and what is now.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Learned {
    /// What was usual: seconds of a request, or a share of failures or of labels that agreed, 0 to 1.
    pub usual: f64,
    /// What it is now, in the same unit: of the worst replica where some are named.
    pub now: f64,
    /// Share of requests (or of labelled predictions) that are concerned, 0 to 1.
    pub share: f64,
    /// The model's version that is worse, `model@version`; only of quality.
    pub version: Option<String>,
    /// The version it was held against, where that is another.
    pub against: Option<String>,
}

impl Record for ObjectiveStanding {
    const TABLE: &'static str = "objective_standings";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.service.clone(), self.objective.indicator.name().into())
    }
}
