//! What the tests of the whole share: targets that answer what a test says, a webhook receiver, and a client.

pub mod pages;
mod peer;
pub mod sandbox;

pub use peer::{Answer, Asked, Peer};

use std::time::Duration;
use tandem_domain::http::{HttpClient, HttpGrant, HttpRequest};
use tandem_egress::EgressClient;

/// How long a test waits for something to become true before it fails; generous, because machines of CI are slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Asks a server; the status and the JSON, or null where the answer is none.
pub async fn ask(method: &str, base: &str, path: &str, body: &str) -> Result<(u16, serde_json::Value), String> {
    let (status, body) = exchange(method, base, path, body).await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null)))
}

/// Asks a server for a page; the status and the bytes.
pub async fn get(base: &str, path: &str) -> Result<(u16, Vec<u8>), String> {
    exchange("GET", base, path, "").await
}

/// Writes a body remotely (1.0, snappy); the status.
pub async fn write_remotely(base: &str, body: Vec<u8>) -> Result<u16, String> {
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    send("POST", base, "/prometheus/api/v1/write", &headers, body).await.map(|(status, _)| status)
}

async fn exchange(method: &str, base: &str, path: &str, body: &str) -> Result<(u16, Vec<u8>), String> {
    send(method, base, path, &[("content-type", "application/json")], body.as_bytes().to_vec()).await
}

async fn send(
    method: &str,
    base: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Result<(u16, Vec<u8>), String> {
    let grant = HttpGrant { allow: vec!["127.0.0.1".into()], ..HttpGrant::default() };
    let request = HttpRequest {
        method: method.into(),
        url: format!("http://{base}{path}"),
        headers: headers.iter().map(|(name, value)| ((*name).into(), value.as_bytes().to_vec())).collect(),
        body,
        timeout: Duration::from_secs(10),
        max_response_bytes: 64 << 20,
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
