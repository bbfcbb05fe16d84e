//! Sessions over small data centres: what belongs together, what does not, and what is said of it.

use super::*;
use crate::topology::fixture::Fixture;
use proptest::prelude::*;
use tandem_sdk::{
    correlator::{Alert, AlertState, Change, Feedback, Finding},
    types::{Severity, label},
};

/// One minute in milliseconds.
const MINUTE: i64 = 60_000;

const SITE: &[(&str, Link, &str)] = &[
    ("service:chat", Link::DependsOn, "replica:chat-0"),
    ("replica:chat-0", Link::RunsOn, "gpu:a/0"),
    ("service:rag", Link::RunsOn, "gpu:a/1"),
    ("service:web", Link::RunsOn, "host:b"),
    ("host:a", Link::Contains, "gpu:a/0"),
    ("host:a", Link::Contains, "gpu:a/1"),
    ("host:a", Link::Contains, "power-supply:a/1"),
    ("power-supply:a/1", Link::PoweredBy, "ups:rack-7"),
    ("host:b", Link::PoweredBy, "ups:rack-7"),
    ("host:a", Link::ConnectedTo, "switch:s"),
    ("host:b", Link::ConnectedTo, "switch:s"),
];

struct Session {
    topology: Topology,
    graph: Fixture,
}

fn alert(entity: &str, code: &str, severity: Severity, at: i64) -> Alert {
    Alert {
        fingerprint: format!("{entity}#{code}"),
        state: AlertState::Firing,
        code: code.into(),
        severity,
        title: format!("{code} trouble"),
        entity: entity.into(),
        labels: vec![],
        started_at: at,
        changed_at: at,
    }
}

fn resolved(mut alert: Alert, at: i64) -> Alert {
    alert.state = AlertState::Resolved;
    alert.changed_at = at;
    alert
}

fn finding(id: u64, entity: &str, at: i64, score: f64) -> Finding {
    let (name, ended_at) = ("disk.latency".into(), None);
    Finding { id, entity: entity.into(), name, started_at: at, ended_at, score, value: 9.0, low: 0.0, high: 1.0 }
}

fn delta(alerts: Vec<Alert>) -> Delta {
    Delta { now: 0, alerts, findings: vec![], changes: vec![], feedback: vec![] }
}

impl Session {
    fn new(edges: &[(&str, Link, &str)]) -> Self {
        Self { topology: Topology::new(&Config::default()).unwrap(), graph: Fixture::new(edges) }
    }

    fn run(&mut self, delta: &Delta) -> Vec<Grouping> {
        self.topology.advance(delta, &self.graph)
    }

    fn alerts(&mut self, alerts: Vec<Alert>) -> Vec<Grouping> {
        self.run(&delta(alerts))
    }

    fn incidents(&self) -> Vec<Vec<String>> {
        let incidents = self.topology.state.incidents.values().filter(|incident| !incident.alerts.is_empty());
        let mut incidents: Vec<Vec<String>> = incidents.map(|i| i.alerts.iter().cloned().collect()).collect();
        incidents.sort();
        incidents
    }
}

use Severity::{Critical, Warning};

#[test]
fn a_ups_on_battery_and_what_fails_behind_it_are_one_incident_caused_by_the_ups() {
    let mut session = Session::new(SITE);
    let told = session.alerts(vec![
        alert("power-supply:a/1", "power-supply.failed", Critical, 5_000),
        alert("host:b", "host.telemetry.down", Critical, 20_000),
        alert("ups:rack-7", "ups.on-battery", Warning, 0),
        alert("service:chat", "replica.down", Critical, 40_000),
    ]);
    assert_eq!(told.len(), 1);
    let incident = &told[0];
    assert_eq!(incident.fingerprints.len(), 4);
    assert_eq!(incident.causes[0].entity, "ups:rack-7", "{:#?}", incident.causes);
    assert!(incident.causes[0].score > 0.5);
    assert_eq!(incident.title, "rack-7: ups.on-battery trouble; affects services chat, rag, web");
    assert_eq!(
        incident.causes[0].sentence,
        "rack-7 reported ups.on-battery trouble; service chat depends on it through replica chat-0, gpu a/0, host a, power \
         supply a/1; service rag depends on it through gpu a/1, host a, power supply a/1; service web depends \
         on it through host b; 2 more entities depend on it as well"
    );
}

