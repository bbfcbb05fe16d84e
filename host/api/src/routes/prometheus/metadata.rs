//! Type, help and unit of metrics.

use super::{
    answer::{error, success},
    parameters::Parameters,
    working::working,
};
use crate::state::ApiState;
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{metadata::MetricMetadata, series::MetricType};
use tandem_query::{ErrorKind, QueryError, StoreSource};

fn type_name(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
        MetricType::Summary => "summary",
        MetricType::Info => "info",
        MetricType::Unknown => "unknown",
    }
}

/// What senders declared, and for metrics of which nothing was, what their series say; those that say nothing are left out.
fn known(source: &StoreSource, wanted: Option<&str>) -> Result<BTreeMap<String, MetricMetadata>, QueryError> {
    let failed =
        |failed: tandem_store::ReadError| QueryError { kind: ErrorKind::Internal, message: failed.to_string() };
    let read = source.snapshot();
    let mut found: BTreeMap<String, MetricMetadata> = match wanted {
        Some(family) => read.get::<MetricMetadata>(&family.to_owned()).map_err(failed)?.into_iter().collect(),
        None => read.scan::<MetricMetadata>(.., usize::MAX).map_err(failed)?,
    }
    .into_iter()
    .map(|one: MetricMetadata| (one.family.clone(), one))
    .collect();
    let declared: BTreeSet<String> = found.keys().cloned().collect();
    for series in read.one_series_of_each_metric() {
        let family = series.family();
        if series.metric_type == MetricType::Unknown || wanted.is_some_and(|wanted| wanted != family) {
            continue;
        }
        // A counter `x` of OpenMetrics has the series `x_total`; what is declared of `x` is the word on it.
        let is_part = |suffix: &str| family.strip_suffix(suffix).is_some_and(|stem| declared.contains(stem));
        if ["_total", "_created", "_info", "_bucket", "_sum", "_count"].into_iter().any(is_part) {
            continue;
        }
        let (family, metric_type, unit) = (family.to_owned(), series.metric_type, series.unit.clone());
        let one = || MetricMetadata { family: family.clone(), metric_type, unit, help: String::new() };
        found.entry(family.clone()).or_insert_with(one);
    }
    Ok(found)
}

/// Type, help and unit of metrics (`metric`, `limit`, `limit_per_metric`), as senders declared them last.
#[utoipa::path(get, path = "/prometheus/api/v1/metadata", tag = "prometheus", responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn metadata(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    let parameters = Parameters::of(asked.as_deref(), b"");
    // What is kept is the last word on each, so that a limit for each has nothing to cut.
    let limits = parameters.limit("limit").and_then(|limit| parameters.limit("limit_per_metric").map(|_| limit));
    let limit = match limits {
        Ok(limit) => limit.unwrap_or(usize::MAX),
        Err(failed) => return error(&failed),
    };
    let wanted = parameters.get("metric").filter(|metric| !metric.is_empty()).map(str::to_owned);
    match working(&state, move |source, _| known(source, wanted.as_deref())).await {
        Err(failed) => error(&failed),
        Ok(found) => {
            let one =
                |one: MetricMetadata| json!([{"type": type_name(one.metric_type), "help": one.help, "unit": one.unit}]);
            let told: Map<String, Value> =
                found.into_iter().take(limit).map(|(family, metadata)| (family, one(metadata))).collect();
            success(told.into())
        }
    }
}
