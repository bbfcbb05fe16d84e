//! The two pages of the web console, made on the server: the overview, and one for each incident. No script and nothing from
//! elsewhere: they work in any browser, on a phone, in the dark, and load themselves again.

mod chart;
mod evidence;
mod figures;
mod grounds;
mod incident;
mod incident_reading;
mod overview;
mod page;
mod reading;
mod telling;
#[cfg(test)]
mod tests;

use crate::{access::Principal, error::ApiError, state::ApiState};
use axum::{
    Extension,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use maud::html;
use serde::Deserialize;
use tandem_aiops::{ActError, PersonAction};

/// How much is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct ShowQuery {
    /// `all` for everything that is there.
    show: Option<String>,
}

/// The page at `/`.
pub(crate) async fn overview(
    State(state): State<ApiState>,
    Query(query): Query<ShowQuery>,
) -> Result<Html<String>, ApiError> {
    let now = state.clock.now();
    let everything = query.show.as_deref() == Some("all");
    let plugins = state.catalogue.statuses();
    let reading = tokio::task::spawn_blocking(move || reading::Overview::read(&state.store, plugins, now, everything))
        .await
        .map_err(|error| ApiError::internal(format!("rendering the overview: {error}")))??;
    Ok(Html(overview::render(&reading).into_string()))
}

/// The page of an incident.
pub(crate) async fn incident(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let now = state.clock.now();
    let Ok(number) = id.parse::<u64>() else { return Ok(no_incident(&id, now)) };
    let reading = tokio::task::spawn_blocking(move || incident_reading::IncidentPage::read(&state.store, number, now))
        .await
        .map_err(|error| ApiError::internal(format!("rendering an incident: {error}")))??;
    Ok(match reading {
        Some(page) => Html(incident::render(&page).into_string()).into_response(),
        None => no_incident(&id, now),
    })
}

fn no_incident(id: &str, now: tandem_domain::Timestamp) -> Response {
    let content = html! {
        section.headline.unknown { h1 { "There is no incident #" (id) "." } p { a href="/" { "See those that are open" } "." } }
    };
    (StatusCode::NOT_FOUND, Html(page::frame("No such incident", now, &content).into_string())).into_response()
}

/// The button by which a person takes an incident.
pub(crate) async fn acknowledge(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Redirect, ApiError> {
    act(&state, id, PersonAction::Acknowledge, &principal).await
}

/// The button by which a person says that an incident is over.
pub(crate) async fn resolve(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Redirect, ApiError> {
    act(&state, id, PersonAction::Resolve, &principal).await
}

/// Does it, and shows the page again; one that was changed meanwhile, such as by the end of its alerts, is shown as it stands.
async fn act(state: &ApiState, id: u64, action: PersonAction, principal: &Principal) -> Result<Redirect, ApiError> {
    match tandem_aiops::act(&state.store, id, action, &principal.name, state.clock.now()).await {
        Ok(_) | Err(ActError::Transition(_)) => Ok(Redirect::to(&format!("/incidents/{id}"))),
        Err(ActError::Unknown(id)) => Err(ApiError::not_found("incident", id, "/api/v1/incidents")),
        Err(ActError::Store(error)) => Err(error.into()),
    }
}

/// The style sheet of both pages.
pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("console.css"))
}
