//! What one call costs for each kind of plugin: the cheapest real call of a bundled plugin through the runtime's ports, and
//! the same function of the same crate called natively. The difference is the sandbox with everything around it: the hop to
//! a worker and back, the conversions, the checks.

use crate::{
    native::{NothingKnown, OwnClient},
    runtime_with,
    timing::{micros_of, micros_of_native},
};
use std::sync::Arc;
use tandem_domain::{
    Failure, FailureCode, Severity, Timestamp,
    alert::{Alert, AlertState, Fingerprint},
    drift::{Chunk, ColumnDescription, ColumnType, ColumnValues},
    entity::{Entity, EntityId},
    frame::{Frame, GroupId},
    meaning::Meaning,
    ports::{Collectors, CorrelationDelta, Correlators, DeploymentTargets, Detectors, DriftMetrics, Mappers, Query},
    relation::RelationKind,
    series::{Labels, MetricType, Points, SeriesDescription, SeriesId},
    target::{TargetInfo, TargetKey},
};
use tandem_runtime::Runtime;
use tandem_sdk::{
    collector::{CollectRequest, Collector},
    correlator::{self, Correlator},
    detector,
    drift::{self, DriftMetric},
    mapper,
    target::{Call, DeploymentTarget},
    testing::FixtureHost,
    types::{self, label},
};
use tandem_tests::{Peer, sandbox};

const PLUGINS: [&str; 6] = [
    "collector-gpu",
    "collector-network",
    "correlator-topology",
    "detector-robust",
    "drift-psi",
    "target-open-inference",
];
/// Rows of a drift sample: as few as make sense.
const DRIFT_ROWS: usize = 100;
const LABELS: [(&str, &str); 3] = [("gpu", "0"), ("UUID", "GPU-bench"), ("Hostname", "node-7")];

struct NothingStored;

