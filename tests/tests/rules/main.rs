//! Prometheus' rules over the whole server: from remote-written series to an incident and back, over restarts, and side by side
//! with Debian's Prometheus, where it is installed.

mod beside;
mod files;
mod whole;

use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tandem_domain::{
    Timestamp,
    http::{HttpClient, HttpGrant, HttpRequest},
};
use tandem_egress::EgressClient;
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{ask, until};
use tandem_wire::remote_write::{OutgoingSeries, Protocol, encode};
use tokio::process::{Child, Command};

/// A server whose rules lie in the folder.
async fn start(folder: &Path) -> (Server, String) {
    let data = folder.join("data").display().to_string();
    let text = format!("listen = \"127.0.0.1:0\"\ndata = {data:?}\ncollect = []\n[rules]\nfiles = [\"*.yml\"]\n");
    let started = until("the server starts", || async {
        let config = Config::parse(&folder.join("tandem.toml"), &text).expect("a configuration");
        Server::start(ServerOptions::new(config)).await.ok()
    });
    let server = started.await;
    let base = server.address().to_string();
    (server, base)
}

/// A program of Debian's, where it is installed.
fn program(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(name));
    let found = found.into_iter().find(|path| path.is_file());
    if found.is_none() {
        println!("{name} is not installed, it is not tested (Debian: apt-get install prometheus)");
    }
    found
}

/// A Prometheus that takes what is written to it and evaluates the same rules.
async fn prometheus(folder: &Path) -> Option<(Child, String)> {
    let program = program("prometheus")?;
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("an address").port();
    let address = format!("127.0.0.1:{port}");
    let config = format!("rule_files: ['{}/*.yml']\n", folder.display());
    std::fs::write(folder.join("prometheus.config"), config).expect("written");
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", folder.join("prometheus.config").display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--web.enable-remote-write-receiver")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true);
    let child = command.spawn().expect("the program starts");
    until("Prometheus is ready", || async {
        let (status, _) = ask("GET", &address, "/-/ready", "").await.ok()?;
        (status == 200).then_some(())
    })
    .await;
    Some((child, address))
}

/// Series by their labels with one value, now.
type Now = Vec<(Vec<(&'static str, &'static str)>, f64)>;

/// Writes to servers what is so now; each is an address and the path before `/api/v1`.
async fn write(servers: &[(&str, &str)], now: &Now) {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let series: Vec<OutgoingSeries<'_>> = now
        .iter()
        .map(|(labels, value)| {
            let mut labels = labels.clone();
            labels.sort_unstable();
            OutgoingSeries { labels, samples: vec![(Timestamp(at), *value)], ..OutgoingSeries::default() }
        })
        .collect();
    let body = encode(Protocol::V1, &series).expect("a body");
    for (address, prefix) in servers {
        let grant = HttpGrant { allow: vec!["127.0.0.1".into()], ..HttpGrant::default() };
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let request = HttpRequest {
            method: "POST".into(),
            url: format!("http://{address}{prefix}/api/v1/write"),
            headers: vec![
                header("content-type", "application/x-protobuf"),
                header("content-encoding", "snappy"),
                header("x-prometheus-remote-write-version", "0.1.0"),
            ],
            body: body.clone(),
            timeout: Duration::from_secs(10),
            max_response_bytes: 1 << 20,
            follow_redirects: false,
        };
        let answer = EgressClient::default().send(&grant, request).await.expect("the server answers");
        assert!(answer.status < 300, "{address}: {}", String::from_utf8_lossy(&answer.body));
    }
}

/// The data of an answer of Prometheus' API.
async fn data(base: &str, path: &str) -> Value {
    let (status, mut answer) = ask("GET", base, path, "").await.expect("the server answers");
    assert_eq!((status, answer["status"].as_str()), (200, Some("success")), "{path}: {answer}");
    answer["data"].take()
}

/// A query for the address.
fn escaped(query: &str) -> String {
    query.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// What a query finds now: labels and value, sorted.
async fn query(base: &str, prefix: &str, query: &str) -> Vec<String> {
    let data = data(base, &format!("{prefix}/api/v1/query?query={}", escaped(query))).await;
    let found = data["result"].as_array().cloned().unwrap_or_default();
    let mut found: Vec<String> = found.iter().map(|one| format!("{} {}", one["metric"], one["value"][1])).collect();
    found.sort();
    found
}
