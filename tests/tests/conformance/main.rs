//! What every plugin of a kind must keep to, whatever it is for: `make test` holds the bundled plugins to it, and
//! `TANDEM_COMPONENTS=folder cargo test --release --workspace --test conformance` the components of any folder.
//!
//! A plugin says what it is without varying, asks with reasons, answers the same to the same, goes on from its own state as
//! if nothing had been, does not mind how its input was cut into calls, and fails with a word instead of a trap when what it
//! is given makes no sense.

mod correlator;
mod detector;
mod drift;
mod mapper;
mod root_cause;
mod target;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tandem_domain::{
    plugin::{PluginKind, PluginState, PluginStatus},
    ports::PluginCatalogue,
};
use tandem_runtime::{OperatorGrants, PluginSettings, Runtime};
use tandem_tests::sandbox;

/// The components to be held to it.
fn components() -> Vec<PathBuf> {
    let bundled = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/components");
    let folder = std::env::var_os("TANDEM_COMPONENTS").map_or_else(bundled, PathBuf::from);
    let entries = std::fs::read_dir(&folder);
    let entries = entries.unwrap_or_else(|error| panic!("{}: {error}; run `make components`", folder.display()));
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{} holds no components; run `make components`", folder.display());
    found
}

/// A runtime with all of them, and the folder that it needs while it lives.
async fn loaded() -> (Runtime, tempfile::TempDir) {
    let data = tempfile::tempdir().expect("a folder");
    let runtime = sandbox::runtime(data.path());
    let settings = |_: &str| PluginSettings {
        grants: OperatorGrants { trusts_declared_files: true, ..OperatorGrants::default() },
        ..PluginSettings::default()
    };
    let sources = components().iter().map(|path| sandbox::source(path, Arc::new(settings))).collect();
    for outcome in runtime.load_all(sources).await {
        outcome.expect("a component that fits");
    }
    (runtime, data)
}

/// After all that was asked of it, every plugin is at work and broke neither itself nor the contract.
fn assert_unbroken(runtime: &Runtime) {
    for status in runtime.statuses() {
        assert_eq!(status.state, PluginState::Live, "{status:?}");
        let usage = &status.usage;
        assert_eq!((usage.traps, usage.timeouts, usage.contract_breaches), (0, 0, 0), "{}: {usage:?}", status.name);
    }
}

/// A stream of numbers that is the same in every run (xorshift64, Marsaglia 2003).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Evenly in 0..1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn check_description(status: &PluginStatus, file: &str) {
    let description = status.description.as_ref().expect("it says what it is");
    let name = &description.name;
    assert_eq!(name, file, "the plugin is called as its file");
    assert!(!description.summary.trim().is_empty(), "{name} says in a sentence what it does");
    let kind = status.kind.expect("it is of a kind");
    let prefix = match kind {
        PluginKind::Collector => "collector-",
        PluginKind::Detector => "detector-",
        PluginKind::Correlator => "correlator-",
        PluginKind::RootCause => "root-cause-",
        PluginKind::DriftMetric => "drift-",
        PluginKind::DeploymentTarget => "target-",
    };
    assert!(name.starts_with(prefix), "{name} is a {} and should begin with {prefix}", kind.as_str());
    for capability in &description.capabilities {
        assert!(!capability.reason.trim().is_empty(), "{name} asks for {} without a reason", capability.value);
        let known = ["http", "tcp", "udp", "file", "space"];
        assert!(known.contains(&capability.name.as_str()), "{name} asks for {}", capability.name);
        // `space` tells the size of a filesystem and no content, so it may ask for any mount point.
        let every = ["*", "/", "/*", "/*/*", "/etc/*", "/home/*", "/root/*"].contains(&capability.value.as_str());
        assert!(!(capability.name == "file" && every), "{name} asks for files at large: {}", capability.value);
    }
    if !matches!(kind, PluginKind::Collector | PluginKind::DeploymentTarget) {
        assert!(description.capabilities.is_empty(), "{name} is pure and can have no capabilities");
        let reaches_out =
            |import: &&String| ["wasi:http", "wasi:sockets", "wasi:filesystem"].iter().any(|p| import.starts_with(p));
        assert_eq!(status.imports.iter().find(reaches_out), None, "{name} is pure");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plugin_says_what_it_is_and_asks_with_reasons() {
    let (runtime, _data) = loaded().await;
    let statuses = runtime.statuses();
    for path in components() {
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let status = statuses.iter().find(|status| status.name == file);
        check_description(status.unwrap_or_else(|| panic!("{file} is not in the catalogue under its name")), &file);
    }
    assert_unbroken(&runtime);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_plugin_does_not_know_is_refused_by_its_schema() {
    let data = tempfile::tempdir().expect("a folder");
    let runtime = sandbox::runtime(data.path());
    for path in components() {
        let settings = |_: &str| PluginSettings {
            config: serde_json::json!({"no_plugin_has_such_a_key": 1}),
            ..PluginSettings::default()
        };
        let refused = runtime.load_source(sandbox::source(&path, Arc::new(settings))).await.expect_err("refused");
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(refused.message.contains(&file), "{refused}");
        let told = ["no_plugin_has_such_a_key", "takes no configuration"];
        assert!(
            told.iter().any(|words| refused.message.contains(words)),
            "{file} takes keys that it does not know: {refused}"
        );
    }
}
