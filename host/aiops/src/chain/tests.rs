//! The whole chain: from a sample to a webhook, driven by hand and by its own loops.

use super::{Chain, ChainConfig, Ports};
use crate::{
    config::AiopsConfig,
    map::MapConfig,
    notify::ReceiverConfig,
    testing::{FakeCorrelators, FakeDetectors, FakeHttp, FakeMappers, open, plugin, reopen, second},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertState},
    entity::{EntityDraft, IdentityKey, KeyStrength},
    incident::{Incident, IncidentStatus},
    meaning::{Condition, FaultRule, Mapping, MeaningBody, MeaningDraft, Range},
    plugin::Scope,
    series::{Labels, MetricType, SampleBatch, SeriesDescription},
    target::{TargetInfo, TargetKey},
    time::Clock,
    topology::TopologyDraft,
};
use tandem_store::{Store, WriteError};
use tokio::sync::watch;

pub(super) struct World {
    detectors: Arc<FakeDetectors>,
    pub(super) http: Arc<FakeHttp>,
    pub(super) ports: Ports,
}

/// Every series is a GPU's XID; 79 is a fault.
fn xid(target: &TargetInfo, series: &[SeriesDescription]) -> Mapping {
    let key =
        |scheme: &str, value: &str, strength| IdentityKey { scheme: scheme.into(), value: value.into(), strength };
    let gpu = EntityDraft {
        kind: "gpu".into(),
        keys: vec![
            key("uuid", "GPU-1", KeyStrength::Unique),
            key("index", &format!("{}/0", target.key.instance), KeyStrength::Local),
        ],
        name: "GPU 0 on node-1".into(),
        attributes: Labels::default(),
    };
    let rule = FaultRule {
        code: "gpu.xid.79".into(),
        condition: Condition::Within(Range { low: 79.0, high: 79.0 }),
        severity: Severity::Critical,
        title: "GPU has fallen off the bus".into(),
        advice: "Drain the node.".into(),
        resting: None,
        rest_seconds: 0,
    };
    let body = MeaningBody {
        name: "gpu.xid".into(),
        unit: "1".into(),
        scale: 1.0,
        offset: 0.0,
        missing: vec![],
        dimensions: Labels::default(),
        fault_rules: vec![rule],
    };
    let meaning = |series: usize| MeaningDraft { series: series as u32, entity: 0, body: body.clone() };
    let topology = TopologyDraft { entities: vec![gpu], relations: vec![] };
    Mapping { topology, meanings: (0..series.len()).map(meaning).collect() }
}

pub(super) fn world() -> World {
    let mappers =
        FakeMappers::new(vec![plugin("m", "1", &[Scope::Target])], |_, target, series| Ok(xid(target, series)));
    let detectors = Arc::new(FakeDetectors::default());
    *detectors.live.lock().unwrap() = vec![plugin("d", "1", &[Scope::Series])];
    let correlators = Arc::new(FakeCorrelators::default());
    *correlators.live.lock().unwrap() = vec![plugin("c", "1", &[])];
    let http = Arc::new(FakeHttp::default());
    let ports = Ports { mappers, detectors: detectors.clone(), correlators, http: http.clone() };
    World { detectors, http, ports }
}

pub(super) fn config() -> ChainConfig {
    let map = MapConfig { debounce_millis: 50, ..MapConfig::default() };
    ChainConfig {
        rooms: AiopsConfig { map, ..AiopsConfig::default() },
        receivers: BTreeMap::from([("ops".to_owned(), ReceiverConfig::new("http://ops/hook"))]),
        console_url: "http://127.0.0.1:8420".into(),
        ..ChainConfig::default()
    }
}

pub(super) async fn scrape(store: &Store, at: Timestamp, value: f64) -> Result<(), WriteError> {
    store
        .write(move |tx| {
            let target = TargetKey { job: "dcgm".into(), instance: "10.0.0.7:9400".into() };
            let description = SeriesDescription {
                metric: "DCGM_FI_DEV_XID_ERRORS".into(),
                metric_type: MetricType::Gauge,
                unit: String::new(),
                labels: Labels::default(),
            };
            let series = tx.register_series(&target, &description)?;
            let mut batch = SampleBatch::default();
            batch.push(series, at, value);
            tx.append_samples(&batch)?;
            Ok(())
        })
        .await
}

