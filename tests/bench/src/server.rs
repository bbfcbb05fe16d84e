//! The real binary as a process: from its start until it is ready, with a cold and a warm cache of compiled plugins, and its
//! resident memory when it has been left alone for a while with its default configuration.

use crate::timing::median;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tandem_tests::items;

/// Starts with a warm cache.
const WARM_STARTS: usize = 11;
/// How often readiness is asked for.
const ASK_EVERY: Duration = Duration::from_millis(2);
/// A start that takes longer has failed: compiling all plugins takes some seconds.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long it is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(30);

/// Beside this program, where cargo puts both.
fn binary() -> PathBuf {
    std::env::current_exe().expect("a program has a path").with_file_name("tandem")
}

struct Running {
    child: Child,
    address: SocketAddr,
    ready_after: Duration,
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// Whether `/readyz` answers 200.
fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

impl Running {
    /// Starts the binary in an empty folder, so that no configuration is found, and waits until it is ready.
    fn start(data: &Path) -> Self {
        let address = free_address();
        let began = Instant::now();
        let mut child = Command::new(binary())
            .args(["serve", "--listen", &address.to_string(), "--data"])
            .arg(data.join("data"))
            .current_dir(data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("target/release/tandem starts; run `make build`");
        while !is_ready(address) {
            let ended = child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "the server ended before it was ready: {ended:?}");
            assert!(began.elapsed() < START_TIMEOUT, "the server was not ready in time");
            std::thread::sleep(ASK_EVERY);
        }
        Self { child, address, ready_after: began.elapsed() }
    }

    /// Asks it to stop and waits for its end; gives how long it took to be ready.
    fn stop(mut self) -> Duration {
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        assert!(asked.is_ok_and(|status| status.success()), "the server could not be asked to stop");
        self.child.wait().expect("the server ends");
        self.ready_after
    }

    /// A line of `/proc/PID/status` in MB (10^6 bytes).
    fn megabytes(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kibibytes = found.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
        kibibytes.unwrap_or(f64::NAN) * 1024.0 / 1e6
    }
}

/// Measures and prints.
pub async fn run() {
    let folder = tempfile::tempdir().expect("a folder");
    println!("\n{} serve, from its start until /readyz answers 200", binary().display());
    let cold = Running::start(folder.path()).stop();
    println!("  cold, every plugin compiled: {} ms", cold.as_millis());
    let warm: Vec<f64> =
        (0..WARM_STARTS).map(|_| Running::start(folder.path()).stop().as_secs_f64() * 1_000.0).collect();
    let (fastest, slowest) = crate::timing::bounds(&warm);
    println!("  warm, median of {WARM_STARTS}: {:.0} ms ({fastest:.0} to {slowest:.0})", median(warm));
    let server = Running::start(folder.path());
    tokio::time::sleep(IDLE).await;
    let plugins = items(&server.address.to_string(), "/api/v1/plugins").await;
    let live = plugins.iter().filter(|plugin| plugin["state"] == "live").count();
    println!(
        "  resident after {} s with {live} of {} plugins live: {:.0} MB, of which {:.0} MB its own and {:.0} MB files",
        IDLE.as_secs(),
        plugins.len(),
        server.megabytes("VmRSS"),
        server.megabytes("RssAnon"),
        server.megabytes("RssFile"),
    );
    server.stop();
}
