//! Facts in, verdict out.

use super::*;
use crate::ask::Answer;
use tandem_domain::{
    Severity,
    alert::{AlertState, Fingerprint},
    drift::{ColumnDrift, Drift, DriftState, Method},
    incident::{Cause, IncidentStatus},
    objective::{Keeping, OBJECTIVES, Objective},
    prediction::ServiceTraffic,
    series::Labels,
    verdict::{BLAMES, Candidate, CauseKind, Health},
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
        reference_version: None,
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

/// The latest report, after one that came to the same.
fn drifting(report: &DriftReport) -> Drifting {
    let before = DriftStanding::after(None, &DriftReport { at: Timestamp(80), ..report.clone() });
    Drifting { standing: DriftStanding::after(Some(&before), report), report: report.clone() }
}

fn traffic(last_at: Timestamp) -> ServiceTraffic {
    let mut traffic = ServiceTraffic {
        service: "chat".into(),
        model: "m".into(),
        version: "1".into(),
        predictions: 0,
        labels: 0,
        agreed: 0,
        first_at: last_at,
        last_at,
        minutes: Vec::new(),
    };
    traffic.count_prediction(Timestamp(0));
    traffic.count_label(Timestamp(0), false);
    for agreed in [true, true, true] {
        traffic.count_prediction(last_at);
        traffic.count_label(last_at, agreed);
    }
    traffic
}

fn verdict(report: Option<&DriftReport>, failing: Option<&str>) -> Verdict {
    let (incident, alerts) = incident(failing.unwrap_or("disk:elsewhere"));
    verdict_with(report, &[], Timestamp(200), &[incident], &alerts)
}

/// An objective that is not kept.
fn missed(indicator: Indicator) -> ObjectiveStanding {
    ObjectiveStanding {
        service: "chat".into(),
        objective: Objective { indicator, target: 0.99 },
        at: Timestamp(200),
        keeping: Keeping::Burning,
        severity: Some(Severity::Critical),
        since: Timestamp(90),
        counted: Vec::new(),
        sentence: "30 % of 100 went wrong".into(),
        of: Vec::new(),
        learned: None,
    }
}

fn verdict_with(
    report: Option<&DriftReport>,
    traffic: &[ServiceTraffic],
    at: Timestamp,
    incidents: &[Incident],
    alerts: &BTreeMap<String, Alert>,
) -> Verdict {
    verdict_of((report, &[]), traffic, at, incidents, alerts)
}

fn verdict_of(
    (report, burning): (Option<&DriftReport>, &[ObjectiveStanding]),
    traffic: &[ServiceTraffic],
    at: Timestamp,
    incidents: &[Incident],
    alerts: &BTreeMap<String, Alert>,
) -> Verdict {
    diagnosed(None, (report, burning), traffic, at, incidents, alerts)
}

fn diagnosed(
    diagnosis: Option<&Diagnosis>,
    (report, burning): (Option<&DriftReport>, &[ObjectiveStanding]),
    traffic: &[ServiceTraffic],
    at: Timestamp,
    incidents: &[Incident],
    alerts: &BTreeMap<String, Alert>,
) -> Verdict {
    let paths = [vec![id("service:chat")], vec![id("service:chat"), id("gpu:3")]];
    let drifting = report.map(drifting);
    judge(&Facts {
        service: "chat",
        at,
        traffic,
        drifting: drifting.as_ref(),
        burning,
        paths: &paths,
        incidents,
        alerts,
        names: &BTreeMap::from([(id("gpu:3"), "GPU 3 on node-7".to_owned())]),
        diagnosis,
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
fn what_users_feel_is_no_fault_below_and_says_who_is_wrong_only_where_it_can() {
    let (felt, mut alerts) = incident("service:chat");
    alerts.values_mut().for_each(|alert| alert.source = OBJECTIVES.into());
    let judged = |report: Option<&DriftReport>, indicator| {
        let burning = [missed(indicator)];
        verdict_of((report, &burning), &[], Timestamp(200), std::slice::from_ref(&felt), &alerts)
    };
    let slow = judged(None, Indicator::Latency { within_seconds: 0.3 });
    assert_eq!((slow.infrastructure.state, slow.cause), (Health::Ok, CauseKind::Unknown));
    assert!(slow.sentence.contains("30 % of 100 went wrong"), "{}", slow.sentence);
    let wrong = judged(Some(&report(DriftState::Stable, &[])), Indicator::Quality);
    assert_eq!(
        (wrong.model.state, wrong.model.since, wrong.cause),
        (Health::Degraded, Some(Timestamp(90)), CauseKind::Model)
    );
    assert!(wrong.sentence.contains("has not moved"), "{}", wrong.sentence);
    let drifted = judged(Some(&report(DriftState::Drifted, &["age"])), Indicator::Quality);
    assert_eq!((drifted.cause, drifted.model.since), (CauseKind::Data, Some(Timestamp(80))));
    assert!(drifted.sentence.contains("users feel it"), "{}", drifted.sentence);
    let (fault, alerts) = incident("gpu:3");
    let burning = [missed(Indicator::Availability)];
    let below = verdict_of((None, &burning), &[], Timestamp(200), &[fault], &alerts);
    assert_eq!((below.cause, below.cause_entity), (CauseKind::Infrastructure, Some(id("gpu:3"))));
    assert!(below.sentence.contains("users feel it"), "{}", below.sentence);
}

#[test]
fn the_first_who_says_where_it_lies_is_named_unless_it_is_far_behind() {
    let asked = |candidates: &[(&str, CauseKind, f64)]| {
        let candidate = |(id, kind, score): &(&str, CauseKind, f64)| Candidate {
            entity: EntityId((*id).into()),
            name: (*id).into(),
            score: *score,
            kind: *kind,
            sentence: format!("{id} is odd."),
            path: Vec::new(),
            signals: Vec::new(),
        };
        let candidates = candidates.iter().map(candidate).collect();
        let diagnosis = Diagnosis {
            service: "chat".into(),
            case: 1,
            asked_at: Timestamp(100),
            onset: Timestamp(90),
            triggers: Vec::new(),
            predictions_before: 0,
            caveats: Vec::new(),
            outcome: Ok(Answer { confident: true, confidence: 0.8, doubt: String::new(), candidates }),
        };
        let burning = [missed(Indicator::Availability)];
        let verdict = diagnosed(Some(&diagnosis), (None, &burning), &[], Timestamp(200), &[], &BTreeMap::new());
        (verdict.cause, verdict.cause_entity.map(|entity| entity.0), verdict.grounds.confident)
    };
    use CauseKind::{Infrastructure, Model, Unknown};
    let (service, version, host) = ("service:chat", "model-version:m@2", "host:a");
    let gpu = asked(&[("gpu:3", Infrastructure, 0.7), (service, Unknown, 0.2)]);
    assert_eq!(gpu, (Infrastructure, Some("gpu:3".into()), true));
    let near = asked(&[(service, Unknown, 0.4), ("gpu:3", Infrastructure, 0.3)]);
    assert_eq!(near, (Infrastructure, Some("gpu:3".into()), false), "it is not the first");
    assert_eq!(asked(&[(service, Unknown, 0.6), (host, Infrastructure, 0.1)]), (Unknown, None, false));
    let new = asked(&[(service, Unknown, 0.4), (version, Model, 0.3), (host, Infrastructure, 0.25)]);
    assert_eq!(new, (Model, Some(version.into()), false));
}

#[test]
fn what_a_verdict_blames_is_no_evidence_for_a_verdict() {
    let (blamed, mut alerts) = incident("gpu:3");
    alerts.values_mut().for_each(|alert| alert.source = BLAMES.into());
    let judged = |burning: &[ObjectiveStanding]| {
        verdict_of((None, burning), &[], Timestamp(200), std::slice::from_ref(&blamed), &alerts)
    };
    let quiet = judged(&[]);
    assert_eq!((quiet.infrastructure.state, quiet.cause), (Health::Ok, CauseKind::None), "another service feels it");
    let felt = judged(&[missed(Indicator::Availability)]);
    assert_eq!((felt.infrastructure.state, felt.cause), (Health::Ok, CauseKind::Unknown), "{}", felt.sentence);
    // Beside a fault elsewhere that the same incident holds it is still an echo.
    let (mut mixed, fault) = incident("gpu:3");
    let blamed = alerts.remove("f").map(|alert| Alert { fingerprint: Fingerprint("b".into()), ..alert });
    let elsewhere = fault.into_values().map(|alert| Alert { entity: id("disk:elsewhere"), ..alert });
    let both: BTreeMap<String, Alert> =
        blamed.into_iter().chain(elsewhere).map(|alert| (alert.fingerprint.0.clone(), alert)).collect();
    mixed.alerts = both.keys().map(|fingerprint| Fingerprint(fingerprint.clone())).collect();
    let beside = verdict_of((None, &[]), &[], Timestamp(200), &[mixed], &both);
    assert_eq!((beside.infrastructure.state, beside.cause), (Health::Ok, CauseKind::None), "{}", beside.sentence);
}

#[test]
fn what_is_not_known_is_said_to_be_unknown_and_why() {
    let fine = verdict(Some(&report(DriftState::Stable, &[])), None);
    assert_eq!(fine.model.state, Health::Ok);
    assert!(fine.model.evidence[0].contains("none of 2 columns"), "{:?}", fine.model.evidence);
    assert!(verdict(None, None).model.evidence[0].contains("no predictions"));
    assert_eq!(verdict(Some(&report(DriftState::Failed, &[])), None).model.state, Health::Unknown);
}

#[test]
fn an_answer_holds_since_the_first_report_that_gave_it() {
    let stable = verdict(Some(&report(DriftState::Stable, &[])), None);
    assert_eq!(stable.model.since, Some(Timestamp(80)), "not since the latest report, which is of 100");
    let drifted = verdict(Some(&report(DriftState::Drifted, &["age"])), None);
    assert_eq!((drifted.model.state, drifted.model.since), (Health::Degraded, Some(Timestamp(80))));
}

#[test]
fn an_old_report_says_nothing_of_now() {
    let old = report(DriftState::Drifted, &["age"]);
    let day = tandem_domain::drift::REPORT_HOLDS_MILLIS;
    let asked = |at: i64| verdict_with(Some(&old), &[], Timestamp(at), &[], &BTreeMap::new());
    assert_eq!(asked(100 + day).model.state, Health::Degraded);
    let later = asked(100 + day + 1);
    assert_eq!((later.model.state, later.cause), (Health::Unknown, CauseKind::None));
    assert_eq!(later.model.since, Some(Timestamp(100 + day)), "since the report stopped speaking of now");
    assert!(later.model.evidence[0].contains("24 hours old"), "{:?}", later.model.evidence);
}

#[test]
fn the_infrastructure_is_degraded_since_what_degrades_it() {
    let (grave, alerts) = incident("gpu:3");
    let (mut slight, _) = incident("gpu:3");
    (slight.id, slight.severity, slight.opened_at) = (6, Severity::Info, Timestamp(10));
    let drifted = report(DriftState::Drifted, &["age"]);
    let late = Incident { opened_at: Timestamp(90), ..grave };
    let verdict = verdict_with(Some(&drifted), &[], Timestamp(200), &[slight, late], &alerts);
    assert_eq!(verdict.infrastructure.since, Some(Timestamp(90)));
    assert_eq!(verdict.infrastructure.incidents, [7, 6]);
    // The drift is seen since 80, though its latest report is of 100.
    assert!(verdict.sentence.contains("since after that was seen"), "{}", verdict.sentence);
}

#[test]
fn what_was_seen_lately_is_told_beside_what_was_seen_for_good() {
    let now = Timestamp(3_600_000);
    let asked = |at: Timestamp| verdict_with(None, &[traffic(now)], at, &[], &BTreeMap::new()).model.evidence;
    assert_eq!(
        asked(now),
        [
            "4 predictions are not enough for a drift report yet",
            "3 predictions were made in the last 5 minutes",
            "75.0 % of 4 labelled predictions agree with their label, 100.0 % of 3 in the last 5 minutes"
        ]
    );
    let later = asked(now.plus_millis(3_600_000));
    assert!(later[1].starts_with("no prediction was made"), "{later:?}");
    assert!(later[2].ends_with("agree with their label"), "{later:?}");
}

#[test]
fn labels_that_never_come_or_have_stopped_are_told() {
    let now = Timestamp(3_600_000);
    let asked = |of: ServiceTraffic| verdict_with(None, &[of], now, &[], &BTreeMap::new()).model.evidence;
    let none = asked(ServiceTraffic { labels: 0, agreed: 0, minutes: Vec::new(), ..traffic(now) });
    assert_eq!(none[2], "no label came for any of them: whether they are right is not known");
    let mut stopped = traffic(now);
    stopped.minutes.iter_mut().for_each(|minute| (minute.labels, minute.agreed) = (0, 0));
    let stopped = asked(stopped);
    assert!(stopped[2].ends_with("and none of the last 5 minutes has one yet"), "{stopped:?}");
}

#[test]
fn a_column_that_moved_alone_is_told_as_too_few() {
    let told = |state| verdict(Some(&report(state, &["age"])), None).model.evidence.join("; ");
    let stable = told(DriftState::Stable);
    assert!(
        stable.contains("1 of 2 columns of m version 1 has drifted: age, which is too few to call it drift"),
        "{stable}"
    );
    assert!(!told(DriftState::Drifted).contains("too few"));
}

#[test]
fn a_report_that_cannot_say_tells_why() {
    let mut report = report(DriftState::InsufficientData, &[]);
    report.columns[1].outcome = Err(tandem_domain::Failure::lasting(
        tandem_domain::FailureCode::Unsupported,
        "40 of the 60 predictions are no longer kept",
    ));
    let verdict = verdict(Some(&report), None);
    assert_eq!(verdict.model.state, Health::Unknown);
    assert!(verdict.model.evidence[0].contains("40 of the 60"), "{:?}", verdict.model.evidence);
}
