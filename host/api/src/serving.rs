//! Connections: so many at a time, each held to times and sizes, so that neither many nor slow nor broken clients keep others
//! out or cost more than a bounded amount of memory.

mod metrics;
mod stall;
#[cfg(test)]
mod tests;

pub use metrics::ServingMetrics;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use metrics::ConnectionEnd;
use stall::Stalling;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// Connections at a time, where descriptors suffice: a fleet of ten thousand senders and then some. Each costs some ten
/// kilobytes.
pub const MAX_CONNECTIONS: usize = 16_384;
/// How long the head of a request may take to arrive; also how long a connection may wait for its next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of the head of a request: what proxies and browsers are known to send, twice.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// How long a client may leave an answer lying without reading on.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Clients that are told that there is no room, at a time; further ones are closed without a word.
const MAX_TOLD: usize = 64;
/// How long to try to tell one.
const TELL_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a connection could not be taken, which means that descriptors are short.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// What a client is told for whom there is no room.
const NO_ROOM: &str = "{\"error\":{\"code\":\"too-many-requests\",\"message\":\"as many connections are open as are taken\",\
                       \"hint\":\"come again later; tandem_http_connections on /metrics tells how many there are\"}}";

/// Serves the routes on a listener until `stop` says so; requests under way come to their end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections: usize,
    metrics: Arc<ServingMetrics>,
    mut stop: watch::Receiver<bool>,
) {
    let (room, telling) = (Arc::new(Semaphore::new(connections)), Arc::new(Semaphore::new(MAX_TOLD)));
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let connection = match accepted {
            Ok((connection, _)) => connection,
            Err(error) => {
                metrics.not_accepted();
                tracing::warn!("a connection could not be taken: {error}");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                continue;
            }
        };
        metrics.accepted();
        match room.clone().try_acquire_owned() {
            Ok(permit) => {
                let (router, metrics, stop) = (router.clone(), metrics.clone(), stop.clone());
                open.spawn(async move {
                    metrics.opened();
                    let end = converse(connection, router, stop).await;
                    metrics.closed(end);
                    drop(permit);
                });
            }
            Err(_) => {
                metrics.refused();
                if let Ok(permit) = telling.clone().try_acquire_owned() {
                    open.spawn(async move {
                        // Who does not listen is closed all the same.
                        let _ = tokio::time::timeout(TELL_TIMEOUT, tell_no_room(connection)).await;
                        drop(permit);
                    });
                }
            }
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// One connection to its end.
async fn converse(connection: TcpStream, router: Router, mut stop: watch::Receiver<bool>) -> ConnectionEnd {
    // Answers are written whole, and a late small packet helps nobody.
    let _ = connection.set_nodelay(true);
    let io = TokioIo::new(Stalling::new(connection, STALL_TIMEOUT));
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(io, TowerToHyperService::new(router));
    tokio::pin!(conversation);
    tokio::select! {
        ended = conversation.as_mut() => return ConnectionEnd::of(ended),
        () = stopped(&mut stop) => conversation.as_mut().graceful_shutdown(),
    }
    ConnectionEnd::of(conversation.await)
}

async fn tell_no_room(mut connection: TcpStream) {
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 5\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        NO_ROOM.len()
    );
    // Both fail when it has left.
    let _ = connection.write_all(format!("{head}{NO_ROOM}").as_bytes()).await;
    let _ = connection.shutdown().await;
}

/// Resolves when the server stops, or nobody is left who could tell.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // What it answers holds a lock, and must not be kept.
    drop(stop.wait_for(|stop| *stop).await);
}