#[test]
fn a_gpu_fault_names_the_service_that_runs_on_it() {
    let mut session = Session::new(SITE);
    let told = session.alerts(vec![
        alert("service:chat", "model.latency", Warning, 30_000),
        alert("gpu:a/0", "gpu.xid.79", Critical, 0),
    ]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].causes[0].entity, "gpu:a/0");
    let sentence = "a/0 reported gpu.xid.79 trouble; service chat runs on it through replica chat-0";
    assert_eq!(told[0].causes[0].sentence, sentence);
    assert_eq!(told[0].causes[1].entity, "service:chat");
}

#[test]
fn unrelated_faults_at_the_same_time_stay_apart_and_a_healthy_hub_glues_nothing() {
    let mut session = Session::new(SITE);
    session.alerts(vec![
        alert("gpu:a/0", "gpu.xid.79", Critical, 0),
        alert("gpu:a/1", "gpu.xid.48", Critical, 0),
        alert("host:b", "host.oom-kill", Warning, 0),
    ]);
    assert_eq!(session.incidents().len(), 3);
}

#[test]
fn mere_information_about_a_hub_joins_one_incident_and_unites_none() {
    let mut session = Session::new(SITE);
    session.alerts(vec![
        alert("gpu:a/0", "gpu.xid.79", Critical, 0),
        alert("gpu:a/1", "gpu.xid.48", Critical, 0),
        alert("host:a", "host.restarted", Severity::Info, 1_000),
    ]);
    let sizes: Vec<usize> = session.incidents().iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 1]);
}

#[test]
fn a_cause_that_is_noticed_last_brings_its_incidents_together() {
    let mut session = Session::new(SITE);
    let first = session.alerts(vec![alert("gpu:a/0", "gpu.telemetry.down", Warning, 0)]);
    let second = session.alerts(vec![alert("host:b", "host.telemetry.down", Warning, MINUTE)]);
    let told = session.alerts(vec![alert("ups:rack-7", "ups.low-battery", Critical, 2 * MINUTE)]);
    assert_eq!(told.len(), 2);
    let (kept, gone) = (&told[0], &told[1]);
    assert_eq!((kept.key.as_str(), kept.fingerprints.len()), (first[0].key.as_str(), 3));
    assert_eq!(gone.key, second[0].key);
    assert_eq!(gone.merged_into.as_deref(), Some(first[0].key.as_str()));
    assert_eq!(kept.causes[0].entity, "ups:rack-7");
}

#[test]
fn findings_open_nothing_and_are_attached_whether_they_come_before_or_after() {
    let mut session = Session::new(SITE);
    let early = Delta { findings: vec![finding(1, "host:a", 0, 3.0), finding(2, "gpu:a/1", 0, 3.0)], ..delta(vec![]) };
    assert!(session.run(&early).is_empty());
    let told = session.alerts(vec![alert("gpu:a/0", "gpu.xid.79", Critical, MINUTE)]);
    assert_eq!(told[0].findings, [1], "the other GPU is no evidence");
    let late = Delta { findings: vec![finding(3, "service:chat", 2 * MINUTE, 2.0)], ..delta(vec![]) };
    let told = session.run(&late);
    assert_eq!(told[0].findings, [1, 3]);
    assert!(told[0].causes[0].signals.iter().any(|signal| signal.name == "gpu.xid.79"));
    let far = Delta { findings: vec![finding(4, "service:rag", 2 * MINUTE, 2.0)], ..delta(vec![]) };
    assert!(session.run(&far).is_empty());
    assert!(session.run(&late).is_empty(), "nothing changed, nothing is told");
}

#[test]
fn a_change_shortly_before_lifts_its_entity() {
    let alerts = || vec![alert("service:x", "errors", Warning, 0), alert("service:y", "errors", Warning, 0)];
    let edges = [("service:x", Link::DependsOn, "service:y"), ("service:y", Link::DependsOn, "service:x")];
    let mut session = Session::new(&edges);
    assert_eq!(session.alerts(alerts())[0].causes[0].entity, "service:x");
    let mut session = Session::new(&edges);
    let (at, code, title) = (-4 * MINUTE, "deployment.applied".into(), "version 5".into());
    let change = Change { at, entity: "service:y".into(), code, title };
    let told = session.run(&Delta { changes: vec![change], ..delta(alerts()) });
    assert_eq!(told[0].causes[0].entity, "service:y");
    assert!(told[0].causes[0].sentence.ends_with("; version 5 happened 4 minutes before"), "{:?}", told[0].causes[0]);
}

