//! What an operator has a running server do: read its rule files again.

use crate::{
    error::{ApiError, ErrorBody, ErrorCode},
    state::ApiState,
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// What a reload came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reloaded {
    /// Groups of rules that are evaluated from now on.
    groups: usize,
}

async fn read_again(state: &ApiState) -> Result<Json<Reloaded>, ApiError> {
    let rules = state.rules.clone();
    let reloading = tokio::task::spawn_blocking(move || rules.reload());
    let reloaded = reloading.await.map_err(|broken| ApiError::internal(format!("a reload broke: {broken}")))?;
    if reloaded.bad.is_empty() {
        return Ok(Json(Reloaded { groups: reloaded.groups }));
    }
    let hint = "mend these files and reload again; what was known of them before goes on, and the good ones are taken";
    Err(ApiError::new(ErrorCode::BadRequest, reloaded.bad.join("\n"), hint))
}

/// Reads the rule files again, as SIGHUP does; rules that did not change keep their state. A bad file is told, with line and
/// reason, and goes on as it was.
#[utoipa::path(post, path = "/-/reload", tag = "prometheus",
    responses((status = OK, body = Reloaded), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn reload(State(state): State<ApiState>) -> Result<Json<Reloaded>, ApiError> {
    read_again(&state).await
}

/// As POST.
#[utoipa::path(put, path = "/-/reload", tag = "prometheus",
    responses((status = OK, body = Reloaded), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn put_reload(State(state): State<ApiState>) -> Result<Json<Reloaded>, ApiError> {
    read_again(&state).await
}

/// As POST, where Prometheus' paths begin with `/prometheus`.
#[utoipa::path(post, path = "/prometheus/-/reload", tag = "prometheus",
    responses((status = OK, body = Reloaded), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn prefixed_reload(State(state): State<ApiState>) -> Result<Json<Reloaded>, ApiError> {
    read_again(&state).await
}
