//! What one call costs for each kind of plugin: the cheapest call that does its work, through the ports that the rooms use.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_bench::{bundled, median};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    drift::{Chunk, ColumnDescription, ColumnType, ColumnValues},
    entity::{Entity, EntityId},
    frame::{Frame, GroupId},
    meaning::Meaning,
    ports::{Collectors, CorrelationDelta, Correlators, DeploymentTargets, Detectors, DriftMetrics, Mappers, Query},
    relation::RelationKind,
    series::{Labels, Points, SeriesId},
    target::{TargetInfo, TargetKey},
};
use tandem_runtime::Runtime;
use tandem_tests::{
    Peer,
    sandbox::{self, NOW},
};

/// How long each kind is called.
const TIME_EACH: Duration = Duration::from_secs(2);

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

/// Calls until the time is over and tells the median.
async fn measure(what: &str, mut call: impl AsyncFnMut()) {
    for _ in 0..20 {
        call().await;
    }
    let (mut times, began) = (Vec::new(), Instant::now());
    while began.elapsed() < TIME_EACH {
        let start = Instant::now();
        call().await;
        times.push(start.elapsed());
    }
    let calls = times.len();
    println!("{what:<62} {:>9.1} us  ({calls} calls)", median(times).as_nanos() as f64 / 1_000.0);
}

async fn pure_kinds(runtime: &Runtime) {
    let target = TargetInfo { key: TargetKey { job: "j".into(), instance: "i".into() }, labels: Labels::default() };
    measure("collector, mapper.interpret of no series (warm instance)", async || {
        runtime.interpret("collector-gpu", &target, &[]).await.expect("a mapping");
    })
    .await;

    let mut watch = Detectors::open(runtime, "detector-robust", Vec::new()).await.expect("opens").watch;
    watch.join(vec![sandbox::group(1, "host.load.1m", "host:a")], Vec::new()).await.expect("joins");
    let mut step = 0;
    measure("detector, watch.observe of one point", async || {
        step += 1;
        let frame = Frame { group: GroupId(1), at: vec![Timestamp(step * 15_000)], value: vec![(step % 7) as f64] };
        watch.observe(vec![frame]).await.expect("observed");
    })
    .await;

    let mut session = Correlators::open(runtime, "correlator-topology", None).await.expect("opens");
    let mut now = NOW;
    measure("correlator, session.update without changes", async || {
        now = now.plus_millis(1);
        let delta = CorrelationDelta { now, ..CorrelationDelta::default() };
        session.update(delta, Arc::new(NoRecords)).await.expect("groupings");
    })
    .await;

    let columns =
        [ColumnDescription { name: "x".into(), column_type: ColumnType::Numeric, width: 1, categories: Vec::new() }];
    let chunk = || vec![Chunk { columns: vec![ColumnValues::Numbers((0..100).map(f64::from).collect())] }];
    let fitted = runtime.fit("drift-ks", &columns, chunk(), 1).await.expect("fits");
    measure("drift-metric, restore and compare 100 rows (fresh instance)", async || {
        runtime.compare("drift-ks", &columns, &fitted, chunk(), 1).await.expect("compares");
    })
    .await;
}

async fn kinds_that_reach_out(runtime: &Runtime) {
    measure("collector, collect of this machine's power (fresh instance)", async || {
        runtime.collect("collector-power", "", NOW, &[], None).await.expect("a collection");
    })
    .await;
    let peer = Peer::start("[]").await;
    let target = format!("http://{}", peer.address());
    measure("deployment-target, observe over loopback HTTP (fresh instance)", async || {
        runtime.observe("target-open-inference", &target, NOW, "chat").await.expect("an observation");
    })
    .await;
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let data = tempfile::tempdir().expect("a folder");
    let plugins = [
        "collector-gpu",
        "collector-power",
        "detector-robust",
        "correlator-topology",
        "drift-ks",
        "target-open-inference",
    ];
    let runtime = bundled(&plugins, data.path()).await;
    println!("one call through the ports that the rooms use, median");
    pure_kinds(&runtime).await;
    kinds_that_reach_out(&runtime).await;
}
