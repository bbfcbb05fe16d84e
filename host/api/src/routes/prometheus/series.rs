//! Which series there are: their labels, names and values.

use super::{
    answer::{error, labels_json, warned},
    parameters::{Parameters, bad},
    working::working,
};
use crate::state::ApiState;
use axum::{
    extract::{Path, RawQuery, State},
    response::Response,
};
use serde_json::{Value, json};
use std::collections::HashSet;
use tandem_domain::Timestamp;
use tandem_query::{ErrorKind, QueryError, StoreSource, label_filter};
use tandem_store::LabelFilter;

/// Series in one answer when the caller sets no limit: some hundred megabytes of labels, and more is no page's.
const MAX_SERIES: usize = 500_000;

/// What a list of series, names or values is asked for with.
struct Asked {
    filter: LabelFilter,
    limit: Option<usize>,
}

impl Asked {
    /// From `match[]`, `start`, `end` and `limit`.
    fn of(parameters: &Parameters) -> Result<Self, QueryError> {
        let (start, end) = (parameters.moment("start")?, parameters.moment("end")?);
        let (first, last) = (start.unwrap_or(i64::MIN), end.unwrap_or(i64::MAX));
        if first > last {
            return Err(bad("end", "end timestamp must not be before start timestamp"));
        }
        let range = (start.is_some() || end.is_some()).then_some((Timestamp(first), Timestamp(last)));
        let sets = parameters.selectors()?;
        let matches_all = |set: &Vec<_>| set.iter().all(|matcher: &tandem_query::Matcher| matcher.is_match(""));
        if sets.iter().any(matches_all) {
            let message = "match[] must contain at least one non-empty matcher".to_owned();
            return Err(QueryError { kind: ErrorKind::BadData, message });
        }
        Ok(Self { filter: label_filter(&sets, range), limit: parameters.limit("limit")? })
    }
}

/// Answers a list, cut to the limit as Prometheus cuts it.
async fn list(
    state: &ApiState,
    asked: Result<Asked, QueryError>,
    find: impl FnOnce(&StoreSource, &LabelFilter, usize) -> Vec<Value> + Send + 'static,
) -> Response {
    let asked = match asked {
        Ok(asked) => asked,
        Err(failed) => return error(&failed),
    };
    let limit = asked.limit;
    let most = limit.unwrap_or(usize::MAX);
    let found = working(state, move |source, _| Ok(find(source, &asked.filter, most.saturating_add(1))));
    match found.await {
        Err(failed) => error(&failed),
        Ok(mut found) => {
            let cut = found.len() > most;
            found.truncate(most);
            warned(found.into(), cut.then(|| "results truncated due to limit".into()))
        }
    }
}

fn texts(found: Vec<String>, most: usize) -> Vec<Value> {
    found.into_iter().take(most).map(Value::from).collect()
}

async fn found_series(state: &ApiState, parameters: Parameters) -> Response {
    if !parameters.has("match[]") {
        let message = "no match[] parameter provided".to_owned();
        return error(&QueryError { kind: ErrorKind::BadData, message });
    }
    let asked = Asked::of(&parameters).map(|asked| Asked { limit: Some(asked.limit.unwrap_or(MAX_SERIES)), ..asked });
    list(state, asked, |source, filter, most| {
        // The same labels may be those of two targets' series, of which one names another's job.
        let mut met = HashSet::new();
        let different = source.labels(filter).filter(|labels| met.insert(labels.clone())).take(most);
        different.map(|labels| labels_json(&labels)).collect()
    })
    .await
}

async fn found_names(state: &ApiState, parameters: Parameters) -> Response {
    list(state, Asked::of(&parameters), |source, filter, most| texts(source.snapshot().label_names(filter), most)).await
}

/// The labels of the series that fit `match[]` (`start`, `end`, `limit`).
#[utoipa::path(get, path = "/prometheus/api/v1/series", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn series(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    found_series(&state, Parameters::of(asked.as_deref(), b"")).await
}

/// As GET, with the parameters in a form.
#[utoipa::path(post, path = "/prometheus/api/v1/series", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn post_series(State(state): State<ApiState>, RawQuery(asked): RawQuery, form: String) -> Response {
    found_series(&state, Parameters::of(asked.as_deref(), form.as_bytes())).await
}