pub(super) fn told(http: &FakeHttp) -> Vec<(String, String)> {
    let got = http.got.lock().unwrap();
    let read = |body: &[u8]| -> serde_json::Value { serde_json::from_slice(body).unwrap() };
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let bodies = got.iter().map(|(_, request)| read(&request.body));
    bodies.map(|body| (text(&body["event"]), text(&body["incident"]["alerts"][0]["entity"]))).collect()
}

async fn settle(chain: &mut Chain, from: i64, until: i64) {
    for at in from..=until {
        for _ in 0..10 {
            chain.step(second(at)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_fault_becomes_one_incident_people_are_told_and_told_again_when_it_is_over() {
    let (store, folder) = open();
    let world = world();
    let mut chain = Chain::new(store.clone(), world.ports.clone(), config());
    scrape(&store, second(0), 0.0).await.unwrap();
    settle(&mut chain, 0, 2).await;
    // The very first scrapes may bring the fault; and the server may be killed right after.
    scrape(&store, second(15), 79.0).await.unwrap();
    settle(&mut chain, 15, 16).await;
    assert_eq!(told(&world.http), [("open".to_owned(), "gpu:GPU-1".to_owned())]);
    drop(chain);
    drop(store);
    let store = reopen(&folder);
    let mut chain = Chain::new(store.clone(), world.ports.clone(), config());
    scrape(&store, second(30), 79.0).await.unwrap();
    settle(&mut chain, 30, 31).await;
    assert_eq!(told(&world.http).len(), 1, "still the same");
    scrape(&store, second(45), 0.0).await.unwrap();
    settle(&mut chain, 45, 55).await;
    let expected = ["open", "resolve"].map(|event| (event.to_owned(), "gpu:GPU-1".to_owned()));
    assert_eq!(told(&world.http), expected);
    let incidents = store.read().unwrap().scan::<Incident>(.., 10).unwrap();
    assert_eq!(incidents.len(), 1);
    assert_eq!((incidents[0].status, incidents[0].resolved_at), (IncidentStatus::Resolved, Some(second(45))));
    let alerts = store.read().unwrap().scan::<Alert>(.., 10).unwrap();
    assert_eq!((alerts.len(), alerts[0].state, alerts[0].times_fired), (1, AlertState::Resolved, 1));
    let names: Vec<_> = chain.metrics().samples().iter().map(|sample| sample.name).collect();
    assert!(names.contains(&"tandem_detect_groups") && names.contains(&"tandem_notify_delivered_total"));
    drop(world.detectors);
}

#[tokio::test]
async fn a_fault_that_is_there_when_the_series_is_first_seen_is_told() {
    let (store, _folder) = open();
    let world = world();
    let mut chain = Chain::new(store.clone(), world.ports.clone(), config());
    settle(&mut chain, 0, 1).await;
    scrape(&store, second(2), 79.0).await.unwrap();
    settle(&mut chain, 2, 4).await;
    assert_eq!(told(&world.http).len(), 1);
}

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        Timestamp(since.as_millis() as i64)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_its_own_loops_it_takes_a_moment_and_stops_when_told() {
    let (store, _folder) = open();
    let world = world();
    let chain = Chain::new(store.clone(), world.ports.clone(), config());
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(chain.run(Arc::new(SystemClock), stopped));
    tokio::time::sleep(Duration::from_millis(300)).await;
    scrape(&store, SystemClock.now(), 79.0).await.unwrap();
    let mut waited = 0;
    while told(&world.http).is_empty() && waited < 100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        waited += 1;
    }
    assert_eq!(told(&world.http).len(), 1, "nothing after {waited} tenths of a second");
    // At rest no room keeps another awake.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let commits = store.commit_count();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(store.commit_count() - commits <= 1, "{} commits at rest", store.commit_count() - commits);
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("it stops").unwrap();
}
