//! What becomes of an incident as its alerts change. Pure.

use super::config::CorrelateConfig;
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertState},
    incident::{Incident, IncidentAction, IncidentStatus, TimelineEntry},
};

/// Longest story of one incident; of a longer one the middle is left out.
const MAX_TIMELINE: usize = 500;

/// How long an incident that has come back once lately must be quiet before it is over: who looks at something that comes back within
/// some minutes takes it for one trouble. Doubles with each further return.
const UNSTABLE_HOLD_MILLIS: i64 = 5 * 60_000;
/// The longest that grows to: what is quiet for half an hour is over for those who look, and may come back as such.
const LONGEST_UNSTABLE_HOLD_MILLIS: i64 = 30 * 60_000;
/// Returns are counted for so long: as many fit in, each after the longest hold, as make the hold the longest.
const LATELY_MILLIS: i64 = 2 * 60 * 60_000;
/// Returns that are remembered: 5, 10, 20 and then 30 minutes; with more the hold grows no longer.
const MAX_RETURNS: usize = 4;

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

/// Whether all other alerts of an incident were over when this one began.
pub fn was_quiet(alerts: &[Alert], before: &Alert) -> bool {
    let began = before.started_at;
    let mut others = alerts.iter().filter(|other| other.fingerprint != before.fingerprint);
    others.all(|other| other.started_at >= began || other.ended_at.is_some_and(|ended| ended <= began))
}

/// Notes that an incident came back; whether that is news.
pub fn come_back(returns: &mut Vec<Timestamp>, at: Timestamp) -> bool {
    if returns.last().is_some_and(|last| at <= *last) {
        return false;
    }
    returns.push(at);
    let too_many = returns.len().saturating_sub(MAX_RETURNS);
    returns.drain(..too_many);
    true
}

/// How many of an incident's returns are so near to a moment that they count.
fn lately(returns: &[Timestamp], at: Timestamp) -> usize {
    returns.iter().filter(|back| at.millis_since(**back) <= LATELY_MILLIS).count()
}

/// How long an incident must be quiet before it is over, in milliseconds: what has come back lately may do so again.
pub fn hold_millis(returns: &[Timestamp], over_since: Timestamp, config: &CorrelateConfig) -> i64 {
    let usual = config.hold_seconds as i64 * 1_000;
    match lately(returns, over_since).min(MAX_RETURNS) {
        0 => usual,
        count => (UNSTABLE_HOLD_MILLIS << (count - 1)).min(LONGEST_UNSTABLE_HOLD_MILLIS).max(usual),
    }
}

/// What an incident's story says of its last return, given the returns before it; nothing where the hold did not grow by it.
pub fn told_of_return(before: &[Timestamp], returns: &[Timestamp], config: &CorrelateConfig) -> Option<String> {
    let last = *returns.last()?;
    let (count, hold) = (lately(returns, last), hold_millis(returns, last, config));
    let minutes = hold / 60_000;
    if count == 1 {
        return Some(format!("It has come back: it is over when it has been quiet for {minutes} minutes."));
    }
    let told =
        format!("It comes and goes, {count} times lately: it is over when it has been quiet for {minutes} minutes.");
    (hold_millis(before, last, config) != hold).then_some(told)
}

