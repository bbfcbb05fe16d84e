//! What queries are answered besides their values: packed for who takes it, and held to what all queries may hold together.

use flate2::read::GzDecoder;
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{ask, own_metric, until};

/// Series that are written.
const SERIES: usize = 120;
/// Their moment, in seconds: a while ago, so that it is no future on any machine.
fn moment() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    now.as_secs() - 60
}

async fn start(folder: &Path) -> (Server, String) {
    let data = folder.join("data").display().to_string();
    let text = format!("listen = \"127.0.0.1:0\"\ndata = {data:?}\ncollect = []\n[limits]\nquery_samples = 1000000\n");
    let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
    let server = Server::start(ServerOptions::new(config)).await.expect("the server starts");
    let base = server.address().to_string();
    (server, base)
}

async fn write_series(base: &str, at: u64) {
    let line =
        |number: usize| format!("m,job=j,instance=i,number=a-long-name-for-number-{number} value={number} {at}\n");
    let lines: String = (0..SERIES).map(line).collect();
    let (status, answer) = ask("POST", base, "/write?precision=s", &lines).await.expect("it answers");
    assert_eq!(status, 204, "{answer}");
}

/// An answer as it comes over the wire: its head in lower case, and its body.
fn raw(base: &str, path: &str, more: &str) -> (String, Vec<u8>) {
    let mut connection = TcpStream::connect(base).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {base}\r\nconnection: close\r\n{more}\r\n");
    connection.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).expect("it answers");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let body = answer.split_off(end + 4);
    (head.clone(), if head.contains("transfer-encoding: chunked") { without_chunks(&body) } else { body })
}

fn without_chunks(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let length =
            usize::from_str_radix(std::str::from_utf8(&body[..end]).expect("a length").trim(), 16).expect("hex");
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + length]);
        body = &body[end + 2 + length + 2..];
    }
    panic!("the answer broke off");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_are_packed_for_who_takes_gzip() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path()).await;
    let at = moment();
    write_series(&base, at).await;
    let path = format!("/prometheus/api/v1/query?query=m_value&time={at}");
    let (plain_head, plain) = raw(&base, &path, "");
    assert!(!plain_head.contains("content-encoding"), "{plain_head}");
    let read: serde_json::Value = serde_json::from_slice(&plain).expect("JSON");
    assert_eq!(read["data"]["result"].as_array().map(Vec::len), Some(SERIES));
    let (head, packed) = raw(&base, &path, "accept-encoding: gzip, deflate\r\n");
    assert!(head.contains("content-encoding: gzip") && head.contains("vary: accept-encoding"), "{head}");
    assert!(packed.len() * 4 < plain.len(), "{} bytes of {}", packed.len(), plain.len());
    let mut unpacked = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain);
    for (path, why) in
        [("/prometheus/api/v1/query?query=1", "it is short"), ("/api/v1/export", "a file of samples is packed already")]
    {
        let (head, _) = raw(&base, path, "accept-encoding: gzip\r\n");
        assert!(head.starts_with("http/1.1 200") && !head.contains("content-encoding"), "{why}: {head}");
    }
    let (head, _) = raw(&base, &path, "accept-encoding: gzip;q=0, identity\r\n");
    assert!(!head.contains("content-encoding"), "it is not wanted: {head}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_what_is_kept_counts_pieces_and_tells_times() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path()).await;
    let at = moment();
    write_series(&base, at).await;
    let head = || async {
        let (status, told) = ask("GET", &base, "/prometheus/api/v1/status/tsdb", "").await.expect("it answers");
        assert_eq!(status, 200, "{told}");
        told["data"]["headStats"].clone()
    };
    let before = head().await;
    // Beside those that were written there are the host's own.
    assert!(before["numSeries"].as_u64().is_some_and(|series| series >= SERIES as u64), "{before}");
    let oldest = before["minTime"].as_i64().unwrap_or(0);
    assert!((at as i64 * 1_000 - 7_200_000..=at as i64 * 1_000).contains(&oldest), "{before}");
    assert!(before["maxTime"].as_i64().unwrap_or(0) >= at as i64 * 1_000, "{before}");
    server.store().flush().await.expect("flushed");
    let after = head().await;
    assert!(after["chunkCount"].as_u64().is_some_and(|pieces| pieces >= SERIES as u64), "{after}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_for_more_than_all_may_hold_is_told_to_come_again_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path()).await;
    let at = moment();
    write_series(&base, at).await;
    // 120 series at 10,001 steps are more than a million values.
    let ranged =
        |steps: u64| format!("/prometheus/api/v1/query_range?query=m_value&start={}&end={at}&step=1", at - steps);
    let (head, body) = raw(&base, &ranged(10_000), "");
    let told: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert!(head.starts_with("http/1.1 503") && head.contains("retry-after: 5"), "{head}");
    assert_eq!((told["status"].as_str(), told["errorType"].as_str()), (Some("error"), Some("unavailable")), "{told}");
    assert!(told["error"].as_str().is_some_and(|text| text.contains("1000000 samples")), "{told}");
    assert_eq!(own_metric(&base, "tandem_query_refused_total", "").await, 1.0);
    assert_eq!(own_metric(&base, "tandem_query_samples_limit", "").await, 1e6);
    // As many at once as there are turns, each of half a million values, and none of them is lost.
    let path = ranged(4_000);
    let asked = (0..8).map(|_| {
        let (base, path) = (base.clone(), path.clone());
        tokio::task::spawn_blocking(move || raw(&base, &path, ""))
    });
    let (mut answered, mut refused) = (0, 0);
    for answer in asked.collect::<Vec<_>>() {
        match &answer.await.expect("no panic").0 {
            head if head.starts_with("http/1.1 200") => answered += 1,
            head if head.starts_with("http/1.1 503") && head.contains("retry-after") => refused += 1,
            head => panic!("{head}"),
        }
    }
    assert!(answered > 0 && answered + refused == 8, "{answered} were answered");
    until("everything is given back", || async {
        (own_metric(&base, "tandem_query_samples_held", "").await == 0.0).then_some(())
    })
    .await;
    server.stop().await;
}
