//! Exemplars of the series that an expression selects.

use super::{
    answer::{Moment, error, labels_json, number_text, success},
    parameters::Parameters,
    working::working,
};
use crate::state::ApiState;
use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tandem_domain::{
    Timestamp,
    exemplar::Exemplar,
    series::{Labels, SeriesId},
};
use tandem_query::{ErrorKind, QueryError, QueryLimits, StoreSource, label_filter};

/// Exemplars told at once; more is no page, and the answer is made in memory.
const MAX_TOLD: usize = 100_000;

/// Series with their exemplars.
type Found = Vec<(Labels, Vec<Exemplar>)>;

fn exemplar_json(exemplar: &Exemplar) -> Value {
    let (labels, value) = (labels_json(&exemplar.labels), number_text(exemplar.value));
    json!({"labels": labels, "value": value, "timestamp": Moment(exemplar.at.0)})
}

/// The series that any of the selectors finds and that have exemplars in the time, by their labels; none where the expression
/// has no selector.
fn found(source: &StoreSource, query: &str, (start, end): (Timestamp, Timestamp)) -> Result<Option<Found>, QueryError> {
    let sets = tandem_query::selectors(query, &QueryLimits::default())?;
    if sets.is_empty() {
        return Ok(None);
    }
    let failed =
        |failed: tandem_store::ReadError| QueryError { kind: ErrorKind::Internal, message: failed.to_string() };
    let read = source.snapshot();
    let series: Vec<SeriesId> = read.select_series(&label_filter(&sets, None));
    let (mut found, mut told) = (Vec::new(), 0);
    for id in series.into_iter().filter(|id| read.has_exemplars(*id)) {
        let exemplars = read.exemplars(id, start, end).map_err(failed)?;
        told += exemplars.len();
        if told > MAX_TOLD {
            let message = format!("more than {MAX_TOLD} exemplars are asked for; ask for fewer series or less time");
            return Err(QueryError { kind: ErrorKind::BadData, message });
        }
        // A series that was removed since it was found is gone.
        if let (Some(labels), false) = (read.series_labels(id), exemplars.is_empty()) {
            found.push((labels, exemplars));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(Some(found))
}

async fn told(state: &ApiState, parameters: Parameters) -> Response {
    let query = parameters.get("query").unwrap_or_default().to_owned();
    let moments = parameters.moment("start").and_then(|start| Ok((start, parameters.moment("end")?)));
    let (start, end) = match moments {
        Ok((start, end)) => (start.map_or(Timestamp::MIN, Timestamp), end.map_or(Timestamp::MAX, Timestamp)),
        Err(failed) => return error(&failed),
    };
    if end < start {
        let message = "end timestamp must not be before start timestamp".to_owned();
        return error(&QueryError { kind: ErrorKind::BadData, message });
    }
    match working(state, move |source, _| found(source, &query, (start, end))).await {
        Err(failed) => error(&failed),
        // As Prometheus has it.
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some(found)) => {
            let one = |(labels, exemplars): &(Labels, Vec<Exemplar>)| {
                let exemplars: Vec<Value> = exemplars.iter().map(exemplar_json).collect();
                json!({"seriesLabels": labels_json(labels), "exemplars": exemplars})
            };
            success(found.iter().map(one).collect())
        }
    }
}

/// Exemplars of the series that an expression selects (`query`, `start`, `end`).
#[utoipa::path(get, path = "/prometheus/api/v1/query_exemplars", tag = "prometheus", responses((status = OK), (status = NO_CONTENT), (status = BAD_REQUEST)))]
pub(crate) async fn query_exemplars(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    told(&state, Parameters::of(asked.as_deref(), b"")).await
}

/// As GET, with the parameters in a form.
#[utoipa::path(post, path = "/prometheus/api/v1/query_exemplars", tag = "prometheus", responses((status = OK), (status = NO_CONTENT), (status = BAD_REQUEST)))]
pub(crate) async fn post_query_exemplars(
    State(state): State<ApiState>,
    RawQuery(asked): RawQuery,
    form: String,
) -> Response {
    told(&state, Parameters::of(asked.as_deref(), form.as_bytes())).await
}
