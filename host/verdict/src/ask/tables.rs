//! What the room keeps: the last answer for each service in trouble, and the cases that were asked, so that an answer can be
//! explained and asked again.

use super::trouble::{Trigger, Trouble};
use serde::{Deserialize, Serialize};
use tandem_domain::{
    Failure, Record, Timestamp,
    cause::{Case, Ranking},
    series::SeriesId,
    verdict::Candidate,
};

/// The last answer for a service in trouble; gone when the trouble is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The service's name.
    pub service: String,
    /// The kept case.
    pub case: u64,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When the trouble began.
    pub onset: Timestamp,
    /// Why it was asked.
    pub triggers: Vec<Trigger>,
    /// Predictions that had been made of the service when the trouble was first seen.
    pub predictions_before: u64,
    /// What is to be known of the senders' clocks.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// The answer, or why there is none.
    pub outcome: Result<Answer, Failure>,
}

/// An answer in terms that outlive the case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the first candidate should be believed.
    pub confident: bool,
    /// 0 to 1.
    pub confidence: f64,
    /// Why it is not confident; empty when it is.
    pub doubt: String,
    /// Most likely first.
    pub candidates: Vec<Candidate>,
}

impl Diagnosis {
    /// Whether it was asked about this trouble, and not about one that began otherwise.
    pub(crate) fn is_about(&self, trouble: &Trouble) -> bool {
        Trouble::signature_of(&self.triggers) == trouble.signature()
    }
}

impl Record for Diagnosis {
    const TABLE: &'static str = "verdict_diagnoses";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.service.clone()
    }
}

/// A case as it was asked, with who answered what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptCase {
    /// Its number.
    pub id: u64,
    /// The service it is about.
    pub service: String,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Why.
    pub triggers: Vec<Trigger>,
    /// The plugin that was asked.
    pub plugin: String,
    /// Its version.
    pub plugin_version: String,
    /// Its content digest.
    pub plugin_digest: String,
    /// What it was asked.
    pub case: Case,
    /// By the number of each signal, the series it is made of.
    pub series: Vec<Vec<SeriesId>>,
    /// What is to be known of the senders' clocks.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// What it answered, or why it did not.
    pub outcome: Result<Ranking, Failure>,
}

impl Record for KeptCase {
    const TABLE: &'static str = "verdict_cases";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        self.id
    }
}
