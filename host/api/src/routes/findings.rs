//! Findings: evidence that a series was odd.

use super::entities::before_key;
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
use tandem_domain::finding::Finding;
use utoipa::{IntoParams, ToSchema};

/// A stretch of time in which a series was odd.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FindingView {
    id: u64,
    detector: String,
    series: Vec<u64>,
    entity: String,
    /// Canonical name of the series.
    name: String,
    started_at: String,
    /// Absent while it lasts.
    ended_at: Option<String>,
    /// The highest so far; 1 and more is anomalous.
    score: f64,
    /// At the highest score, in the canonical unit.
    value: Option<f64>,
    /// The band expected there.
    low: Option<f64>,
    high: Option<f64>,
    /// Odd points so far.
    points: u64,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        let finite = |value: f64| value.is_finite().then_some(value);
        Self {
            id: finding.id,
            detector: finding.detector,
            series: finding.series.into_iter().map(|series| series.0).collect(),
            entity: finding.entity.0,
            name: finding.name,
            started_at: time::write(finding.started_at),
            ended_at: time::write_some(finding.ended_at),
            score: finding.score,
            value: finite(finding.value),
            low: finite(finding.low),
            high: finite(finding.high),
            points: finding.points,
        }
    }
}

/// Which findings.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FindingFilter {
    /// Only of this entity.
    entity: Option<String>,
    /// Only those that last (true) or are over (false).
    active: Option<bool>,
}

/// Findings, newest first.
#[utoipa::path(get, path = "/api/v1/findings", tag = "findings", params(FindingFilter, PageQuery),
    responses((status = OK, body = Page<FindingView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<FindingFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<FindingView>>, ApiError> {
    page.number()?;
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |before, limit| {
            Ok(read.scan_back::<Finding>(before_key(before.and_then(|text| text.parse::<u64>().ok())), limit)?)
        },
        |finding| finding.id.to_string(),
        |finding| {
            let fits = filter.entity.as_ref().is_none_or(|id| *id == finding.entity.0)
                && filter.active.is_none_or(|active| active == finding.ended_at.is_none());
            fits.then(|| finding.into())
        },
    )?;
    Ok(Json(page))
}