/// The names of labels (`match[]`, `start`, `end`, `limit`).
#[utoipa::path(get, path = "/prometheus/api/v1/labels", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn labels(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    found_names(&state, Parameters::of(asked.as_deref(), b"")).await
}

/// As GET, with the parameters in a form.
#[utoipa::path(post, path = "/prometheus/api/v1/labels", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn post_labels(State(state): State<ApiState>, RawQuery(asked): RawQuery, form: String) -> Response {
    found_names(&state, Parameters::of(asked.as_deref(), form.as_bytes())).await
}

/// The values of a label (`match[]`, `start`, `end`, `limit`). A name that is no identifier is given in Prometheus' escape
/// (`U__…`).
#[utoipa::path(get, path = "/prometheus/api/v1/label/{name}/values", tag = "prometheus", params(("name" = String, Path)),
    responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn label_values(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    RawQuery(asked): RawQuery,
) -> Response {
    let name = unescaped(&name);
    let asked = Asked::of(&Parameters::of(asked.as_deref(), b""));
    list(&state, asked, move |source, filter, most| texts(source.snapshot().label_values(&name, filter), most)).await
}

/// A name as it is, from Prometheus' escape: `U__`, then `__` for a low line and `_1F600_` for a character by its number.
/// What is not well escaped is taken as it came.
fn unescaped(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let (mut plain, mut rest) = (String::new(), escaped);
    while let Some((before, after)) = rest.split_once('_') {
        plain.push_str(before);
        let Some((inside, more)) = after.split_once('_') else { return name.to_owned() };
        match inside {
            "" => plain.push('_'),
            number => match u32::from_str_radix(number, 16).ok().and_then(char::from_u32) {
                Some(character) if number.len() <= 6 => plain.push(character),
                _ => return name.to_owned(),
            },
        }
        rest = more;
    }
    plain + rest
}

/// The largest metrics and labels of the registry, in the JSON of Prometheus' page on its head (`limit`, 10 where nothing is
/// said). Chunks are pieces of series in blocks; times are those of the two-hour windows that have samples, and up to now.
#[utoipa::path(get, path = "/prometheus/api/v1/status/tsdb", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn statistics(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    let most = match Parameters::of(asked.as_deref(), b"").limit("limit") {
        Ok(most) => most.unwrap_or(10).min(10_000),
        Err(failed) => return error(&failed),
    };
    let told = working(&state, move |source, _| {
        let failed =
            |error: tandem_store::ReadError| QueryError { kind: ErrorKind::Internal, message: error.to_string() };
        let read = source.snapshot();
        let kept = read.blocks_kept().map_err(failed)?;
        Ok((read.series_statistics(most), kept, read.oldest_in_memory()))
    })
    .await;
    match told {
        Err(failed) => error(&failed),
        Ok((told, kept, in_memory)) => {
            let list = |entries: &[tandem_store::TopEntry]| -> Vec<Value> {
                entries.iter().map(|entry| json!({"name": entry.name, "value": entry.value})).collect()
            };
            let now = state.clock.now();
            let oldest = kept.oldest.into_iter().chain(in_memory).min();
            let newest = in_memory.map(|_| now).or(kept.newest.map(|newest| newest.min(now)));
            let head = json!({
                "numSeries": told.series, "numLabelPairs": told.label_pairs, "chunkCount": kept.pieces,
                "minTime": oldest.map_or(0, |at| at.0), "maxTime": newest.map_or(0, |at| at.0),
            });
            let data = json!({
                "headStats": head,
                "seriesCountByMetricName": list(&told.series_by_metric),
                "labelValueCountByLabelName": list(&told.values_by_label),
                "memoryInBytesByLabelName": list(&told.bytes_by_label),
                "seriesCountByLabelValuePair": list(&told.series_by_pair),
                "seriesCountByTarget": list(&told.series_by_target),
            });
            warned(data, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_their_escape() {
        for (escaped, plain) in [
            ("job", "job"),
            ("U__http_2e_route", "http.route"),
            ("U__a__b", "a_b"),
            ("U___1F600_", "😀"),
            ("U__broken_", "U__broken_"),
            ("U__broken_zz_", "U__broken_zz_"),
        ] {
            assert_eq!(unescaped(escaped), plain);
        }
    }
}
