//! Liveness, readiness, own metrics, and the answer to a path that does not exist.

use crate::{error::ApiError, state::ApiState};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tandem_domain::plugin::PluginState;
use utoipa::ToSchema;

/// How the server stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    ready: bool,
    /// Plugins that are live.
    plugins_live: usize,
    /// Plugins that are not, with their state in one word.
    plugins_not_live: Vec<String>,
    /// Forwards whose receiver does not take what it is sent, with what it says.
    forwards_failing: Vec<String>,
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = OK, body = String)))]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// The store is open, and every plugin has been tried. A plugin or a forward that failed does not make the server unready.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = OK, body = Ready), (status = SERVICE_UNAVAILABLE, body = Ready)))]
pub(crate) async fn ready(State(state): State<ApiState>) -> Response {
    let statuses = state.catalogue.statuses();
    let (live, rest): (Vec<_>, Vec<_>) = statuses.iter().partition(|status| status.state == PluginState::Live);
    let ready = state.readiness.get() && state.store.read().is_ok();
    let body = Ready {
        ready,
        plugins_live: live.len(),
        plugins_not_live: rest
            .iter()
            .map(|s| format!("{}: {}", s.name, super::plugins::state_word(&s.state)))
            .collect(),
        forwards_failing: super::forwards::failing(&state.forwards.statuses()),
    };
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body)).into_response()
}

/// Own metrics in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = OK, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render()).into_response()
}

/// What a path that does not exist is told.
pub(crate) async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::not_found("route", uri.path(), "/api/v1/openapi.json")
}
