//! What becomes of an incident as its alerts change. Pure.

use super::config::CorrelateConfig;
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertState},
    incident::{Incident, IncidentAction, IncidentStatus, TimelineEntry},
};

/// Longest story of one incident; of a longer one the middle is left out.
const MAX_TIMELINE: usize = 500;

/// Codes of events that are changes: what somebody did on purpose, and what may be the cause.
const CHANGE_CODES: [&str; 6] = ["change", "deployment", "rollout", "configuration", "version", "model.version"];

/// Whether an event is a change.
pub fn is_change(code: &str) -> bool {
    CHANGE_CODES
        .iter()
        .any(|prefix| code.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// Whether an alert can open an incident: it fires, and somebody should know.
pub fn opens(alert: &Alert) -> bool {
    alert.state == AlertState::Firing && alert.severity >= Severity::Warning
}

/// What an incident's alerts demand of it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// Nothing.
    Stays,
    /// Nothing before this moment.
    Later(Timestamp),
    /// It is over, and was since the given moment.
    Resolve(Timestamp),
    /// It has come back.
    Reopen,
    /// An alert of it fires, but it has been over for so long that this is another incident.
    Outlived,
}

/// Compares an incident with its alerts.
pub fn review(incident: &Incident, alerts: &[Alert], now: Timestamp, config: &CorrelateConfig) -> Review {
    if incident.merged_into.is_some() {
        return Review::Stays;
    }
    if incident.status.is_active() {
        if alerts.is_empty() || alerts.iter().any(|alert| alert.state == AlertState::Firing) {
            return Review::Stays;
        }
        let over_since = alerts.iter().filter_map(|alert| alert.ended_at).max().unwrap_or(now);
        let due = over_since.plus_millis(config.hold_seconds as i64 * 1_000);
        let over_since = over_since.max(incident.opened_at).min(now.max(incident.opened_at));
        return if due <= now { Review::Resolve(over_since) } else { Review::Later(due) };
    }
    let Some(resolved_at) = incident.resolved_at else { return Review::Stays };
    let back = alerts.iter().filter(|alert| opens(alert) && alert.started_at >= resolved_at);
    match back.map(|alert| alert.started_at).max() {
        None => Review::Stays,
        Some(at) if at.millis_since(resolved_at) <= config.reopen_seconds as i64 * 1_000 => Review::Reopen,
        Some(_) => Review::Outlived,
    }
}

/// Applies an action, and writes it into the story. The status stays when the state machine does not allow it.
pub fn act(incident: &mut Incident, action: IncidentAction, entry: TimelineEntry, over_since: Timestamp) -> bool {
    let Ok(status) = incident.status.apply(action) else { return false };
    incident.status = status;
    incident.resolved_at = (status == IncidentStatus::Resolved).then_some(over_since);
    tell(incident, entry);
    true
}

/// Adds to an incident's story.
pub fn tell(incident: &mut Incident, entry: TimelineEntry) {
    incident.changed_at = incident.changed_at.max(entry.at);
    if incident.timeline.len() == MAX_TIMELINE {
        // How it began and what happened last are what people look for.
        incident.timeline.remove(MAX_TIMELINE / 2);
    }
    incident.timeline.push(entry);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tandem_domain::{alert::Fingerprint, entity::EntityId, series::Labels};

    pub(crate) fn incident(status: IncidentStatus, resolved_at: Option<i64>) -> Incident {
        Incident {
            id: 1,
            correlator: "c".into(),
            correlator_key: "k".into(),
            title: "t".into(),
            status,
            severity: Severity::Warning,
            opened_at: Timestamp(0),
            resolved_at: resolved_at.map(Timestamp),
            changed_at: Timestamp(0),
            entities: vec![],
            alerts: vec![],
            findings: vec![],
            causes: vec![],
            timeline: vec![],
            merged_into: None,
        }
    }

    pub(crate) fn alert(state: AlertState, severity: Severity, started: i64, ended: Option<i64>) -> Alert {
        Alert {
            fingerprint: Fingerprint("f".into()),
            state,
            code: "replica.down".into(),
            severity,
            title: "Replica is down".into(),
            advice: String::new(),
            entity: EntityId("replica:a".into()),
            labels: Labels::default(),
            started_at: Timestamp(started),
            ended_at: ended.map(Timestamp),
            changed_at: Timestamp(ended.unwrap_or(started)),
            times_fired: 1,
            source: "d".into(),
        }
    }

    #[test]
    fn it_resolves_when_all_alerts_have_been_over_for_the_hold() {
        use AlertState::{Firing, Resolved};
        let config = CorrelateConfig::default();
        let open = incident(IncidentStatus::Acknowledged, None);
        let over = alert(Resolved, Severity::Warning, 0, Some(1_000));
        let fires = alert(Firing, Severity::Info, 0, None);
        assert_eq!(review(&open, &[over.clone(), fires], Timestamp(60_000), &config), Review::Stays);
        assert_eq!(
            review(&open, std::slice::from_ref(&over), Timestamp(2_000), &config),
            Review::Later(Timestamp(6_000))
        );
        assert_eq!(review(&open, &[over], Timestamp(6_000), &config), Review::Resolve(Timestamp(1_000)));
        assert_eq!(review(&open, &[], Timestamp(6_000), &config), Review::Stays);
    }

    #[test]
    fn it_comes_back_within_the_window_and_not_for_what_fired_all_along() {
        let config = CorrelateConfig { reopen_seconds: 60, ..CorrelateConfig::default() };
        let resolved = incident(IncidentStatus::Resolved, Some(10_000));
        let firing = |severity, started| [alert(AlertState::Firing, severity, started, None)];
        let now = Timestamp(100_000);
        assert_eq!(review(&resolved, &firing(Severity::Warning, 20_000), now, &config), Review::Reopen);
        assert_eq!(review(&resolved, &firing(Severity::Info, 20_000), now, &config), Review::Stays);
        assert_eq!(
            review(&resolved, &firing(Severity::Critical, 5_000), now, &config),
            Review::Stays,
            "a person resolved it"
        );
        assert_eq!(review(&resolved, &firing(Severity::Warning, 80_000), now, &config), Review::Outlived);
        let merged = Incident { merged_into: Some(2), ..resolved };
        assert_eq!(review(&merged, &firing(Severity::Warning, 20_000), now, &config), Review::Stays);
    }

    #[test]
    fn a_story_keeps_its_beginning_and_its_end() {
        let mut incident = incident(IncidentStatus::Open, None);
        for at in 0..700 {
            tell(&mut incident, TimelineEntry { at: Timestamp(at), actor: "a".into(), text: String::new() });
        }
        assert_eq!(incident.timeline.len(), MAX_TIMELINE);
        assert_eq!((incident.timeline[0].at, incident.timeline[499].at), (Timestamp(0), Timestamp(699)));
        assert_eq!(incident.changed_at, Timestamp(699));
    }

    #[test]
    fn changes_are_told_from_other_events_by_their_code() {
        assert!(is_change("deployment.traffic") && is_change("change") && is_change("model.version.promoted"));
        assert!(!is_change("gpu.xid.79") && !is_change("versions") && !is_change("model.down"));
    }
}
