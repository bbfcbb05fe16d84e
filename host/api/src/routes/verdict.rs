//! The two answers per service.

use crate::{
    error::{ApiError, ErrorBody},
    paging::{self, Page, PageQuery},
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use tandem_domain::{
    Timestamp,
    verdict::{CauseKind, Health, Verdict},
};
use tandem_store::ReadTx;
use utoipa::{IntoParams, ToSchema};

/// Both answers for one service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerdictView {
    service: String,
    at: String,
    model: ModelView,
    infrastructure: InfrastructureView,
    cause: CauseView,
}

/// Is the model working?
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelView {
    /// `ok`, `degraded` or `unknown`.
    #[schema(value_type = String)]
    state: Health,
    since: Option<String>,
    evidence: Vec<String>,
}

/// Is the infrastructure behind it healthy?
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InfrastructureView {
    /// `ok`, `degraded` or `unknown`.
    #[schema(value_type = String)]
    state: Health,
    since: Option<String>,
    /// Active incidents on the service's dependency path.
    incidents: Vec<u64>,
}

/// How the answers hang together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CauseView {
    /// `model`, `data`, `infrastructure`, `both`, `none` or `unknown`.
    #[schema(value_type = String)]
    kind: CauseKind,
    entity: Option<String>,
    sentence: String,
}

impl From<Verdict> for VerdictView {
    fn from(verdict: Verdict) -> Self {
        Self {
            service: verdict.service,
            at: time::write(verdict.at),
            model: ModelView {
                state: verdict.model.state,
                since: time::write_some(verdict.model.since),
                evidence: verdict.model.evidence,
            },
            infrastructure: InfrastructureView {
                state: verdict.infrastructure.state,
                since: time::write_some(verdict.infrastructure.since),
                incidents: verdict.infrastructure.incidents,
            },
            cause: CauseView {
                kind: verdict.cause,
                entity: verdict.cause_entity.map(|entity| entity.0),
                sentence: verdict.sentence,
            },
        }
    }
}

/// All verdicts; also what the overview shows.
pub(crate) fn verdicts_now(read: &ReadTx, at: Timestamp) -> Result<Vec<Verdict>, ApiError> {
    tandem_verdict::verdicts(read, None, at).map_err(|error| ApiError::internal(error.to_string()))
}

/// For which service.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VerdictQuery {
    /// Only this service.
    service: Option<String>,
    /// As it was said at this moment, RFC 3339 or Unix seconds; now when absent.
    at: Option<String>,
}

/// Of which service, and how far back.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// The service.
    service: String,
}

fn moment(text: &str) -> Result<Timestamp, ApiError> {
    let hint = "give RFC 3339, such as 2026-11-24T15:00:00Z, or Unix seconds";
    time::read(text).ok_or_else(|| ApiError::bad_request(format!("at = {text:?} is no moment"), hint))
}

/// What was said at a moment.
fn said(read: &ReadTx, service: Option<&str>, at: Timestamp) -> Result<Vec<Verdict>, ApiError> {
    Ok(match service {
        Some(service) => tandem_verdict::as_of(read, service, at)?.into_iter().collect(),
        None => tandem_verdict::all_as_of(read, at)?,
    })
}

/// The verdict of every service, or of one: of now, or as it was said at a moment, with when it was first said.
#[utoipa::path(get, path = "/api/v1/verdict", tag = "verdict", params(VerdictQuery),
    responses((status = OK, body = Vec<VerdictView>), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn all(
    State(state): State<ApiState>,
    Query(query): Query<VerdictQuery>,
) -> Result<Json<Vec<VerdictView>>, ApiError> {
    let past = query.at.as_deref().map(moment).transpose()?;
    let at = state.clock.now();
    let service = query.service.clone();
    let found = tokio::task::spawn_blocking(move || {
        let read = state.store.read()?;
        if let Some(past) = past.filter(|past| *past < at) {
            return said(&read, service.as_deref(), past);
        }
        tandem_verdict::verdicts(&read, service.as_deref(), at).map_err(|error| ApiError::internal(error.to_string()))
    })
    .await
    .map_err(|error| ApiError::internal(error.to_string()))??;
    match query.service {
        Some(service) if found.is_empty() => Err(ApiError::not_found("service", service, "/api/v1/verdict")),
        _ => Ok(Json(found.into_iter().map(VerdictView::from).collect())),
    }
}

/// What was said of a service, newest first: each verdict that differed from the one before it.
#[utoipa::path(get, path = "/api/v1/verdict/history", tag = "verdict", params(HistoryQuery, PageQuery),
    responses((status = OK, body = Page<VerdictView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn history(
    State(state): State<ApiState>,
    Query(query): Query<HistoryQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<VerdictView>>, ApiError> {
    page.number()?;
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |before, limit| {
            let before = before.and_then(|text| text.parse().ok()).map_or(Timestamp::MAX, Timestamp);
            Ok(tandem_verdict::before(&read, &query.service, before, limit)?)
        },
        |verdict| verdict.at.0.to_string(),
        |verdict| Some(verdict.into()),
    )?;
    Ok(Json(page))
}
