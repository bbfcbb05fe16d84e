//! Verdicts from a real store: what is read, and how it is put together.

use super::*;
use tandem_domain::{
    Severity,
    alert::{Alert, AlertState, Fingerprint},
    drift::{DriftReport, DriftStanding, DriftState},
    entity::Entity,
    incident::{Cause, Incident, IncidentStatus},
    prediction::ServiceTraffic,
    relation::{Relation, RelationKind},
    series::Labels,
    verdict::{BLAMES, CauseKind, Health},
};
use tandem_store::{Store, StoreOptions, WriteError, WriteTx};

const NOW: Timestamp = Timestamp(10_000);

fn id(text: &str) -> EntityId {
    EntityId(text.into())
}

fn entity(text: &str, name: &str, merged_into: Option<&str>) -> Entity {
    Entity {
        id: id(text),
        kind: id(text).kind().into(),
        name: name.into(),
        keys: Vec::new(),
        attributes: Labels::default(),
        first_seen_at: Timestamp(0),
        last_seen_at: Timestamp(0),
        merged_into: merged_into.map(id),
    }
}

fn relation(dependent: &str, dependency: &str, kind: RelationKind) -> Relation {
    Relation {
        dependent: id(dependent),
        dependency: id(dependency),
        kind,
        source: "test".into(),
        seen_at: Timestamp(0),
    }
}

fn alert(fingerprint: &str, entity: &str, state: AlertState) -> Alert {
    Alert {
        fingerprint: Fingerprint(fingerprint.into()),
        state,
        code: "gpu.xid.79".into(),
        severity: Severity::Critical,
        title: String::new(),
        advice: String::new(),
        entity: id(entity),
        labels: Labels::default(),
        started_at: Timestamp(50),
        ended_at: None,
        changed_at: Timestamp(50),
        times_fired: 1,
        source: String::new(),
    }
}

fn incident(number: u64, fingerprint: &str, cause: &str, status: IncidentStatus, merged_into: Option<u64>) -> Incident {
    Incident {
        id: number,
        correlator: "c".into(),
        correlator_key: number.to_string(),
        title: format!("incident {number}"),
        status,
        severity: Severity::Critical,
        opened_at: Timestamp(50),
        resolved_at: None,
        changed_at: Timestamp(50),
        entities: vec![id(cause)],
        alerts: vec![Fingerprint(fingerprint.into())],
        findings: Vec::new(),
        causes: vec![Cause { entity: id(cause), score: 1.0, signals: Vec::new(), sentence: String::new() }],
        timeline: Vec::new(),
        merged_into,
    }
}

fn report(tx: &mut WriteTx<'_>, number: u64, version: &str, at: i64, state: DriftState) -> Result<(), WriteError> {
    let report = DriftReport {
        id: number,
        service: "chat".into(),
        model: "m".into(),
        version: version.into(),
        at: Timestamp(at),
        reference: (Timestamp(0), Timestamp(1)),
        current: (Timestamp(2), Timestamp(3)),
        state,
        columns: Vec::new(),
        reference_version: None,
    };
    tx.put(&DriftStanding::after(None, &report))?;
    tx.put(&report)
}

/// A service on GPU 0 of a host that is known by two names; its neighbour on GPU 1; a UPS.
fn site(tx: &mut WriteTx<'_>) -> Result<(), WriteError> {
    for (known, name, merged_into) in [
        ("service:chat", "chat", None),
        ("service:rag", "rag", None),
        ("service:old", "old", Some("service:chat")),
        ("gpu:0", "GPU 0 on node-7", None),
        ("gpu:1", "GPU 1 on node-7", None),
        ("host:node-7", "node-7", Some("host:4c4c")),
        ("host:4c4c", "node-7", None),
        ("ups:u", "the UPS", None),
    ] {
        tx.put(&entity(known, name, merged_into))?;
    }
    use RelationKind::{Contains, PoweredBy, RunsOn};
    for (dependent, dependency, kind) in [
        ("service:chat", "gpu:0", RunsOn),
        ("service:rag", "gpu:1", RunsOn),
        ("host:node-7", "gpu:0", Contains),
        ("host:4c4c", "gpu:1", Contains),
        ("host:4c4c", "ups:u", PoweredBy),
    ] {
        tx.put(&relation(dependent, dependency, kind))?;
    }
    Ok(())
}

