//! The attacks. Each is bounded in count and time, and asserts that every refusal says what it is.

use super::client::{Answered, Program, post, send};
use std::{future::Future, io::Write, pin::Pin, sync::Arc, time::Duration};
use tandem_wire::{
    compressed::pack_snappy,
    remote_write::{OutgoingSeries, Protocol, encode},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket},
    task::{JoinHandle, JoinSet},
};

/// Clients of one attack at a time.
const AT_ONCE: usize = 48;
/// What bombs become: twice what is taken.
const BOMB_BYTES: usize = 64 << 20;
/// Connections that say nothing; fewer where descriptors are few.
const IDLE_CONNECTIONS: usize = 10_000;
/// Queries at once.
const QUERIES: usize = 2_000;
/// Datagrams of one flood.
const DATAGRAMS: usize = 100_000;

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One attack.
pub struct Attack {
    pub name: &'static str,
    pub run: fn(String) -> Running,
}

/// All that come one after another.
pub fn all() -> Vec<Attack> {
    vec![
        Attack { name: "bombs", run: |base| Box::pin(bombs(base)) },
        Attack { name: "unknown compressions", run: |base| Box::pin(unknown_compressions(base)) },
        Attack { name: "bombs of labels", run: |base| Box::pin(label_bombs(base)) },
        Attack { name: "deep JSON", run: |base| Box::pin(deep_json(base)) },
        Attack { name: "broken requests", run: |base| Box::pin(broken_requests(base)) },
        Attack { name: "many queries", run: |base| Box::pin(many_queries(base)) },
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("to memory");
    packed.finish().expect("to memory")
}

/// A refusal says in words what it is; each of the doors does so in its own protocol.
fn is_named(what: &str, answer: &Answered, allowed: &[u16]) {
    let status = answer.status.unwrap_or_else(|| panic!("{what}: no answer"));
    assert!(allowed.contains(&status), "{what}: {status} {}", answer.body);
    assert!(answer.body.len() > 10, "{what}: {status} says nothing");
}

/// Sends the same request from many clients at once.
async fn at_once(count: usize, request: impl Fn(usize) -> Running) {
    let mut running = JoinSet::new();
    for number in 0..count {
        running.spawn(request(number));
    }
    while let Some(done) = running.join_next().await {
        done.expect("no attack fails");
    }
}

/// Doors and the type of body they take.
const DOORS: [(&str, &str); 7] = [
    ("/v1/metrics", "application/x-protobuf"),
    ("/v1/metrics", "application/json"),
    ("/v1/logs", "application/json"),
    ("/write", "text/plain"),
    ("/api/v2/write", "text/plain"),
    ("/alertmanager/api/v2/alerts", "application/json"),
    ("/hooks/alertmanager", "application/json"),
];

async fn bombs(base: String) {
    let gzipped = Arc::new(gzip(&vec![b' '; BOMB_BYTES]));
    let snappy = Arc::new(pack_snappy(&vec![0; BOMB_BYTES]).expect("short enough"));
    let lying = Arc::new([&[0xff_u8, 0xff, 0xff, 0x0f][..], &[0; 64]].concat());
    at_once(AT_ONCE, move |number| {
        let (base, gzipped, snappy, lying) = (base.clone(), gzipped.clone(), snappy.clone(), lying.clone());
        Box::pin(async move {
            let (path, kind) = DOORS[number % DOORS.len()];
            let headers = [("content-type", kind), ("content-encoding", "gzip")];
            is_named(path, &post(&base, path, &headers, &gzipped).await, &[413, 429]);
            let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
            let path = "/prometheus/api/v1/write";
            is_named(
                path,
                &post(&base, path, &headers, if number.is_multiple_of(2) { &snappy } else { &lying }).await,
                &[400, 413, 429],
            );
        })
    })
    .await;
}

async fn unknown_compressions(base: String) {
    for (path, kind) in DOORS {
        for encoding in ["zstd", "deflate", "br", "gzip, gzip"] {
            let headers = [("content-type", kind), ("content-encoding", encoding)];
            is_named(path, &post(&base, path, &headers, &[0x28, 0xb5, 0x2f, 0xfd, 0, 0]).await, &[415]);
        }
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        is_named(path, &post(&base, path, &headers, b"\x1f\x8b\x08garbage").await, &[400]);
    }
}

async fn label_bombs(base: String) {
    let tags: String = (0..1_000_000).map(|n| format!(",t{n}=v")).collect();
    let long = "n".repeat(1 << 20);
    let bodies = [
        ("a million tags", format!("m{tags} v=1")),
        ("a name of a megabyte", format!("{long} v=1")),
        ("a value of a megabyte", format!("m,t={long} v=1")),
    ];
    for (what, body) in &bodies {
        is_named(what, &post(&base, "/write", &[], body.as_bytes()).await, &[400]);
    }
    let names: Vec<String> = (0..1_000_000).map(|n| format!("l{n:07}")).collect();
    let many = [("__name__", "m")].into_iter().chain(names.iter().map(|name| (name.as_str(), "v")));
    let long = [("__name__", long.as_str())];
    for labels in [many.collect::<Vec<_>>(), long.to_vec()] {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        let samples = vec![(tandem_domain::Timestamp(now as i64), 1.0)];
        let series = OutgoingSeries { labels, samples, ..OutgoingSeries::default() };
        let body = encode(Protocol::V1, &[series]).expect("short enough");
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
        is_named("remote write", &post(&base, "/prometheus/api/v1/write", &headers, &body).await, &[400]);
    }
    let series: String = (0..100_000).map(|n| format!("bomb,id={n} v=1\n")).collect();
    let answer = post(&base, "/write", &[], series.as_bytes()).await;
    assert!(matches!(answer.status, Some(204 | 400 | 429)), "{answer:?}");
}

async fn deep_json(base: String) {
    let deep = "[".repeat(200_000);
    let inside = format!(
        "{{\"resourceLogs\":[{{\"scopeLogs\":[{{\"logRecords\":[{{\"body\":{}",
        "{\"arrayValue\":{\"values\":[".repeat(50_000)
    );
    let paths = DOORS.into_iter().filter(|(_, kind)| *kind == "application/json").map(|(path, _)| path);
    for path in paths.chain(["/api/v1/predictions", "/api/v1/labels", "/api/v1/deployments"]) {
        for body in [&deep, &inside] {
            is_named(
                path,
                &post(&base, path, &[("content-type", "application/json")], body.as_bytes()).await,
                &[400, 404, 422],
            );
        }
    }
}

async fn broken_requests(base: String) {
    let line = |text: &str| text.replace("HOST", &base).into_bytes();
    let garbage: Vec<u8> = (0..65_536_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let many_headers: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let requests: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("garbage", garbage.clone(), &[400]),
        ("a request, then garbage", [line("GET /healthz HTTP/1.1\r\nhost: HOST\r\n\r\n"), garbage].concat(), &[200]),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), &[400]),
        ("HTTP/1.0", line("GET /healthz HTTP/1.0\r\nhost: HOST\r\n\r\n"), &[200]),
        ("HTTP/1.0 without a host", b"GET /healthz HTTP/1.0\r\n\r\n".to_vec(), &[403]),
        (
            "a head of 200 KB",
            line(&format!("GET / HTTP/1.1\r\nhost: HOST\r\nx: {}\r\n\r\n", "a".repeat(200_000))),
            &[431],
        ),
        (
            "an address of 100 KB",
            line(&format!("GET /{} HTTP/1.1\r\nhost: HOST\r\n\r\n", "a".repeat(100_000))),
            &[414, 431],
        ),
        ("200 headers", line(&format!("GET / HTTP/1.1\r\nhost: HOST\r\n{many_headers}\r\n")), &[431]),
        ("a negative length", line("POST /write HTTP/1.1\r\nhost: HOST\r\ncontent-length: -5\r\n\r\nx"), &[400]),
        (
            "two lengths",
            line("POST /write HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nx"),
            &[400],
        ),
        (
            "a length of exabytes",
            line("POST /write HTTP/1.1\r\nhost: HOST\r\ncontent-length: 9223372036854775807\r\n\r\nx"),
            &[413],
        ),
        (
            "a length beyond numbers",
            line("POST /write HTTP/1.1\r\nhost: HOST\r\ncontent-length: 99999999999999999999\r\n\r\nx"),
            &[400, 413],
        ),
        (
            "chunks of no length",
            line("POST /write HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
            &[400, 413],
        ),
        ("a foreign host", line("GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"), &[403]),
    ];
    for (what, bytes, allowed) in requests {
        let answer = send(&base, &bytes).await;
        if let Some(status) = answer.status {
            assert!(allowed.contains(&status), "{what}: {status} {}", answer.body);
        }
    }
}