/// Compares an incident, and when it came back lately, with its alerts.
pub fn review(
    incident: &Incident,
    returns: &[Timestamp],
    alerts: &[Alert],
    now: Timestamp,
    config: &CorrelateConfig,
) -> Review {
    if incident.merged_into.is_some() {
        return Review::Stays;
    }
    if incident.status.is_active() {
        if alerts.is_empty() || alerts.iter().any(|alert| alert.state == AlertState::Firing) {
            return Review::Stays;
        }
        let over_since = alerts.iter().filter_map(|alert| alert.ended_at).max().unwrap_or(now);
        let due = over_since.plus_millis(hold_millis(returns, over_since, config));
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
        assert_eq!(review(&open, &[], &[over.clone(), fires], Timestamp(60_000), &config), Review::Stays);
        assert_eq!(
            review(&open, &[], std::slice::from_ref(&over), Timestamp(2_000), &config),
            Review::Later(Timestamp(6_000))
        );
        assert_eq!(review(&open, &[], &[over], Timestamp(6_000), &config), Review::Resolve(Timestamp(1_000)));
        assert_eq!(review(&open, &[], &[], Timestamp(6_000), &config), Review::Stays);
    }

    const MINUTE: i64 = 60_000;

    fn minutes(all: &[i64]) -> Vec<Timestamp> {
        all.iter().map(|minute| Timestamp(minute * MINUTE)).collect()
    }

    #[test]
    fn what_came_back_lately_is_held_longer_each_time_up_to_a_limit() {
        let config = CorrelateConfig::default();
        let hold = |returns: &[i64], over: i64| hold_millis(&minutes(returns), Timestamp(over * MINUTE), &config);
        assert_eq!(hold(&[], 1), 5_000, "what occurred once is over as soon as before");
        let grown: Vec<i64> = (0..5).map(|count| hold(&[2, 4, 6, 8, 10][..count], 11) / MINUTE).collect();
        assert_eq!(grown, [0, 5, 10, 20, 30]);
        assert_eq!(hold(&[1; 99], 11), 30 * MINUTE);
        assert_eq!(hold(&[2, 4, 6], 123) / MINUTE, 10, "the first is too long ago");
        assert_eq!(hold(&[2, 4, 6], 200), 5_000, "all are");
        let patient = CorrelateConfig { hold_seconds: 3_600, ..config };
        assert_eq!(hold_millis(&minutes(&[2]), Timestamp(3 * MINUTE), &patient), 3_600_000);
    }

    #[test]
    fn the_hold_of_what_came_back_is_counted_from_the_end_of_its_alerts() {
        let config = CorrelateConfig::default();
        let open = incident(IncidentStatus::Reopened, None);
        let over = [alert(AlertState::Resolved, Severity::Warning, 2 * MINUTE, Some(3 * MINUTE))];
        let at = |minute: i64| review(&open, &minutes(&[2]), &over, Timestamp(minute * MINUTE), &config);
        assert_eq!(at(4), Review::Later(Timestamp(8 * MINUTE)));
        assert_eq!(at(8), Review::Resolve(Timestamp(3 * MINUTE)));
        // Late, when the return is long ago, it is as it was to be then.
        assert_eq!(at(500), Review::Resolve(Timestamp(3 * MINUTE)));
    }

    #[test]
    fn it_was_quiet_when_all_others_were_over_before_or_began_after() {
        let back = alert(AlertState::Firing, Severity::Warning, 10_000, None);
        let other = |started, ended| Alert {
            fingerprint: Fingerprint("g".into()),
            ..alert(AlertState::Firing, Severity::Warning, started, ended)
        };
        assert!(was_quiet(&[back.clone(), other(0, Some(9_000)), other(10_300, None)], &back));
        assert!(!was_quiet(&[back.clone(), other(0, None)], &back), "another fired all the while");
        assert!(!was_quiet(&[other(0, Some(11_000))], &back));
        assert!(was_quiet(std::slice::from_ref(&back), &back));
    }

    #[test]
    fn a_return_is_counted_once_and_told_as_long_as_the_hold_grows() {
        let config = CorrelateConfig::default();
        let mut returns = Vec::new();
        let mut told = Vec::new();
        for at in minutes(&[2, 2, 4, 6, 8, 10, 12]) {
            let before = returns.clone();
            let is_news = come_back(&mut returns, at);
            told.push(if is_news { told_of_return(&before, &returns, &config) } else { None });
        }
        assert_eq!(returns, minutes(&[6, 8, 10, 12]), "the newest are kept");
        let grew: Vec<bool> = told.iter().map(Option::is_some).collect();
        assert_eq!(grew, [true, false, true, true, true, false, false]);
        assert_eq!(told[0].as_deref(), Some("It has come back: it is over when it has been quiet for 5 minutes."));
        assert_eq!(
            told[2].as_deref(),
            Some("It comes and goes, 2 times lately: it is over when it has been quiet for 10 minutes.")
        );
    }

    #[test]
    fn it_comes_back_within_the_window_and_not_for_what_fired_all_along() {
        let config = CorrelateConfig { reopen_seconds: 60, ..CorrelateConfig::default() };
        let resolved = incident(IncidentStatus::Resolved, Some(10_000));
        let firing = |severity, started| [alert(AlertState::Firing, severity, started, None)];
        let now = Timestamp(100_000);
        assert_eq!(review(&resolved, &[], &firing(Severity::Warning, 20_000), now, &config), Review::Reopen);
        assert_eq!(review(&resolved, &[], &firing(Severity::Info, 20_000), now, &config), Review::Stays);
        assert_eq!(
            review(&resolved, &[], &firing(Severity::Critical, 5_000), now, &config),
            Review::Stays,
            "a person resolved it"
        );
        assert_eq!(review(&resolved, &[], &firing(Severity::Warning, 80_000), now, &config), Review::Outlived);
        let merged = Incident { merged_into: Some(2), ..resolved };
        assert_eq!(review(&merged, &[], &firing(Severity::Warning, 20_000), now, &config), Review::Stays);
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