#[test]
fn a_flapping_alert_stays_where_it_was_and_a_later_one_begins_anew() {
    let mut session = Session::new(SITE);
    let fault = |at| alert("gpu:a/0", "gpu.xid.79", Critical, at);
    let key = session.alerts(vec![fault(0)])[0].key.clone();
    session.alerts(vec![resolved(fault(0), MINUTE)]);
    assert_eq!(session.incidents().len(), 1);
    session.alerts(vec![fault(3 * MINUTE)]);
    assert_eq!(session.topology.state.alerts["gpu:a/0#gpu.xid.79"].incident, key);
    session.alerts(vec![resolved(fault(3 * MINUTE), 4 * MINUTE)]);
    let again = session.alerts(vec![fault(300 * MINUTE)]);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].key, key);
    session.alerts(vec![alert("host:b", "x", Warning, 301 * MINUTE)]);
    assert!(!session.topology.state.incidents.contains_key(&key), "what is over is forgotten");
}

#[test]
fn time_separates_what_the_graph_connects() {
    let mut session = Session::new(SITE);
    let host = |at| alert("host:b", "host.oom-kill", Warning, at);
    session.alerts(vec![host(0), resolved(host(0), MINUTE)]);
    session.alerts(vec![alert("service:web", "model.latency", Warning, 11 * MINUTE)]);
    assert_eq!(session.incidents().len(), 2);
    // While the first still fires, it reaches further.
    let mut session = Session::new(SITE);
    session.alerts(vec![host(0)]);
    session.alerts(vec![alert("service:web", "model.latency", Warning, 11 * MINUTE)]);
    assert_eq!(session.incidents().len(), 1);
    session.alerts(vec![alert("service:web", "model.errors", Warning, 100 * MINUTE)]);
    assert_eq!(session.incidents().len(), 2);
}

#[test]
fn a_person_has_the_last_word() {
    let mut session = Session::new(SITE);
    let told = session.alerts(vec![
        alert("gpu:a/0", "gpu.xid.79", Critical, 0),
        alert("service:chat", "model.latency", Warning, 1_000),
    ]);
    let key = told[0].key.clone();
    let say = |incident: &str, belongs| {
        let fingerprints = vec!["service:chat#model.latency".to_owned()];
        Delta { feedback: vec![Feedback { incident: incident.into(), fingerprints, belongs }], ..delta(vec![]) }
    };
    let told = session.run(&say(&key, false));
    assert_eq!(told.len(), 2);
    assert_eq!(session.incidents().len(), 2);
    // It stays apart, also when it fires again.
    let latency = |at| alert("service:chat", "model.latency", Warning, at);
    session.alerts(vec![resolved(latency(1_000), 2_000), latency(3_000)]);
    assert_eq!(session.incidents().len(), 2);
    session.run(&say(&key, true));
    assert_eq!(session.incidents().len(), 1);
}

#[test]
fn wrong_answers_are_an_incident_beside_that_of_the_disk_that_makes_them_slow() {
    let mut session = Session::new(SITE);
    let slow = session.alerts(vec![
        alert("host:a", "disk.sectors-pending", Warning, 0),
        alert("service:rag", "objective.latency", Warning, MINUTE),
    ]);
    let wrong = session.alerts(vec![alert("service:rag", "objective.quality", Warning, 5 * MINUTE)]);
    assert_eq!(wrong.len(), 1, "the disk's incident has nothing new to tell");
    assert_eq!(wrong[0].fingerprints, ["service:rag#objective.quality"]);
    assert_ne!(wrong[0].key, slow[0].key);
    assert_eq!(wrong[0].causes[0].entity, "service:rag");
    // What else is slow, or is blamed for it, goes where the slowness is.
    let more = session.alerts(vec![
        alert("service:chat", "objective.latency", Warning, 6 * MINUTE),
        alert("host:a", "verdict.blamed", Warning, 7 * MINUTE),
    ]);
    assert_eq!((more.len(), more[0].key.as_str(), more[0].fingerprints.len()), (1, slow[0].key.as_str(), 4));
}

