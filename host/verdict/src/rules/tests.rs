//! Facts in, verdict out.

use super::*;
use tandem_domain::{
    alert::{AlertState, Fingerprint},
    drift::{ColumnDrift, Drift, Method},
    incident::{Cause, IncidentStatus},
    series::Labels,
};

fn report(state: DriftState, drifted: &[&str]) -> DriftReport {
    let line = |name: &str| ColumnDrift {
        column: Some(name.into()),
        plugin: "drift-psi".into(),
        outcome: Ok(Drift {
            column: Some(0),
            value: 1.0,
            p_value: None,
            threshold: 0.1,
            drifted: drifted.contains(&name),
            reference_count: 100,
            current_count: 100,
            method: Method {
                id: "psi".into(),
                version: "1".into(),
                binning: String::new(),
                log_base: String::new(),
                smoothing: String::new(),
            },
            details: Vec::new(),
        }),
    };
    DriftReport {
        id: 1,
        service: "chat".into(),
        model: "m".into(),
        version: "1".into(),
        at: Timestamp(100),
        reference: (Timestamp(0), Timestamp(1)),
        current: (Timestamp(2), Timestamp(3)),
        state,
        columns: ["age", "prediction"].into_iter().map(line).collect(),
    }
}

fn id(text: &str) -> EntityId {
    EntityId(text.into())
}

fn incident(entity: &str) -> (Incident, BTreeMap<String, Alert>) {
    let incident = Incident {
        id: 7,
        correlator: "c".into(),
        correlator_key: "k".into(),
        title: "XID 79 on GPU 3".into(),
        status: IncidentStatus::Open,
        severity: Severity::Critical,
        opened_at: Timestamp(50),
        resolved_at: None,
        changed_at: Timestamp(50),
        entities: vec![id(entity), id("service:chat")],
        alerts: vec![Fingerprint("f".into())],
        findings: Vec::new(),
        causes: vec![Cause { entity: id(entity), score: 1.0, signals: Vec::new(), sentence: String::new() }],
        timeline: Vec::new(),
        merged_into: None,
    };
    let alert = Alert {
        fingerprint: Fingerprint("f".into()),
        state: AlertState::Firing,
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
    };
    (incident, BTreeMap::from([("f".to_owned(), alert)]))
}

fn verdict(report: Option<&DriftReport>, failing: Option<&str>) -> Verdict {
    let paths = [vec![id("service:chat")], vec![id("service:chat"), id("gpu:3")]];
    let (incident, alerts) = incident(failing.unwrap_or("disk:elsewhere"));
    judge(&Facts {
        service: "chat".into(),
        at: Timestamp(200),
        traffic: &[],
        report,
        paths: &paths,
        has_infrastructure: true,
        incidents: &[incident],
        alerts: &alerts,
        names: &BTreeMap::from([(id("gpu:3"), "GPU 3 on node-7".to_owned())]),
    })
}

#[test]
fn a_fault_on_the_path_is_the_infrastructures_and_one_elsewhere_is_nobodys() {
    let there = verdict(None, Some("gpu:3"));
    assert_eq!(
        (there.model.state, there.infrastructure.state, there.cause),
        (Health::Unknown, Health::Degraded, CauseKind::Infrastructure)
    );
    assert_eq!(there.cause_entity, Some(id("gpu:3")));
    assert!(there.sentence.contains("GPU 3 on node-7") && there.sentence.contains("#7"), "{}", there.sentence);
    let elsewhere = verdict(None, None);
    assert_eq!((elsewhere.infrastructure.state, elsewhere.cause), (Health::Ok, CauseKind::None));
    assert!(elsewhere.infrastructure.incidents.is_empty());
}

#[test]
fn drift_of_inputs_is_datas_and_of_answers_alone_the_models() {
    let inputs = report(DriftState::Drifted, &["age", "prediction"]);
    assert_eq!(verdict(Some(&inputs), None).cause, CauseKind::Data);
    let answers = report(DriftState::Drifted, &["prediction"]);
    assert_eq!(verdict(Some(&answers), None).cause, CauseKind::Model);
    let both = verdict(Some(&inputs), Some("gpu:3"));
    assert_eq!(both.cause, CauseKind::Both);
    assert!(both.sentence.contains("since before"), "{}", both.sentence);
}

#[test]
fn what_is_not_known_is_said_to_be_unknown_and_why() {
    let fine = verdict(Some(&report(DriftState::Stable, &[])), None);
    assert_eq!(fine.model.state, Health::Ok);
    assert!(fine.model.evidence[0].contains("none of 2 columns"), "{:?}", fine.model.evidence);
    assert!(verdict(None, None).model.evidence[0].contains("no predictions"));
    assert_eq!(verdict(Some(&report(DriftState::Failed, &[])), None).model.state, Health::Unknown);
}