async fn asked(
    service: Option<&str>,
    write: impl FnOnce(&mut WriteTx<'_>) -> Result<(), WriteError> + Send + 'static,
) -> Vec<Verdict> {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    store
        .write(|tx| {
            site(tx)?;
            write(tx)
        })
        .await
        .expect("written");
    verdicts(&store.read().expect("reads"), service, NOW).expect("verdicts")
}

#[tokio::test]
async fn every_service_has_a_verdict_once_and_one_can_be_asked_for() {
    let traffic = ServiceTraffic {
        service: "untold".into(),
        model: "m".into(),
        version: "1".into(),
        predictions: 5,
        labels: 0,
        agreed: 0,
        first_at: Timestamp(0),
        last_at: Timestamp(0),
        minutes: Vec::new(),
    };
    let with_traffic = traffic.clone();
    let all = asked(None, move |tx| tx.put(&with_traffic)).await;
    let names: Vec<&str> = all.iter().map(|verdict| verdict.service.as_str()).collect();
    assert_eq!(names, ["chat", "rag", "untold"], "merged ones are not told, those with traffic alone are");
    assert_eq!(all[0].infrastructure.state, Health::Ok);
    assert_eq!(all[2].infrastructure.state, Health::Unknown);
    assert!(all[2].model.evidence[0].starts_with("5 predictions"), "{:?}", all[2].model.evidence);
    let one = asked(Some("rag"), |_| Ok(())).await;
    assert_eq!(one.len(), 1);
    assert!(asked(Some("nobody"), |_| Ok(())).await.is_empty());
}

#[tokio::test]
async fn an_incident_is_found_on_the_path_through_merged_names_and_not_beside_it() {
    let all = asked(None, |tx| {
        tx.put(&alert("f", "ups:u", AlertState::Firing))?;
        tx.put(&incident(1, "f", "ups:u", IncidentStatus::Open, None))?;
        tx.put(&alert("g", "gpu:1", AlertState::Firing))?;
        tx.put(&incident(2, "g", "gpu:1", IncidentStatus::Acknowledged, None))
    })
    .await;
    let (chat, rag) = (&all[0], &all[1]);
    assert_eq!(chat.infrastructure.incidents, [1], "up to the host under its old name, and on to its UPS");
    assert!(chat.sentence.contains("GPU 0 on node-7 → node-7 → the UPS"), "{}", chat.sentence);
    assert_eq!((chat.cause, chat.cause_entity.clone()), (CauseKind::Infrastructure, Some(id("ups:u"))));
    assert_eq!(rag.infrastructure.incidents, [2, 1], "the nearer first");
}

#[tokio::test]
async fn what_is_resolved_or_merged_does_not_count_and_what_is_held_open_does() {
    let all = asked(Some("chat"), |tx| {
        tx.put(&alert("f", "gpu:0", AlertState::Firing))?;
        tx.put(&alert("over", "gpu:0", AlertState::Resolved))?;
        tx.put(&incident(1, "f", "gpu:0", IncidentStatus::Resolved, None))?;
        tx.put(&incident(2, "f", "gpu:0", IncidentStatus::Open, Some(3)))?;
        // Beside one that fires elsewhere what is over says nothing any more.
        tx.put(&alert("on", "disk:elsewhere", AlertState::Firing))?;
        let beside = incident(4, "over", "disk:elsewhere", IncidentStatus::Open, None);
        tx.put(&Incident { alerts: vec![Fingerprint("over".into()), Fingerprint("on".into())], ..beside })?;
        let blamed = Alert { source: BLAMES.into(), ..alert("blamed", "gpu:0", AlertState::Resolved) };
        tx.put(&blamed)?;
        tx.put(&incident(5, "blamed", "disk:elsewhere", IncidentStatus::Open, None))
    })
    .await;
    assert!(all[0].infrastructure.incidents.is_empty(), "{:?}", all[0].infrastructure);
    assert_eq!(all[0].cause, CauseKind::None);
    let held = asked(Some("chat"), |tx| {
        tx.put(&alert("over", "gpu:0", AlertState::Resolved))?;
        tx.put(&incident(4, "over", "disk:elsewhere", IncidentStatus::Open, None))
    })
    .await;
    assert_eq!(held[0].infrastructure.incidents, [4], "nobody has said that it is over");
    let back = asked(Some("chat"), |tx| {
        tx.put(&alert("over", "gpu:0", AlertState::Resolved))?;
        tx.put(&alert("on", "disk:elsewhere", AlertState::Firing))?;
        let incident = incident(4, "over", "disk:elsewhere", IncidentStatus::Reopened, None);
        tx.put(&Incident { alerts: vec![Fingerprint("over".into()), Fingerprint("on".into())], ..incident })
    })
    .await;
    assert_eq!(back[0].infrastructure.incidents, [4], "it comes and goes");
}

#[tokio::test]
async fn the_latest_report_of_any_version_speaks_for_the_service() {
    let all = asked(Some("chat"), |tx| {
        report(tx, 1, "2", 4_000, DriftState::Stable)?;
        report(tx, 2, "1", 5_000, DriftState::Drifted)?;
        report(tx, 3, "3", 3_000, DriftState::Stable)
    })
    .await;
    assert_eq!((all[0].model.state, all[0].model.since), (Health::Degraded, Some(Timestamp(5_000))));
}