async fn many_queries(base: String) {
    at_once(QUERIES, move |number| {
        let base = base.clone();
        Box::pin(async move {
            let query = "sum(rate({__name__=~%22.%2B%22}%5B5m%5D))";
            let path = match number % 4 {
                0 => "/api/v1/logs?text=nothing&contains=like+this".to_owned(),
                1 => format!("/prometheus/api/v1/query_range?query={query}&start=0&end=10000&step=1"),
                _ => format!("/prometheus/api/v1/query?query={query}"),
            };
            let answer =
                send(&base, format!("GET {path} HTTP/1.1\r\nhost: {base}\r\nconnection: close\r\n\r\n").as_bytes())
                    .await;
            is_named(&path, &answer, &[200, 422, 429, 503]);
        })
    })
    .await;
}

/// Clients that send a byte now and then.
pub struct Slow {
    pub heads: usize,
    pub bodies: usize,
    dripping: Vec<JoinHandle<()>>,
}

impl Slow {
    pub fn stop(self) {
        self.dripping.iter().for_each(JoinHandle::abort);
    }
}

/// Begins requests and goes on with a byte a second: half of them in the head, half in the body.
pub async fn slow_clients(base: &str) -> Slow {
    let (heads, bodies) = (AT_ONCE, AT_ONCE);
    let mut dripping = Vec::new();
    for number in 0..heads + bodies {
        let mut stream = TcpStream::connect(base).await.expect("connected");
        let begun = match number < heads {
            true => format!("GET / HTTP/1.1\r\nhost: {base}\r\nx-slow: "),
            false => format!("POST /write HTTP/1.1\r\nhost: {base}\r\ncontent-length: 1000\r\n\r\n"),
        };
        stream.write_all(begun.as_bytes()).await.expect("sent");
        dripping.push(tokio::spawn(async move {
            while stream.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }));
    }
    Slow { heads, bodies, dripping }
}

