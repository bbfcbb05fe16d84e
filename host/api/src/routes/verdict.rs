//! The two answers per service.

use crate::{
    error::{ApiError, ErrorBody},
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
}

/// The verdict of every service, or of one.
#[utoipa::path(get, path = "/api/v1/verdict", tag = "verdict", params(VerdictQuery),
    responses((status = OK, body = Vec<VerdictView>), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn all(
    State(state): State<ApiState>,
    Query(query): Query<VerdictQuery>,
) -> Result<Json<Vec<VerdictView>>, ApiError> {
    let at = state.clock.now();
    let service = query.service.clone();
    let found = tokio::task::spawn_blocking(move || {
        let read = state.store.read()?;
        tandem_verdict::verdicts(&read, service.as_deref(), at).map_err(|error| ApiError::internal(error.to_string()))
    })
    .await
    .map_err(|error| ApiError::internal(error.to_string()))??;
    match query.service {
        Some(service) if found.is_empty() => Err(ApiError::not_found("service", service, "/api/v1/verdict")),
        _ => Ok(Json(found.into_iter().map(VerdictView::from).collect())),
    }
}
