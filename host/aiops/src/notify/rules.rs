//! What a notification says, and what an answer to it means. Pure.

use serde::Serialize;
use serde_json::{Value, json};
use tandem_domain::{
    Failure, FailureCode, Severity, Timestamp,
    alert::Alert,
    entity::Entity,
    incident::{Incident, IncidentStatus},
};

/// Alerts named in one notification; of more only the count is told.
pub const MAX_ALERTS: usize = 50;
/// Entities named in one notification.
pub const MAX_ENTITIES: usize = 50;

/// What happened to the incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifiedEvent {
    /// It opened.
    Open,
    /// It came back.
    Reopen,
    /// It is over.
    Resolve,
}

/// The event that a change of status is; none when nobody is told.
pub fn event_of(status: IncidentStatus) -> Option<NotifiedEvent> {
    match status {
        IncidentStatus::Open => Some(NotifiedEvent::Open),
        IncidentStatus::Reopened => Some(NotifiedEvent::Reopen),
        IncidentStatus::Resolved => Some(NotifiedEvent::Resolve),
        IncidentStatus::Acknowledged => None,
    }
}

/// A moment in RFC 3339, UTC.
pub fn rfc3339(at: Timestamp) -> String {
    let outside = if at.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(at.0).unwrap_or(outside).to_string()
}

fn severity_text(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// What a notification is made of.
pub struct Notification<'n> {
    /// What happened.
    pub event: NotifiedEvent,
    /// The status that the incident had by this change; it may have gone on since.
    pub status: IncidentStatus,
    /// The same for every try of one notification.
    pub idempotency_id: &'n str,
    /// The incident as it stands.
    pub incident: &'n Incident,
    /// Its alerts, as far as they are told.
    pub alerts: &'n [Alert],
    /// Its entities, as far as they are told.
    pub entities: &'n [Entity],
    /// Where people look at it.
    pub console_url: &'n str,
}

/// The body of a notification.
pub fn body(notification: &Notification<'_>) -> Value {
    let incident = notification.incident;
    let alert = |alert: &Alert| {
        let labels: serde_json::Map<String, Value> =
            alert.labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        json!({
            "fingerprint": alert.fingerprint.0,
            "state": alert.state,
            "code": alert.code,
            "severity": severity_text(alert.severity),
            "title": alert.title,
            "advice": alert.advice,
            "entity": alert.entity.0,
            "labels": labels,
            "started_at": rfc3339(alert.started_at),
            "ended_at": alert.ended_at.map(rfc3339),
        })
    };
    let entity = |entity: &Entity| json!({"id": entity.id.0, "kind": entity.kind, "name": entity.name});
    json!({
        "event": notification.event,
        "idempotency_id": notification.idempotency_id,
        "incident": {
            "id": incident.id,
            "title": incident.title,
            "status": notification.status,
            "severity": severity_text(incident.severity),
            "opened_at": rfc3339(incident.opened_at),
            "resolved_at": incident.resolved_at.map(rfc3339),
            "merged_into": incident.merged_into,
            "entities": notification.entities.iter().map(entity).collect::<Vec<_>>(),
            "entity_count": incident.entities.len(),
            "alerts": notification.alerts.iter().map(alert).collect::<Vec<_>>(),
            "alert_count": incident.alerts.len(),
            "causes": incident.causes.iter().map(|cause| json!({
                "entity": cause.entity.0,
                "score": cause.score,
                "sentence": cause.sentence,
                "signals": cause.signals.iter()
                    .map(|signal| json!({"name": signal.name, "score": signal.score})).collect::<Vec<_>>(),
            })).collect::<Vec<_>>(),
            "url": format!("{}/incidents/{}", notification.console_url.trim_end_matches('/'), incident.id),
        },
    })
}

/// What a receiver's status code means: taken, to be tried again, or refused for good.
pub fn outcome_of(status: u16) -> Result<(), Failure> {
    match status {
        200..=299 => Ok(()),
        // Timeout, too early, too many: the receiver says itself that later is better.
        408 | 425 | 429 | 500..=599 => {
            Err(Failure::passing(FailureCode::Unreachable, format!("the receiver answered {status}")))
        }
        _ => {
            let text = format!("the receiver answered {status} and will not take it: check its url and headers");
            Err(Failure::lasting(FailureCode::Refused, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::correlate::fixtures::{alert, incident};
    use tandem_domain::alert::AlertState;

    #[test]
    fn the_body_says_what_where_since_when_and_where_to_look() {
        let mut incident = incident(IncidentStatus::Resolved, Some(1_700_000_060_000));
        incident.opened_at = Timestamp(1_700_000_000_250);
        let alerts = [alert(AlertState::Resolved, Severity::Critical, 1_700_000_000_250, Some(1_700_000_060_000))];
        let notification = Notification {
            event: NotifiedEvent::Resolve,
            status: IncidentStatus::Resolved,
            idempotency_id: "1-7",
            incident: &incident,
            alerts: &alerts,
            entities: &[],
            console_url: "http://127.0.0.1:8420/",
        };
        let body = body(&notification);
        assert_eq!(body["event"], "resolve");
        assert_eq!(body["incident"]["opened_at"], "2023-11-14T22:13:20.25Z");
        assert_eq!(body["incident"]["resolved_at"], "2023-11-14T22:14:20Z");
        assert_eq!(body["incident"]["alerts"][0]["severity"], "critical");
        assert_eq!(body["incident"]["url"], "http://127.0.0.1:8420/incidents/1");
    }

    #[test]
    fn a_receiver_that_will_never_take_it_is_told_from_one_that_will() {
        assert!(outcome_of(204).is_ok());
        assert!(outcome_of(503).unwrap_err().retry);
        assert!(outcome_of(429).unwrap_err().retry);
        assert!(!outcome_of(404).unwrap_err().retry);
        assert!(!outcome_of(302).unwrap_err().retry);
    }
}