/// Opens connections that say nothing, or half of the first line.
pub async fn idle_connections(base: &str) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for number in 0..IDLE_CONNECTIONS {
        let Ok(mut stream) = TcpStream::connect(base).await else { break };
        if number.is_multiple_of(2) && stream.write_all(b"GET /healthz HT").await.is_err() {
            break;
        }
        idle.push(stream);
    }
    println!("{} connections are open and say nothing", idle.len());
    assert!(idle.len() > 500, "only {} connections could be opened; the limit of descriptors is low", idle.len());
    idle
}

/// Datagrams as fast as they go: good ones, bad ones, new names each time.
pub async fn floods(program: &Program) {
    let sender = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    for number in 0..DATAGRAMS {
        let statsd = match number % 4 {
            0 => format!("flood.{number}:1|c|#a:{number}"),
            1 => "\u{0}\u{1}:::|||".to_owned(),
            _ => "flood.same:1|c\nflood.same:2|ms".to_owned(),
        };
        // What the kernel does not take is lost, as with any flood.
        let _ = sender.try_send_to(statsd.as_bytes(), program.statsd.parse().expect("an address"));
        let syslog = format!("<{}>1 - flood app - - - line {number}", number % 200);
        let _ = sender.try_send_to(syslog.as_bytes(), program.syslog.parse().expect("an address"));
        if number.is_multiple_of(512) {
            tokio::task::yield_now().await;
        }
    }
}
