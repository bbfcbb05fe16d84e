//! Which series there are: their labels, names and values.

use super::{
    answer::{error, labels_json, success},
    parameters::{Parameters, bad},
    working::working,
};
use crate::state::ApiState;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tandem_domain::series::Labels;

/// Something of the labels of series that fit `match[]`.
async fn of_labels(
    state: &ApiState,
    asked: Option<&str>,
    of: impl Fn(&Labels) -> Vec<Value> + Send + 'static,
) -> Response {
    let selectors = match Parameters::of(asked, b"").selectors() {
        Ok(selectors) => selectors,
        Err(failed) => return error(&failed),
    };
    let found = working(&state.store, move |source, _| {
        let all: Vec<Value> = source.labels(&selectors).flat_map(&of).collect();
        Ok(all)
    });
    match found.await {
        Ok(found) => success(found.into()),
        Err(failed) => error(&failed),
    }
}

/// The values that are texts, each once and sorted.
async fn distinct(
    state: &ApiState,
    asked: Option<&str>,
    of: impl Fn(&Labels) -> Vec<String> + Send + 'static,
) -> Response {
    let selectors = match Parameters::of(asked, b"").selectors() {
        Ok(selectors) => selectors,
        Err(failed) => return error(&failed),
    };
    let found = working(&state.store, move |source, _| {
        let all: BTreeSet<String> = source.labels(&selectors).flat_map(&of).collect();
        Ok(all)
    });
    match found.await {
        Ok(found) => success(json!(found)),
        Err(failed) => error(&failed),
    }
}

/// The labels of the series that fit `match[]`.
#[utoipa::path(get, path = "/prometheus/api/v1/series", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn series(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    if !Parameters::of(asked.as_deref(), b"").0.iter().any(|(name, _)| name == "match[]") {
        return error(&bad("match[]", "no match[] parameter provided"));
    }
    of_labels(&state, asked.as_deref(), |labels| vec![labels_json(labels)]).await
}

/// The names of labels.
#[utoipa::path(get, path = "/prometheus/api/v1/labels", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn labels(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    distinct(&state, asked.as_deref(), |labels| labels.iter().map(|(name, _)| name.to_owned()).collect()).await
}

/// The values of a label.
#[utoipa::path(get, path = "/prometheus/api/v1/label/{name}/values", tag = "prometheus", params(("name" = String, Path)),
    responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn label_values(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    RawQuery(asked): RawQuery,
) -> Response {
    distinct(&state, asked.as_deref(), move |labels| labels.get(&name).map(str::to_owned).into_iter().collect()).await
}
