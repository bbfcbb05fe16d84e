//! Plugins: what they are, what they may do, how they fare, what they use.

use crate::{
    error::{ApiError, ErrorBody},
    paging::Page,
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use tandem_domain::plugin::{Capability, PluginState, PluginStatus};
use utoipa::ToSchema;

/// A plugin as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PluginView {
    name: String,
    /// Absent until the component has been understood.
    kind: Option<String>,
    version: Option<String>,
    summary: Option<String>,
    /// SHA-256 of the component.
    digest: String,
    /// `bundled`, or the file.
    origin: String,
    /// `loading`, `canary`, `live`, `backoff`, `quarantined` or `disabled`.
    state: String,
    /// Why, where the state has a reason.
    state_detail: Option<String>,
    /// Interfaces it imports: the upper bound of what it can do.
    imports: Vec<String>,
    asked: Vec<CapabilityView>,
    granted: Vec<CapabilityView>,
    last_error: Option<String>,
    usage: UsageView,
    /// JSON Schema of its configuration.
    config_schema: Option<String>,
}

/// A right over the outside world.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CapabilityView {
    name: String,
    value: String,
    reason: String,
}

/// What it uses, since the server started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageView {
    calls: u64,
    failures: u64,
    traps: u64,
    timeouts: u64,
    contract_breaches: u64,
    denials: u64,
    log_lines_left_out: u64,
    refused_loads: u64,
    busy_seconds: f64,
    memory_bytes: u64,
    memory_peak_bytes: u64,
    instances: u64,
    recycled: u64,
}

/// The state in one word.
pub(crate) fn state_word(state: &PluginState) -> &'static str {
    match state {
        PluginState::Loading => "loading",
        PluginState::Canary => "canary",
        PluginState::Live => "live",
        PluginState::Backoff { .. } => "backoff",
        PluginState::Quarantined { .. } => "quarantined",
        PluginState::Disabled => "disabled",
    }
}

fn state_detail(state: &PluginState) -> Option<String> {
    match state {
        PluginState::Backoff { until, restarts } => {
            Some(format!("restart {restarts}, next try at {}", time::write(*until)))
        }
        PluginState::Quarantined { reason, since } => Some(format!("{reason} (since {})", time::write(*since))),
        _ => None,
    }
}

impl From<PluginStatus> for PluginView {
    fn from(status: PluginStatus) -> Self {
        let capabilities = |list: Vec<Capability>| {
            list.into_iter().map(|c| CapabilityView { name: c.name, value: c.value, reason: c.reason }).collect()
        };
        let description = status.description;
        let usage = status.usage;
        Self {
            name: status.name,
            kind: status.kind.map(|kind| kind.as_str().to_owned()),
            version: description.as_ref().map(|d| d.version.clone()),
            summary: description.as_ref().map(|d| d.summary.clone()),
            digest: status.digest,
            origin: status.origin,
            state: state_word(&status.state).into(),
            state_detail: state_detail(&status.state),
            imports: status.imports,
            config_schema: description.as_ref().map(|d| d.config_schema.clone()).filter(|schema| !schema.is_empty()),
            asked: capabilities(description.map(|d| d.capabilities).unwrap_or_default()),
            granted: capabilities(status.granted),
            last_error: status.last_error.map(|failure| failure.message),
            usage: UsageView {
                calls: usage.calls,
                failures: usage.failures,
                traps: usage.traps,
                timeouts: usage.timeouts,
                contract_breaches: usage.contract_breaches,
                denials: usage.denials,
                log_lines_left_out: usage.log_lines_left_out,
                refused_loads: usage.refused_loads,
                busy_seconds: usage.busy_nanos as f64 / 1e9,
                memory_bytes: usage.memory_bytes,
                memory_peak_bytes: usage.memory_peak_bytes,
                instances: usage.instances,
                recycled: usage.recycled,
            },
        }
    }
}

/// All plugins, by name.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses((status = OK, body = Page<PluginView>)))]
pub(crate) async fn list(State(state): State<ApiState>) -> Json<Page<PluginView>> {
    let items = state.catalogue.statuses().into_iter().map(PluginView::from).collect();
    Json(Page { items, next_cursor: None })
}

/// One plugin.
#[utoipa::path(get, path = "/api/v1/plugins/{name}", tag = "plugins", params(("name" = String, Path)),
    responses((status = OK, body = PluginView), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn one(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<PluginView>, ApiError> {
    let status = state.catalogue.statuses().into_iter().find(|status| status.name == name);
    status.map(|status| Json(status.into())).ok_or_else(|| ApiError::not_found("plugin", name, "/api/v1/plugins"))
}
