//! Ways to make a failure: by its code, or one constructor for each code.

use crate::types::{Failure, FailureCode};

/// A failure that the same call will meet again.
pub fn failure(code: FailureCode, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into(), retry: false }
}

/// A failure that may pass by itself.
pub fn passing_failure(code: FailureCode, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into(), retry: true }
}

impl Failure {
    /// The other side did not answer; a later call may succeed.
    pub fn unreachable(message: impl Into<String>) -> Self {
        passing_failure(FailureCode::Unreachable, message)
    }

    /// The other side, or the host for want of a grant, said no.
    pub fn refused(message: impl Into<String>) -> Self {
        failure(FailureCode::Refused, message)
    }

    /// What came back cannot be understood.
    pub fn malformed(message: impl Into<String>) -> Self {
        failure(FailureCode::Malformed, message)
    }

    /// The configuration or target is wrong; nothing but a person can mend it.
    pub fn misconfigured(message: impl Into<String>) -> Self {
        failure(FailureCode::Misconfigured, message)
    }

    /// The request is fine, but this plugin cannot do it.
    pub fn unsupported(message: impl Into<String>) -> Self {
        failure(FailureCode::Unsupported, message)
    }

    /// A fault in the plugin itself.
    pub fn internal(message: impl Into<String>) -> Self {
        failure(FailureCode::Internal, message)
    }
}
