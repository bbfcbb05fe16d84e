//! Both pages over a real store, in which everything that a stranger can name is named as badly as can be.

use super::{incident, incident_reading::IncidentPage, overview, reading::Overview};

use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertState, Fingerprint},
    entity::{Entity, EntityId},
    finding::Finding,
    incident::{Cause, Incident, IncidentStatus, TimelineEntry},
    meaning::{EntitySeries, Meaning, MeaningBody},
    relation::{Relation, RelationKind},
    series::{Labels, MetricType, SampleBatch, SeriesDescription},
    target::TargetKey,
};
use tandem_store::{Store, StoreOptions};

const NOW: Timestamp = Timestamp(1_790_000_600_000);
const ONSET: Timestamp = Timestamp(1_790_000_000_000);
/// What would run in a browser, were it not escaped.
const EVIL: &str = "\"><script>alert('x')</script><img src=x onerror=y>&";

fn id(text: &str) -> EntityId {
    EntityId(text.into())
}

fn entity(kind: &str, name: &str) -> Entity {
    Entity {
        kind: kind.into(),
        name: name.into(),
        keys: Vec::new(),
        attributes: Labels::default(),
        first_seen_at: ONSET,
        last_seen_at: ONSET,
        merged_into: None,
        id: id(&format!("{kind}:{name}")),
    }
}

fn needs(dependent: &EntityId, dependency: &EntityId, kind: RelationKind) -> Relation {
    let (dependent, dependency) = (dependent.clone(), dependency.clone());
    Relation { dependent, dependency, kind, source: "test".into(), seen_at: ONSET }
}

fn trouble(gpu: &EntityId, service: &EntityId, status: IncidentStatus) -> (Incident, Alert) {
    let alert = Alert {
        fingerprint: Fingerprint("f".into()),
        state: AlertState::Firing,
        code: format!("gpu.xid.79{EVIL}"),
        severity: Severity::Critical,
        title: format!("fallen off the bus {EVIL}"),
        advice: format!("Drain the node {EVIL}"),
        entity: gpu.clone(),
        labels: Labels::default(),
        started_at: ONSET,
        ended_at: None,
        changed_at: ONSET,
        times_fired: 1,
        source: "detector-fault".into(),
    };
    let cause = Cause { entity: gpu.clone(), score: 1.0, signals: Vec::new(), sentence: format!("it needs {EVIL}") };
    let said = TimelineEntry { at: ONSET, actor: EVIL.into(), text: format!("opened {EVIL}") };
    let incident = Incident {
        id: 7,
        correlator: "c".into(),
        correlator_key: "k".into(),
        title: format!("GPU gone {EVIL}"),
        status,
        severity: Severity::Critical,
        opened_at: ONSET.plus_millis(20_000),
        resolved_at: (!status.is_active()).then_some(ONSET.plus_millis(300_000)),
        changed_at: ONSET,
        entities: vec![gpu.clone(), service.clone()],
        alerts: vec![alert.fingerprint.clone()],
        findings: vec![1],
        causes: vec![cause],
        timeline: vec![said],
        merged_into: None,
    };
    (incident, alert)
}

