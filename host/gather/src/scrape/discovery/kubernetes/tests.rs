//! Objects as the API publishes them, and a server that lists and watches by its rules.

mod fake_api;
mod labels;

use super::*;
use crate::scrape::discovery::Found;
use fake_api::FakeApi;
use serde_json::{Value, json};

/// For what would never come: long enough for any machine, and not asserted on.
const GUARD: Duration = Duration::from_secs(60);

/// An object of a published type: what the type does not know would be lost.
fn published<T: serde::de::DeserializeOwned + serde::Serialize>(object: &Value) -> Value {
    let typed: T = serde_json::from_value(object.clone()).expect("an object of the type");
    let again = serde_json::to_value(typed).expect("JSON");
    assert_eq!(again, *object, "a field that the published type does not have");
    again
}

fn pod(name: &str, ip: &str) -> Value {
    published::<k8s_openapi::api::core::v1::Pod>(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{name}")},
        "spec": {"containers": [{"name": "web", "image": "web:1",
                                 "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}]}]},
        "status": {"phase": "Running", "podIP": ip},
    }))
}

struct Watching {
    api: Arc<FakeApi>,
    found: Arc<Found>,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A finder that works on a fake server.
fn watching(api: FakeApi, config: Value) -> Watching {
    let (api, folder) = (Arc::new(api), tempfile::tempdir().expect("a folder"));
    let mut ports = crate::testing::ports(folder.path(), Vec::new());
    (ports.http, ports.streams) = (api.clone(), api.clone());
    let config: KubernetesSdConfig = serde_json::from_value(config).expect("a config");
    config.validate().expect("valid");
    let finder = Box::new(KubernetesFinder::new(&config, ports).expect("a finder"));
    let found = Arc::new(Found::of(1));
    let task = tokio::spawn(finder.run(Telling::new(found.clone(), 0)));
    Watching { api, found, task, _folder: folder }
}

impl Watching {
    fn addresses(&self) -> Vec<String> {
        let groups = self.found.groups();
        let targets = groups.values().flat_map(|group| &group.targets);
        let mut all: Vec<String> = targets.map(|target| target.get("__address__").to_owned()).collect();
        all.sort();
        all
    }

    async fn finds(&self, addresses: &[&str]) {
        let waiting = async {
            while self.addresses() != addresses || !self.found.is_complete() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(GUARD, waiting).await;
        assert!(
            found.is_ok(),
            "{addresses:?} was not found, but {:?}; asked: {:#?}",
            self.addresses(),
            self.api.asked()
        );
    }

    async fn asks(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        let waiting = async {
            while !self.api.asked().iter().any(|asked| is_it(asked)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let asked = tokio::time::timeout(GUARD, waiting).await;
        assert!(asked.is_ok(), "never asked: {what}; but {:#?}", self.api.asked());
    }
}

const PODS: &str = "api/v1/pods";

#[tokio::test]
async fn pods_are_listed_page_by_page_and_kept_by_a_watch() {
    let api = FakeApi::default();
    for number in 1..=5 {
        api.put(PODS, &format!("pod-{number}"), pod(&format!("pod-{number}"), &format!("10.0.0.{number}")));
    }
    let watching = watching(api, json!({"role": "pod", "api_server": "http://k8s.example:6443/"}));
    let first = ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080", "10.0.0.4:8080", "10.0.0.5:8080"];
    watching.finds(&first).await;
    let pages = watching.api.asked().iter().filter(|asked| asked.contains("limit=500")).count();
    assert_eq!(pages, 3, "the server gives two objects a page");

    watching.api.put(PODS, "pod-6", pod("pod-6", "10.0.0.6"));
    watching.api.put(PODS, "pod-1", pod("pod-1", "10.0.9.1"));
    watching.api.remove(PODS, "pod-2");
    watching.finds(&["10.0.0.3:8080", "10.0.0.4:8080", "10.0.0.5:8080", "10.0.0.6:8080", "10.0.9.1:8080"]).await;
    let lists = watching.api.asked().iter().filter(|asked| !asked.contains("watch=1")).count();
    assert_eq!(lists, 3, "what changes comes by the watch alone");
}

#[tokio::test]
async fn a_watch_that_ends_goes_on_where_a_bookmark_said() {
    let api = FakeApi::default();
    api.put(PODS, "pod-1", pod("pod-1", "10.0.0.1"));
    let watching = watching(api, json!({"role": "pod", "api_server": "http://k8s.example:6443"}));
    watching.finds(&["10.0.0.1:8080"]).await;
    watching.asks("a watch", |asked| asked.contains("watch=1") && asked.contains("allowWatchBookmarks=true")).await;
    let version = watching.api.bookmark(PODS);
    watching.api.end_watches();
    let from_there = format!("resourceVersion={version}");
    watching
        .asks("a watch from the bookmark on", |asked| asked.contains("watch=1") && asked.ends_with(&from_there))
        .await;
    watching.api.put(PODS, "pod-2", pod("pod-2", "10.0.0.2"));
    watching.finds(&["10.0.0.1:8080", "10.0.0.2:8080"]).await;
}

#[tokio::test]
async fn a_version_that_is_gone_is_listed_anew_however_the_server_says_so() {
    for by_status in [true, false] {
        let api = FakeApi::default();
        api.put(PODS, "pod-1", pod("pod-1", "10.0.0.1"));
        api.says_gone_by_status(by_status);
        let watching = watching(api, json!({"role": "pod", "api_server": "http://k8s.example:6443"}));
        watching.finds(&["10.0.0.1:8080"]).await;
        watching.asks("a watch", |asked| asked.contains("watch=1")).await;
        // While the watch is away, things change and the server forgets how.
        watching.api.refuse_watches(true);
        watching.api.end_watches();
        watching.api.put(PODS, "pod-2", pod("pod-2", "10.0.0.2"));
        watching.api.remove(PODS, "pod-1");
        watching.api.forget_history();
        watching.api.refuse_watches(false);
        watching.finds(&["10.0.0.2:8080"]).await;
    }
}

#[tokio::test]
async fn a_server_that_is_away_or_denies_is_asked_again_and_what_was_found_stays() {
    let api = FakeApi::default();
    api.put(PODS, "pod-1", pod("pod-1", "10.0.0.1"));
    api.refuse_lists(Some(403));
    let watching = watching(api, json!({"role": "pod", "api_server": "http://k8s.example:6443"}));
    watching.asks("a list", |asked| asked.contains("limit=500")).await;
    assert!(!watching.found.is_complete(), "nothing is known yet, and nothing is told to be gone");
    watching.api.refuse_lists(None);
    watching.finds(&["10.0.0.1:8080"]).await;
    watching.api.refuse_lists(Some(500));
    watching.api.forget_history();
    watching.api.end_watches();
    watching.api.refuse_watches(true);
    tokio::time::sleep(Duration::from_millis(300)).await;
    watching.finds(&["10.0.0.1:8080"]).await;
}

#[tokio::test]
async fn namespaces_and_selectors_narrow_what_is_asked_for() {
    let api = FakeApi::default();
    api.put("api/v1/namespaces/shop/pods", "pod-1", pod("pod-1", "10.0.0.1"));
    let config = json!({"role": "pod", "api_server": "http://k8s.example:6443", "namespaces": {"names": ["shop"]},
        "selectors": [{"role": "pod", "label": "app=web", "field": "status.phase=Running"}]});
    let watching = watching(api, config);
    watching.finds(&["10.0.0.1:8080"]).await;
    let asked = watching.api.asked();
    assert!(
        asked[0]
            .starts_with("/api/v1/namespaces/shop/pods?labelSelector=app%3Dweb&fieldSelector=status.phase%3DRunning"),
        "{asked:?}"
    );
}

#[test]
fn configurations_that_cannot_be_meant_are_named() {
    let said = |config: Value| {
        let config: KubernetesSdConfig = serde_json::from_value(config).expect("a config");
        config.validate().expect_err("wrong")
    };
    assert!(said(json!({"role": "pod", "api_server": "k8s:6443"})).contains("api_server is no address"));
    assert!(said(json!({"role": "pod", "bearer_token": "t"})).contains("service account"));
    let selectors = json!([{"role": "node", "label": "a=b"}]);
    assert!(
        said(json!({"role": "pod", "api_server": "http://k:1", "selectors": selectors})).contains("give one of pod")
    );
    assert!(said(json!({"role": "pod", "api_server": "http://k:1", "namespaces": {"names": ["a/b"]}})).contains("a/b"));
}
