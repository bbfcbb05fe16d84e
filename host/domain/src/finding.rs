//! Findings: stretches of time in which a series was odd. Evidence, never an alarm by itself.

use crate::{Record, Timestamp, entity::EntityId, series::SeriesId};
use serde::{Deserialize, Serialize};

/// An anomaly of one series (or group) from its first odd point until it has been quiet again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Its number, given by the detect room.
    pub id: u64,
    /// The detector plugin.
    pub detector: String,
    /// The detector's content digest.
    pub detector_digest: String,
    /// Members of the group, those with the largest share first.
    pub series: Vec<SeriesId>,
    /// Whose series.
    pub entity: EntityId,
    /// Canonical name of the series.
    pub name: String,
    /// First odd point.
    pub started_at: Timestamp,
    /// Last odd point, once it has been quiet.
    pub ended_at: Option<Timestamp>,
    /// Highest score so far.
    pub score: f64,
    /// The value at the highest score, in canonical units.
    pub value: f64,
    /// The band expected there; NaN when the detector gives none.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// Odd points so far.
    pub points: u64,
}

impl Record for Finding {
    const TABLE: &'static str = "findings";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        self.id
    }
}
