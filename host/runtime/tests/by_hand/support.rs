//! Guests written by hand in WebAssembly text, made into components, and a runtime with a clock that tests move.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    entity::EntityId,
    frame::{Frame, Group, GroupId, Member, Observation},
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse},
    plugin::PluginStatus,
    ports::{BoxFuture, PluginCatalogue},
    series::{Labels, MetricType},
    time::Clock,
};
use tandem_runtime::{MemoryBudget, Runtime, RuntimeOptions};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

/// What a test changes about the detector written by hand.
pub struct ByHand {
    pub version: &'static str,
    pub schema: &'static str,
    /// Instructions in `describe`.
    pub describe: &'static str,
}

impl Default for ByHand {
    fn default() -> Self {
        Self { version: "1.0.0", schema: "", describe: "" }
    }
}

impl ByHand {
    /// The component.
    pub fn component(&self) -> Vec<u8> {
        let escaped = self.schema.replace('\\', "\\\\").replace('"', "\\\"");
        let text = include_str!("guests/detector.wat")
            .replace("@VERSION@", self.version)
            .replace("@VERSION_LENGTH@", &self.version.len().to_string())
            .replace("@SCHEMA@", &escaped)
            .replace("@SCHEMA_LENGTH@", &self.schema.len().to_string())
            .replace("@DESCRIBE@", self.describe);
        component(&text, "detector-plugin")
    }
}

/// Makes a core module in text into a component of a world of the contract.
pub fn component(text: &str, world: &str) -> Vec<u8> {
    let mut module = wat::parse_str(text).expect("valid text");
    let mut resolve = wit_parser::Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(&wit).expect("the contract parses");
    let world = resolve.select_world(&[package], Some(world)).expect("a world of the contract");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    ComponentEncoder::default().validate(true).module(&module).expect("a module").encode().expect("a component")
}

/// A clock that stands until a test moves it.
#[derive(Debug, Default)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// Moves it on.
    pub fn pass(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Nothing answers.
struct NoHttp;

impl HttpClient for NoHttp {
    fn send<'a>(&'a self, _: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        Box::pin(async move {
            Err(Failure::passing(FailureCode::Unreachable, format!("{}: nothing answers in this test", request.url)))
        })
    }
}

/// A runtime with its clock and data directory.
pub struct Bench {
    pub runtime: Runtime,
    pub clock: Arc<TestClock>,
    pub data: tempfile::TempDir,
}

impl Bench {
    /// With two workers.
    pub fn new() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        Self::over(data)
    }

    /// Over a data directory that was used before.
    pub fn over(data: tempfile::TempDir) -> Self {
        let clock = Arc::new(TestClock::default());
        let runtime = Runtime::new(RuntimeOptions {
            data_dir: data.path().to_owned(),
            clock: clock.clone(),
            http: Arc::new(NoHttp),
            memory_budget: MemoryBudget::new(1 << 30),
            workers: Some(2),
            max_instances: 64,
            seed: 7,
        })
        .expect("a runtime");
        Self { runtime, clock, data }
    }

    /// The catalogue's entry.
    pub fn status(&self, plugin: &str) -> PluginStatus {
        let statuses = self.runtime.statuses();
        statuses
            .iter()
            .find(|status| status.name == plugin)
            .cloned()
            .unwrap_or_else(|| panic!("{plugin}: {statuses:?}"))
    }
}

/// A group of one series.
pub fn group(id: u32) -> Group {
    Group {
        id: GroupId(id),
        members: vec![Member {
            name: "host.cpu.utilization".into(),
            unit: "1".into(),
            metric_type: MetricType::Gauge,
            entity: EntityId(format!("host:{id}")),
            dimensions: Labels::default(),
            fault_rules: Vec::new(),
        }],
    }
}

/// A frame of one member, one point a second from `from`.
pub fn frame(group: u32, from: i64, values: &[f64]) -> Frame {
    Frame {
        group: GroupId(group),
        at: (0..values.len() as i64).map(|i| Timestamp((from + i) * 1_000)).collect(),
        value: values.to_vec(),
    }
}

/// The last score of each group, by group.
pub fn last_scores(seen: &Observation) -> Vec<(u32, f64)> {
    let mut scores: Vec<_> =
        seen.scores.iter().filter_map(|scores| Some((scores.group.0, *scores.score.last()?))).collect();
    scores.sort_by_key(|(group, _)| *group);
    scores
}
