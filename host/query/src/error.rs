//! Why a query has no answer, in Prometheus' own kinds.

use crate::source::SourceError;

/// Prometheus' names for kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The query is wrong.
    BadData,
    /// It cannot be evaluated over these data, or beyond a limit.
    Execution,
    /// It took longer than allowed.
    Timeout,
    /// Whoever asked has left.
    Canceled,
    /// There is no room for it now; it may be asked again.
    Unavailable,
    /// The data could not be read.
    Internal,
}

impl ErrorKind {
    /// As in Prometheus' JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadData => "bad_data",
            Self::Execution => "execution",
            Self::Timeout => "timeout",
            Self::Canceled => "canceled",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Of which kind.
    pub kind: ErrorKind,
    /// For whoever asked.
    pub message: String,
}

impl QueryError {
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::BadData, message: message.into() }
    }

    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Execution, message: message.into() }
    }
}

impl From<SourceError> for QueryError {
    fn from(error: SourceError) -> Self {
        Self { kind: ErrorKind::Internal, message: error.0 }
    }
}