#[test]
fn a_fault_below_is_an_incident_beside_that_of_wrong_answers() {
    let mut session = Session::new(SITE);
    let wrong = session.alerts(vec![alert("service:rag", "objective.quality", Warning, 0)]);
    session.alerts(vec![
        alert("service:rag", "objective.latency", Critical, 3 * MINUTE),
        alert("service:chat", "objective.latency", Critical, 3 * MINUTE),
        alert("host:a", "verdict.blamed", Warning, 4 * MINUTE),
    ]);
    let mut sizes: Vec<usize> = session.incidents().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 3], "{:?}", session.incidents());
    assert_eq!(session.topology.state.incidents[&wrong[0].key].alerts.len(), 1);
}

#[test]
fn answers_that_are_wrong_because_others_are_belong_together() {
    let mut session = Session::new(&[("service:rag", Link::DependsOn, "service:embed")]);
    let told = session.alerts(vec![
        alert("service:rag", "objective.quality", Warning, MINUTE),
        alert("service:embed", "objective.quality", Warning, 0),
    ]);
    assert_eq!((told.len(), told[0].causes[0].entity.as_str()), (1, "service:embed"));
}

#[test]
fn a_version_that_is_slow_and_wrong_is_one_incident() {
    let deployed = |at| {
        let (code, title) = ("deployment.live".into(), "version 5".into());
        Change { at, entity: "service:rag".into(), code, title }
    };
    for (at, expected) in [(0, 1), (3 * MINUTE, 2)] {
        let mut session = Session::new(SITE);
        session.alerts(vec![alert("service:rag", "objective.latency", Warning, 2 * MINUTE)]);
        let wrong = alert("service:rag", "objective.quality", Warning, 5 * MINUTE);
        session.run(&Delta { changes: vec![deployed(at)], ..delta(vec![wrong]) });
        assert_eq!(session.incidents().len(), expected, "deployed at {at}");
    }
}

#[test]
fn a_person_may_say_that_slow_and_wrong_are_one_and_it_draws_in_no_others() {
    let mut session = Session::new(SITE);
    let told = session.alerts(vec![
        alert("service:rag", "objective.latency", Warning, 0),
        alert("service:rag", "objective.quality", Warning, 0),
    ]);
    assert_eq!(told.len(), 2);
    let slow = told.iter().find(|one| one.fingerprints[0].contains("latency")).unwrap().key.clone();
    let fingerprints = vec!["service:rag#objective.quality".to_owned()];
    let belongs = Feedback { incident: slow.clone(), fingerprints, belongs: true };
    session.run(&Delta { feedback: vec![belongs], ..delta(vec![]) });
    session.alerts(vec![alert("gpu:a/1", "gpu.xid.79", Critical, MINUTE)]);
    assert_eq!(session.incidents().len(), 1, "the GPU explains that it is slow");
    assert_eq!(session.topology.state.incidents[&slow].alerts.len(), 3);
}

#[test]
fn wrong_and_slow_stay_apart_where_nothing_is_known_but_names() {
    let mut session = Session::new(&[]);
    session.alerts(vec![
        alert("service:x", "objective.latency", Warning, 0),
        alert("service:x", "objective.availability", Warning, 1_000),
        alert("service:x", "objective.quality", Warning, 2_000),
    ]);
    assert_eq!(session.incidents().iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn alerts_of_unknown_things_are_held_together_by_their_scope_in_bursts() {
    let mut session = Session::new(&[]);
    let scoped = |entity: &str, namespace: &str, at: i64| {
        let mut alert = alert(entity, "errors", Warning, at);
        alert.fingerprint = format!("{entity}/{namespace}");
        alert.labels = vec![label("cluster", "prod"), label("namespace", namespace)];
        alert
    };
    session.alerts(vec![
        scoped("service:a", "shop", 0),
        scoped("service:b", "shop", 60_000),
        scoped("service:c", "shop", 120_000),
        scoped("service:d", "shop", 400_000),
        scoped("service:a", "infra", 0),
    ]);
    let sizes: Vec<usize> = session.incidents().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1, 3, 1], "a name shared by two scopes is two things: {:?}", session.incidents());
}

