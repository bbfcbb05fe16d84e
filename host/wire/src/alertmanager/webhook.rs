//! What an Alertmanager posts to a webhook.

use super::{
    AlertNotice, AlertsError, MAX_ALERTS, Notices, WireAlert, annotations, fingerprint, labels, malformed, times,
};
use crate::{
    limits::WireLimits,
    rejected::{Reason, Rejection},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tandem_domain::{
    Timestamp,
    alert::{AlertState, Fingerprint},
};

/// A group of alerts as notified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The receiver it was meant for.
    pub receiver: String,
    /// The group's key in that Alertmanager.
    pub group_key: String,
    /// That Alertmanager's address.
    pub external_url: String,
    /// How many alerts it left out (`max_alerts`).
    pub truncated: u64,
    /// The alerts.
    pub notices: Notices,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'b> {
    #[serde(default, borrow)]
    version: Cow<'b, str>,
    #[serde(default)]
    receiver: String,
    #[serde(default)]
    group_key: String,
    #[serde(default, rename = "externalURL")]
    external_url: String,
    #[serde(default)]
    truncated_alerts: u64,
    #[serde(borrow)]
    alerts: Vec<&'b RawValue>,
}

/// Reads a webhook of version 4; Grafana's, which has the same shape, says version 1. An alert without a beginning began
/// `now`.
///
/// # Errors
/// When the body is none, too long, or of another version.
pub fn webhook(body: &[u8], now: Timestamp, limits: &WireLimits) -> Result<Webhook, AlertsError> {
    if body.len() > limits.json_bytes {
        return Err(AlertsError::TooLong { limit: limits.json_bytes });
    }
    let body: Body<'_> =
        serde_json::from_slice(body).map_err(|error| AlertsError::Malformed(format!("posts: {error}")))?;
    if !["4", "1"].contains(&body.version.as_ref()) {
        return Err(AlertsError::Version(crate::log_entry::cut(body.version.into_owned(), 32)));
    }
    let mut notices = Notices::default();
    for (index, raw) in body.alerts.iter().enumerate() {
        if index >= MAX_ALERTS {
            let text = format!("a body may hold {MAX_ALERTS} alerts");
            notices.rejections.add(Rejection { reason: Reason::TooMany, text }, 1);
            continue;
        }
        let parsed: Result<WireAlert, _> = serde_json::from_str(raw.get());
        let notice = parsed.map_err(|error| malformed(error.to_string())).and_then(|alert| notice(&alert, now, limits));
        match notice {
            Ok(notice) => notices.alerts.push(notice),
            Err(rejection) => notices.rejections.add(rejection, 1),
        }
    }
    Ok(Webhook {
        receiver: body.receiver,
        group_key: body.group_key,
        external_url: body.external_url,
        truncated: body.truncated_alerts,
        notices,
    })
}

fn notice(alert: &WireAlert, now: Timestamp, limits: &WireLimits) -> Result<AlertNotice, Rejection> {
    let [starts, ends] = times(alert)?;
    let state = match alert.status.as_deref() {
        Some("firing") => AlertState::Firing,
        Some("resolved") => AlertState::Resolved,
        other => return Err(malformed(format!("{other:?} is no status; firing and resolved are"))),
    };
    let labels = labels(alert, limits)?;
    let given = alert.fingerprint.as_deref().unwrap_or_default();
    let is_hash = given.len() == 16 && given.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(AlertNotice {
        // Who sits in between (Grafana, a proxy) may have one of its own, which then tells its alerts apart.
        fingerprint: if is_hash { Fingerprint(given.to_owned()) } else { fingerprint(&labels) },
        annotations: annotations(alert, limits),
        labels,
        started_at: starts.unwrap_or(now),
        ends_at: match state {
            AlertState::Firing => None,
            AlertState::Resolved => Some(ends.unwrap_or(now)),
        },
        state,
        generator_url: crate::log_entry::cut(alert.generator_url.clone().unwrap_or_default(), limits.value_bytes),
    })
}
