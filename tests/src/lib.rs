//! What the tests of the whole share: targets that answer what a test says, a webhook receiver, and a client.

pub mod pages;
pub mod sandbox;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tandem_domain::http::{HttpClient, HttpGrant, HttpRequest};
use tandem_egress::EgressClient;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// How long a test waits for something to become true before it fails; generous, because machines of CI are slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An HTTP server on loopback that answers every GET with a page, and keeps what is posted.
#[derive(Clone)]
pub struct Peer {
    address: SocketAddr,
    page: Arc<Mutex<String>>,
    posted: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Peer {
    /// Starts one.
    pub async fn start(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be listened on");
        let address = listener.local_addr().expect("a bound listener has an address");
        let peer = Self { address, page: Arc::new(Mutex::new(page.into())), posted: Arc::default() };
        let serving = peer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let peer = serving.clone();
                tokio::spawn(async move { peer.answer(stream).await });
            }
        });
        peer
    }

    async fn answer(&self, mut stream: tokio::net::TcpStream) {
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
            if head.starts_with("POST")
                && let Ok(value) = serde_json::from_str(body)
            {
                self.posted.lock().unwrap_or_else(PoisonError::into_inner).push(value);
            }
            let page = self.page.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{page}", page.len());
            // A client that has gone away needs no answer.
            let _ = stream.write_all(answer.as_bytes()).await;
            return;
        }
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// What it answers from now on.
    pub fn show(&self, page: &str) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = page.into();
    }

    /// What was posted so far.
    pub fn posted(&self) -> Vec<serde_json::Value> {
        self.posted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Asks a server; the status and the JSON, or null where the answer is none.
pub async fn ask(method: &str, base: &str, path: &str, body: &str) -> Result<(u16, serde_json::Value), String> {
    let (status, body) = exchange(method, base, path, body).await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null)))
}

/// Asks a server for a page; the status and the bytes.
pub async fn get(base: &str, path: &str) -> Result<(u16, Vec<u8>), String> {
    exchange("GET", base, path, "").await
}

async fn exchange(method: &str, base: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>), String> {
    let grant = HttpGrant { allow: vec!["127.0.0.1".into()], authority_pem: None };
    let request = HttpRequest {
        method: method.into(),
        url: format!("http://{base}{path}"),
        headers: vec![("content-type".into(), b"application/json".to_vec())],
        body: body.as_bytes().to_vec(),
        timeout: Duration::from_secs(10),
        max_response_bytes: 16 << 20,
        follow_redirects: false,
    };
    let answer = EgressClient::default().send(&grant, request).await.map_err(|failure| failure.message)?;
    Ok((answer.status, answer.body))
}

/// The items of a list.
pub async fn items(base: &str, path: &str) -> Vec<serde_json::Value> {
    let (status, answer) = ask("GET", base, path, "").await.expect("the server answers");
    assert_eq!(status, 200, "{path}: {answer}");
    answer["items"].as_array().cloned().unwrap_or_default()
}

/// Waits until something is so.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let began = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited {} s in vain: {what}", PATIENCE.as_secs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A whole list, page after page.
pub async fn all_items(base: &str, path: &str) -> Vec<serde_json::Value> {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut page = format!("{path}{}limit=1000", if path.contains('?') { '&' } else { '?' });
        if let Some(cursor) = &cursor {
            page += &format!("&cursor={cursor}");
        }
        let (status, answer) = ask("GET", base, &page, "").await.expect("the server answers");
        assert_eq!(status, 200, "{page}: {answer}");
        found.extend(answer["items"].as_array().cloned().unwrap_or_default());
        match answer["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return found,
        }
    }
}

/// One value of a server's own metrics page, the sum over its series whose labels hold a text.
pub async fn own_metric(base: &str, name: &str, label: &str) -> f64 {
    let page = ask_text(base, "/metrics").await;
    let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// Asks for a page as text; empty when there is none.
pub async fn ask_text(base: &str, path: &str) -> String {
    get(base, path).await.map(|(_, body)| String::from_utf8_lossy(&body).into_owned()).unwrap_or_default()
}
