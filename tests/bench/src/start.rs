//! The program as it is run: how long from its start until it is ready, with a cold and a warm cache of compiled plugins, and
//! what it keeps in memory when it is left alone with all bundled plugins at work.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tandem_bench::{median, root};
use tandem_tests::{get, items};

/// Starts with a warm cache.
const WARM_STARTS: usize = 7;
/// How long it is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(45);
/// Between two looks whether it is ready.
const LOOK_EVERY: Duration = Duration::from_millis(2);

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    listener.local_addr().expect("bound").port()
}

/// Starts it; answers how long it took until `/readyz` said yes.
async fn start(data: &Path) -> (Program, String, Duration) {
    let base = format!("127.0.0.1:{}", free_port());
    let began = Instant::now();
    let child = Command::new(root().join("target/release/tandem"))
        .args(["serve", "--listen", &base, "--data"])
        .arg(data)
        .current_dir(data.parent().expect("a folder of its own"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("target/release/tandem starts; build it with `make build`");
    let program = Program(child);
    while !get(&base, "/readyz").await.is_ok_and(|(status, _)| status == 200) {
        assert!(began.elapsed() < Duration::from_secs(120), "it does not get ready");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    (program, base, began.elapsed())
}

/// `VmRSS` and `RssAnon` of a process, in MiB.
fn resident_mib(program: &Program) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.0.id())).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1_024.0
    };
    (field("VmRSS"), field("RssAnon"))
}

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let (program, _, cold) = start(&data).await;
    println!("start to ready, cold cache of compiled plugins: {:.0} ms", cold.as_secs_f64() * 1_000.0);
    println!("resident after a cold start: {:.1} MiB", resident_mib(&program).0);
    drop(program);
    let mut times = Vec::new();
    for _ in 0..WARM_STARTS {
        let (_, _, warm) = start(&data).await;
        times.push(warm);
    }
    let shown: Vec<String> = times.iter().map(|time| format!("{:.0}", time.as_secs_f64() * 1_000.0)).collect();
    println!(
        "start to ready, warm cache: {:.0} ms, median of {} ({})",
        median(times).as_secs_f64() * 1_000.0,
        WARM_STARTS,
        shown.join(", ")
    );
    let (program, base, _) = start(&data).await;
    tokio::time::sleep(IDLE).await;
    let plugins = items(&base, "/api/v1/plugins").await;
    let live = plugins.iter().filter(|plugin| plugin["state"] == "live").count();
    let (resident, anonymous) = resident_mib(&program);
    println!(
        "resident after {} s idle with {live} of {} plugins live: {resident:.1} MiB, of it {anonymous:.1} MiB not of files",
        IDLE.as_secs(),
        plugins.len()
    );
}
