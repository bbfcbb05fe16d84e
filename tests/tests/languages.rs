//! The contract in four languages: the same detector and the same collector in Rust, Python, JavaScript and C, built from
//! source into `target/sdk-examples` by `make examples`, must do the same through the sandbox. Where the components are not
//! there the tests say so; `make test` builds them first and sets `TANDEM_EXAMPLES=required`, by which their absence fails.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tandem_domain::{
    FailureCode, Timestamp,
    frame::{Frame, Group, GroupId, GroupState, Observation},
    ports::{Collection, Collectors, Detectors, Mappers, PluginCatalogue},
    target::{TargetInfo, TargetKey},
};
use tandem_runtime::Runtime;
use tandem_tests::{
    Peer,
    sandbox::{self, NOW},
};

const LANGUAGES: [&str; 4] = ["rust", "python", "js", "c"];
/// Summing in another order may make so much of a difference.
const TOLERANCE: f64 = 1e-9;

/// The component of an example in a language, if it was built.
fn component(language: &str, example: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join(format!("target/sdk-examples/{language}/{example}.wasm"));
    if path.is_file() {
        return Some(path);
    }
    let required = std::env::var("TANDEM_EXAMPLES").is_ok_and(|value| value == "required");
    assert!(!required, "{} is not there: run `make examples`", path.display());
    eprintln!("{} is not there, it is not tested; run `make examples` to build it", path.display());
    None
}

/// A runtime with the example in every language that was built, and the names of the plugins.
async fn with_examples(example: &str, data: &Path) -> (Runtime, Vec<String>) {
    let runtime = sandbox::runtime(data);
    let paths = LANGUAGES.iter().filter_map(|language| component(language, example));
    let sources = paths.map(|path| sandbox::source(&path, sandbox::plain_settings())).collect();
    let names = runtime.load_all(sources).await.into_iter().map(|loaded| loaded.expect("the example fits"));
    let names = names.collect();
    (runtime, names)
}

fn golden() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/fixtures/detector-mean.json");
    serde_json::from_slice(&std::fs::read(path).expect("the fixture")).expect("JSON")
}

