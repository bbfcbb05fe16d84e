//! Queries: at one moment, and over a range.

use super::{
    answer::told,
    parameters::{Parameters, bad, step},
    working::working,
};
use crate::state::ApiState;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use tandem_query::{Answer, Engine, Grid, QueryError};

async fn instant(state: &ApiState, parameters: Parameters) -> Result<Answer, QueryError> {
    let query = parameters.required("query")?.to_owned();
    let at = parameters.moment("time")?.unwrap_or_else(|| state.clock.now().0);
    working(&state.store, move |source, limits| Engine::new(source, limits).instant(&query, at)).await
}

async fn ranged(state: &ApiState, parameters: Parameters) -> Result<Answer, QueryError> {
    let query = parameters.required("query")?.to_owned();
    let moment = |name: &str| parameters.moment(name)?.ok_or_else(|| bad(name, "it is missing"));
    let (start, end) = (moment("start")?, moment("end")?);
    let text = parameters.required("step")?;
    let step = step(text).ok_or_else(|| bad("step", &format!("{text:?} is no positive duration")))?;
    let grid = Grid { start, end, step };
    working(&state.store, move |source, limits| Engine::new(source, limits).range(&query, grid)).await
}

/// Evaluates a query at one moment (`query`, `time`).
#[utoipa::path(get, path = "/prometheus/api/v1/query", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn query(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    told(instant(&state, Parameters::of(asked.as_deref(), b"")).await)
}

/// As GET, with the parameters in a form.
#[utoipa::path(post, path = "/prometheus/api/v1/query", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn post_query(State(state): State<ApiState>, RawQuery(asked): RawQuery, form: String) -> Response {
    told(instant(&state, Parameters::of(asked.as_deref(), form.as_bytes())).await)
}

/// Evaluates a query over a range (`query`, `start`, `end`, `step`).
#[utoipa::path(get, path = "/prometheus/api/v1/query_range", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn query_range(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    told(ranged(&state, Parameters::of(asked.as_deref(), b"")).await)
}

/// As GET, with the parameters in a form.
#[utoipa::path(post, path = "/prometheus/api/v1/query_range", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn post_query_range(
    State(state): State<ApiState>,
    RawQuery(asked): RawQuery,
    form: String,
) -> Response {
    told(ranged(&state, Parameters::of(asked.as_deref(), form.as_bytes())).await)
}
