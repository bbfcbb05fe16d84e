//! Bodies of senders on their way in: memory is asked of one budget before a body is read, and a body that comes too slowly
//! is given up, so that neither many nor slow senders cost more memory than the budget.

use crate::error::{ApiError, ErrorCode};
use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt, Limited};
use std::{sync::Arc, time::Duration};
use tandem_gather::sent::SentError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest body as posted, in bytes; decompressed ones have a limit of their own.
const MAX_BODY_BYTES: usize = 32 << 20;
/// What a body without a declared length is held to, in bytes: senders that stream send a few megabytes.
const UNDECLARED_BODY_BYTES: usize = 4 << 20;
/// All bodies under way together, in kibibytes as posted: with what they become in memory some ten times that.
const BUDGET_KIB: usize = 96 << 10;
/// What the smallest body counts for, in kibibytes, since each costs its buffers.
const LEAST_KIB: usize = 16;
/// How long a body may take to arrive.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a sender waits for room before it is asked to come again.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);

/// Memory for bodies under way.
#[derive(Debug, Clone)]
pub struct IngestBudget(Arc<Semaphore>);

impl Default for IngestBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BUDGET_KIB)))
    }
}

/// A body with its share of the budget, held until the body is done with.
pub(crate) struct Posted {
    pub headers: HeaderMap,
    pub body: Bytes,
    _room: OwnedSemaphorePermit,
}

impl Posted {
    /// A header's text.
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl IngestBudget {
    async fn read(&self, headers: HeaderMap, body: Body) -> Result<Posted, ApiError> {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if let Some(bytes) = declared.filter(|bytes| *bytes > MAX_BODY_BYTES) {
            return Err(too_long(format!("the body has {bytes} bytes, and at most {MAX_BODY_BYTES} are taken")));
        }
        let bytes = declared.unwrap_or(UNDECLARED_BODY_BYTES);
        let share = u32::try_from((bytes >> 10).max(LEAST_KIB)).unwrap_or(u32::MAX);
        let room = tokio::time::timeout(ROOM_TIMEOUT, self.0.clone().acquire_many_owned(share)).await;
        let Ok(Ok(room)) = room else {
            return Err(ApiError::new(
                ErrorCode::TooManyRequests,
                "too many bodies are being taken in at present; nothing of this one was kept",
                "send it again later",
            ));
        };
        let reading = tokio::time::timeout(ARRIVAL_TIMEOUT, Limited::new(body, bytes).collect());
        let body = match reading.await {
            Ok(Ok(collected)) => collected.to_bytes(),
            Ok(Err(_)) if declared.is_none() => {
                return Err(too_long(format!(
                    "a body without Content-Length may have {UNDECLARED_BODY_BYTES} bytes, and this one is longer or broke off"
                )));
            }
            Ok(Err(error)) => {
                return Err(ApiError::bad_request(format!("the body broke off: {error}"), "send it again"));
            }
            Err(_) => {
                return Err(ApiError::new(
                    ErrorCode::RequestTimeout,
                    format!("the body did not arrive within {} s", ARRIVAL_TIMEOUT.as_secs()),
                    "send less at once",
                ));
            }
        };
        Ok(Posted { headers, body, _room: room })
    }
}

fn too_long(message: String) -> ApiError {
    ApiError::new(ErrorCode::PayloadTooLarge, message, "send less at once, or declare the length")
}

impl FromRequest<crate::state::ApiState> for Posted {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &crate::state::ApiState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        state.ingest.read(parts.headers, body).await
    }
}

impl From<SentError> for ApiError {
    fn from(error: SentError) -> Self {
        match error {
            SentError::TooLong(message) => too_long(message),
            SentError::Unsupported(message) => {
                ApiError::new(ErrorCode::UnsupportedMediaType, message, "see docs/operations.md for what is taken")
            }
            SentError::Malformed(message) => ApiError::bad_request(message, "nothing of the body was kept"),
            SentError::Store(error) => error.into(),
        }
    }
}
