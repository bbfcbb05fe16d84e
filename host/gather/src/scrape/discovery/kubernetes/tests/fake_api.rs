//! A server that lists and watches as Kubernetes' API documents it: versions that rise, lists in pages with `continue`, watches
//! from a version on whose events come in pieces, bookmarks, and 410 for what it no longer knows.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tandem_domain::{
    Failure, FailureCode,
    http::{BodyParts, HttpClient, HttpGrant, HttpRequest, HttpResponse, HttpStream, HttpStreams},
    ports::BoxFuture,
};
use tokio::sync::watch;
use url::Url;

/// Objects in one page of a list, whatever the client allows.
const PAGE: usize = 2;
/// Bytes of a piece of a watch: no line ends where a piece does.
const PIECE_BYTES: usize = 61;

#[derive(Default)]
struct State {
    version: u64,
    /// By collection and name.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// Version, collection, kind, object.
    events: Vec<(u64, String, &'static str, Value)>,
    /// What happened up to here is no longer known.
    forgotten: u64,
    asked: Vec<String>,
    ended: u64,
    list_status: Option<u16>,
    refuses_watches: bool,
    gone_by_status: bool,
}

/// The server.
pub(super) struct FakeApi {
    state: Arc<Mutex<State>>,
    news: watch::Sender<()>,
}

impl Default for FakeApi {
    fn default() -> Self {
        Self { state: Arc::default(), news: watch::Sender::new(()) }
    }
}

impl FakeApi {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.news.send_replace(());
    }

    pub(super) fn put(&self, collection: &str, name: &str, mut object: Value) {
        self.change(|state| {
            state.version += 1;
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            let objects = state.objects.entry(collection.to_owned()).or_default();
            let kind = if objects.insert(name.to_owned(), object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
            state.events.push((state.version, collection.to_owned(), kind, object));
        });
    }

    pub(super) fn remove(&self, collection: &str, name: &str) {
        self.change(|state| {
            state.version += 1;
            let mut object = state.objects.get_mut(collection).and_then(|all| all.remove(name)).expect("it is there");
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            state.events.push((state.version, collection.to_owned(), "DELETED", object));
        });
    }

    /// Tells those who watch how far they have come; answers the version.
    pub(super) fn bookmark(&self, collection: &str) -> u64 {
        let mut version = 0;
        self.change(|state| {
            // Things that nobody watches happened.
            state.version += 100;
            version = state.version;
            let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"resourceVersion": version.to_string()},
                                "spec": {"containers": null}, "status": {}});
            state.events.push((version, collection.to_owned(), "BOOKMARK", object));
        });
        version
    }

    pub(super) fn end_watches(&self) {
        self.change(|state| state.ended += 1);
    }

    pub(super) fn forget_history(&self) {
        self.change(|state| {
            state.forgotten = state.version;
            state.events.clear();
        });
    }

    pub(super) fn refuse_watches(&self, refuse: bool) {
        self.change(|state| state.refuses_watches = refuse);
    }

    pub(super) fn refuse_lists(&self, status: Option<u16>) {
        self.change(|state| state.list_status = status);
    }

    pub(super) fn says_gone_by_status(&self, by_status: bool) {
        self.change(|state| state.gone_by_status = by_status);
    }

    /// Path and query of what was asked so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.state.lock().asked.clone()
    }

    /// Notes what is asked; answers the collection and a way to read its parameters.
    fn note(&self, request: &HttpRequest) -> (String, BTreeMap<String, String>) {
        let url = Url::parse(&request.url).expect("an address");
        let asked = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        self.state.lock().asked.push(asked);
        (url.path().trim_start_matches('/').to_owned(), url.query_pairs().into_owned().collect())
    }
}

fn gone() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired",
           "message": "too old resource version"})
}

fn answer(status: u16, body: &Value) -> HttpResponse {
    let headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
    HttpResponse { status, headers, body: body.to_string().into_bytes() }
}

impl HttpClient for FakeApi {
    fn send<'a>(&'a self, _: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpResponse, Failure>> {
        let (collection, query) = self.note(&request);
        let state = self.state.lock();
        let done = match state.list_status {
            Some(status) => answer(status, &json!({"kind": "Status", "code": status})),
            None => {
                let start: usize = query.get("continue").map_or(0, |token| token.parse().expect("a token of mine"));
                let objects = state.objects.get(&collection).cloned().unwrap_or_default();
                let items: Vec<Value> = objects.values().skip(start).take(PAGE).cloned().collect();
                let more = objects.len() > start + PAGE;
                let mut metadata = json!({"resourceVersion": state.version.to_string()});
                if more {
                    metadata["continue"] = json!((start + PAGE).to_string());
                }
                answer(200, &json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}))
            }
        };
        Box::pin(async move { Ok(done) })
    }
}

impl HttpStreams for FakeApi {
    fn open<'a>(&'a self, _: &'a HttpGrant, request: HttpRequest) -> BoxFuture<'a, Result<HttpStream, Failure>> {
        let (collection, query) = self.note(&request);
        let state = self.state.lock();
        let from: u64 = query["resourceVersion"].parse().expect("a version");
        let is_gone = from < state.forgotten;
        let opened = if state.refuses_watches {
            Err(Failure::passing(FailureCode::Unreachable, "away"))
        } else {
            let status = if is_gone && state.gone_by_status { 410 } else { 200 };
            let body = FakeBody {
                state: self.state.clone(),
                news: self.news.subscribe(),
                collection,
                at: from,
                ended: state.ended,
                pieces: VecDeque::new(),
                says_gone: is_gone,
            };
            Ok(HttpStream { status, headers: Vec::new(), body: Box::new(body) })
        };
        Box::pin(async move { opened })
    }
}

/// A watch.
struct FakeBody {
    state: Arc<Mutex<State>>,
    news: watch::Receiver<()>,
    collection: String,
    at: u64,
    ended: u64,
    pieces: VecDeque<Vec<u8>>,
    says_gone: bool,
}

impl FakeBody {
    /// Takes what has happened since; whether the watch is over.
    fn look(&mut self) -> bool {
        let state = self.state.lock();
        let mut lines = Vec::new();
        if std::mem::take(&mut self.says_gone) {
            lines.extend(format!("{}\n", json!({"type": "ERROR", "object": gone()})).into_bytes());
        }
        let mine = |(version, collection, ..): &&(u64, String, &str, Value)| {
            *version > self.at && *collection == self.collection
        };
        for (_, _, kind, object) in state.events.iter().filter(mine) {
            lines.extend(format!("{}\n", json!({"type": kind, "object": object})).into_bytes());
        }
        self.at = state.version.max(self.at);
        self.pieces.extend(lines.chunks(PIECE_BYTES).map(<[u8]>::to_vec));
        state.ended != self.ended
    }
}

impl BodyParts for FakeBody {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Vec<u8>>, Failure>> {
        Box::pin(async move {
            loop {
                self.news.mark_unchanged();
                let is_over = self.look();
                if let Some(piece) = self.pieces.pop_front() {
                    return Ok(Some(piece));
                }
                if is_over || self.news.changed().await.is_err() {
                    return Ok(None);
                }
            }
        })
    }
}
