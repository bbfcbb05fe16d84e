//! Receivers of remote write: Debian's, as processes, and one that stumbles.

mod stumbling;

pub use stumbling::Stumbling;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};
use tandem_tests::{ask, ask_text, until};
use tokio::process::{Child, Command};

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Prometheus,
    VictoriaMetrics,
}

/// A running receiver; killed when dropped.
pub struct Receiver {
    kind: Kind,
    port: u16,
    child: Child,
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn installed(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(name));
    let found = found.into_iter().find(|path| path.is_file());
    if found.is_none() {
        eprintln!("{name} is not installed, it is not tested (Debian: apt-get install {name})");
    }
    found
}

impl Receiver {
    /// Starts it over its folder; none, with a word, where it is not installed.
    pub async fn start(kind: Kind, folder: &Path, port: u16) -> Option<Self> {
        match kind {
            Kind::Prometheus => Self::start_prometheus(folder, port, "global: {}\n", "").await,
            Kind::VictoriaMetrics => {
                let arguments = [
                    format!("-storageDataPath={}", folder.join("receiver").display()),
                    format!("-httpListenAddr=127.0.0.1:{port}"),
                    "-search.latencyOffset=0s".into(),
                    "-search.disableCache".into(),
                ];
                Some(Self::spawn(kind, &installed("victoria-metrics")?, &arguments, port).await)
            }
        }
    }

    /// A Prometheus with a configuration and features that are switched on, separated by commas.
    pub async fn start_prometheus(folder: &Path, port: u16, config: &str, features: &str) -> Option<Self> {
        std::fs::write(folder.join("prometheus.yml"), config).expect("written");
        let arguments = [
            format!("--config.file={}", folder.join("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", folder.join("receiver").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--web.enable-remote-write-receiver".into(),
            format!("--enable-feature={features}"),
        ];
        Some(Self::spawn(Kind::Prometheus, &installed("prometheus")?, &arguments, port).await)
    }

    async fn spawn(kind: Kind, program: &Path, arguments: &[String], port: u16) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let receiver = Self { kind, port, child: command.spawn().expect("the program starts") };
        until("the receiver is ready", || async {
            let path = if kind == Kind::Prometheus { "/-/ready" } else { "/health" };
            ask("GET", &receiver.address(), path, "").await.ok().filter(|(status, _)| *status == 200)
        })
        .await;
        receiver
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Stops it in order: killed, a VictoriaMetrics would lose seconds of what it has acknowledged.
    pub async fn stop(mut self) {
        let asked = Command::new("kill").arg(self.pid().to_string()).status().await;
        assert!(asked.is_ok_and(|status| status.success()), "it can be asked to stop");
        self.child.wait().await.expect("it ends");
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Moments and values by instance, as its query API has them.
    async fn values(&self, from: i64, until: i64) -> BTreeMap<String, Vec<(i64, u64)>> {
        let range = (until - from) / 1_000 + 1;
        let at = until as f64 / 1_000.0;
        let query = format!("/api/v1/query?query=forwarded%7Bcluster%3D%22c1%22%7D%5B{range}s%5D&time={at}");
        let (status, answer) = ask("GET", &self.address(), &query, "").await.expect("the receiver answers");
        assert_eq!(status, 200, "{answer}");
        let of_series = |one: &serde_json::Value| {
            let instance = one["metric"]["instance"].as_str().unwrap_or_default().to_owned();
            let values = one["values"].as_array().into_iter().flatten().map(|pair| {
                let millis = (pair[0].as_f64().unwrap_or(0.0) * 1_000.0).round() as i64;
                (millis, pair[1].as_str().and_then(number).expect("a number").to_bits())
            });
            (instance, values.collect())
        };
        answer["data"]["result"].as_array().into_iter().flatten().map(of_series).collect()
    }

    /// Whether a series has a value at a moment.
    pub async fn is_there(&self, instance: &str, at: i64) -> bool {
        let at = at as f64 / 1_000.0;
        let query = format!("/api/v1/query?query=forwarded%7Binstance%3D%22{instance}%22%7D&time={at}");
        let (_, answer) = ask("GET", &self.address(), &query, "").await.expect("the receiver answers");
        answer["data"]["result"].as_array().is_some_and(|found| !found.is_empty())
    }

    /// Where the receiver counts what it was sent: what came twice is no more than `may_repeat`.
    pub async fn no_more_than(&self, sent: usize, may_repeat: usize) {
        if self.kind == Kind::VictoriaMetrics {
            let page = ask_text(&self.address(), "/metrics").await;
            let rows = |line: &&str| line.starts_with("vm_rows_inserted_total{type=\"promremotewrite\"");
            let rows: f64 = page.lines().filter(rows).filter_map(|l| l.rsplit_once(' ')?.1.parse::<f64>().ok()).sum();
            assert!(rows > 0.0 && rows as usize <= sent + may_repeat, "{rows} rows of {sent} samples");
        }
    }
}

/// A number as Prometheus writes it.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        other => other.parse().ok(),
    }
}

/// Waits until the receiver holds exactly what a ledger says, from a moment to another.
pub async fn wait_for_values(receiver: &Receiver, ledger: &BTreeMap<String, Vec<(i64, f64)>>, from: i64, to: i64) {
    let bits = |pairs: &Vec<(i64, f64)>| pairs.iter().map(|(at, value)| (*at, value.to_bits())).collect();
    let wanted: BTreeMap<String, Vec<(i64, u64)>> =
        ledger.iter().map(|(name, pairs)| (name.clone(), bits(pairs))).collect();
    let began = std::time::Instant::now();
    loop {
        let mut found = receiver.values(from, to).await;
        if receiver.kind == Kind::VictoriaMetrics {
            // It shows a sample that came twice twice.
            found.values_mut().for_each(Vec::dedup);
        }
        if found == wanted {
            return;
        }
        if began.elapsed() > std::time::Duration::from_secs(20) {
            let count = |values: &BTreeMap<String, Vec<(i64, u64)>>| values.values().map(Vec::len).sum::<usize>();
            let differs = wanted.iter().find(|(name, pairs)| found.get(*name) != Some(pairs));
            let theirs = differs.map(|(name, _)| found.get(name));
            panic!(
                "it holds {} of {} samples; the first that differs: {differs:?}, there {theirs:?}",
                count(&found),
                count(&wanted)
            );
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}
