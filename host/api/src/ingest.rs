//! Bodies of senders on their way in: memory is asked of one budget before a body is read, and a body that comes too slowly
//! is given up, so that neither many nor slow senders cost more memory than the budget.

use crate::error::{ApiError, ErrorCode};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
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

/// What of it bodies of logs may have, in kibibytes: however many come, other senders find room.
const LOGS_BUDGET_KIB: usize = 32 << 10;
/// Where logs are posted.
const LOGS_PATH: &str = "/v1/logs";

/// Memory for bodies under way.
#[derive(Debug, Clone)]
pub struct IngestBudget {
    all: Arc<Semaphore>,
    logs: Arc<Semaphore>,
}

impl Default for IngestBudget {
    fn default() -> Self {
        let of = |kibibytes: usize| Arc::new(Semaphore::new(kibibytes));
        Self { all: of(BUDGET_KIB - LOGS_BUDGET_KIB), logs: of(LOGS_BUDGET_KIB) }
    }
}

/// A body that has arrived.
pub(crate) struct Posted {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Posted {
    /// A header's text.
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl IngestBudget {
    /// Waits for room, then for the body.
    async fn read(
        &self,
        path: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, OwnedSemaphorePermit), ApiError> {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        if let Some(bytes) = declared.filter(|bytes| *bytes > MAX_BODY_BYTES) {
            return Err(too_long(format!("the body has {bytes} bytes, and at most {MAX_BODY_BYTES} are taken")));
        }
        let bytes = declared.unwrap_or(UNDECLARED_BODY_BYTES);
        let share = u32::try_from((bytes >> 10).max(LEAST_KIB)).unwrap_or(u32::MAX);
        let budget = if path == LOGS_PATH { &self.logs } else { &self.all };
        let room = tokio::time::timeout(ROOM_TIMEOUT, budget.clone().acquire_many_owned(share)).await;
        let Ok(Ok(room)) = room else {
            return Err(ApiError::new(
                ErrorCode::TooManyRequests,
                "too many bodies are being taken in at present; nothing of this one was kept",
                "send it again later",
            ));
        };
        match tokio::time::timeout(ARRIVAL_TIMEOUT, Limited::new(body, bytes).collect()).await {
            Ok(Ok(collected)) => Ok((collected.to_bytes(), room)),
            Ok(Err(_)) if declared.is_none() => Err(too_long(format!(
                "a body without Content-Length may have {UNDECLARED_BODY_BYTES} bytes, and this one is longer or broke off"
            ))),
            Ok(Err(error)) => Err(ApiError::bad_request(format!("the body broke off: {error}"), "send it again")),
            Err(_) => Err(ApiError::new(
                ErrorCode::RequestTimeout,
                format!("the body did not arrive within {} s", ARRIVAL_TIMEOUT.as_secs()),
                "send less at once",
            )),
        }
    }
}

/// The layer around all routes: a body is read before its route is asked, within time and budget; its share is held until
/// it is answered.
pub(crate) async fn arrive(State(budget): State<IngestBudget>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    match budget.read(parts.uri.path(), &parts.headers, body).await {
        Ok((body, _room)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(refused) => refused.into_response(),
    }
}

fn too_long(message: String) -> ApiError {
    ApiError::new(ErrorCode::PayloadTooLarge, message, "send less at once, or declare the length")
}

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = ApiError;
    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        // It has arrived already, within its limits.
        let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await;
        let body =
            body.map_err(|error| ApiError::bad_request(format!("the body broke off: {error}"), "send it again"))?;
        Ok(Posted { headers: parts.headers, body })
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
            SentError::Busy(message) => ApiError::new(ErrorCode::TooManyRequests, message, "send it again later"),
            SentError::Store(error) => error.into(),
        }
    }
}