#[test]
fn an_alert_whose_entity_turns_out_to_be_another_joins_where_that_belongs() {
    let mut session = Session::new(SITE);
    let mut latency = alert("service:unknown", "model.latency", Warning, 1_000);
    session.alerts(vec![alert("gpu:a/0", "gpu.xid.79", Critical, 0), latency.clone()]);
    assert_eq!(session.incidents().len(), 2);
    latency.entity = "service:chat".into();
    latency.changed_at = 2_000;
    let told = session.alerts(vec![latency]);
    assert_eq!(session.incidents().len(), 1);
    assert_eq!(told.len(), 2);
    assert!(told[1].merged_into.is_some());
    assert!(!session.topology.state.by_entity.contains_key("service:unknown"));
}

#[test]
fn titles_are_one_line_of_bounded_length() {
    let mut session = Session::new(SITE);
    let mut long = alert("gpu:a/0", "gpu.xid.79", Critical, 0);
    long.title = format!("two\nlines {}", "ü".repeat(600));
    let told = session.alerts(vec![long]);
    assert!(told[0].title.len() <= 512 && !told[0].title.contains('\n'), "{}", told[0].title);
}

#[test]
fn ten_thousand_alerts_are_taken_in_one_by_one() {
    /// Unoptimised and beside other tests; the point is that the work per alert does not grow with their number.
    const LIMIT_MILLIS_PER_ALERT: u128 = 20;
    let names: Vec<(String, String)> = (0..2_000).map(|i| (format!("host:{i}"), format!("gpu:{i}"))).collect();
    let edges: Vec<(&str, Link, &str)> = names.iter().map(|(h, g)| (h.as_str(), Link::Contains, g.as_str())).collect();
    let mut session = Session::new(&[]);
    session.graph = Fixture::new(&edges);
    let started = std::time::Instant::now();
    for round in 0..10_i64 {
        let alerts = (0..1_000).map(|i| alert(&names[i * 2].1, &format!("fault.{round}"), Warning, round * 1_000));
        session.alerts(alerts.collect());
    }
    let millis = started.elapsed().as_millis();
    println!("10,000 alerts in {millis} ms");
    assert_eq!(session.incidents().len(), 1_000);
    assert!(millis / 10_000 < LIMIT_MILLIS_PER_ALERT, "{millis} ms");
}

#[test]
fn a_state_that_is_not_understood_is_refused() {
    assert!(Topology::load(&Config::default(), b"{").is_err());
    let mut session = Session::new(SITE);
    session.topology.state.version = 9;
    assert!(Topology::load(&Config::default(), &session.topology.save()).is_err());
    assert_eq!(Topology::describe().name, env!("CARGO_PKG_NAME"));
}

fn any_delta() -> impl Strategy<Value = (usize, bool, i64, Option<u64>)> {
    (0..SITE.len(), any::<bool>(), 0i64..400, prop::option::of(1u64..9))
}

proptest! {
    #[test]
    fn a_restored_session_goes_on_as_if_nothing_had_happened_and_keeps_natures_apart(
        steps in prop::collection::vec(any_delta(), 1..40),
        cut in 0usize..40,
    ) {
        let mut session = Session::new(SITE);
        let mut restored: Option<Session> = None;
        let mut now = 0;
        for (index, (edge, firing, wait, found)) in steps.iter().enumerate() {
            if index == cut {
                let topology = Topology::load(&Config::default(), &session.topology.save()).unwrap();
                prop_assert_eq!(&topology.state, &session.topology.state);
                restored = Some(Session { topology, graph: Fixture::new(SITE) });
            }
            now += wait * 5_000;
            let code = if edge % 3 == 0 { "objective.quality" } else { "fault" };
            let mut change = alert(SITE[*edge].0, code, if edge % 2 == 0 { Critical } else { Warning }, now);
            if !firing {
                change = resolved(change, now);
            }
            let mut delta = delta(vec![change]);
            delta.findings.extend(found.map(|id| finding(id, SITE[(edge + 3) % SITE.len()].2, now, id as f64 / 3.0)));
            let told = format!("{:?}", session.run(&delta));
            if let Some(restored) = &mut restored {
                prop_assert_eq!(told, format!("{:?}", restored.run(&delta)));
            }
            for (fingerprint, alert) in &session.topology.state.alerts {
                prop_assert!(session.topology.state.incidents[&alert.incident].alerts.contains(fingerprint));
            }
            for incident in session.incidents() {
                let wrong = incident.iter().filter(|fingerprint| fingerprint.ends_with("quality")).count();
                prop_assert!(wrong == 0 || wrong == incident.len(), "two natures in one: {:?}", incident);
            }
        }
    }
}
