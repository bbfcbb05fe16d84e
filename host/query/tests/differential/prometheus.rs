//! A real Prometheus over the same data.

use serde_json::Value;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How often it is asked whether it is ready, and how long between.
const READY_TRIES: usize = 300;
const READY_PAUSE: Duration = Duration::from_millis(200);

pub struct Prometheus {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The version, where it is installed.
pub fn installed() -> Option<String> {
    let told = Command::new("prometheus").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    Command::new("promtool").arg("--version").output().ok()?;
    text.split_whitespace().nth(2).map(str::to_owned)
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

impl Prometheus {
    /// Starts over samples in OpenMetrics.
    pub fn start(open_metrics: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tandem-differential-{}", std::process::id()));
        let data = folder.join("data");
        std::fs::create_dir_all(&data).expect("folder");
        let (samples, config) = (folder.join("samples"), folder.join("prometheus.yml"));
        std::fs::write(&samples, open_metrics).expect("samples");
        std::fs::write(&config, "global: {evaluation_interval: 1m}\n").expect("config");
        let made = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([&samples, &data])
            .output()
            .expect("promtool runs");
        assert!(made.status.success(), "promtool: {}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let log = std::fs::File::create(folder.join("log")).expect("log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .args(["--storage.tsdb.retention.time=100y", &format!("--web.listen-address=127.0.0.1:{port}")])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus starts");
        let started = Self { child, port, folder };
        for _ in 0..READY_TRIES {
            if started.get("/-/ready").is_some_and(|(status, _)| status == 200) {
                return started;
            }
            std::thread::sleep(READY_PAUSE);
        }
        panic!("prometheus is not ready: {}", read(&started.folder.join("log")));
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let head = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split_whitespace().nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Asks with parameters; the JSON it answers.
    pub fn ask(&self, what: &str, parameters: &[(&str, String)]) -> Value {
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let (_, body) = self.get(&format!("/api/v1/{what}?{}", parameters.join("&"))).expect("prometheus answers");
        serde_json::from_str(&body).expect("JSON")
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
