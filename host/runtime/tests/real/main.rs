//! The runtime on the bundled plugins, built by `make build` into `target/components` (or the folder in the environment
//! variable `TANDEM_COMPONENTS`). Where they have not been built the tests say so and check nothing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tandem_domain::{
    Failure, FailureCode, Severity, Timestamp,
    alert::{Alert, AlertState, Fingerprint},
    drift::{Chunk, ColumnDescription, ColumnType, ColumnValues},
    entity::{Entity, EntityId},
    frame::{Frame, Group, GroupId, Member},
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse},
    meaning::Meaning,
    plugin::PluginState,
    ports::{
        BoxFuture, Collectors, CorrelationDelta, Correlators, Detectors, DriftMetrics, Mappers, PluginCatalogue, Query,
    },
    relation::RelationKind,
    series::{Labels, MetricType, Points, SeriesDescription, SeriesId},
    target::{TargetInfo, TargetKey},
    time::Clock,
};
use tandem_runtime::{MemoryBudget, OperatorGrants, PluginSettings, PluginSource, Runtime, RuntimeOptions};

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

struct NoHttp;

impl HttpClient for NoHttp {
    fn send<'a>(&'a self, _: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        Box::pin(async move { Err(Failure::passing(FailureCode::Unreachable, format!("{}: a test", request.url))) })
    }
}

fn components() -> Option<PathBuf> {
    let folder = std::env::var_os("TANDEM_COMPONENTS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/components"), PathBuf::from);
    if folder.join("detector-robust.wasm").is_file() {
        return Some(folder);
    }
    eprintln!("{}: no components there, nothing is checked; run `make build` first", folder.display());
    None
}

