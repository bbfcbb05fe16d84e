//! Targets: where series come from, and how the last attempt went.

use super::entities::after_key;
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
use serde::Serialize;
use std::collections::BTreeMap;
use tandem_domain::target::{Door, TargetStatus};
use utoipa::ToSchema;

/// A target as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TargetView {
    job: String,
    instance: String,
    labels: BTreeMap<String, String>,
    /// `scrape`, `collect` or `push`.
    #[schema(value_type = String)]
    door: Door,
    plugin: Option<String>,
    /// Absent until it was tried.
    up: Option<bool>,
    last_attempt_at: Option<String>,
    last_success_at: Option<String>,
    last_duration_seconds: f64,
    last_samples: u64,
    /// Lines and samples of the last success that were rejected.
    last_rejected: u64,
    /// Why, when there were any.
    rejection: Option<String>,
    /// Why the last attempt failed.
    failure: Option<String>,
    failures_in_a_row: u32,
}

impl From<TargetStatus> for TargetView {
    fn from(status: TargetStatus) -> Self {
        Self {
            labels: status.info.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            job: status.info.key.job,
            instance: status.info.key.instance,
            door: status.door,
            plugin: status.plugin,
            up: status.last_attempt_at.map(|_| status.failure.is_none()),
            last_attempt_at: time::write_some(status.last_attempt_at),
            last_success_at: time::write_some(status.last_success_at),
            last_duration_seconds: status.last_duration_millis as f64 / 1000.0,
            last_samples: status.last_samples,
            last_rejected: status.last_rejected,
            rejection: status.rejection,
            failure: status.failure.map(|failure| failure.message),
            failures_in_a_row: status.failures_in_a_row,
        }
    }
}

/// All targets, by job and instance.
#[utoipa::path(get, path = "/api/v1/targets", tag = "targets", params(PageQuery),
    responses((status = OK, body = Page<TargetView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TargetView>>, ApiError> {
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |after, limit| {
            let after = after.and_then(|text| text.split_once('\n')).map(|(a, b)| (a.to_owned(), b.to_owned()));
            Ok(read.scan::<TargetStatus>(after_key(after), limit)?)
        },
        |status| format!("{}\n{}", status.info.key.job, status.info.key.instance),
        |status| Some(status.into()),
    )?;
    Ok(Json(page))
}
