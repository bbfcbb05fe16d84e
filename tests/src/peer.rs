//! HTTP servers on loopback that answer what a test says, and keep what they are asked.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What a peer was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`, `POST` …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: String,
}

/// What a peer answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Its content type; none is said where it is empty.
    pub kind: &'static str,
    /// How long it takes its time.
    pub after: Duration,
}

impl Answer {
    /// 200 with a body, at once.
    pub fn ok(body: impl Into<String>) -> Self {
        Self::with(200, body)
    }

    /// A status with a body, at once.
    pub fn with(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), kind: "", after: Duration::ZERO }
    }

    /// 200 with a body of a kind, at once.
    pub fn of_kind(kind: &'static str, body: impl Into<String>) -> Self {
        Self { kind, ..Self::ok(body) }
    }
}

type Responder = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

/// An HTTP server on loopback; it lives as long as the test.
#[derive(Clone)]
pub struct Peer {
    address: SocketAddr,
    responder: Arc<Mutex<Responder>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same page for everything.
fn one_page(page: &str) -> Responder {
    let page = page.to_owned();
    Arc::new(move |_| Answer::ok(page.clone()))
}

impl Peer {
    /// Starts one that answers everything with a page.
    pub async fn start(page: &str) -> Self {
        Self::serving(one_page(page)).await
    }

    /// Starts one that answers as the closure says.
    pub async fn answering(respond: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::serving(Arc::new(respond)).await
    }

    async fn serving(responder: Responder) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be listened on");
        let address = listener.local_addr().expect("a bound listener has an address");
        let peer = Self { address, responder: Arc::new(Mutex::new(responder)), asked: Arc::default() };
        let serving = peer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = serving.clone();
                tokio::spawn(async move { peer.answer(stream).await });
            }
        });
        peer
    }

    async fn answer(&self, mut stream: TcpStream) {
        let Some(asked) = read(&mut stream).await else { return };
        locked(&self.asked).push(asked.clone());
        let respond = locked(&self.responder).clone();
        let Answer { status, body, kind, after } = respond(&asked);
        tokio::time::sleep(after).await;
        let kind = if kind.is_empty() { String::new() } else { format!("content-type: {kind}\r\n") };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Told\r\n{kind}content-length: {length}\r\nconnection: close\r\n\r\n");
        // A client that has gone away needs no answer.
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(body.as_bytes()).await;
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The page that it answers everything with from now on.
    pub fn show(&self, page: &str) {
        *locked(&self.responder) = one_page(page);
    }

    /// How it answers from now on.
    pub fn respond(&self, respond: impl Fn(&Asked) -> Answer + Send + Sync + 'static) {
        *locked(&self.responder) = Arc::new(respond);
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        locked(&self.asked).clone()
    }

    /// The JSON that was posted so far.
    pub fn posted(&self) -> Vec<serde_json::Value> {
        let asked = self.asked();
        asked.iter().filter(|a| a.method == "POST").filter_map(|a| serde_json::from_str(&a.body).ok()).collect()
    }
}

/// One request, or nothing when the client leaves before it is whole.
async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let mut part = [0u8; 16 << 10];
    while let Ok(read @ 1..) = stream.read(&mut part).await {
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            line.to_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap_or(0))
        });
        if body.len() < length.unwrap_or(0) {
            continue;
        }
        let mut words = head.split_whitespace();
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        return Some(Asked { method, path, head: head.to_owned(), body: body.to_owned() });
    }
    None
}
