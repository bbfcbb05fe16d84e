//! What the loader says of files that are no plugin, and how it loads, checks, caches, swaps and watches those that are.

use crate::support::{Bench, ByHand, component};
use std::{sync::Arc, time::Duration};
use tandem_domain::{
    FailureCode,
    plugin::{PluginKind, PluginState},
    ports::{Detectors, PluginCatalogue},
};
use tandem_runtime::{PluginSettings, PluginSource};

const NAME: &str = "detector-by-hand";

async fn refused(bytes: Vec<u8>) -> tandem_domain::Failure {
    let bench = Bench::new();
    let refused = bench
        .runtime
        .load_bytes("some-file", "some-file.wasm", bytes, PluginSettings::default())
        .await
        .expect_err("refused");
    let status = &bench.runtime.statuses()[0];
    assert_eq!(status.last_error.as_ref(), Some(&refused), "the catalogue shows the same");
    assert!(matches!(status.state, PluginState::Quarantined { .. }), "{:?}", status.state);
    refused
}

#[tokio::test]
async fn files_that_are_no_components_are_told_apart() {
    assert!(refused(b"PK\x03\x04 a zip".to_vec()).await.message.contains("not WebAssembly"));
    assert!(refused(wat::parse_str("(module)").expect("text")).await.message.contains("core WebAssembly module"));
    let whole = ByHand::default().component();
    let half = refused(whole[..whole.len() / 2].to_vec()).await;
    assert!(half.message.contains("half written or cut off"), "{half}");
    assert!(half.message.contains("some-file"), "{half}");
}

#[tokio::test]
async fn a_component_that_lies_in_the_middle_does_not_compile_and_says_so() {
    let mut bytes = ByHand::default().component();
    // An instruction of the module is overwritten; the outside still reads well.
    let at = bytes.windows(3).position(|window| window == [0x00, 0x0b, 0x0a]).unwrap_or(bytes.len() / 3);
    bytes[at] = 0xff;
    let refused = refused(bytes).await;
    assert_eq!(refused.code, FailureCode::Malformed, "{refused}");
}

#[tokio::test]
async fn a_function_that_is_missing_or_traps_in_describe_is_named() {
    let trap = refused(ByHand { describe: "unreachable", ..ByHand::default() }.component()).await;
    assert!(trap.message.contains("about.describe: panicked"), "{trap}");
    let spin = refused(ByHand { describe: "(loop $f (br $f))", ..ByHand::default() }.component()).await;
    assert!(spin.message.contains("about.describe: ran out of time"), "{spin}");
    // The address of the name points outside of memory.
    let lie =
        refused(ByHand { describe: "(i32.store (i32.const 512) (i32.const -16))", ..ByHand::default() }.component())
            .await;
    assert!(lie.message.contains("about.describe: its answer cannot be read"), "{lie}");
    let version = refused(ByHand { version: "latest", ..ByHand::default() }.component()).await;
    assert!(version.message.contains("version is `latest`"), "{version}");
    let varies = refused(
        ByHand {
            describe: "(i32.store (i32.const 532) (i32.load (i32.const 700))) (i32.store (i32.const 700) (i32.add (i32.load (i32.const 700)) (i32.const 1)))",
            ..ByHand::default()
        }
        .component(),
    )
    .await;
    assert!(varies.message.contains("varies from call to call"), "{varies}");
}

#[tokio::test]
async fn an_import_of_another_shape_is_told_before_anything_runs() {
    let text = r#"(component
        (import "tandem:plugin/log@1.0.0" (instance (export "shout" (func (param "what" string)))))
        (instance) (export "tandem:plugin/about@1.0.0" (instance 1)) (export "tandem:plugin/detector@1.0.0" (instance 1)))"#;
    let refused = refused(wat::parse_str(text).expect("text")).await;
    assert!(refused.message.contains("shout"), "{refused}");
    assert!(refused.message.contains("build it against the `wit` folder"), "{refused}");
}

#[tokio::test]
async fn configuration_is_checked_against_the_plugins_schema() {
    const SCHEMA: &str =
        r#"{"type":"object","properties":{"bound":{"type":"number","minimum":0}},"additionalProperties":false}"#;
    let bytes = ByHand { schema: SCHEMA, ..ByHand::default() }.component();
    let bench = Bench::new();
    let load = async |config: serde_json::Value| {
        let settings = PluginSettings { config, ..PluginSettings::default() };
        bench.runtime.load_bytes("file", "test", bytes.clone(), settings).await
    };
    assert!(load(serde_json::json!({"bound": 3})).await.is_ok());
    let digest = bench.runtime.detectors()[0].digest.clone();
    assert!(load(serde_json::Value::Null).await.is_ok());
    assert_ne!(bench.runtime.detectors()[0].digest, digest, "another configuration is another plugin");
    let wrong = load(serde_json::json!({"bound": -1, "bond": 1})).await.expect_err("refused");
    assert_eq!(wrong.code, FailureCode::Misconfigured);
    assert!(wrong.message.contains("bound") && wrong.message.contains("bond"), "{wrong}");
    assert!(wrong.message.contains("[plugins.detector-by-hand]"), "{wrong}");
    // What was at work stays at work.
    assert_eq!(bench.status(NAME).state, PluginState::Live);
    assert_eq!(bench.runtime.detectors().len(), 1);
}

