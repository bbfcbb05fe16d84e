//! What people deleted, for whoever asks later where it went.

use crate::{LogRecord, Timestamp};
use serde::{Deserialize, Serialize};

/// Samples or whole series were deleted by a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesDeletion {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub principal: String,
    /// The selectors as they were given.
    pub matchers: Vec<String>,
    /// The first moment deleted; none from the beginning on.
    pub from: Option<Timestamp>,
    /// The last moment deleted.
    pub to: Timestamp,
    /// How many series were met.
    pub series: u64,
}

impl LogRecord for SeriesDeletion {
    const LOG: &'static str = "series_deletions";
    const VERSION: u16 = 1;
}