fn numbers(column: &serde_json::Value) -> Vec<f64> {
    column.as_array().expect("a column").iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn frames(batch: &serde_json::Value) -> Vec<Frame> {
    let frame = |frame: &serde_json::Value| Frame {
        group: GroupId(frame["group"].as_u64().expect("a group") as u32),
        at: numbers(&frame["at"]).into_iter().map(|at| Timestamp(at as i64)).collect(),
        value: numbers(&frame["value"]),
    };
    batch.as_array().expect("a batch").iter().map(frame).collect()
}

fn assert_golden(plugin: &str, observed: &Observation, expected: &serde_json::Value) {
    assert!(observed.failed.is_empty(), "{plugin}: {:?}", observed.failed);
    let expected = expected.as_array().expect("scores of groups");
    assert_eq!(observed.scores.len(), expected.len(), "{plugin}");
    for expected in expected {
        let of_group = observed.scores.iter().find(|scores| u64::from(scores.group.0) == expected["group"]);
        let scores = of_group.unwrap_or_else(|| panic!("{plugin} did not answer for group {}", expected["group"]));
        assert_eq!(u64::from(scores.warming), expected["warming"].as_u64().expect("a count"), "{plugin}");
        for (name, column) in [("score", &scores.score), ("low", &scores.low), ("high", &scores.high)] {
            let wanted = numbers(&expected[name]);
            assert_eq!(column.len(), wanted.len(), "{plugin}: {name}");
            for (got, wanted) in column.iter().zip(wanted) {
                let same = (got.is_nan() && wanted.is_nan()) || (got - wanted).abs() < TOLERANCE;
                assert!(same, "{plugin}: {name} is {got}, the golden one is {wanted}");
            }
        }
    }
}

/// The groups of which no state was kept, and their history.
fn without_state(
    groups: &[Group],
    history: &[Frame],
    kept: &BTreeMap<GroupId, GroupState>,
) -> (Vec<Group>, Vec<Frame>) {
    let unknown = |group: &GroupId| !kept.contains_key(group);
    (
        groups.iter().filter(|group| unknown(&group.id)).cloned().collect(),
        history.iter().filter(|frame| unknown(&frame.group)).cloned().collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_detector_gives_the_golden_scores_in_every_language_with_and_without_a_restart() {
    let data = tempfile::tempdir().expect("a folder");
    let (runtime, names) = with_examples("detector-mean", data.path()).await;
    let golden = golden();
    let group = |id: GroupId| sandbox::group(id.0, "model.queue.depth", "service:chat");
    let groups: Vec<Group> = numbers(&golden["groups"]).into_iter().map(|id| group(GroupId(id as u32))).collect();
    for name in &names {
        let mut living = Detectors::open(&runtime, name, Vec::new()).await.expect("opens").watch;
        living.join(groups.clone(), frames(&golden["history"])).await.expect("joins");
        let mut restarted = Detectors::open(&runtime, name, Vec::new()).await.expect("opens").watch;
        restarted.join(groups.clone(), frames(&golden["history"])).await.expect("joins");
        let mut kept = BTreeMap::new();
        let batches = golden["batches"].as_array().expect("batches").iter();
        for (batch, expected) in batches.zip(golden["scores"].as_array().expect("scores")) {
            assert_golden(name, &living.observe(frames(batch)).await.expect("observes"), expected);
            assert_golden(name, &restarted.observe(frames(batch)).await.expect("observes"), expected);
            // As the house does it: the newest state of each group is kept, and a group without one joins anew.
            let states = restarted.snapshot().await.expect("states");
            assert!(!states.is_empty(), "{name} kept nothing");
            kept.extend(states.into_iter().map(|state| (state.group, state)));
            let restored = kept.values().map(|state| (group(state.group), state.clone())).collect();
            let opened = Detectors::open(&runtime, name, restored).await.expect("opens from its states");
            assert!(opened.refused.is_empty(), "{name}: {:?}", opened.refused);
            restarted = opened.watch;
            let (unseen, history) = without_state(&groups, &frames(&golden["history"]), &kept);
            restarted.join(unseen, history).await.expect("joins");
        }
    }
    for status in runtime.statuses() {
        assert_eq!((status.usage.traps, status.usage.timeouts, status.usage.failures), (0, 0, 0), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_collector_brings_and_understands_the_same_in_every_language() {
    let page = include_str!("../../sdk/fixtures/status.json");
    let peer = Peer::start(page).await;
    let url = format!("http://{}/status", peer.address());
    let data = tempfile::tempdir().expect("a folder");
    let (runtime, names) = with_examples("collector-status", data.path()).await;
    let target = TargetInfo {
        key: TargetKey { job: "status".into(), instance: url.clone() },
        labels: tandem_domain::series::Labels::default(),
    };
    let mut first: Option<(String, Collection, String)> = None;
    for name in &names {
        let collection = runtime.collect(name, &url, NOW, &[], None).await.expect("a collection");
        let again = runtime.collect(name, &url, NOW, &collection.cursor, None).await.expect("a collection");
        assert_eq!((collection.cursor.as_slice(), again.cursor.as_slice()), (&b"1"[..], &b"2"[..]), "{name}");
        let values: Vec<f64> = collection.series.iter().map(|(_, points)| points.value[0]).collect();
        assert_eq!(values, [1.0, 3.0, 120.0, 1.0], "{name}");
        let series: Vec<_> = collection.series.iter().map(|(series, _)| series.clone()).collect();
        let mapping = runtime.interpret(name, &target, &series).await.expect("a mapping");
        let meanings: Vec<&str> = mapping.meanings.iter().map(|meaning| meaning.body.name.as_str()).collect();
        assert_eq!(meanings, ["service.healthy", "service.queue.depth", "service.requests"], "{name}");
        let mapping = format!("{mapping:?}");
        if let Some((other, its_collection, its_mapping)) = &first {
            assert_eq!(&collection, its_collection, "{name} and {other} bring different things");
            assert_eq!(&mapping, its_mapping, "{name} and {other} understand them differently");
        } else {
            first = Some((name.clone(), collection, mapping));
        }

        let elsewhere = runtime.collect(name, "", NOW, &[], None).await.expect_err("no target is no address");
        assert!(elsewhere.message.contains(name.as_str()), "{name}: {elsewhere}");
    }
    peer.show("<html>not found</html>");
    for name in &names {
        let failed = runtime.collect(name, &url, NOW, &[], None).await.expect_err("a page of another kind");
        assert_eq!(failed.code, FailureCode::Malformed, "{name}: {failed}");
        assert!(failed.message.contains("collector.collect"), "{name}: {failed}");
    }
    for status in runtime.statuses() {
        assert_eq!((status.usage.traps, status.usage.timeouts), (0, 0), "{status:?}");
    }
}
