//! Measures the bundled plugins and the binary on this machine and prints tables. `make bench` builds what it needs and runs
//! it; names of parts as arguments run only those. Nothing is asserted but that sandbox and native answer the same.

mod calls;
mod detector;
mod native;
mod server;
mod timing;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tandem_runtime::{OperatorGrants, PluginSettings, Runtime};
use tandem_tests::sandbox;

/// The parts, in the order in which they run.
const PARTS: [&str; 3] = ["calls", "detector", "server"];

/// The bundled plugins as `make components` built them.
fn components() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/components")
}

/// A runtime with one worker, so that the sandbox has no more processors than the native side, and some bundled plugins
/// with what they ask for.
async fn runtime_with(data: &Path, plugins: &[&str]) -> Runtime {
    let runtime = sandbox::runtime_with_workers(data, Some(1));
    let grants =
        OperatorGrants { http: vec!["127.0.0.1".into()], trusts_declared_files: true, ..OperatorGrants::default() };
    let settings = Arc::new(move |_: &str| PluginSettings { grants: grants.clone(), ..PluginSettings::default() });
    let path = |name: &&str| components().join(format!("{name}.wasm"));
    let sources = plugins.iter().map(|name| sandbox::source(&path(name), settings.clone())).collect();
    for loaded in runtime.load_all(sources).await {
        loaded.expect("a bundled plugin loads; run `make components`");
    }
    runtime
}

#[tokio::main]
async fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|part| !PARTS.contains(&part.as_str())) {
        eprintln!("there is no part {unknown:?}; the parts are {}", PARTS.join(", "));
        std::process::exit(2);
    }
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|name| name == part);
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{processors} processors; times are wall clock, medians of rounds.");
    if wanted("calls") {
        calls::run().await;
    }
    if wanted("detector") {
        detector::run().await;
    }
    if wanted("server") {
        server::run().await;
    }
}
