//! What a story shows on loopback: exporters' pages to be scraped, and a model repository (Open Inference Protocol) that says of
//! every version it was asked to load that it serves.

use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tandem_story::Play;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

/// Connections at a time: one server scrapes, and asks what is deployed.
const MAX_CONNECTIONS: usize = 64;
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
struct State {
    /// By target; none while it does not answer.
    pages: BTreeMap<usize, Option<String>>,
    /// Model and version.
    loaded: BTreeSet<(String, String)>,
}

/// A server on a free port of loopback, for as long as it is held.
pub(super) struct Loopback {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Loopback {
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let serving = tokio::spawn(serve(listener, state.clone()));
        Ok(Self { address, state, serving })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn show(&self, pages: BTreeMap<usize, Option<String>>) {
        locked(&self.state).pages = pages;
    }

    pub(super) fn load(&self, model: &str, version: &str) {
        locked(&self.state).loaded.insert((model.to_owned(), version.to_owned()));
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(held) = room.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let state = state.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&locked(&state), request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            // Whoever hangs up half-way costs only his own connection.
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
            drop(held);
        });
    }
}

/// `/JOB/NUMBER` is the page of a target; the rest is the model repository's.
fn answer(state: &State, path: &str) -> Response<Full<hyper::body::Bytes>> {
    let with = |status: StatusCode, kind: &str, body: String| {
        let mut answer = Response::new(Full::from(body));
        *answer.status_mut() = status;
        if let Ok(kind) = kind.parse() {
            answer.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
        }
        answer
    };
    if path == "/v2/repository/index" {
        let entry = |(model, version): &(String, String)| serde_json::json!({"name": model, "version": version, "state": "READY", "reason": ""});
        let index = serde_json::Value::Array(state.loaded.iter().map(entry).collect());
        return with(StatusCode::OK, "application/json", index.to_string());
    }
    if path.starts_with("/v2/") {
        return with(StatusCode::OK, "application/json", "{}".into());
    }
    let number = path.rsplit('/').next().and_then(|number| number.parse::<usize>().ok());
    match number.and_then(|number| state.pages.get(&number)) {
        Some(Some(page)) => with(StatusCode::OK, "text/plain; version=0.0.4", page.clone()),
        Some(None) => with(StatusCode::SERVICE_UNAVAILABLE, "text/plain", "the target does not answer\n".into()),
        None => with(StatusCode::NOT_FOUND, "text/plain", "no such target\n".into()),
    }
}

/// What the operator adds to `tandem.toml` for the targets that are scraped, and for what no exporter tells.
pub(super) fn config_lines(play: &Play, scrape: &[String], address: SocketAddr) -> Vec<String> {
    let mut lines = Vec::new();
    let scraped = play.targets().iter().enumerate().filter(|(_, target)| scrape.contains(&target.job));
    for (number, target) in scraped {
        let labels = target.labels.iter().chain([("instance", target.instance.as_str())]);
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name} = {value:?}")).collect();
        lines.push(format!(
            "[[scrape]]\njob = {:?}\ntargets = [\"{address}\"]\npath = \"/{}/{number}\"\nlabels = {{ {} }}",
            target.job,
            target.job,
            labels.join(", ")
        ));
    }
    lines.extend(play.relations().iter().map(|relation| {
        let kind = serde_json::to_value(relation.kind).unwrap_or_default();
        format!(
            "[[relation]]\ndependent = {:?}\ndependency = {:?}\nkind = {kind}",
            relation.dependent, relation.dependency
        )
    }));
    if !lines.is_empty() {
        let told = "# For the whole graph, put this into the server's tandem.toml and start it again:";
        lines.insert(0, told.into());
        lines.push(String::new());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_shown_while_their_target_answers_and_whatever_was_loaded_is_ready() {
        let mut state = State::default();
        state.pages.insert(3, Some("m 1\n".into()));
        state.pages.insert(4, None);
        state.loaded.insert(("ranker".into(), "8".into()));
        let status = |path: &str| answer(&state, path).status().as_u16();
        assert_eq!((status("/node/3"), status("/node/4"), status("/node/5"), status("/")), (200, 503, 404, 404));
        assert_eq!((status("/v2/repository/index"), status("/v2/repository/models/ranker/load")), (200, 200));
    }
}
