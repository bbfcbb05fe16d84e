//! Correlators: every alert they were shown is in a grouping, and a session goes on from its state.

use crate::{assert_unbroken, loaded};
use std::{collections::BTreeSet, sync::Arc};
use tandem_domain::{
    Failure, FailureCode, Severity, Timestamp,
    alert::{Alert, AlertState, Fingerprint},
    entity::{Entity, EntityId},
    meaning::Meaning,
    ports::{CorrelationDelta, CorrelatorSession, Correlators, Grouping, Query},
    relation::RelationKind,
    series::{Labels, Points, SeriesId},
};
use tandem_tests::sandbox::NOW;

/// A rack: a UPS feeds two hosts, one of which holds a GPU; a service runs on it.
struct Rack;

const RELATIONS: [(&str, &str, RelationKind); 4] = [
    ("host:a", "ups:1", RelationKind::PoweredBy),
    ("host:b", "ups:1", RelationKind::PoweredBy),
    ("host:a", "gpu:1", RelationKind::Contains),
    ("service:chat", "gpu:1", RelationKind::RunsOn),
];

impl Query for Rack {
    fn entity(&self, id: &EntityId) -> Result<Entity, Failure> {
        Err(Failure::lasting(FailureCode::Refused, format!("{id} is not known")))
    }
    fn neighbours(&self, id: &EntityId, _: u32) -> Result<Vec<(EntityId, EntityId, RelationKind)>, Failure> {
        let near = RELATIONS.iter().filter(|(dependent, dependency, _)| id.0 == *dependent || id.0 == *dependency);
        Ok(near.map(|(a, b, kind)| (EntityId((*a).into()), EntityId((*b).into()), *kind)).collect())
    }
    fn series_of(&self, _: &EntityId) -> Result<Vec<Meaning>, Failure> {
        Ok(Vec::new())
    }
    fn read(&self, _: SeriesId, _: Timestamp, _: Timestamp, _: usize) -> Result<Points, Failure> {
        Ok(Points::default())
    }
}

fn alert(number: u32, code: &str, entity: &str, after_seconds: i64) -> Alert {
    let at = NOW.plus_millis(after_seconds * 1_000);
    Alert {
        fingerprint: Fingerprint(format!("f{number}")),
        state: AlertState::Firing,
        code: code.into(),
        severity: Severity::Critical,
        title: format!("{code} on {entity}"),
        advice: String::new(),
        entity: EntityId(entity.into()),
        labels: Labels::default(),
        started_at: at,
        ended_at: None,
        changed_at: at,
        times_fired: 1,
        source: "detector-fault".into(),
    }
}

/// Alerts one after another, on things that hang together and on one that nobody knows.
fn alerts() -> Vec<Alert> {
    vec![
        alert(1, "ups.on-battery", "ups:1", 0),
        alert(2, "host.telemetry.down", "host:a", 5),
        alert(3, "host.telemetry.down", "host:b", 6),
        alert(4, "replica.down", "service:chat", 9),
        alert(5, "strange.code", "nobody:knows", 12),
    ]
}

fn delta(alerts: Vec<Alert>, after_seconds: i64) -> CorrelationDelta {
    CorrelationDelta { now: NOW.plus_millis(after_seconds * 1_000), alerts, ..CorrelationDelta::default() }
}

async fn feed(session: &mut Box<dyn CorrelatorSession>, alerts: &[Alert]) -> Vec<Grouping> {
    let mut groupings = Vec::new();
    for (step, alert) in alerts.iter().enumerate() {
        let delta = delta(vec![alert.clone()], 15 * step as i64 + 15);
        groupings.extend(session.update(delta, Arc::new(Rack)).await.expect("groupings"));
    }
    groupings
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_is_grouped_and_a_session_goes_on_from_its_state() {
    let (runtime, _data) = loaded().await;
    for plugin in runtime.correlators() {
        let mut whole = Correlators::open(&runtime, &plugin.name, None).await.expect("opens");
        let groupings = feed(&mut whole, &alerts()).await;
        let grouped: BTreeSet<&String> = groupings.iter().flat_map(|grouping| &grouping.fingerprints).collect();
        for alert in alerts() {
            assert!(grouped.contains(&alert.fingerprint.0), "{} leaves {} alone", plugin.name, alert.fingerprint.0);
        }
        for grouping in &groupings {
            assert!(!grouping.title.trim().is_empty(), "{}: a grouping without a title", plugin.name);
            let scores: Vec<f64> = grouping.causes.iter().map(|cause| cause.score).collect();
            assert!(scores.is_sorted_by(|a, b| a >= b), "{}: causes are not ranked: {scores:?}", plugin.name);
        }

        let (first, second) = (&alerts()[..3], &alerts()[3..]);
        let mut session = Correlators::open(&runtime, &plugin.name, None).await.expect("opens");
        let mut pieces = feed(&mut session, first).await;
        let state = session.snapshot().await.expect("a state");
        let mut session = Correlators::open(&runtime, &plugin.name, Some(state)).await.expect("opens from its state");
        for (step, alert) in second.iter().enumerate() {
            let delta = delta(vec![alert.clone()], 15 * (first.len() + step) as i64 + 15);
            pieces.extend(session.update(delta, Arc::new(Rack)).await.expect("groupings"));
        }
        assert_eq!(groupings, pieces, "{} does not go on from its state as if nothing had been", plugin.name);

        let broken = Correlators::open(&runtime, &plugin.name, Some(vec![0xff; 32])).await;
        assert!(broken.is_err(), "{} takes a state that is not its own", plugin.name);
        let nothing = session.update(delta(Vec::new(), 3_600), Arc::new(Rack)).await;
        assert!(nothing.is_ok(), "{} fails when nothing has changed", plugin.name);
    }
    assert_unbroken(&runtime);
}
