//! The server as the program that operators run, in a folder of a test.

use std::{path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A running server; killed when dropped.
pub struct Program {
    child: Child,
    /// `host:port`.
    pub base: String,
}

impl Program {
    /// Starts it and waits until it says that it is ready.
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[]).await
    }

    /// Starts it with further arguments.
    pub async fn start_with(folder: &Path, arguments: &[String]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["serve", "--config"])
            .arg(folder.join("tandem.toml"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        while let Some(line) = lines.next_line().await.expect("text") {
            if let Some((_, rest)) = line.split_once("http://") {
                let base = rest.split('/').next().unwrap_or_default().to_owned();
                return Self { child, base };
            }
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("the program ended before it was ready: {log}");
    }

    /// Its process.
    #[allow(dead_code, reason = "not every test that starts it asks")]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// As a machine does that runs out of memory: no signal that could be caught, no goodbye.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}

/// A configuration over a data folder beside it, on a free port.
pub fn write_config(folder: &Path, toml: &str) {
    let data = folder.join("data").display().to_string();
    let text = format!("listen = \"127.0.0.1:0\"\ndata = {data:?}\ncollect = []\n{toml}");
    std::fs::write(folder.join("tandem.toml"), text).expect("a configuration");
}
