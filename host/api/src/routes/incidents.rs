//! Incidents: alerts with one cause, their story, and what people do about them.

use super::{alerts::AlertView, entities::before_key};
use crate::{
    access::Principal,
    error::{ApiError, ErrorBody, ErrorCode},
    paging::{self, Page, PageQuery},
    state::ApiState,
    time,
};
use axum::{
    Extension, Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use tandem_aiops::{ActError, PersonAction};
use tandem_domain::{
    Severity,
    alert::Alert,
    incident::{Incident, IncidentStatus},
};
use tandem_store::ReadTx;
use utoipa::{IntoParams, ToSchema};

/// An incident as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentView {
    id: u64,
    title: String,
    /// `open`, `acknowledged`, `resolved` or `reopened`.
    #[schema(value_type = String)]
    status: IncidentStatus,
    /// `info`, `warning` or `critical`.
    #[schema(value_type = String)]
    severity: Severity,
    opened_at: String,
    resolved_at: Option<String>,
    changed_at: String,
    /// Entities of its alerts, and the services that depend on them.
    entities: Vec<String>,
    alerts: Vec<AlertView>,
    /// Evidence under it, by number.
    findings: Vec<u64>,
    /// Most likely first.
    causes: Vec<CauseView>,
    timeline: Vec<TimelineView>,
    merged_into: Option<u64>,
}

/// A cause with its evidence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CauseView {
    entity: String,
    /// 0 to 1, relative within the incident.
    score: f64,
    signals: Vec<SignalView>,
    sentence: String,
}

/// A signal that speaks for a cause.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignalView {
    signal: String,
    score: f64,
}

/// One line of an incident's story.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineView {
    at: String,
    actor: String,
    text: String,
}

fn view(read: &ReadTx, incident: Incident) -> Result<IncidentView, ApiError> {
    let mut alerts = Vec::with_capacity(incident.alerts.len());
    for fingerprint in &incident.alerts {
        alerts.extend(read.get::<Alert>(&fingerprint.0)?.map(AlertView::from));
    }
    let causes = incident.causes.into_iter().map(|cause| CauseView {
        entity: cause.entity.0,
        score: cause.score,
        signals: cause
            .signals
            .into_iter()
            .map(|signal| SignalView { signal: signal.name, score: signal.score })
            .collect(),
        sentence: cause.sentence,
    });
    let entry = |entry: tandem_domain::incident::TimelineEntry| TimelineView {
        at: time::write(entry.at),
        actor: entry.actor,
        text: entry.text,
    };
    Ok(IncidentView {
        id: incident.id,
        title: incident.title,
        status: incident.status,
        severity: incident.severity,
        opened_at: time::write(incident.opened_at),
        resolved_at: time::write_some(incident.resolved_at),
        changed_at: time::write(incident.changed_at),
        entities: incident.entities.into_iter().map(|entity| entity.0).collect(),
        alerts,
        findings: incident.findings,
        causes: causes.collect(),
        timeline: incident.timeline.into_iter().map(entry).collect(),
        merged_into: incident.merged_into,
    })
}

/// Which incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentFilter {
    /// Only those that are not resolved (true) or are (false).
    active: Option<bool>,
    /// Only those that touch this entity.
    entity: Option<String>,
}

/// Incidents, newest first; those that went up into another are left out.
#[utoipa::path(get, path = "/api/v1/incidents", tag = "incidents", params(IncidentFilter, PageQuery),
    responses((status = OK, body = Page<IncidentView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<IncidentFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<IncidentView>>, ApiError> {
    page.number()?;
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |before, limit| Ok(read.scan_back::<Incident>(before_key(before.and_then(|t| t.parse::<u64>().ok())), limit)?),
        |incident| incident.id.to_string(),
        |incident| {
            let fits = incident.merged_into.is_none()
                && filter.active.is_none_or(|active| active == incident.status.is_active())
                && filter.entity.as_ref().is_none_or(|id| incident.entities.iter().any(|entity| entity.0 == *id));
            fits.then_some(incident)
        },
    )?;
    let items = page.items.into_iter().map(|incident| view(&read, incident)).collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

/// One incident.
#[utoipa::path(get, path = "/api/v1/incidents/{id}", tag = "incidents", params(("id" = u64, Path)),
    responses((status = OK, body = IncidentView), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn one(State(state): State<ApiState>, Path(id): Path<u64>) -> Result<Json<IncidentView>, ApiError> {
    let read = state.store.read()?;
    let incident =
        read.get::<Incident>(&id)?.ok_or_else(|| ApiError::not_found("incident", id, "/api/v1/incidents"))?;
    Ok(Json(view(&read, incident)?))
}

/// Takes an incident: somebody is on it.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/acknowledge", tag = "incidents", params(("id" = u64, Path)),
    responses((status = OK, body = IncidentView), (status = NOT_FOUND, body = ErrorBody), (status = CONFLICT, body = ErrorBody)))]
pub(crate) async fn acknowledge(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<IncidentView>, ApiError> {
    change(&state, id, PersonAction::Acknowledge, &principal).await
}

/// Resolves an incident by hand.
#[utoipa::path(post, path = "/api/v1/incidents/{id}/resolve", tag = "incidents", params(("id" = u64, Path)),
    responses((status = OK, body = IncidentView), (status = NOT_FOUND, body = ErrorBody), (status = CONFLICT, body = ErrorBody)))]
pub(crate) async fn resolve(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<IncidentView>, ApiError> {
    change(&state, id, PersonAction::Resolve, &principal).await
}

async fn change(
    state: &ApiState,
    id: u64,
    action: PersonAction,
    principal: &Principal,
) -> Result<Json<IncidentView>, ApiError> {
    let incident =
        tandem_aiops::act(&state.store, id, action, &principal.name, state.clock.now()).await.map_err(|error| {
            match error {
                ActError::Unknown(id) => ApiError::not_found("incident", id, "/api/v1/incidents"),
                ActError::Transition(error) => {
                    ApiError::new(ErrorCode::Conflict, error.to_string(), "read the incident for where it stands")
                }
                ActError::Store(error) => error.into(),
            }
        })?;
    Ok(Json(view(&state.store.read()?, incident)?))
}