#[tokio::test]
async fn a_plugin_without_a_schema_takes_no_configuration_and_a_disabled_one_is_not_started() {
    let bench = Bench::new();
    let bytes = ByHand::default().component();
    let settings = PluginSettings { config: serde_json::json!({"a": 1}), ..PluginSettings::default() };
    let refused = bench.runtime.load_bytes("file", "test", bytes.clone(), settings).await.expect_err("refused");
    assert!(refused.message.contains("takes no configuration"), "{refused}");
    let settings = PluginSettings { disabled: true, ..PluginSettings::default() };
    bench.runtime.load_bytes("file", "test", bytes, settings).await.expect("fine, but off");
    assert_eq!(bench.status(NAME).state, PluginState::Disabled);
    assert_eq!(bench.status(NAME).kind, Some(PluginKind::Detector));
    assert!(bench.runtime.detectors().is_empty());
    let off = bench.runtime.open(NAME, Vec::new()).await.err().expect("off");
    assert!(off.message.contains("switched off"), "{off}");
}

#[tokio::test]
async fn one_bad_plugin_stops_no_other_and_later_ones_stand_in_for_earlier() {
    let bench = Bench::new();
    let source = |name: &str, bytes: Vec<u8>| PluginSource {
        name: name.into(),
        origin: name.into(),
        bytes: bytes.into(),
        settings: Arc::new(|_| PluginSettings::default()),
    };
    let outcomes = bench
        .runtime
        .load_all(vec![
            source("bad", b"nothing".to_vec()),
            source("bundled", ByHand::default().component()),
            source("mine", ByHand { version: "9.0.0", ..ByHand::default() }.component()),
        ])
        .await;
    assert!(outcomes[0].is_err() && outcomes[1].is_ok() && outcomes[2].is_ok());
    assert_eq!(bench.runtime.detectors().len(), 1);
    assert_eq!(bench.runtime.detectors()[0].version, "9.0.0");
    assert_eq!(bench.runtime.statuses().len(), 2, "the bad one is shown");
    assert!(bench.runtime.unload(NAME));
    assert!(bench.runtime.detectors().is_empty());
    let gone = bench.runtime.open(NAME, Vec::new()).await.err().expect("gone");
    assert!(gone.message.contains("there is no plugin `detector-by-hand`"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_watched_and_a_half_written_file_waits_for_its_rest() {
    let bench = Bench::new();
    let folder = bench.data.path().join("plugins");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("a.wasm"), ByHand::default().component()).expect("written");
    std::fs::write(folder.join("readme.txt"), "no plugin").expect("written");
    let _watch = bench.runtime.watch_folder(&folder, Arc::new(|_| PluginSettings::default())).await;
    assert_eq!(bench.runtime.detectors()[0].version, "1.0.0");
    // The next version arrives in two halves; the first never replaces what is at work.
    let next = ByHand { version: "1.2.0", ..ByHand::default() }.component();
    std::fs::write(folder.join("a.wasm"), &next[..next.len() / 2]).expect("written");
    tokio::time::sleep(Duration::from_millis(2_600)).await;
    assert_eq!(bench.runtime.detectors()[0].version, "1.0.0");
    assert!(bench.status("a").last_error.expect("told").message.contains("half written"));
    std::fs::write(folder.join("a.wasm"), &next).expect("written");
    eventually(|| bench.runtime.detectors().first().is_some_and(|live| live.version == "1.2.0")).await;
    std::fs::remove_file(folder.join("a.wasm")).expect("removed");
    eventually(|| bench.runtime.detectors().is_empty()).await;
}

async fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..100 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("did not come to hold within 10 s");
}

#[tokio::test]
async fn a_warm_cache_spares_compiling() {
    let bench = Bench::new();
    let bytes = ByHand::default().component();
    bench.runtime.load_bytes("file", "test", bytes.clone(), PluginSettings::default()).await.expect("loads");
    let compiled = std::fs::read_dir(bench.data.path().join("cache/aot")).expect("a cache").count();
    assert_eq!(compiled, 2, "code and its digest");
    let again = Bench::over(bench.data);
    again.runtime.load_bytes("file", "test", bytes, PluginSettings::default()).await.expect("loads");
    assert_eq!(std::fs::read_dir(again.data.path().join("cache/aot")).expect("a cache").count(), 2);
}

#[tokio::test]
async fn a_plugin_of_another_kind_is_refused_where_it_is_asked_for() {
    use tandem_domain::ports::Correlators;
    let bench = Bench::new();
    bench
        .runtime
        .load_bytes("file", "test", ByHand::default().component(), PluginSettings::default())
        .await
        .expect("loads");
    let wrong = Correlators::open(&bench.runtime, NAME, None).await.err().expect("refused");
    assert!(wrong.message.contains("is a detector, and a correlator is needed"), "{wrong}");
    // `component` is also what a plugin that exports nothing is made with.
    let nothing = std::panic::catch_unwind(|| component("(module)", "detector-plugin"));
    assert!(nothing.is_err(), "the encoder refuses a world without its exports");
}