impl Query for NothingStored {
    fn entity(&self, id: &EntityId) -> Result<Entity, Failure> {
        Err(Failure::lasting(FailureCode::Refused, format!("{} is not known", id.0)))
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

fn print(what: &str, sandbox: f64, native: f64) {
    println!("  {what:<62} {sandbox:>10.1} {native:>10.1} {:>10.1}", sandbox - native);
}

async fn mapper(runtime: &Runtime) {
    let pairs = LABELS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let target = TargetInfo { key: TargetKey { job: "j".into(), instance: "i".into() }, labels: Labels::default() };
    let series = SeriesDescription {
        metric: "DCGM_FI_DEV_GPU_TEMP".into(),
        metric_type: MetricType::Gauge,
        unit: String::new(),
        labels: Labels::new(pairs),
    };
    let sandbox = micros_of(async || {
        let mapping = runtime.interpret("collector-gpu", &target, std::slice::from_ref(&series)).await;
        assert_eq!(mapping.expect("a mapping").meanings.len(), 1);
    });
    let sandbox = sandbox.await;
    let target = mapper::Target { job: "j".into(), instance: "i".into(), labels: Vec::new() };
    let series = types::Series {
        metric: "DCGM_FI_DEV_GPU_TEMP".into(),
        metric_type: types::MetricType::Gauge,
        unit: String::new(),
        labels: LABELS.map(|(name, value)| label(name, value)).to_vec(),
    };
    let native = micros_of_native(|| {
        let mapping = collector_gpu::Gpu::interpret(&target, std::slice::from_ref(&series));
        assert_eq!(mapping.expect("a mapping").meanings.len(), 1);
    });
    print("mapper: collector-gpu, interpret, 1 series", sandbox, native.await);
}

async fn collector(runtime: &Runtime) {
    let sandbox = micros_of(async || {
        let brought = runtime.collect("collector-network", "", Timestamp(0), &[], None).await;
        assert!(!brought.expect("a collection").series.is_empty());
    });
    let sandbox = sandbox.await;
    let host = FixtureHost::from_folder("/");
    let native = micros_of_native(|| {
        let request = CollectRequest { now: 0, target: String::new(), config: String::new(), cursor: Vec::new() };
        let brought = collector_network::Network::collect(request, &host);
        assert!(!brought.expect("a collection").series.is_empty());
    });
    print("collector: collector-network, collect, this machine's files", sandbox, native.await);
}

async fn detector(runtime: &Runtime) {
    let mut watch = Detectors::open(runtime, "detector-robust", Vec::new()).await.expect("opens").watch;
    watch.join(vec![sandbox::group(0, "a.b", "host:a")], Vec::new()).await.expect("joins");
    let mut at = 0;
    let sandbox = micros_of(async || {
        at += 1;
        let frame = Frame { group: GroupId(0), at: vec![Timestamp(at)], value: vec![at as f64] };
        let seen = watch.observe(vec![frame]).await;
        assert_eq!(seen.expect("an answer").scores.len(), 1);
    });
    let sandbox = sandbox.await;
    let mut watch = detector::Watched::<detector_robust::Robust>::open("{}").expect("opens");
    let member = detector::Member {
        name: "a.b".into(),
        unit: "1".into(),
        metric_type: types::MetricType::Gauge,
        entity: "host:a".into(),
        dimensions: Vec::new(),
        fault_rules: Vec::new(),
    };
    watch.join(vec![detector::Group { id: 0, members: vec![member] }], Vec::new()).expect("joins");
    let mut at = 0;
    let native = micros_of_native(|| {
        at += 1;
        let seen = watch.observe(vec![detector::Frame { group: 0, at: vec![at], value: vec![at as f64] }]);
        assert_eq!(seen.expect("an answer").scores.len(), 1);
    });
    print("detector: detector-robust, observe, 1 point", sandbox, native.await);
}

async fn correlator(runtime: &Runtime) {
    let mut session = Correlators::open(runtime, "correlator-topology", None).await.expect("opens");
    let alert = Alert {
        fingerprint: Fingerprint("f".into()),
        state: AlertState::Firing,
        code: "gpu.xid.79".into(),
        severity: Severity::Critical,
        title: "XID 79".into(),
        advice: String::new(),
        entity: EntityId("gpu:GPU-bench".into()),
        labels: Labels::default(),
        started_at: Timestamp(0),
        ended_at: None,
        changed_at: Timestamp(0),
        times_fired: 1,
        source: "detector-fault".into(),
    };
    let query: Arc<dyn Query> = Arc::new(NothingStored);
    let sandbox = micros_of(async || {
        let delta = CorrelationDelta { alerts: vec![alert.clone()], ..CorrelationDelta::default() };
        session.update(delta, query.clone()).await.expect("groupings");
    });
    let sandbox = sandbox.await;
    let mut session = correlator_topology::Topology::new(&Default::default()).expect("opens");
    let delta = correlator::Delta {
        now: 0,
        alerts: vec![correlator::Alert {
            fingerprint: "f".into(),
            state: correlator::AlertState::Firing,
            code: "gpu.xid.79".into(),
            severity: types::Severity::Critical,
            title: "XID 79".into(),
            entity: "gpu:GPU-bench".into(),
            labels: Vec::new(),
            started_at: 0,
            changed_at: 0,
        }],
        findings: Vec::new(),
        changes: Vec::new(),
        feedback: Vec::new(),
    };
    let native = micros_of_native(|| {
        session.update(&delta, &NothingKnown).expect("groupings");
    });
    print("correlator: correlator-topology, update, 1 alert", sandbox, native.await);
}

async fn drift_metric(runtime: &Runtime) {
    let numbers: Vec<f64> = (0..DRIFT_ROWS).map(|row| ((row * 7_919) % 101) as f64).collect();
    let columns =
        [ColumnDescription { name: "x".into(), column_type: ColumnType::Numeric, width: 1, categories: Vec::new() }];
    let chunk = || vec![Chunk { columns: vec![ColumnValues::Numbers(numbers.clone())] }];
    let fitted = runtime.fit("drift-psi", &columns, chunk(), 1).await.expect("fits");
    let sandbox = micros_of(async || {
        let drifts = runtime.compare("drift-psi", &columns, &fitted, chunk(), 1).await;
        assert_eq!(drifts.expect("an answer").len(), 1);
    });
    let sandbox = sandbox.await;
    type Psi = drift_psi::PopulationStability;
    let columns = [drift::ColumnDescription {
        name: "x".into(),
        column_type: drift::ColumnType::Numeric,
        width: 1,
        categories: Vec::new(),
    }];
    let config = <Psi as DriftMetric>::Config::default();
    let chunk = || drift::Chunk { columns: vec![drift::Values::Numbers(numbers.clone())] };
    let mut fitting = Psi::fit(&config, &columns, 1).expect("fits");
    Psi::feed_reference(&mut fitting, &chunk()).expect("takes rows");
    let kept = Psi::save(&Psi::finish_reference(fitting).expect("a reference"));
    let native = micros_of_native(|| {
        let reference = Psi::load(&config, &columns, &kept).expect("its own state");
        let mut comparison = Psi::compare(&reference, 1).expect("begins");
        Psi::feed_current(&mut comparison, &chunk()).expect("takes rows");
        assert_eq!(Psi::finish_current(comparison).expect("an answer").len(), 1);
    });
    print("drift metric: drift-psi, compare, 1 column x 100 rows", sandbox, native.await);
}

async fn deployment_target(runtime: &Runtime) {
    let peer = Peer::start("[]").await;
    let target = format!("http://{}", peer.address());
    let sandbox = micros_of(async || {
        let abilities = runtime.abilities("target-open-inference", &target, Timestamp(0)).await;
        assert!(!abilities.expect("an answer").weighted);
    });
    let sandbox = sandbox.await;
    let call = Call { now: 0, target, config: String::new() };
    let client = OwnClient::default();
    let native = micros_of_native(|| {
        let abilities = target_open_inference::OpenInference::abilities(&call, &client);
        assert!(!abilities.expect("an answer").weighted);
    });
    print("deployment target: target-open-inference, abilities, 1 request", sandbox, native.await);
}

/// Measures and prints.
pub async fn run() {
    let data = tempfile::tempdir().expect("a folder");
    let runtime = runtime_with(data.path(), &PLUGINS).await;
    println!("\nthe cheapest real call of each kind, microseconds a call");
    println!("  {:<62} {:>10} {:>10} {:>10}", "", "sandbox", "native", "overhead");
    mapper(&runtime).await;
    collector(&runtime).await;
    detector(&runtime).await;
    correlator(&runtime).await;
    drift_metric(&runtime).await;
    deployment_target(&runtime).await;
}
