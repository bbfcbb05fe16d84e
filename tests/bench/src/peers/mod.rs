//! The servers that are set beside each other, each as an operator starts it: on a free port of loopback, with an empty folder.

mod process;

pub use process::{Process, free_address, own_cpu_seconds, own_megabytes};

use serde_json::Value;
use std::{
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// A server that is not ready by then has failed: Tandem compiles its plugins at its first start.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often readiness is asked for.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// A server that has not brought everything to disk by then is measured as it is.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(180);
/// Tandem is done when its figures have not changed for so long: longer than detectors wait before they save what they learned, by
/// which its log is held.
const SETTLED_AFTER: Duration = Duration::from_secs(40);

/// Over how long a server is watched for being quiet.
const QUIET_OVER: Duration = Duration::from_secs(4);
/// Share of one processor below which it is.
const QUIET_SHARE: f64 = 0.03;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Kind {
    /// Tandem with its default configuration, but that it collects nothing of its own.
    Tandem,
    /// Tandem with every plugin switched off: no mapper, no detector.
    TandemBare,
    /// Debian's Prometheus with its remote-write receiver.
    Prometheus,
    /// Debian's VictoriaMetrics.
    VictoriaMetrics,
}

impl Kind {
    /// As it stands in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tandem => "tandem",
            Self::TandemBare => "tandem, no plugins",
            Self::Prometheus => "prometheus",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }

    /// Its program: Tandem's beside this one, where cargo puts both.
    fn program(self) -> PathBuf {
        let installed = |name: &str| {
            let found = ["/usr/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(name));
            let found = found.into_iter().find(|path| path.is_file());
            found.unwrap_or_else(|| panic!("{name} is not installed (Debian: apt-get install {name})"))
        };
        match self {
            Self::Tandem | Self::TandemBare => {
                std::env::current_exe().expect("a program has a path").with_file_name("tandem")
            }
            Self::Prometheus => installed("prometheus"),
            Self::VictoriaMetrics => installed("victoria-metrics"),
        }
    }
}

/// Bytes that a server has on disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnDisk {
    /// For good: blocks, parts, the store's file.
    pub data: u64,
    /// Beside it, until it is written down for good: Prometheus' log and its mapped head.
    pub log: u64,
}

/// A running server.
pub struct Peer {
    /// Which one.
    pub kind: Kind,
    /// Its process.
    pub process: Process,
    address: SocketAddr,
    folder: PathBuf,
}

impl Peer {
    /// Starts one over a folder that keeps what an earlier one of the same kind left there, and waits until it is ready;
    /// answers how long that took.
    pub async fn start(kind: Kind, folder: &Path) -> (Self, Duration) {
        Self::start_at(kind, folder, free_address(), None).await
    }

    /// As [`Peer::start`] at an address; the server sends what it gets on to another by remote write, where one is given.
    pub async fn start_at(
        kind: Kind,
        folder: &Path,
        address: SocketAddr,
        forward_to: Option<SocketAddr>,
    ) -> (Self, Duration) {
        std::fs::create_dir_all(folder).expect("a folder");
        let arguments = arguments(kind, folder, address, forward_to);
        let began = Instant::now();
        let mut process = Process::start(&kind.program(), &arguments, folder);
        let ready = match kind {
            Kind::Tandem | Kind::TandemBare => "/readyz",
            Kind::Prometheus => "/-/ready",
            Kind::VictoriaMetrics => "/health",
        };
        while !text(&format!("http://{address}{ready}")).await.is_ok_and(|(status, _)| status == 200) {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(process.ended().is_none(), "{} ended before it was ready: {}", kind.name(), log());
            assert!(began.elapsed() < START_TIMEOUT, "{} was not ready in time: {}", kind.name(), log());
            tokio::time::sleep(ASK_EVERY).await;
        }
        (Self { kind, process, address, folder: folder.to_owned() }, began.elapsed())
    }

    /// Where remote write is posted to.
    pub fn write_url(&self) -> String {
        format!("{}/write", self.api())
    }

