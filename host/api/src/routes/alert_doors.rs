//! The doors for alerts that others found: we are an Alertmanager for Prometheus, and a receiver for Alertmanager.

use crate::{
    error::{ApiError, ErrorBody},
    ingest::Posted,
    state::ApiState,
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
};
use serde::Serialize;
use tandem_aiops::alert::told;
use tandem_domain::alert::ToldAlert;
use tandem_gather::sent::{Opened, SentError};
use tandem_wire::{
    alertmanager::{self, AlertNotice, AlertsError, Notices},
    limits::WireLimits,
};
use utoipa::ToSchema;

/// What was taken in of a body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToldView {
    accepted: u64,
    rejected: u64,
    /// Why, when there were any.
    rejection: Option<String>,
}

impl From<AlertsError> for ApiError {
    fn from(error: AlertsError) -> Self {
        let told = error.to_string();
        match error {
            AlertsError::TooLong { .. } => SentError::TooLong(told).into(),
            AlertsError::Malformed(_) | AlertsError::Version(_) => SentError::Malformed(told).into(),
        }
    }
}

/// Whose fingerprints these are; an alert keeps its identity whichever of the two doors it comes by.
const TELLER: &str = "alertmanager";

fn told_by(notice: AlertNotice) -> ToldAlert {
    ToldAlert {
        source: TELLER.into(),
        fingerprint: notice.fingerprint,
        state: notice.state,
        labels: notice.labels,
        annotations: notice.annotations,
        started_at: notice.started_at,
        ends_at: notice.ends_at,
    }
}

async fn take(state: &ApiState, notices: Notices) -> Result<Json<ToldView>, ApiError> {
    let accepted = notices.alerts.len() as u64;
    let (rejected, rejection) = (notices.rejections.total(), notices.rejections.sentence());
    told::tell(&state.store, notices.alerts.into_iter().map(told_by).collect()).await?;
    Ok(Json(ToldView { accepted, rejected, rejection }))
}

async fn opened<'p>(state: &ApiState, posted: &'p Posted) -> Result<Opened<'p>, SentError> {
    let limit = WireLimits::default().json_bytes;
    state.sent.open(posted.header(header::CONTENT_ENCODING), &posted.body, limit).await
}

/// Takes alerts in as an Alertmanager does (API v2), so that a Prometheus can name this server as one. An alert that is not
/// posted again until its end is over then.
#[utoipa::path(post, path = "/alertmanager/api/v2/alerts", tag = "senders",
    request_body(content = String, content_type = "application/json"),
    responses((status = OK, body = ToldView), (status = BAD_REQUEST, body = ErrorBody), (status = TOO_MANY_REQUESTS, body = ErrorBody)))]
pub(crate) async fn posted(State(state): State<ApiState>, posted: Posted) -> Result<Json<ToldView>, ApiError> {
    let notices = alertmanager::posted(&opened(&state, &posted).await?, state.clock.now(), &WireLimits::default())?;
    if let (0, Some(why)) = (notices.alerts.len(), notices.rejections.sentence()) {
        return Err(ApiError::bad_request(why, "nothing of the body was kept"));
    }
    take(&state, notices).await
}

/// Takes an Alertmanager's webhook in (version 4).
#[utoipa::path(post, path = "/hooks/alertmanager", tag = "senders",
    request_body(content = String, content_type = "application/json"),
    responses((status = OK, body = ToldView), (status = BAD_REQUEST, body = ErrorBody), (status = TOO_MANY_REQUESTS, body = ErrorBody)))]
pub(crate) async fn webhook(State(state): State<ApiState>, posted: Posted) -> Result<Json<ToldView>, ApiError> {
    let webhook = alertmanager::webhook(&opened(&state, &posted).await?, state.clock.now(), &WireLimits::default())?;
    take(&state, webhook.notices).await
}

/// What an Alertmanager's clients ask before they send.
#[utoipa::path(get, path = "/alertmanager/-/ready", tag = "senders", responses((status = OK)))]
pub(crate) async fn ready() -> StatusCode {
    StatusCode::OK
}