/// A service on a replica on a GPU that fell off the bus, with a temperature that was odd.
async fn store(folder: &std::path::Path, status: IncidentStatus) -> Store {
    let store = Store::open(folder, StoreOptions::default()).expect("opens");
    let written = store.write(move |tx| {
        let (service, replica, gpu) = (entity("service", EVIL), entity("replica", "r1"), entity("gpu", EVIL));
        for one in [&service, &replica, &gpu, &entity("gpu", "idle")] {
            tx.put(one)?;
        }
        tx.put(&needs(&service.id, &replica.id, RelationKind::DependsOn))?;
        tx.put(&needs(&replica.id, &gpu.id, RelationKind::RunsOn))?;
        let target = TargetKey { job: EVIL.into(), instance: EVIL.into() };
        let description = SeriesDescription {
            metric: "temperature".into(),
            metric_type: MetricType::Gauge,
            unit: String::new(),
            labels: Labels::default(),
        };
        let series = tx.register_series(&target, &description)?;
        let mut batch = SampleBatch::default();
        for step in 0..60 {
            batch.push(series, ONSET.plus_millis(step * 10_000 - 300_000), 40.0 + step as f64);
        }
        tx.append_samples(&batch)?;
        let body = MeaningBody {
            name: format!("gpu.temperature{EVIL}"),
            unit: "Cel".into(),
            scale: 1.0,
            offset: 0.0,
            missing: Vec::new(),
            dimensions: Labels::default(),
            fault_rules: Vec::new(),
        };
        let mapper = ("collector-gpu".to_owned(), String::new());
        tx.put(&Meaning { series, entity: gpu.id.clone(), body, mapper: mapper.0, mapper_digest: mapper.1 })?;
        tx.put(&EntitySeries { entity: gpu.id.clone(), series })?;
        tx.put(&Finding {
            id: 1,
            detector: EVIL.into(),
            detector_digest: String::new(),
            series: vec![series],
            entity: gpu.id.clone(),
            name: format!("gpu.temperature{EVIL}"),
            started_at: ONSET,
            ended_at: None,
            score: 4.2,
            value: 90.0,
            low: 35.0,
            high: 60.0,
            points: 3,
        })?;
        let (incident, alert) = trouble(&gpu.id, &service.id, status);
        tx.put(&alert)?;
        tx.put(&incident)
    });
    written.await.expect("written");
    store
}

fn is_harmless(page: &str) {
    for evil in ["<script", "<img", "onerror=y>", "javascript:", " style="] {
        assert!(!page.contains(evil), "{evil} is in the page");
    }
    assert!(page.contains("&lt;script&gt;"), "what was named is shown");
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing comes from elsewhere");
}

#[tokio::test]
async fn an_incident_is_told_whole_and_nothing_of_it_is_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path(), IncidentStatus::Open).await;
    let page = IncidentPage::read(&store, 7, NOW).expect("reads").expect("there");
    assert_eq!(page.paths.len(), 1);
    let steps: Vec<(&str, bool)> = page.paths[0].iter().map(|step| (step.how, step.is_cause)).collect();
    assert_eq!(steps, [("", false), ("needs", false), ("runs on", true)]);
    let told = incident::render(&page).into_string();
    is_harmless(&told);
    for part in ["<svg", "class=\"band\"", "class=\"mark\"", "Drain the node", "I take it", "firing", "likely cause"] {
        assert!(told.contains(part), "{part} is missing");
    }
    assert!(IncidentPage::read(&store, 8, NOW).expect("reads").is_none());
}

#[tokio::test]
async fn one_that_is_over_asks_nobody_for_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path(), IncidentStatus::Resolved).await;
    let page = IncidentPage::read(&store, 7, NOW).expect("reads").expect("there");
    let told = incident::render(&page).into_string();
    assert!(told.contains("It lasted") && !told.contains("<button"), "{told}");
    let page = Overview::read(&store, Vec::new(), NOW, false).expect("reads");
    assert_eq!((page.incidents.len(), page.over.len()), (0, 1));
}

#[tokio::test]
async fn the_overview_says_what_is_wrong_and_what_it_cannot_see() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = store(folder.path(), IncidentStatus::Open).await;
    for everything in [false, true] {
        let page = Overview::read(&store, Vec::new(), NOW, everything).expect("reads");
        let told = overview::render(&page).into_string();
        is_harmless(&told);
        for part in
            ["href=\"/incidents/7\"", "What Tandem cannot see", "1 GPU belongs", "idle", "1 of 1 service needs you"]
        {
            assert!(told.contains(part), "{part} is missing");
        }
        assert_eq!(told.contains("Show less"), everything);
    }
}

#[tokio::test]
async fn a_server_that_knows_nothing_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let told = overview::render(&Overview::read(&store, Vec::new(), NOW, false).expect("reads")).into_string();
    assert!(told.contains("No model service is known yet") && told.contains("Nothing that it knows to be missing"));
}
