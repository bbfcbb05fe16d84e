//! Deleting series, as Prometheus' admin API does it.

use super::{
    answer::error,
    parameters::{Parameters, bad},
    working::working,
};
use crate::{access::Principal, state::ApiState};
use axum::{
    Extension,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tandem_domain::{Timestamp, deletion::SeriesDeletion, series::SeriesId};
use tandem_query::{ErrorKind, QueryError, label_filter};

/// What is to be deleted.
struct Asked {
    matchers: Vec<String>,
    sets: Vec<Vec<tandem_query::Matcher>>,
    start: Timestamp,
    end: Timestamp,
    /// Whether nothing of the series is left.
    whole: bool,
}

impl Asked {
    fn of(parameters: &Parameters, now: Timestamp) -> Result<Self, QueryError> {
        let (start, end) = (parameters.moment("start")?, parameters.moment("end")?);
        let sets = parameters.selectors()?;
        if sets.is_empty() {
            let message = "no match[] parameter provided".to_owned();
            return Err(QueryError { kind: ErrorKind::BadData, message });
        }
        if start.unwrap_or(i64::MIN) > end.unwrap_or(i64::MAX) {
            return Err(bad("end", "end timestamp must not be before start timestamp"));
        }
        let matchers = parameters.0.iter().filter(|(name, _)| name == "match[]").map(|(_, text)| text.clone());
        Ok(Self {
            matchers: matchers.collect(),
            sets,
            start: start.map_or(Timestamp::MIN, Timestamp),
            // What is sent from now on is not meant.
            end: end.map_or(now, |end| Timestamp(end).min(now)),
            whole: start.is_none() && end.is_none_or(|end| end >= now.0),
        })
    }
}

async fn delete(state: &ApiState, principal: &Principal, parameters: Parameters) -> Result<(), QueryError> {
    let now = state.clock.now();
    let Asked { matchers, sets, start, end, whole } = Asked::of(&parameters, now)?;
    let found: Vec<SeriesId> = working(state, move |source, _| {
        let range = (!whole).then_some((start, end));
        Ok(source.snapshot().select_series(&label_filter(&sets, range)))
    })
    .await?;
    let deletion = SeriesDeletion {
        at: now,
        principal: principal.name.clone(),
        matchers,
        from: (!whole).then_some(start).filter(|start| *start != Timestamp::MIN),
        to: end,
        series: found.len() as u64,
    };
    tracing::info!(principal = deletion.principal, series = deletion.series, whole, "series are deleted");
    let written = state.store.write(move |tx| {
        if whole {
            tx.delete_series(&found, now)?;
        } else {
            tx.delete_samples(&found, start, end)?;
        }
        tx.append(&deletion).map(drop)
    });
    written.await.map_err(|error| QueryError { kind: ErrorKind::Internal, message: error.to_string() })
}

async fn answered(state: &ApiState, principal: &Principal, parameters: Parameters) -> Response {
    match delete(state, principal, parameters).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(failed) => error(&failed),
    }
}

/// Deletes what the series that fit `match[]` have from `start` to `end` (both included; until now, and from the beginning,
/// where they are not given). Series of which nothing is left are removed. Who did it is kept in the log of deletions.
#[utoipa::path(post, path = "/prometheus/api/v1/admin/tsdb/delete_series", tag = "prometheus",
    responses((status = NO_CONTENT), (status = BAD_REQUEST)))]
pub(crate) async fn delete_series(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    RawQuery(asked): RawQuery,
    form: String,
) -> Response {
    answered(&state, &principal, Parameters::of(asked.as_deref(), form.as_bytes())).await
}

/// As POST.
#[utoipa::path(put, path = "/prometheus/api/v1/admin/tsdb/delete_series", tag = "prometheus",
    responses((status = NO_CONTENT), (status = BAD_REQUEST)))]
pub(crate) async fn put_delete_series(
    State(state): State<ApiState>,
    Extension(principal): Extension<Principal>,
    RawQuery(asked): RawQuery,
    form: String,
) -> Response {
    answered(&state, &principal, Parameters::of(asked.as_deref(), form.as_bytes())).await
}
