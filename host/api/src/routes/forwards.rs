//! Forwards: where samples are sent on, and how that goes.

use crate::{paging::Page, state::ApiState, time};
use axum::{Json, extract::State};
use serde::Serialize;
use std::collections::BTreeMap;
use tandem_forward::{ForwardState, ForwardStatus};
use utoipa::ToSchema;

/// A forward as it stands; counts are since the server started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForwardView {
    name: String,
    /// Without user, password and query.
    url: String,
    /// `sending`, `retrying`, `catching-up` or `refused`.
    state: &'static str,
    /// `1.0` or `2.0`.
    protocol: &'static str,
    /// Samples that the receiver took.
    samples: u64,
    /// Samples that will not be delivered, by reason.
    dropped: BTreeMap<&'static str, u64>,
    /// Batches given up unread, because they waited longer than `keep`.
    skipped_batches: u64,
    /// Batches trimmed from the log unread and made good from the chunks.
    trimmed_batches: u64,
    pending_samples: u64,
    pending_batches: u64,
    lag_seconds: f64,
    shards: u64,
    requests: u64,
    retries: u64,
    bytes: u64,
    last_success_at: Option<String>,
    /// What was wrong with the last request.
    failure: Option<String>,
    /// What was dropped or skipped last.
    last_loss: Option<String>,
}

impl From<ForwardStatus> for ForwardView {
    fn from(status: ForwardStatus) -> Self {
        Self {
            name: status.name,
            url: status.url,
            state: status.state.as_str(),
            protocol: status.protocol,
            samples: status.samples,
            dropped: status.dropped.into_iter().collect(),
            skipped_batches: status.skipped_batches,
            trimmed_batches: status.trimmed_batches,
            pending_samples: status.pending_samples,
            pending_batches: status.pending_batches,
            lag_seconds: status.lag_millis as f64 / 1_000.0,
            shards: status.shards,
            requests: status.requests,
            retries: status.retries,
            bytes: status.bytes,
            last_success_at: time::write_some(status.last_success_at),
            failure: status.failure,
            last_loss: status.last_loss,
        }
    }
}

/// Those whose receiver does not take what it is sent, in words.
pub(crate) fn failing(statuses: &[ForwardStatus]) -> Vec<String> {
    let failing = |status: &&ForwardStatus| matches!(status.state, ForwardState::Retrying | ForwardState::Refused);
    let told = |status: &ForwardStatus| format!("{}: {}", status.name, status.failure.as_deref().unwrap_or_default());
    statuses.iter().filter(failing).map(told).collect()
}

/// All forwards, as they are configured.
#[utoipa::path(get, path = "/api/v1/forwards", tag = "forwards", responses((status = OK, body = Page<ForwardView>)))]
pub(crate) async fn list(State(state): State<ApiState>) -> Json<Page<ForwardView>> {
    let items = state.forwards.statuses().into_iter().map(ForwardView::from).collect();
    Json(Page { items, next_cursor: None })
}
