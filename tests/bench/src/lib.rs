//! What the benchmarks share: timing in turns, medians, and the bundled plugins in a runtime.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_runtime::{OperatorGrants, PluginSettings, Runtime};
use tandem_tests::sandbox;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The median; of an even number the upper one. Zero of none.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// How long something takes.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let answer = work.await;
    (answer, began.elapsed())
}

/// A runtime with the bundled plugins of the names, built by `make components`.
///
/// # Panics
/// When they are not there or do not load.
pub async fn bundled(names: &[&str], data: &Path) -> Runtime {
    let runtime = sandbox::runtime(data);
    let settings = |_: &str| PluginSettings {
        grants: OperatorGrants { trusts_declared_files: true, ..OperatorGrants::default() },
        ..PluginSettings::default()
    };
    let path = |name: &&str| root().join(format!("target/components/{name}.wasm"));
    let sources = names.iter().map(|name| sandbox::source(&path(name), Arc::new(settings))).collect();
    for outcome in runtime.load_all(sources).await {
        outcome.expect("a bundled plugin loads; build it with `make components`");
    }
    runtime
}

/// A time per piece in nanoseconds.
pub fn nanos_each(time: Duration, pieces: usize) -> f64 {
    time.as_nanos() as f64 / pieces as f64
}
