//! Turns for what costs most: so many queries at a time, so many that wait, and a time after which one that waits is told to
//! come again. Thousands of queries at once take no more memory than some do.

use crate::error::{ApiError, ErrorCode};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Queries at a time: more than there are cores to work on them only take memory from each other.
const AT_A_TIME: usize = 8;
/// Queries that may wait: what some dashboards ask at once, several times.
const MAX_WAITING: usize = 512;
/// How long one waits.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);
/// Where queries of Prometheus' API are asked.
const PROMETHEUS: &str = "/prometheus/api/v1/";
/// Where senders write by it.
const PROMETHEUS_WRITE: &str = "/prometheus/api/v1/write";
/// Where lines of logs are looked for.
const LOGS: &str = "/api/v1/logs";

/// The turns.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        let of = |permits: usize| Arc::new(Semaphore::new(permits));
        Self { working: of(AT_A_TIME), waiting: of(AT_A_TIME + MAX_WAITING) }
    }
}

fn refused(path: &str) -> Response {
    let message = format!("{AT_A_TIME} queries are worked on and {MAX_WAITING} may wait; this one found no turn");
    if !path.starts_with(PROMETHEUS) {
        return ApiError::new(ErrorCode::TooManyRequests, message, "ask again later").into_response();
    }
    // As Prometheus tells it.
    let body = json!({"status": "error", "errorType": "unavailable", "error": message});
    let mut answer = (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// The layer around all routes; what is no query passes.
pub(crate) async fn wait(State(turns): State<Turns>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_query = (path.starts_with(PROMETHEUS) && path != PROMETHEUS_WRITE) || path == LOGS;
    if !is_query {
        return next.run(request).await;
    }
    let path = path.to_owned();
    let Ok(_place) = turns.waiting.try_acquire() else { return refused(&path) };
    match tokio::time::timeout(TURN_TIMEOUT, turns.working.acquire()).await {
        Ok(Ok(_turn)) => next.run(request).await,
        _ => refused(&path),
    }
}
