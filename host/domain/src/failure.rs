//! Failures as they cross the boundary to plugins and the network: a code, a text, and whether to retry.

use serde::{Deserialize, Serialize};

/// Why something could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureCode {
    /// The other side did not answer.
    Unreachable,
    /// The other side, or the host for want of a grant, said no.
    Refused,
    /// What came back cannot be understood.
    Malformed,
    /// Configuration or target is wrong; a person must mend it.
    Misconfigured,
    /// The request is fine, but cannot be done here.
    Unsupported,
    /// A fault in the component itself.
    Internal,
}

/// A failure: what is wrong, where, and what to do; and whether the same call may succeed later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The closed set of reasons.
    pub code: FailureCode,
    /// For people; never holds a secret.
    pub message: String,
    /// Whether the same call may succeed later.
    pub retry: bool,
}

impl Failure {
    /// A failure that will not go away by itself.
    pub fn lasting(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry: false }
    }

    /// A failure that may go away by itself.
    pub fn passing(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry: true }
    }
}
