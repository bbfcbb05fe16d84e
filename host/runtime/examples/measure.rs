//! Measures the runtime on a folder of components: time to load with a cold and a warm cache, resident memory, and what a
//! call costs. `cargo run --release -p tandem-runtime --example measure -- target/components`

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    entity::EntityId,
    frame::{Frame, Group, GroupId, Member},
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse},
    ports::{BoxFuture, Detectors, Mappers, PluginCatalogue},
    series::{Labels, MetricType},
    target::{TargetInfo, TargetKey},
    time::Clock,
};
use tandem_runtime::{MemoryBudget, PluginSettings, PluginSource, Runtime, RuntimeOptions};

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

struct NoHttp;

impl HttpClient for NoHttp {
    fn send<'a>(&'a self, _: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        Box::pin(async move { Err(Failure::passing(FailureCode::Unreachable, request.url)) })
    }
}

fn runtime(data: &Path) -> Runtime {
    Runtime::new(RuntimeOptions {
        data_dir: data.to_owned(),
        clock: Arc::new(StandingClock),
        http: Arc::new(NoHttp),
        memory_budget: MemoryBudget::new(2 << 30),
        workers: None,
        max_instances: 256,
        seed: 1,
    })
    .expect("a runtime")
}

fn sources(folder: &Path) -> Vec<PluginSource> {
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of components") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            sources.push(PluginSource {
                name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
                origin: path.display().to_string(),
                bytes: std::fs::read(&path).expect("readable").into(),
                settings: Arc::new(|_| PluginSettings::default()),
            });
        }
    }
    sources
}

fn resident_kib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines().filter(|line| line.starts_with("VmRSS") || line.starts_with("RssAnon"));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(", ")
}

#[tokio::main]
async fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/components".into());
    let folder = Path::new(&folder);
    let data = tempfile::tempdir().expect("a folder");
    for what in ["cold", "warm"] {
        let began = Instant::now();
        let runtime = runtime(data.path());
        let started = began.elapsed();
        let outcomes = runtime.load_all(sources(folder)).await;
        println!(
            "{what}: {} plugins, engine {started:?}, ready {:?}, {}",
            outcomes.len(),
            began.elapsed(),
            resident_kib()
        );
        for failure in outcomes.into_iter().filter_map(Result::err) {
            println!("  failed: {failure}");
        }
        if what == "warm" {
            measure_mapper(&runtime).await;
            for live in runtime.detectors() {
                measure_detector(&runtime, &live.name).await;
            }
            println!("after: {}", resident_kib());
            for status in runtime.statuses() {
                println!("  {}: {:?}", status.name, status.usage);
            }
        }
    }
}

async fn measure_mapper(runtime: &Runtime) {
    let target = TargetInfo { key: TargetKey { job: "j".into(), instance: "i".into() }, labels: Labels::default() };
    for live in runtime.mappers() {
        let began = Instant::now();
        let mut calls = 0;
        while began.elapsed() < Duration::from_millis(300) {
            if runtime.interpret(&live.name, &target, &[]).await.is_err() {
                break;
            }
            calls += 1;
        }
        if calls > 0 {
            println!("  {} mapper.interpret of nothing: {:?} a call", live.name, began.elapsed() / calls);
        }
    }
}

async fn measure_detector(runtime: &Runtime, name: &str) {
    let group = |id: u32| Group {
        id: GroupId(id),
        members: vec![Member {
            name: "host.cpu.utilization".into(),
            unit: "1".into(),
            metric_type: MetricType::Gauge,
            entity: EntityId(format!("host:{id}")),
            dimensions: Labels::default(),
            fault_rules: Vec::new(),
        }],
    };
    for points in [1_usize, 100, 10_000] {
        let Ok(opened) = Detectors::open(runtime, name, Vec::new()).await else { return };
        let mut watch = opened.watch;
        watch.join(vec![group(0)], Vec::new()).await.expect("joins");
        let (mut at, mut calls) = (0, 0_u32);
        let (mut spent, began) = (Duration::ZERO, Instant::now());
        while began.elapsed() < Duration::from_millis(700) {
            let frame = Frame {
                group: GroupId(0),
                at: (0..points).map(|i| Timestamp((at + i as i64) * 1_000)).collect(),
                value: (0..points).map(|i| ((i * 7_919) % 101) as f64).collect(),
            };
            at += points as i64;
            let call = Instant::now();
            let seen = watch.observe(vec![frame]).await.expect("observes");
            spent += call.elapsed();
            assert!(seen.failed.is_empty(), "{:?}", seen.failed);
            calls += 1;
        }
        let a_call = spent / calls;
        println!(
            "  {name} observe {points} points: {a_call:?} a call, {:.1} ns a point",
            a_call.as_nanos() as f64 / points as f64
        );
    }
}
