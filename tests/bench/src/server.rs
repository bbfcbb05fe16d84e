//! The real binary as a process: from its start until it is ready, with a cold and a warm cache of compiled plugins, and its
//! resident memory when it has been left alone for a while with its default configuration.

use crate::{
    peers::{Process, free_address},
    timing::median,
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
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

/// The binary as a process.
pub struct Running {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub address: SocketAddr,
    ready_after: Duration,
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
    /// Starts the binary in a folder, with the configuration that lies there or none, and waits until it is ready.
    pub fn start(data: &Path) -> Self {
        let address = free_address();
        let began = Instant::now();
        let data_folder = data.join("data").display().to_string();
        let arguments = ["serve".into(), "--listen".into(), address.to_string(), "--data".into(), data_folder];
        let mut process = Process::start(&binary(), &arguments, data);
        while !is_ready(address) {
            let ended = process.ended();
            assert!(ended.is_none(), "the server ended before it was ready: {ended:?}");
            assert!(began.elapsed() < START_TIMEOUT, "the server was not ready in time");
            std::thread::sleep(ASK_EVERY);
        }
        Self { process, address, ready_after: began.elapsed() }
    }

    /// Asks it to stop and waits for its end; gives how long it took to be ready.
    pub fn stop(self) -> Duration {
        self.process.stop();
        self.ready_after
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
        server.process.megabytes("VmRSS"),
        server.process.megabytes("RssAnon"),
        server.process.megabytes("RssFile"),
    );
    server.stop();
}
