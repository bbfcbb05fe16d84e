//! Payloads pushed to collectors.

use crate::{
    error::{ApiError, ErrorBody},
    state::ApiState,
};
use axum::{
    Json,
    body::Bytes,
    extract::{OriginalUri, Path, State},
    http::HeaderMap,
};
use serde::Serialize;
use tandem_domain::ports::Payload;
use utoipa::ToSchema;

/// Headers that are never shown to a plugin.
const CREDENTIAL_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-auth-token"];
/// Headers shown to a plugin.
const MAX_HEADERS: usize = 64;

/// What a collector made of a payload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceivedView {
    samples: u64,
    events: u64,
}

/// Hands a payload of any vendor to a collector, and keeps what it makes of it.
#[utoipa::path(post, path = "/hooks/{plugin}", tag = "hooks", params(("plugin" = String, Path)), request_body = Vec<u8>,
    responses((status = OK, body = ReceivedView), (status = BAD_REQUEST, body = ErrorBody), (status = SERVICE_UNAVAILABLE, body = ErrorBody)))]
pub(crate) async fn receive(
    State(state): State<ApiState>,
    Path(plugin): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<ReceivedView>, ApiError> {
    let shown = headers.iter().filter(|(name, _)| !CREDENTIAL_HEADERS.contains(&name.as_str())).take(MAX_HEADERS);
    let headers = shown.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned()))).collect();
    let payload = Payload { path: uri.path().to_owned(), headers, body: body.to_vec() };
    let recorded = state.receiver.receive(&plugin, payload).await?;
    Ok(Json(ReceivedView { samples: recorded.samples, events: recorded.events }))
}
