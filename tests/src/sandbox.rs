//! A runtime alone, with the real way out over HTTP and a clock that stands: for tests and measurements of plugins without
//! the rest of the server.

use std::{path::Path, sync::Arc};
use tandem_domain::{
    Timestamp,
    entity::EntityId,
    frame::{Group, GroupId, Member},
    series::{Labels, MetricType},
    time::Clock,
};
use tandem_egress::EgressClient;
use tandem_runtime::{MemoryBudget, PluginSettings, PluginSource, Runtime, RuntimeOptions, SettingsOf};

/// The moment at which the clock stands.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// Linear memory for all plugins of a test together, in bytes; interpreters want 256 MiB each.
const MEMORY_BYTES: u64 = 4 << 30;

struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A runtime over a data folder.
pub fn runtime(data: &Path) -> Runtime {
    runtime_with_workers(data, None)
}

/// A runtime that calls pure plugins on so many threads; by default on one for each processor.
pub fn runtime_with_workers(data: &Path, workers: Option<usize>) -> Runtime {
    Runtime::new(RuntimeOptions {
        data_dir: data.to_owned(),
        clock: Arc::new(StandingClock),
        http: Arc::new(EgressClient::default()),
        memory_budget: MemoryBudget::new(MEMORY_BYTES),
        workers,
        max_instances: 256,
        seed: 1,
    })
    .expect("a runtime")
}

/// A component in a file, under the file's name.
pub fn source(path: &Path, settings: SettingsOf) -> PluginSource {
    PluginSource {
        name: path.file_stem().expect("a file").to_string_lossy().into_owned(),
        origin: path.display().to_string(),
        bytes: std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).into(),
        settings,
    }
}

/// Settings that change nothing.
pub fn plain_settings() -> SettingsOf {
    Arc::new(|_| PluginSettings::default())
}

/// A group of one gauge.
pub fn group(id: u32, metric: &str, entity: &str) -> Group {
    Group {
        id: GroupId(id),
        members: vec![Member {
            name: metric.into(),
            unit: "1".into(),
            metric_type: MetricType::Gauge,
            entity: EntityId(entity.into()),
            dimensions: Labels::default(),
            fault_rules: Vec::new(),
        }],
    }
}
