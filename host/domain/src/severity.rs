//! How bad something is.

use serde::{Deserialize, Serialize};

/// How bad, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Needs somebody in working hours.
    Warning,
    /// Needs somebody now.
    Critical,
}
