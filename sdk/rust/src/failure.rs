//! One constructor for each code of a failure.

use crate::types::{Failure, FailureCode};

impl Failure {
    fn of(code: FailureCode, message: impl Into<String>, retry: bool) -> Self {
        Self { code, message: message.into(), retry }
    }

    /// The other side did not answer; a later call may succeed.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::of(FailureCode::Unreachable, message, true)
    }

    /// The other side, or the host for want of a grant, said no.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::of(FailureCode::Refused, message, false)
    }

    /// What came back cannot be understood.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::of(FailureCode::Malformed, message, false)
    }

    /// The configuration or target is wrong; nothing but a person can mend it.
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::of(FailureCode::Misconfigured, message, false)
    }

    /// The request is fine, but this plugin cannot do it.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::of(FailureCode::Unsupported, message, false)
    }

    /// A fault in the plugin itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::of(FailureCode::Internal, message, false)
    }
}
