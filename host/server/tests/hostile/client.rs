//! The server as a child, and a client that sends bytes as they are.

use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

/// How long a client waits for an answer: longer than the server lets anybody wait.
const PATIENCE: Duration = Duration::from_secs(120);
/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// A running server; killed when dropped.
pub struct Program {
    child: Child,
    pub base: String,
    pub statsd: String,
    pub syslog: String,
}

impl Program {
    /// Starts it with its listeners, and waits until it says that it is ready.
    pub async fn start(folder: &Path) -> Self {
        let port = || {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("loopback");
            socket.local_addr().expect("an address").to_string()
        };
        let (statsd, syslog) = (port(), port());
        let data = folder.join("data").display().to_string();
        let text = format!(
            "listen = \"127.0.0.1:0\"\ndata = {data:?}\ncollect = []\n[statsd]\nlisten = \"{statsd}\"\n\
             flush_interval = \"1s\"\n[syslog]\nudp = \"{syslog}\"\n"
        );
        std::fs::write(folder.join("tandem.toml"), text).expect("a configuration");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["serve", "--config"])
            .arg(folder.join("tandem.toml"))
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join("log")).expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        while let Some(line) = lines.next_line().await.expect("text") {
            if let Some((_, rest)) = line.split_once("http://") {
                let base = rest.split('/').next().unwrap_or_default().to_owned();
                return Self { child, base, statsd, syslog };
            }
        }
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("the program ended before it was ready: {log}");
    }

    /// A field of its memory as the kernel tells it, in kibibytes.
    pub fn memory_kib(&self, field: &str) -> u64 {
        let id = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with(field)).expect("the kernel tells it");
        line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
    }
}

/// What came back.
#[derive(Debug, Default)]
pub struct Answered {
    /// None when the connection was closed without an answer.
    pub status: Option<u16>,
    pub body: String,
}

/// Sends bytes and reads to the end.
pub async fn send(base: &str, bytes: &[u8]) -> Answered {
    let exchange = async {
        let mut stream = TcpStream::connect(base).await.ok()?;
        // The server may close before it has read all, and has answered then.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = (&mut stream).take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        Some(Answered { status, body })
    };
    tokio::time::timeout(PATIENCE, exchange).await.ok().flatten().unwrap_or_default()
}

/// Posts a body with headers.
pub async fn post(base: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answered {
    let mut head =
        format!("POST {path} HTTP/1.1\r\nhost: {base}\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut request = (head + "\r\n").into_bytes();
    request.extend_from_slice(body);
    send(base, &request).await
}