    /// Where Prometheus' query API begins.
    pub fn api(&self) -> String {
        let prefix = if matches!(self.kind, Kind::Tandem | Kind::TandemBare) { "/prometheus" } else { "" };
        format!("http://{}{prefix}/api/v1", self.address)
    }

    /// Makes the server write down for good what it was sent, as far as it can be asked to, and waits for that.
    pub async fn settle(&self) {
        match self.kind {
            Kind::Tandem | Kind::TandemBare => self.settle_tandem().await,
            Kind::Prometheus => {
                let url = format!("http://{}/api/v1/admin/tsdb/snapshot?skip_head=false", self.address);
                let answer = reqwest::Client::new().post(url).send().await.expect("it answers");
                assert!(answer.status().is_success(), "no snapshot: {}", answer.status());
            }
            Kind::VictoriaMetrics => self.settle_victoria().await,
        }
    }

    async fn settle_tandem(&self) {
        let flushed = reqwest::Client::new().post(format!("http://{}/api/v1/store/flush", self.address)).send();
        let flushed = flushed.await.expect("it answers");
        assert!(flushed.status().is_success(), "not flushed: {}", flushed.status());
        let (began, mut last, mut since) = (Instant::now(), Vec::new(), Instant::now());
        while began.elapsed() < SETTLE_TIMEOUT {
            let mut now = Vec::new();
            for figure in ["tandem_store_head_samples", "tandem_store_file_bytes", "tandem_store_wal_bytes"] {
                now.push(self.metric(figure).await);
            }
            if last != now {
                (last, since) = (now, Instant::now());
            }
            if since.elapsed() >= SETTLED_AFTER {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn settle_victoria(&self) {
        for path in ["force_flush", "force_merge"] {
            let answer = text(&format!("http://{}/internal/{path}", self.address)).await.expect("it answers");
            assert_eq!(answer.0, 200, "{path}: {}", answer.1);
        }
        let began = Instant::now();
        // The merge runs beside the answer; it counts as begun within a second.
        tokio::time::sleep(Duration::from_secs(1)).await;
        while self.metric("vm_active_force_merges").await > 0.0 && began.elapsed() < SETTLE_TIMEOUT {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Waits until the server has next to nothing to do, for no longer than it may settle; answers how long that took.
    pub async fn become_quiet(&self) -> Duration {
        let began = Instant::now();
        loop {
            let (looked, before) = (Instant::now(), self.process.cpu_seconds());
            tokio::time::sleep(QUIET_OVER).await;
            let share = (self.process.cpu_seconds() - before) / looked.elapsed().as_secs_f64();
            if share < QUIET_SHARE || began.elapsed() > SETTLE_TIMEOUT {
                return looked - began;
            }
        }
    }

    /// A figure of the server's own metrics page, the sum over its series; 0 where there is none.
    pub async fn metric(&self, name: &str) -> f64 {
        let (_, page) = text(&format!("http://{}/metrics", self.address)).await.unwrap_or_default();
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        page.lines().filter(of_name).filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// What an instant query finds, as Prometheus' API answers.
    pub async fn query(&self, query: &str, at_seconds: f64) -> Value {
        let url = format!("{}/query", self.api());
        let url = reqwest::Url::parse_with_params(&url, [("query", query), ("time", &at_seconds.to_string())]);
        let (status, answer) = text(url.expect("an address").as_str()).await.expect("it answers");
        assert_eq!(status, 200, "{query}: {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }

    /// The one number that an instant query comes to; 0 where it finds nothing.
    pub async fn number(&self, query: &str, at_seconds: f64) -> f64 {
        let answer = self.query(query, at_seconds).await;
        answer["data"]["result"][0]["value"][1].as_str().and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }

    /// What it has on disk by now.
    pub fn on_disk(&self) -> OnDisk {
        on_disk(self.kind, &self.folder)
    }

    /// Asks it to end and waits for that.
    pub fn stop(self) {
        self.process.stop();
    }
}

/// What a server has on disk in its folder. The snapshot of Prometheus stands for the blocks that it would write over the next
/// hours.
pub fn on_disk(kind: Kind, folder: &Path) -> OnDisk {
    let data = folder.join("data");
    match kind {
        Kind::Tandem | Kind::TandemBare => {
            OnDisk { data: allocated(&data.join("tandem.redb")), log: allocated(&data.join("wal")) }
        }
        Kind::Prometheus => OnDisk {
            data: allocated(&data.join("snapshots")),
            log: allocated(&data.join("wal")) + allocated(&data.join("chunks_head")),
        },
        Kind::VictoriaMetrics => OnDisk { data: allocated(&data), log: 0 },
    }
}

/// Both senders are told the same: requests of 2,000 samples, eight at once, and to try again soon.
fn forwarding(kind: Kind, to: SocketAddr) -> String {
    match kind {
        Kind::Prometheus => format!(
            "remote_write:\n- url: http://{to}/api/v1/write\n  queue_config: {{ max_samples_per_send: 2000, capacity: 20000, \
             min_shards: 8, max_shards: 8, max_backoff: 50ms, batch_send_deadline: 200ms }}\n"
        ),
        _ => format!(
            "[[forward]]\nname = \"far\"\nurl = \"http://{to}/api/v1/write\"\nmax_samples_per_send = 2000\nmax_shards = 8\n\
             max_backoff = \"50ms\"\nbatch_deadline = \"200ms\"\n"
        ),
    }
}

fn arguments(kind: Kind, folder: &Path, address: SocketAddr, forward_to: Option<SocketAddr>) -> Vec<String> {
    let data = folder.join("data").display().to_string();
    let forwarding = forward_to.map(|to| forwarding(kind, to)).unwrap_or_default();
    match kind {
        Kind::Tandem | Kind::TandemBare => {
            let config = folder.join("tandem.toml");
            let mut text = format!("listen = \"{address}\"\ndata = {data:?}\ncollect = []\n");
            for plugin in BUNDLED.iter().filter(|_| kind == Kind::TandemBare) {
                text += &format!("[plugins.{plugin}]\ndisabled = true\n");
            }
            text += &forwarding;
            std::fs::write(&config, text).expect("written");
            vec!["serve".into(), "--config".into(), config.display().to_string()]
        }
        Kind::Prometheus => {
            let config = folder.join("prometheus.yml");
            let text = format!("global: {{ scrape_interval: 15s }}\nscrape_configs: []\n{forwarding}");
            std::fs::write(&config, text).expect("written");
            vec![
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={data}"),
                format!("--web.listen-address={address}"),
                "--web.enable-remote-write-receiver".into(),
                "--web.enable-admin-api".into(),
                "--log.level=warn".into(),
            ]
        }
        Kind::VictoriaMetrics => vec![
            format!("-storageDataPath={data}"),
            format!("-httpListenAddr={address}"),
            "-loggerLevel=WARN".into(),
            // So that what was just sent is found, as the others find it.
            "-search.latencyOffset=0s".into(),
            "-search.maxUniqueTimeseries=1000000".into(),
        ],
    }
}

/// The bundled plugins.
const BUNDLED: [&str; 12] = [
    "collector-gpu",
    "collector-host",
    "collector-model",
    "collector-network",
    "collector-power",
    "collector-storage",
    "correlator-topology",
    "detector-fault",
    "detector-robust",
    "drift-ks",
    "drift-psi",
    "target-open-inference",
];

/// Asks for a page; status and text.
pub async fn text(url: &str) -> Result<(u16, String), reqwest::Error> {
    let client = reqwest::Client::builder().no_proxy().timeout(SETTLE_TIMEOUT).build()?;
    let answer = client.get(url).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Bytes of a file, or of all files in a folder, as the disk keeps them.
fn allocated(path: &Path) -> u64 {
    let Ok(known) = std::fs::symlink_metadata(path) else { return 0 };
    if !known.is_dir() {
        // Blocks of 512 bytes, whatever the file system's own are (stat(2)).
        return known.blocks() * 512;
    }
    std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| allocated(&entry.path())).sum()
}
