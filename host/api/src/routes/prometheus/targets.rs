//! What is scraped, and how it goes: `targets` and `scrape_pools`.

use super::{
    answer::{error, success},
    parameters::{Parameters, bad},
};
use crate::{state::ApiState, time};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use serde_json::{Map, Value, json};
use tandem_gather::{
    Period,
    scrape::{ActiveTarget, ScrapePool},
};
use tandem_wire::relabel::LabelMap;

/// How Prometheus writes that something never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn labels_json(labels: &LabelMap) -> Value {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>().into()
}

fn active_json(target: &ActiveTarget) -> Value {
    let last = target.last();
    let health = match (&last.error, last.at) {
        (Some(_), _) => "down",
        (None, Some(_)) => "up",
        (None, None) => "unknown",
    };
    json!({
        "discoveredLabels": labels_json(&target.discovered()),
        "labels": labels_json(&target.labels),
        "scrapePool": target.pool,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": last.error.unwrap_or_default(),
        "lastScrape": time::write_some(last.at).unwrap_or_else(|| NEVER.to_owned()),
        "lastScrapeDuration": last.duration.as_secs_f64(),
        "health": health,
        "scrapeInterval": Period(target.interval).to_string(),
        "scrapeTimeout": Period(target.timeout).to_string(),
    })
}

/// Targets that are scraped, and those that relabelling dropped (`state`: `active`, `dropped` or `any`; `scrapePool`).
#[utoipa::path(get, path = "/prometheus/api/v1/targets", tag = "prometheus",
    params(("state" = Option<String>, Query), ("scrapePool" = Option<String>, Query)),
    responses((status = OK), (status = BAD_REQUEST)))]
pub(crate) async fn targets(State(state): State<ApiState>, RawQuery(asked): RawQuery) -> Response {
    let parameters = Parameters::of(asked.as_deref(), b"");
    let wanted = parameters.get("state").unwrap_or_default().to_lowercase();
    if !["", "any", "active", "dropped"].contains(&wanted.as_str()) {
        return error(&bad("state", &format!("{wanted:?} is none of active, dropped, any")));
    }
    let pool = parameters.get("scrapePool").filter(|name| !name.is_empty());
    let pools: Vec<(String, ScrapePool)> =
        state.scraped.pools().into_iter().filter(|(name, _)| pool.is_none_or(|wanted| wanted == name)).collect();
    let mut data = json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}});
    if wanted != "dropped" {
        let active = pools.iter().flat_map(|(_, pool)| &pool.active);
        data["activeTargets"] = active.map(|target| active_json(target)).collect();
    }
    if wanted != "active" {
        let one = |labels: &LabelMap, pool: &str| json!({"discoveredLabels": labels_json(labels), "scrapePool": pool});
        let dropped = pools.iter().flat_map(|(name, pool)| pool.dropped.iter().map(move |labels| one(labels, name)));
        data["droppedTargets"] = dropped.collect();
        let counts = pools.iter().map(|(name, pool)| (name.clone(), Value::from(pool.dropped_count)));
        data["droppedTargetCounts"] = counts.collect::<Map<_, _>>().into();
    }
    success(data)
}

/// The names of the jobs that are scraped.
#[utoipa::path(get, path = "/prometheus/api/v1/scrape_pools", tag = "prometheus", responses((status = OK)))]
pub(crate) async fn scrape_pools(State(state): State<ApiState>) -> Response {
    success(json!({"scrapePools": state.scraped.names()}))
}
