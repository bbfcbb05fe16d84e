//! Predictions and labels: taken in, and listed.

use crate::{
    error::{ApiError, ErrorBody},
    paging::{self, Page, PageQuery},
    state::ApiState,
    time,
};
use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_domain::prediction::{FeatureValue, Prediction};
use tandem_mlops::monitor;
use tandem_wire::prediction as wire;
use utoipa::{IntoParams, ToSchema};

/// What became of what was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TakenView {
    /// Kept now, durably.
    accepted: u64,
    /// There already, by service and id; nothing was changed.
    duplicates: u64,
    /// Could not be used.
    rejected: u64,
    /// The first of them: line (or position in the array) and reason.
    rejections: Vec<RejectionView>,
}

/// An item that could not be used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectionView {
    line: usize,
    reason: String,
}

fn taken(taken: monitor::Taken, rejected: usize, rejections: Vec<(usize, String)>) -> Json<TakenView> {
    let rejections = rejections.into_iter().map(|(line, reason)| RejectionView { line, reason }).collect();
    Json(TakenView { accepted: taken.accepted, duplicates: taken.duplicates, rejected: rejected as u64, rejections })
}

/// Nothing usable in a body that is not empty is an error of the whole request.
fn nothing_usable(accepted: usize, rejections: &[(usize, String)]) -> Result<(), ApiError> {
    match rejections.first() {
        Some((line, reason)) if accepted == 0 => Err(ApiError::bad_request(
            format!("no item could be used; the first, at {line}: {reason}"),
            "send JSON lines or an array of objects with at least `service` and `id`",
        )),
        _ => Ok(()),
    }
}

/// Takes predictions in, as JSON lines or an array: `{"service","model","version","id","at","replica","features",
/// "prediction","score","low","high"}`. Acknowledged means durable; the same service and id again changes nothing. A number
/// agrees with its label when that lies from `low` to `high`; without them, when both are the same.
#[utoipa::path(post, path = "/api/v1/predictions", tag = "predictions",
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = OK, body = TakenView), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn accept(State(state): State<ApiState>, body: Bytes) -> Result<Json<TakenView>, ApiError> {
    let read = wire::predictions(&body, state.clock.now(), time::read);
    nothing_usable(read.items.len(), &read.rejections)?;
    let kept = monitor::take_predictions(&state.store, read.items).await?;
    Ok(taken(kept, read.rejected, read.rejections))
}

/// Takes labels in, as JSON lines or an array: `{"service","id","label","at"}`.
#[utoipa::path(post, path = "/api/v1/labels", tag = "predictions",
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = OK, body = TakenView), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn accept_labels(State(state): State<ApiState>, body: Bytes) -> Result<Json<TakenView>, ApiError> {
    let read = wire::labels(&body, state.clock.now(), time::read);
    nothing_usable(read.items.len(), &read.rejections)?;
    let kept = monitor::take_labels(&state.store, read.items).await?;
    Ok(taken(kept, read.rejected, read.rejections))
}

/// One answer of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PredictionView {
    service: String,
    model: String,
    version: String,
    id: String,
    at: String,
    replica: String,
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    features: BTreeMap<String, FeatureValue>,
    #[schema(value_type = serde_json::Value)]
    prediction: FeatureValue,
    score: Option<f64>,
    /// The band that the truth is expected in, of a number.
    low: Option<f64>,
    high: Option<f64>,
}

/// Which predictions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PredictionFilter {
    /// Only of this service.
    service: Option<String>,
}

/// Predictions in the order they came, newest first.
#[utoipa::path(get, path = "/api/v1/predictions", tag = "predictions", params(PredictionFilter, PageQuery),
    responses((status = OK, body = Page<PredictionView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<PredictionFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<PredictionView>>, ApiError> {
    page.number()?;
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |before, limit| {
            Ok(read.log_before::<Prediction>(before.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX), limit)?)
        },
        |(sequence, _)| sequence.to_string(),
        |(_, prediction)| {
            filter.service.as_ref().is_none_or(|service| *service == prediction.service).then(|| PredictionView {
                service: prediction.service,
                model: prediction.model,
                version: prediction.version,
                id: prediction.id,
                at: time::write(prediction.at),
                replica: prediction.replica,
                features: prediction.features,
                prediction: prediction.prediction,
                score: prediction.score,
                low: prediction.band.map(|band| band.low),
                high: prediction.band.map(|band| band.high),
            })
        },
    )?;
    Ok(Json(page))
}
