//! Drift reports, newest first.

use super::entities::before_key;
use crate::{
    error::{ApiError, ErrorBody},
    paging::{self, Page, PageQuery},
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use tandem_domain::drift::{ColumnDrift, Drift, DriftReport, DriftState, is_answer};
use utoipa::{IntoParams, ToSchema};

/// A comparison of recent predictions with a reference.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DriftReportView {
    id: u64,
    service: String,
    model: String,
    version: String,
    at: String,
    reference_start: String,
    reference_end: String,
    current_start: String,
    current_end: String,
    /// `stable`, `drifted`, `insufficient-data` or `failed`.
    #[schema(value_type = String)]
    state: DriftState,
    columns: Vec<ColumnDriftView>,
    /// The version whose last predictions are the reference; absent where it is the version's own first ones.
    reference_version: Option<String>,
    /// Columns that moved by the word of most metrics, or whose values went missing.
    moved: Vec<String>,
}

/// One metric's answer for one column, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ColumnDriftView {
    /// Absent for all columns together.
    column: Option<String>,
    /// `answer` for what the model said, `input` for what it was given.
    role: Option<&'static str>,
    plugin: String,
    result: Option<DriftView>,
    failure: Option<String>,
}

/// A measured drift, with all that is needed to compute it again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DriftView {
    method: String,
    method_version: String,
    binning: String,
    log_base: String,
    smoothing: String,
    value: Option<f64>,
    p_value: Option<f64>,
    threshold: Option<f64>,
    drifted: bool,
    reference_count: u64,
    current_count: u64,
}

impl From<Drift> for DriftView {
    fn from(drift: Drift) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        Self {
            method: drift.method.id,
            method_version: drift.method.version,
            binning: drift.method.binning,
            log_base: drift.method.log_base,
            smoothing: drift.method.smoothing,
            value: finite(drift.value),
            p_value: drift.p_value,
            threshold: finite(drift.threshold),
            drifted: drift.drifted,
            reference_count: drift.reference_count,
            current_count: drift.current_count,
        }
    }
}

impl From<ColumnDrift> for ColumnDriftView {
    fn from(line: ColumnDrift) -> Self {
        let (result, failure) = match line.outcome {
            Ok(drift) => (Some(drift.into()), None),
            Err(failure) => (None, Some(failure.message)),
        };
        let role = line.column.as_deref().map(|name| if is_answer(name) { "answer" } else { "input" });
        Self { column: line.column, role, plugin: line.plugin, result, failure }
    }
}

impl From<DriftReport> for DriftReportView {
    fn from(report: DriftReport) -> Self {
        Self {
            moved: report.moved().into_iter().map(str::to_owned).collect(),
            reference_version: report.reference_version.clone(),
            id: report.id,
            service: report.service,
            model: report.model,
            version: report.version,
            at: time::write(report.at),
            reference_start: time::write(report.reference.0),
            reference_end: time::write(report.reference.1),
            current_start: time::write(report.current.0),
            current_end: time::write(report.current.1),
            state: report.state,
            columns: report.columns.into_iter().map(ColumnDriftView::from).collect(),
        }
    }
}

/// Which reports.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DriftFilter {
    /// Only of this service.
    service: Option<String>,
}

/// Drift reports, newest first.
#[utoipa::path(get, path = "/api/v1/drift", tag = "drift", params(DriftFilter, PageQuery),
    responses((status = OK, body = Page<DriftReportView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<DriftFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<DriftReportView>>, ApiError> {
    page.number()?;
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |before, limit| {
            Ok(read.scan_back::<DriftReport>(before_key(before.and_then(|t| t.parse::<u64>().ok())), limit)?)
        },
        |report| report.id.to_string(),
        |report| filter.service.as_ref().is_none_or(|service| *service == report.service).then(|| report.into()),
    )?;
    Ok(Json(page))
}

/// One drift report.
#[utoipa::path(get, path = "/api/v1/drift/{id}", tag = "drift", params(("id" = u64, Path)),
    responses((status = OK, body = DriftReportView), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn one(State(state): State<ApiState>, Path(id): Path<u64>) -> Result<Json<DriftReportView>, ApiError> {
    let report = state.store.read()?.get::<DriftReport>(&id)?;
    report.map(|report| Json(report.into())).ok_or_else(|| ApiError::not_found("drift report", id, "/api/v1/drift"))
}
