//! The one sender: some connections, on each one body under way, the next when the last is acknowledged.

use super::Bodies;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How many steps a connection may be ahead of the slowest: Prometheus refuses what lies an hour behind its newest.
const MAX_STEPS_AHEAD: usize = 40;
/// How long a server that asks for patience is left alone, unless it says.
const PATIENCE: Duration = Duration::from_millis(100);
/// A body that is not answered for so long ends the run.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);
/// How often one body may be refused for the time being before the run ends.
const MAX_REFUSALS: u32 = 600;

/// What sending took.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// Samples acknowledged.
    pub samples: u64,
    /// From the first body to the last acknowledgement.
    pub took: Duration,
    /// How long each body waited for its acknowledgement, in milliseconds, sorted.
    pub waits_millis: Vec<f64>,
    /// Bodies that were refused for the time being (429, 5xx) and sent again.
    pub refusals: u64,
}

impl Sent {
    /// Samples acknowledged in a second.
    pub fn rate(&self) -> f64 {
        self.samples as f64 / self.took.as_secs_f64()
    }

    /// The wait that a share of bodies did not exceed, in milliseconds.
    pub fn wait_millis(&self, share: f64) -> f64 {
        let place = (self.waits_millis.len() as f64 * share) as usize;
        self.waits_millis.get(place.min(self.waits_millis.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }
}

/// Posts all bodies to a server's remote-write door, each connection its own.
pub async fn send(url: &str, connections: &Arc<Vec<Bodies>>) -> Sent {
    let progress = Arc::new(watch::Sender::new(vec![0_usize; connections.len()]));
    let began = Instant::now();
    let mut sending = tokio::task::JoinSet::new();
    for number in 0..connections.len() {
        let (url, connections, progress) = (url.to_owned(), connections.clone(), progress.clone());
        sending.spawn(async move { connection(&url, number, &connections[number], &progress).await });
    }
    let mut all = Sent::default();
    while let Some(sent) = sending.join_next().await {
        let sent = sent.expect("a connection keeps going");
        all.samples += sent.samples;
        all.refusals += sent.refusals;
        all.waits_millis.extend(sent.waits_millis);
    }
    all.took = began.elapsed();
    all.waits_millis.sort_by(f64::total_cmp);
    all
}

async fn connection(url: &str, number: usize, bodies: &Bodies, progress: &watch::Sender<Vec<usize>>) -> Sent {
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_TIMEOUT).build().expect("a client");
    let mut watched = progress.subscribe();
    let mut sent = Sent::default();
    for body in &bodies.list {
        let near = |steps: &Vec<usize>| steps.iter().min().is_some_and(|least| body.step <= least + MAX_STEPS_AHEAD);
        watched.wait_for(near).await.expect("the run lasts as long as its connections");
        let bytes = bytes_of(bodies, body);
        let began = Instant::now();
        let mut refusals = 0;
        while let Some(pause) = post(&client, url, bytes.clone()).await {
            refusals += 1;
            assert!(refusals < MAX_REFUSALS, "one body was refused {refusals} times");
            tokio::time::sleep(pause).await;
        }
        sent.refusals += u64::from(refusals);
        sent.waits_millis.push(began.elapsed().as_secs_f64() * 1e3);
        sent.samples += body.samples as u64;
        progress.send_modify(|steps| steps[number] = body.step);
    }
    progress.send_modify(|steps| steps[number] = usize::MAX - MAX_STEPS_AHEAD);
    sent
}

fn bytes_of(bodies: &Bodies, body: &super::Body) -> bytes::Bytes {
    bytes::Bytes::from(bodies.read(body))
}

/// Posts a body; `None` when it is acknowledged, else how long to wait before it is sent again.
async fn post(client: &reqwest::Client, url: &str, bytes: bytes::Bytes) -> Option<Duration> {
    let request = client
        .post(url)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "0.1.0")
        .body(bytes);
    let answer = request.send().await.unwrap_or_else(|error| panic!("{url} does not answer: {error}"));
    let status = answer.status();
    if status.is_success() {
        return None;
    }
    let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    let told = answer.text().await.unwrap_or_default();
    assert!(status.as_u16() == 429 || status.is_server_error(), "{url} refuses a body for good: {status} {told}");
    Some(after.map_or(PATIENCE, Duration::from_secs))
}
