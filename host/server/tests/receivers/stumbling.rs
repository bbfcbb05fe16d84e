//! A receiver over real sockets that first hangs, then is busy, then fails, and does so until it recovers.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tandem_wire::{
    limits::WireLimits,
    remote_write::{self, Protocol, Written},
    series_key::KeySeed,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// The receiver; it lives as long as the test.
#[derive(Clone)]
pub struct Stumbling {
    address: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    recovered: AtomicBool,
    stumbled: AtomicUsize,
    samples: AtomicUsize,
}

impl Stumbling {
    /// Listens.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::<State>::default();
        let serving = state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, serving.clone()));
            }
        });
        Self { address, state }
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// From now on it hangs no more; it is busy once and fails once, and then takes everything.
    pub fn recover(&self) {
        self.state.recovered.store(true, Ordering::SeqCst);
    }

    /// Requests that it did not take.
    pub fn stumbled(&self) -> usize {
        self.state.stumbled.load(Ordering::SeqCst)
    }

    /// Samples that it took.
    pub fn samples(&self) -> usize {
        self.state.samples.load(Ordering::SeqCst)
    }
}

/// Reads one request and answers it; none when the sender leaves before it is whole.
async fn answer(mut stream: TcpStream, state: Arc<State>) -> Option<()> {
    let body = read(&mut stream).await?;
    if !state.recovered.load(Ordering::SeqCst) {
        state.stumbled.fetch_add(1, Ordering::SeqCst);
        // Longer than the sender waits, and it finds out by itself.
        let _ = stream.read(&mut [0_u8; 64]).await;
        return None;
    }
    static RECOVERIES: AtomicUsize = AtomicUsize::new(0);
    let told = match RECOVERIES.fetch_add(1, Ordering::SeqCst) {
        0 => "HTTP/1.1 429 Busy\r\nretry-after: 1\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy".to_owned(),
        1 => "HTTP/1.1 500 Failed\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        _ => {
            let bytes = remote_write::open(&body, &WireLimits::default()).expect("snappy");
            let body = remote_write::decode(Protocol::V2, &bytes, KeySeed(1), &WireLimits::default()).expect("2.0");
            state.samples.fetch_add(body.at.len(), Ordering::SeqCst);
            let written = Written { samples: body.at.len() as u64, ..Written::default() }.headers();
            let written: String = written.iter().map(|(name, count)| format!("{name}: {count}\r\n")).collect();
            format!("HTTP/1.1 204 Taken\r\n{written}connection: close\r\n\r\n")
        }
    };
    if !told.contains(" 204 ") {
        state.stumbled.fetch_add(1, Ordering::SeqCst);
    }
    stream.write_all(told.as_bytes()).await.ok()
}

async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0_u8; 16 << 10];
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&part[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok())?;
        if bytes.len() >= end + 4 + length {
            return Some(bytes[end + 4..].to_vec());
        }
    }
}
