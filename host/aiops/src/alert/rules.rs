//! What a fault change does to an alert. Pure.

use super::tables::AlertSources;
use crate::signal::FaultChange;
use sha2::{Digest, Sha256};
use tandem_domain::{
    alert::{Alert, AlertState, Fingerprint},
    entity::EntityId,
    series::Labels,
};

/// Sources of one alert that are remembered as active: several exporters may tell the same fault, never hundreds.
const MAX_SOURCES: usize = 256;

/// The identity of an alert: SHA-256 over code, entity and the labels that tell it apart, each with its length before it.
pub fn fingerprint(code: &str, entity: &EntityId, telling: &Labels) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    add(code);
    add(&entity.0);
    for (name, value) in telling.iter() {
        add(name);
        add(value);
    }
    Fingerprint(hex::encode(hash.finalize()))
}

fn labels_of(change: &FaultChange) -> Labels {
    let both = change.telling.iter().chain(change.labels.iter());
    Labels::new(both.map(|(name, value)| (name.to_owned(), value.to_owned())))
}

/// Applies a change to the alert and its sources; answers the alert when it changed. Applying a change twice does nothing.
pub fn apply(
    alert: Option<Alert>,
    sources: &mut AlertSources,
    change: &FaultChange,
    entity: &EntityId,
) -> Option<Alert> {
    let key = change.source_key();
    if change.active {
        if !sources.active.contains(&key) && sources.active.len() < MAX_SOURCES {
            sources.active.push(key);
        }
        return match alert {
            Some(alert) if alert.state == AlertState::Firing => worsened(alert, change, entity),
            alert => Some(fired(alert, &sources.fingerprint, change, entity)),
        };
    }
    sources.active.retain(|active| *active != key);
    let alert = alert.filter(|alert| alert.state == AlertState::Firing && sources.active.is_empty())?;
    // A clock that was set back must not let an alert end before it began.
    let at = change.at.max(alert.started_at);
    Some(Alert { state: AlertState::Resolved, ended_at: Some(at), changed_at: at, ..alert })
}

/// An alert that fires already changes only when it becomes worse, or its entity turned out to be another.
fn worsened(alert: Alert, change: &FaultChange, entity: &EntityId) -> Option<Alert> {
    let severity = alert.severity.max(change.severity);
    let same = (severity, entity) == (alert.severity, &alert.entity);
    (!same).then(|| Alert { severity, entity: entity.clone(), changed_at: change.at.max(alert.changed_at), ..alert })
}

fn fired(earlier: Option<Alert>, fingerprint: &Fingerprint, change: &FaultChange, entity: &EntityId) -> Alert {
    let times_fired = earlier.as_ref().map_or(0, |alert| alert.times_fired) + 1;
    let at = earlier.map_or(change.at, |alert| change.at.max(alert.changed_at));
    Alert {
        fingerprint: fingerprint.clone(),
        state: AlertState::Firing,
        code: change.code.clone(),
        severity: change.severity,
        title: change.title.clone(),
        advice: change.advice.clone(),
        entity: entity.clone(),
        labels: labels_of(change),
        started_at: at,
        ended_at: None,
        changed_at: at,
        times_fired,
        source: change.detector.clone(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use tandem_domain::{Severity, Timestamp, series::SeriesId};

    pub(crate) fn change(series: u64, at: i64, active: bool) -> FaultChange {
        FaultChange {
            at: Timestamp(at),
            detector: "detector-fault".into(),
            series: SeriesId(series),
            entity: EntityId("gpu:a".into()),
            code: "gpu.xid.79".into(),
            active,
            severity: Severity::Critical,
            title: "GPU has fallen off the bus".into(),
            advice: "Drain the node and reset the GPU.".into(),
            telling: Labels::default(),
            labels: Labels::new([("job".to_owned(), "dcgm".to_owned())]),
            value: 79.0,
        }
    }

    fn run(changes: &[FaultChange]) -> (Option<Alert>, Vec<Alert>) {
        let entity = EntityId("gpu:a".into());
        let fingerprint = fingerprint("gpu.xid.79", &entity, &Labels::default());
        let mut sources = AlertSources { fingerprint, active: vec![] };
        let (mut alert, mut log) = (None, Vec::new());
        for change in changes {
            if let Some(next) = apply(alert.clone(), &mut sources, change, &entity) {
                log.push(next.clone());
                alert = Some(next);
            }
        }
        (alert, log)
    }

    #[test]
    fn an_alert_fires_resolves_and_fires_again() {
        let (alert, log) = run(&[change(1, 10, true), change(1, 20, false), change(1, 30, true)]);
        let alert = alert.unwrap();
        assert_eq!((alert.state, alert.times_fired, alert.started_at), (AlertState::Firing, 2, Timestamp(30)));
        assert_eq!(log[1].ended_at, Some(Timestamp(20)));
        assert_eq!(log.len(), 3);
    }

    #[test]
    fn two_sources_of_one_fault_are_one_alert_that_ends_with_the_last() {
        let (alert, log) = run(&[change(1, 10, true), change(2, 11, true), change(1, 20, false)]);
        assert_eq!((alert.unwrap().state, log.len()), (AlertState::Firing, 1));
        let (alert, _) = run(&[change(1, 10, true), change(2, 11, true), change(1, 20, false), change(2, 21, false)]);
        assert_eq!(alert.unwrap().ended_at, Some(Timestamp(21)));
    }

    #[test]
    fn code_entity_and_telling_labels_make_the_identity_and_do_not_run_together() {
        let entity = EntityId("gpu:a".into());
        let labels = |name: &str, value: &str| Labels::new([(name.to_owned(), value.to_owned())]);
        let all = [
            fingerprint("a", &entity, &labels("x", "1")),
            fingerprint("a", &entity, &labels("x1", "")),
            fingerprint("a", &entity, &labels("x", "2")),
            fingerprint("ag", &EntityId("pu:a".into()), &labels("x", "1")),
        ];
        let unique: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(unique.len(), 4);
        assert_eq!(all[0], fingerprint("a", &entity, &labels("x", "1")));
    }

    proptest! {
        #[test]
        fn told_twice_is_told_once(steps in prop::collection::vec((1_u64..4, any::<bool>()), 0..40)) {
            let changes: Vec<_> =
                steps.iter().enumerate().map(|(i, (series, active))| change(*series, i as i64, *active)).collect();
            let doubled: Vec<_> = changes.iter().flat_map(|change| [change.clone(), change.clone()]).collect();
            prop_assert_eq!(run(&changes), run(&doubled));
            let (alert, log) = run(&changes);
            // Firing and resolved take turns.
            for pair in log.windows(2) { prop_assert_ne!(pair[0].state, pair[1].state); }
            if let Some(alert) = alert { prop_assert_eq!(alert.times_fired as usize, log.len().div_ceil(2)); }
        }
    }
}
