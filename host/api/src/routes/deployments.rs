//! Deployments: asked for, listed, aborted.

use super::entities::before_key;
use crate::{
    error::{ApiError, ErrorBody, ErrorCode},
    paging::{self, Page, PageQuery},
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_domain::deployment::{Deployment, DeploymentStatus, Revision, RevisionPhase};
use tandem_mlops::deploy::{self, Aborting};
use utoipa::{IntoParams, ToSchema};

/// A deployment as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeploymentView {
    id: u64,
    plugin: String,
    target: String,
    service: String,
    model: String,
    version: String,
    parameters: BTreeMap<String, String>,
    /// `requested`, `applying`, `live`, `failed`, `aborted` or `superseded`.
    #[schema(value_type = String)]
    status: DeploymentStatus,
    requested_at: String,
    changed_at: String,
    /// The target's id of the revision, once applied.
    revision_id: Option<String>,
    /// What the target last said of its revisions.
    observed: Vec<RevisionView>,
    observed_at: Option<String>,
    endpoints: Vec<String>,
    failure: Option<String>,
}

/// What a target says of one revision.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevisionView {
    id: String,
    model: String,
    version: String,
    /// `pending`, `loading`, `ready`, `serving`, `failed` or `gone`.
    #[schema(value_type = String)]
    phase: RevisionPhase,
    ready_replicas: u32,
    desired_basis_points: u32,
    observed_basis_points: u32,
    message: String,
}

impl From<Deployment> for DeploymentView {
    fn from(deployment: Deployment) -> Self {
        let observed = deployment.observed.unwrap_or_default();
        let revision = |r: tandem_domain::deployment::RevisionState| RevisionView {
            id: r.id,
            model: r.model,
            version: r.version,
            phase: r.phase,
            ready_replicas: r.ready_replicas,
            desired_basis_points: r.desired_basis_points,
            observed_basis_points: r.observed_basis_points,
            message: r.message,
        };
        Self {
            id: deployment.id,
            plugin: deployment.plugin,
            target: deployment.target,
            service: deployment.revision.service,
            model: deployment.revision.model,
            version: deployment.revision.version,
            parameters: deployment.revision.parameters.into_iter().collect(),
            status: deployment.status,
            requested_at: time::write(deployment.requested_at),
            changed_at: time::write(deployment.changed_at),
            revision_id: deployment.revision_id,
            observed: observed.revisions.into_iter().map(revision).collect(),
            observed_at: time::write_some(deployment.observed_at),
            endpoints: observed.endpoints,
            failure: deployment.failure.map(|failure| failure.message),
        }
    }
}

/// What to serve where.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeploymentRequest {
    /// A deployment target plugin.
    plugin: String,
    /// The address of the target.
    target: String,
    /// The model service.
    service: String,
    model: String,
    #[serde(default)]
    version: String,
    /// The target's own keys.
    #[serde(default)]
    parameters: BTreeMap<String, String>,
}

/// Which deployments.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeploymentFilter {
    /// Only of this service.
    service: Option<String>,
}

/// Deployments, newest first.
#[utoipa::path(get, path = "/api/v1/deployments", tag = "deployments", params(DeploymentFilter, PageQuery),
    responses((status = OK, body = Page<DeploymentView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<DeploymentFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<DeploymentView>>, ApiError> {
    page.number()?;
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |before, limit| Ok(read.scan_back::<Deployment>(before_key(before.and_then(|t| t.parse::<u64>().ok())), limit)?),
        |deployment| deployment.id.to_string(),
        |d| filter.service.as_ref().is_none_or(|service| *service == d.revision.service).then(|| d.into()),
    )?;
    Ok(Json(page))
}

/// One deployment.
#[utoipa::path(get, path = "/api/v1/deployments/{id}", tag = "deployments", params(("id" = u64, Path)),
    responses((status = OK, body = DeploymentView), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn one(State(state): State<ApiState>, Path(id): Path<u64>) -> Result<Json<DeploymentView>, ApiError> {
    let deployment = state.store.read()?.get::<Deployment>(&id)?;
    deployment.map(|d| Json(d.into())).ok_or_else(|| ApiError::not_found("deployment", id, "/api/v1/deployments"))
}

/// Asks for a deployment; it is applied and observed from now on.
#[utoipa::path(post, path = "/api/v1/deployments", tag = "deployments", request_body = DeploymentRequest,
    responses((status = ACCEPTED, body = DeploymentView), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn request(
    State(state): State<ApiState>,
    Json(asked): Json<DeploymentRequest>,
) -> Result<(StatusCode, Json<DeploymentView>), ApiError> {
    let live: Vec<String> = state.targets.deployment_targets().into_iter().map(|plugin| plugin.name).collect();
    if !live.contains(&asked.plugin) {
        return Err(ApiError::bad_request(
            format!("there is no live deployment target {:?}", asked.plugin),
            format!("live ones are: {}", if live.is_empty() { "none".into() } else { live.join(", ") }),
        ));
    }
    for (name, value) in [("service", &asked.service), ("model", &asked.model), ("target", &asked.target)] {
        if value.is_empty() {
            return Err(ApiError::bad_request(format!("{name} is empty"), "say what to serve where"));
        }
    }
    let revision = Revision {
        service: asked.service,
        model: asked.model,
        version: asked.version,
        parameters: asked.parameters.into_iter().collect(),
    };
    let deployment = deploy::request(&state.store, asked.plugin, asked.target, revision, state.clock.now()).await?;
    Ok((StatusCode::ACCEPTED, Json(deployment.into())))
}

/// Aborts a deployment that is not live yet.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/abort", tag = "deployments", params(("id" = u64, Path)),
    responses((status = OK, body = DeploymentView), (status = NOT_FOUND, body = ErrorBody), (status = CONFLICT, body = ErrorBody)))]
pub(crate) async fn abort(
    State(state): State<ApiState>,
    Path(id): Path<u64>,
) -> Result<Json<DeploymentView>, ApiError> {
    match deploy::abort(&state.store, state.targets.as_ref(), id, state.clock.now()).await? {
        Aborting::Done(deployment) => Ok(Json((*deployment).into())),
        Aborting::Unknown => Err(ApiError::not_found("deployment", id, "/api/v1/deployments")),
        Aborting::TooLate(status) => Err(ApiError::new(
            ErrorCode::Conflict,
            format!("deployment {id} is {status:?} and cannot be aborted any more").to_lowercase(),
            "deploy the version you want instead",
        )),
    }
}
