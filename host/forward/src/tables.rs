//! How far a forward has come, as it is kept.

use crate::arrivals::Arrivals;
use serde::{Deserialize, Serialize};
use tandem_domain::{Record, Timestamp};

/// A stretch of time that the log no longer holds and that is read from the chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Samples later than this moment …
    pub from: Timestamp,
    /// … and up to this one are sent from the chunks.
    pub until: Timestamp,
    /// Where the part that is being sent begins.
    pub part_from: Timestamp,
    /// The series of this part that comes next.
    pub next_series: u64,
}

/// How far a forward has come; committed with its cursor, after the receiver's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardRecord {
    /// The forward.
    pub name: String,
    /// The newest batch that is settled: delivered, or dropped for a reason that was counted.
    pub through: u64,
    /// Up to where the round goes that is being sent. After a crash the same samples are cut into the same requests, so that
    /// a receiver that takes a request as a whole has each either whole or not at all.
    pub sending_through: Option<u64>,
    /// The newest moment among that batch's samples: from where the chunks are read should the log be trimmed.
    pub reached: Option<Timestamp>,
    /// What is read from the chunks before the log goes on.
    pub gap: Option<Gap>,
    /// When batches arrived that are not settled.
    pub(crate) arrivals: Arrivals,
}

impl ForwardRecord {
    /// One that begins after a batch.
    pub(crate) fn beginning(name: &str, through: u64) -> Self {
        Self {
            name: name.to_owned(),
            through,
            sending_through: None,
            reached: None,
            gap: None,
            arrivals: Arrivals::default(),
        }
    }

    /// The cursor by which the store knows what is still to be read.
    pub fn cursor(name: &str) -> String {
        format!("samples/forward-{name}")
    }
}

impl Record for ForwardRecord {
    const TABLE: &'static str = "forwards";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.name.clone()
    }
}
