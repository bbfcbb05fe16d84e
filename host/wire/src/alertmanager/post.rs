//! What a Prometheus posts to its Alertmanagers.

use super::{
    AlertNotice, AlertsError, MAX_ALERTS, Notices, WireAlert, annotations, fingerprint, labels, malformed, times,
};
use crate::{
    limits::WireLimits,
    rejected::{Reason, Rejection},
};
use serde_json::value::RawValue;
use tandem_domain::{Timestamp, alert::AlertState};

/// How long an alert fires that says no end and is not posted again, in milliseconds: Alertmanager's `resolve_timeout`.
pub const RESOLVE_TIMEOUT_MILLIS: i64 = 300_000;

/// Reads the array of `postableAlerts`. An alert whose end is past is resolved; one without beginning began now.
///
/// # Errors
/// When the body is no array, or too long.
pub fn posted(body: &[u8], now: Timestamp, limits: &WireLimits) -> Result<Notices, AlertsError> {
    if body.len() > limits.json_bytes {
        return Err(AlertsError::TooLong { limit: limits.json_bytes });
    }
    let alerts: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|error| AlertsError::Malformed(format!("takes: {error}")))?;
    let mut notices = Notices::default();
    for (index, raw) in alerts.iter().enumerate() {
        if index >= MAX_ALERTS {
            let text = format!("a body may hold {MAX_ALERTS} alerts; send the rest in another");
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
    Ok(notices)
}

fn notice(alert: &WireAlert, now: Timestamp, limits: &WireLimits) -> Result<AlertNotice, Rejection> {
    let [starts, ends] = times(alert)?;
    let started_at = starts.unwrap_or_else(|| ends.map_or(now, |ends| ends.min(now)));
    let ends_at = ends.unwrap_or_else(|| now.plus_millis(RESOLVE_TIMEOUT_MILLIS));
    if started_at > ends_at {
        return Err(Rejection { reason: Reason::BadTime, text: "an alert ends before it begins".into() });
    }
    let labels = labels(alert, limits)?;
    Ok(AlertNotice {
        fingerprint: fingerprint(&labels),
        state: if ends_at <= now { AlertState::Resolved } else { AlertState::Firing },
        annotations: annotations(alert, limits),
        labels,
        started_at,
        ends_at: Some(ends_at),
        generator_url: crate::log_entry::cut(alert.generator_url.clone().unwrap_or_default(), limits.value_bytes),
    })
}
