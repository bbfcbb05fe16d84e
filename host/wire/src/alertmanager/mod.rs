//! Alertmanager's two doors: what Prometheus posts to an Alertmanager (`POST /api/v2/alerts`), and what an Alertmanager posts
//! to a webhook (version 4).
//!
//! Both give [`AlertNotice`]s, known by the same fingerprint: the hash Alertmanager itself takes over the labels, so that an
//! alert is one whichever door it comes by. An alert that cannot be used costs itself. Formats: Alertmanager's `openapi.yaml`
//! and its configuration guide.

mod post;
#[cfg(test)]
mod tests;
mod webhook;

pub use post::{RESOLVE_TIMEOUT_MILLIS, posted};
pub use webhook::{Webhook, webhook};

use crate::{
    limits::WireLimits,
    rejected::{Reason, Rejection, Rejections},
};
use serde::Deserialize;
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    alert::{AlertState, Fingerprint},
    series::Labels,
};

/// Alerts of one body; an Alertmanager groups far fewer, and Prometheus posts 64 at once.
pub const MAX_ALERTS: usize = 20_000;

/// One alert as somebody else tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertNotice {
    /// Alertmanager's own hash over the labels.
    pub fingerprint: Fingerprint,
    /// Whether it is so now.
    pub state: AlertState,
    /// What it is; `alertname` among them.
    pub labels: Labels,
    /// What people are told.
    pub annotations: Labels,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended, if it has; of a posted alert that fires, when it ends unless it is posted again.
    pub ends_at: Option<Timestamp>,
    /// Where it was found, or empty.
    pub generator_url: String,
}

/// The body is refused as a whole (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlertsError {
    /// Longer than the limit (413).
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// It is not of the format.
    #[error("the body is not what an Alertmanager {0}")]
    Malformed(String),
    /// A webhook of another version.
    #[error("webhook version {0:?} is not known; version 4 is")]
    Version(String),
}

/// Alerts and what was rejected of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notices {
    /// In the body's order.
    pub alerts: Vec<AlertNotice>,
    /// Those that could not be used.
    pub rejections: Rejections,
}

/// An alert as both doors write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAlert {
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    starts_at: Option<String>,
    #[serde(default)]
    ends_at: Option<String>,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    fingerprint: Option<String>,
}

fn malformed(text: String) -> Rejection {
    Rejection { reason: Reason::Malformed, text }
}

/// The beginning and the end an alert says; Go's zero time means none.
fn times(alert: &WireAlert) -> Result<[Option<Timestamp>; 2], Rejection> {
    let moment = |text: &Option<String>| -> Result<Option<Timestamp>, Rejection> {
        let Some(text) = text.as_deref().filter(|text| !text.is_empty() && !text.starts_with("0001-01-01T00:00:00"))
        else {
            return Ok(None);
        };
        let moment: jiff::Timestamp = text
            .parse()
            .map_err(|_| Rejection { reason: Reason::BadTime, text: format!("{text:?} is no RFC 3339 time") })?;
        Ok(Some(Timestamp(moment.as_millisecond())))
    };
    Ok([moment(&alert.starts_at)?, moment(&alert.ends_at)?])
}

/// The labels of an alert, held to the limits; empty ones are none.
fn labels(alert: &WireAlert, limits: &WireLimits) -> Result<Labels, Rejection> {
    let told: Vec<_> = alert.labels.iter().filter(|(_, value)| !value.is_empty()).collect();
    let name = alert.labels.get("alertname").map_or("", String::as_str);
    let refuse = |reason, what: &str| Err(Rejection { reason, text: format!("alert {name:?}: {what}") });
    if told.is_empty() {
        return refuse(Reason::NoName, "it has no labels");
    }
    if told.len() > limits.labels {
        return refuse(Reason::TooManyLabels, "it has more labels than are taken");
    }
    if told.iter().any(|(name, _)| name.is_empty() || name.len() > limits.name_bytes) {
        return refuse(Reason::BadName, "a label's name is empty or too long");
    }
    if told.iter().any(|(_, value)| value.len() > limits.value_bytes) {
        return refuse(Reason::LabelsTooLong, "a label's value is too long");
    }
    Ok(told.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Annotations are for people: what is beyond the limits is cut, and costs no alert.
fn annotations(alert: &WireAlert, limits: &WireLimits) -> Labels {
    let told = alert.annotations.iter().flatten().filter(|(name, _)| name.len() <= limits.name_bytes);
    told.take(limits.labels)
        .map(|(name, value)| (name.clone(), crate::log_entry::cut(value.clone(), limits.text_bytes)))
        .collect()
}

/// Alertmanager's fingerprint of a set of labels.
pub fn fingerprint(labels: &Labels) -> Fingerprint {
    Fingerprint::of_labels(labels)
}
