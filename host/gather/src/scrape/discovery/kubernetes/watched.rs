//! The objects of a cluster as they stand: listed once, then kept by a watch from the list's version on. A version that the
//! server no longer knows (410 Gone) is listed anew; bookmarks move the version on while nothing changes.

use super::{
    api::{Api, ApiError},
    objects::{EndpointSlice, Endpoints, Ingress, List, Node, Object, Pod, Service},
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tandem_domain::{Failure, FailureCode};
use tokio::sync::Notify;

/// Objects asked for in one page of a list, as Kubernetes' own clients do.
const LIST_PAGE: usize = 500;
/// Objects of one kind that are kept: twice the pods that Kubernetes says one cluster may have.
const MAX_OBJECTS: usize = 300_000;
/// Longest line of a watch, in bytes: an object has at most some 1.5 MiB.
const MAX_LINE_BYTES: usize = 8 << 20;
/// How long a watch is asked for, in seconds; the server ends it then, and another follows.
const WATCH_SECONDS: u64 = 300;
/// A watch that has said nothing for so much longer than it was asked for is dead.
const WATCH_GRACE: Duration = Duration::from_secs(30);
/// First and longest time to wait after something failed.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Objects of one kind by namespace and name.
pub(super) struct Watched<K> {
    objects: Mutex<BTreeMap<(String, String), Arc<K>>>,
    /// Watches that have not listed yet.
    unlisted: AtomicUsize,
}

impl<K> Default for Watched<K> {
    fn default() -> Self {
        Self { objects: Mutex::default(), unlisted: AtomicUsize::new(0) }
    }
}

impl<K: Object> Watched<K> {
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.objects.lock().get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<K>> {
        self.objects.lock().values().cloned().collect()
    }

    fn is_listed(&self) -> bool {
        self.unlisted.load(Ordering::Acquire) == 0
    }

    /// One more watch is going to list.
    pub(super) fn expect(&self) {
        self.unlisted.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn put(&self, object: K) {
        let key = key(&object);
        let mut objects = self.objects.lock();
        if objects.len() < MAX_OBJECTS || objects.contains_key(&key) {
            objects.insert(key, Arc::new(object));
        }
    }

    /// Puts all objects of a namespace, or of all, in place of those before.
    fn replace(&self, namespace: Option<&str>, listed: Vec<K>) {
        let mut objects = self.objects.lock();
        match namespace {
            Some(namespace) => objects.retain(|(of, _), _| of != namespace),
            None => objects.clear(),
        }
        let room = MAX_OBJECTS.saturating_sub(objects.len());
        objects.extend(listed.into_iter().take(room).map(|object| (key(&object), Arc::new(object))));
    }
}

fn key<K: Object>(object: &K) -> (String, String) {
    (object.meta().namespace.clone(), object.meta().name.clone())
}

/// What a role needs of a cluster.
#[derive(Default)]
pub(super) struct Cluster {
    pub nodes: Watched<Node>,
    pub pods: Watched<Pod>,
    pub services: Watched<Service>,
    pub endpoints: Watched<Endpoints>,
    pub slices: Watched<EndpointSlice>,
    pub ingresses: Watched<Ingress>,
    /// Whether the labels of a target's node are attached to it.
    pub attaches_nodes: bool,
    pub changed: Notify,
}

impl Cluster {
    /// Whether everything that is needed was listed.
    pub(super) fn is_listed(&self) -> bool {
        self.nodes.is_listed()
            && self.pods.is_listed()
            && self.services.is_listed()
            && self.endpoints.is_listed()
            && self.slices.is_listed()
            && self.ingresses.is_listed()
    }
}

/// One kind of objects, of one namespace or of all.
pub(super) struct Watch {
    pub namespace: Option<String>,
    /// Selectors, as parameters of the address.
    pub selectors: Vec<(&'static str, String)>,
}

/// An event of a watch.
#[derive(Deserialize)]
struct Event<'e> {
    #[serde(rename = "type")]
    kind: &'e str,
    #[serde(borrow)]
    object: &'e RawValue,
}

/// What the server says of what it refuses.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    code: u16,
    message: String,
}

/// How a watch came to its end.
enum End {
    /// It is to be asked for again from where it was.
    Ended,
    /// The server no longer knows the version.
    Gone,
}

/// Why one failed.
fn malformed(what: impl Into<String>) -> ApiError {
    ApiError::Failed(Failure::passing(FailureCode::Malformed, what))
}

impl Watch {
    /// Lists and watches for ever.
    pub(super) async fn keep<K: Object>(self, api: Arc<Api>, cluster: Arc<Cluster>, of: fn(&Cluster) -> &Watched<K>) {
        let watched = of(&cluster);
        let (mut wait, mut is_first) = (BACKOFF.0, true);
        loop {
            match self.list(&api, watched).await {
                Ok(mut version) => {
                    wait = BACKOFF.0;
                    if std::mem::take(&mut is_first) {
                        watched.unlisted.fetch_sub(1, Ordering::AcqRel);
                    }
                    cluster.changed.notify_one();
                    self.watch(&api, &cluster, watched, &mut version).await;
                }
                Err(error) => {
                    tracing::warn!("Kubernetes' {} could not be listed; what was found stays: {error}", K::RESOURCE);
                    tokio::time::sleep(jittered(wait)).await;
                    wait = (wait * 2).min(BACKOFF.1);
                }
            }
        }
    }

    fn path<K: Object>(&self) -> String {
        match &self.namespace {
            Some(namespace) if K::NAMESPACED => format!("{}/namespaces/{namespace}/{}", K::API, K::RESOURCE),
            _ => format!("{}/{}", K::API, K::RESOURCE),
        }
    }

    /// All objects, page by page; answers the version to watch from.
    async fn list<K: Object>(&self, api: &Api, watched: &Watched<K>) -> Result<String, ApiError> {
        let (mut found, mut next) = (Vec::new(), String::new());
        loop {
            let mut query = self.selectors.clone();
            query.push(("limit", LIST_PAGE.to_string()));
            if !next.is_empty() {
                query.push(("continue", next));
            }
            let body = api.get(&self.path::<K>(), &query).await?;
            let page: List<K> =
                serde_json::from_slice(&body).map_err(|error| malformed(format!("the list is none: {error}")))?;
            found.extend(page.items);
            if found.len() > MAX_OBJECTS {
                tracing::error!("more than {MAX_OBJECTS} {} are listed; the rest is left alone", K::RESOURCE);
            }
            next = page.metadata.next;
            if next.is_empty() || found.len() > MAX_OBJECTS {
                watched.replace(self.namespace.as_deref().filter(|_| K::NAMESPACED), found);
                return Ok(page.metadata.resource_version);
            }
        }
    }

    /// Watches from a version on, until the server no longer knows it.
    async fn watch<K: Object>(&self, api: &Api, cluster: &Cluster, watched: &Watched<K>, version: &mut String) {
        let mut wait = BACKOFF.0;
        loop {
            let before = version.clone();
            match self.watch_once(api, cluster, watched, version).await {
                Ok(End::Gone) | Err(ApiError::Gone) => return,
                Ok(End::Ended) if *version != before => wait = BACKOFF.0,
                // One that ends without a word is not asked for again at once.
                Ok(End::Ended) => {
                    tokio::time::sleep(jittered(wait)).await;
                    wait = (wait * 2).min(BACKOFF.1);
                }
                Err(error) => {
                    tracing::info!("the watch on Kubernetes' {} broke and is begun again: {error}", K::RESOURCE);
                    tokio::time::sleep(jittered(wait)).await;
                    wait = (wait * 2).min(BACKOFF.1);
                }
            }
        }
    }

    async fn watch_once<K: Object>(
        &self,
        api: &Api,
        cluster: &Cluster,
        watched: &Watched<K>,
        version: &mut String,
    ) -> Result<End, ApiError> {
        let mut query = self.selectors.clone();
        query.extend([
            ("watch", "1".to_owned()),
            ("allowWatchBookmarks", "true".to_owned()),
            ("timeoutSeconds", WATCH_SECONDS.to_string()),
            ("resourceVersion", version.clone()),
        ]);
        let mut body = api.open(&self.path::<K>(), &query).await?;
        let mut pending: Vec<u8> = Vec::new();
        loop {
            let part = tokio::time::timeout(Duration::from_secs(WATCH_SECONDS) + WATCH_GRACE, body.next()).await;
            let part = part.map_err(|_| malformed("the watch has fallen silent"))?.map_err(ApiError::Failed)?;
            let Some(part) = part else { return Ok(End::Ended) };
            let seen = pending.len();
            pending.extend_from_slice(&part);
            let mut start = 0;
            // A part holds a piece of a line, or several lines.
            while let Some(end) = pending[start.max(seen)..].iter().position(|byte| *byte == b'\n') {
                let end = start.max(seen) + end;
                let line = &pending[start..end];
                start = end + 1;
                if !line.trim_ascii().is_empty() && self.take(line, watched, version)? {
                    return Ok(End::Gone);
                }
                cluster.changed.notify_one();
            }
            pending.drain(..start);
            if pending.len() > MAX_LINE_BYTES {
                return Err(malformed(format!("a line of the watch has more than {MAX_LINE_BYTES} bytes")));
            }
        }
    }

    /// Takes one event in; whether it says that the version is gone.
    fn take<K: Object>(&self, line: &[u8], watched: &Watched<K>, version: &mut String) -> Result<bool, ApiError> {
        let wrong = |error: serde_json::Error| malformed(format!("an event of the watch is none: {error}"));
        let event: Event<'_> = serde_json::from_slice(line).map_err(wrong)?;
        if event.kind == "ERROR" {
            let status: Status = serde_json::from_str(event.object.get()).map_err(wrong)?;
            if status.code == 410 {
                return Ok(true);
            }
            return Err(malformed(format!("the server ends the watch: {} {}", status.code, status.message)));
        }
        let object: K = serde_json::from_str(event.object.get()).map_err(wrong)?;
        object.meta().resource_version.clone_into(version);
        match event.kind {
            "ADDED" | "MODIFIED" => watched.put(object),
            "DELETED" => drop(watched.objects.lock().remove(&key(&object))),
            // A bookmark, or what a later version of the API adds.
            _ => {}
        }
        Ok(false)
    }
}

/// A wait of between half and the whole of a time, so that the clients of a server that was away do not all come back at once.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.5..1.0))
}