/// A runtime with the given plugins, or nothing where they are not built.
async fn runtime_with(names: &[&str]) -> Option<(Runtime, tempfile::TempDir)> {
    let folder = components()?;
    let data = tempfile::tempdir().expect("a folder");
    let runtime = Runtime::new(RuntimeOptions {
        data_dir: data.path().to_owned(),
        clock: Arc::new(StandingClock),
        http: Arc::new(NoHttp),
        memory_budget: MemoryBudget::new(1 << 30),
        workers: Some(2),
        max_instances: 64,
        seed: 1,
    })
    .expect("a runtime");
    let settings = |_: &str| PluginSettings {
        grants: OperatorGrants { trusts_declared_files: true, ..OperatorGrants::default() },
        ..PluginSettings::default()
    };
    let sources = names
        .iter()
        .map(|name| PluginSource {
            name: (*name).into(),
            origin: "bundled".into(),
            bytes: std::fs::read(folder.join(format!("{name}.wasm"))).expect("a component").into(),
            settings: Arc::new(settings),
        })
        .collect();
    for (name, outcome) in names.iter().zip(runtime.load_all(sources).await) {
        assert_eq!(outcome.as_deref(), Ok(*name));
    }
    Some((runtime, data))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapper_gives_a_gpu_its_meaning_and_a_collector_reads_this_machine() {
    let plugins = ["collector-gpu", "collector-host", "collector-power", "target-open-inference"];
    let Some((runtime, _data)) = runtime_with(&plugins).await else { return };
    let labels =
        [("gpu", "0"), ("UUID", "GPU-6f1c"), ("device", "nvidia0"), ("modelName", "H100"), ("Hostname", "node-1")];
    let series = SeriesDescription {
        metric: "DCGM_FI_DEV_GPU_TEMP".into(),
        metric_type: MetricType::Gauge,
        unit: String::new(),
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    };
    let target =
        TargetInfo { key: TargetKey { job: "dcgm".into(), instance: "node-1:9400".into() }, labels: Labels::default() };
    for _ in 0..3 {
        let mapping =
            runtime.interpret("collector-gpu", &target, std::slice::from_ref(&series)).await.expect("a mapping");
        assert_eq!(mapping.meanings.len(), 1);
        assert_eq!(mapping.meanings[0].body.name, "gpu.temperature");
        assert!(mapping.topology.entities.iter().any(|entity| entity.kind == "gpu"));
    }
    let collection = runtime.collect("collector-host", "", StandingClock.now(), &[], None).await.expect("a collection");
    assert!(!collection.series.is_empty(), "this machine has a /proc");
    let failed = runtime.collect("collector-gpu", "nowhere", StandingClock.now(), &[], None).await;
    assert!(failed.is_err(), "it has nothing to collect");
    for status in runtime.statuses() {
        assert_eq!(status.state, PluginState::Live, "{status:?}");
        assert_eq!((status.usage.traps, status.usage.contract_breaches), (0, 0), "{status:?}");
    }
}

fn cpu_group() -> Group {
    Group {
        id: GroupId(1),
        members: vec![Member {
            name: "host.cpu.utilization".into(),
            unit: "1".into(),
            metric_type: MetricType::Gauge,
            entity: EntityId("host:a".into()),
            dimensions: Labels::default(),
            fault_rules: Vec::new(),
        }],
    }
}

/// A quiet series, one point each 15 s, that wobbles a little.
fn quiet(from: i64, count: i64) -> Frame {
    Frame {
        group: GroupId(1),
        at: (from..from + count).map(|i| Timestamp(i * 15_000)).collect(),
        value: (from..from + count).map(|i| 0.30 + 0.01 * ((i * 7919) % 13) as f64 / 13.0).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detector_finds_the_spike_and_goes_on_from_its_state() {
    let Some((runtime, _data)) = runtime_with(&["detector-robust"]).await else { return };
    let mut watch = runtime.open_watch().await;
    watch.join(vec![cpu_group()], vec![quiet(0, 600)]).await.expect("joins");
    let calm = watch.observe(vec![quiet(600, 20)]).await.expect("observed");
    assert!(calm.failed.is_empty(), "{:?}", calm.failed);
    assert!(calm.scores.iter().flat_map(|scores| &scores.score).all(|score| *score < 1.0), "{calm:?}");
    let states = watch.snapshot().await.expect("states");
    assert_eq!(states.len(), 1);
    let restored = states.into_iter().map(|state| (cpu_group(), state)).collect();
    let opened = Detectors::open(&runtime, "detector-robust", restored).await.expect("opens");
    assert!(opened.refused.is_empty(), "{:?}", opened.refused);
    let mut again = opened.watch;
    let mut spike = quiet(620, 6);
    spike.value.iter_mut().for_each(|value| *value = 0.95);
    let seen = again.observe(vec![spike.clone()]).await.expect("observed");
    assert!(seen.scores.iter().flat_map(|scores| &scores.score).any(|score| *score >= 1.0), "{seen:?}");
    // The same input gives the same answer from the same state.
    assert_eq!(watch.observe(vec![spike]).await.expect("observed").scores, seen.scores);
}

trait OpenWatch {
    async fn open_watch(&self) -> Box<dyn tandem_domain::ports::Watch>;
}

impl OpenWatch for Runtime {
    async fn open_watch(&self) -> Box<dyn tandem_domain::ports::Watch> {
        Detectors::open(self, "detector-robust", Vec::new()).await.expect("opens").watch
    }
}

struct NoRecords;

impl Query for NoRecords {
    fn entity(&self, id: &EntityId) -> Result<Entity, Failure> {
        Err(Failure::lasting(FailureCode::Refused, format!("{id} is not known")))
    }
    fn neighbours(&self, _: &EntityId, _: u32) -> Result<Vec<(EntityId, EntityId, RelationKind)>, Failure> {
        Ok(Vec::new())
    }
    fn series_of(&self, _: &EntityId) -> Result<Vec<Meaning>, Failure> {
        Ok(Vec::new())
    }
    fn read(&self, _: SeriesId, _: Timestamp, _: Timestamp, _: usize) -> Result<Points, Failure> {
        Ok(Points::default())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correlator_makes_an_incident_of_an_alert_and_goes_on_from_its_state() {
    let Some((runtime, _data)) = runtime_with(&["correlator-topology"]).await else { return };
    let now = StandingClock.now();
    let alert = Alert {
        fingerprint: Fingerprint("f1".into()),
        state: AlertState::Firing,
        code: "gpu.xid.79".into(),
        severity: Severity::Critical,
        title: "GPU fell off the bus".into(),
        advice: String::new(),
        entity: EntityId("gpu:1".into()),
        labels: Labels::default(),
        started_at: now,
        ended_at: None,
        changed_at: now,
        times_fired: 1,
        source: "detector-fault".into(),
    };
    let mut session = Correlators::open(&runtime, "correlator-topology", None).await.expect("opens");
    let delta = CorrelationDelta { now, alerts: vec![alert.clone()], ..CorrelationDelta::default() };
    let groupings = session.update(delta, Arc::new(NoRecords)).await.expect("groupings");
    assert_eq!(groupings.len(), 1, "{groupings:?}");
    assert_eq!(groupings[0].fingerprints, ["f1"]);
    let state = session.snapshot().await.expect("a state");
    let mut again = Correlators::open(&runtime, "correlator-topology", Some(state)).await.expect("opens");
    let over = Alert { state: AlertState::Resolved, ended_at: Some(now), ..alert };
    let delta = CorrelationDelta { now: now.plus_millis(60_000), alerts: vec![over], ..CorrelationDelta::default() };
    again.update(delta, Arc::new(NoRecords)).await.expect("groupings");
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_metrics_tell_the_same_from_the_moved() {
    let Some((runtime, _data)) = runtime_with(&["drift-psi", "drift-ks"]).await else { return };
    let columns =
        [ColumnDescription { name: "x".into(), column_type: ColumnType::Numeric, width: 1, categories: Vec::new() }];
    let chunk = |shift: f64| {
        let values = (0..4_000_u64).map(|i| (i * 2_654_435_761 % 1_000) as f64 / 1_000.0 + shift).collect();
        Chunk { columns: vec![ColumnValues::Numbers(values)] }
    };
    for plugin in ["drift-psi", "drift-ks"] {
        let fitted = runtime.fit(plugin, &columns, vec![chunk(0.0)], 1).await.expect("fits");
        for (shift, drifted) in [(0.0, false), (0.5, true)] {
            let results = runtime.compare(plugin, &columns, &fitted, vec![chunk(shift)], 1).await.expect("compares");
            let result = results.iter().find(|result| result.column == Some(0)).expect("a result for the column");
            assert_eq!(result.drifted, drifted, "{plugin} {shift}: {result:?}");
        }
    }
}
