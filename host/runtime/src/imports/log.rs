//! What guests say: bounded in length and rate, to the server's log and into a short memory for error messages.

use super::HostState;
use crate::{
    UsageCounters,
    bindings::wit_log::{Host, Level},
};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// Longest line taken; the rest is cut.
const MAX_LINE_BYTES: usize = 4 << 10;
/// What is remembered of the last lines, for error messages.
const REMEMBERED_BYTES: usize = 4 << 10;
/// Lines of one plugin, from all its instances, that reach the server's log in each window; more are counted and left out.
const MAX_LINES_PER_WINDOW: u32 = 100;
/// The window.
const WINDOW: Duration = Duration::from_secs(10);

/// How much of what one plugin says reaches the server's log. Shared by its instances: a collector has a new one for each
/// call, and would begin each with a full allowance.
#[derive(Debug)]
pub(crate) struct LogRate(Mutex<Window>);

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Admitted,
    /// The first line too many of a window.
    JustFull,
    LeftOut,
}

impl Default for LogRate {
    fn default() -> Self {
        Self(Mutex::new(Window { began: Instant::now(), lines: 0 }))
    }
}

impl LogRate {
    fn admit(&self) -> Admission {
        let mut window = self.0.lock();
        if window.began.elapsed() >= WINDOW {
            *window = Window { began: Instant::now(), lines: 0 };
        }
        window.lines = window.lines.saturating_add(1);
        match window.lines {
            ..=MAX_LINES_PER_WINDOW => Admission::Admitted,
            lines if lines == MAX_LINES_PER_WINDOW + 1 => Admission::JustFull,
            _ => Admission::LeftOut,
        }
    }
}

/// The log of one instance; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct GuestLog {
    plugin: Arc<str>,
    rate: Arc<LogRate>,
    usage: Arc<UsageCounters>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    remembered: VecDeque<String>,
    remembered_bytes: usize,
    partial: String,
}

impl GuestLog {
    pub(super) fn new(plugin: Arc<str>, rate: Arc<LogRate>, usage: Arc<UsageCounters>) -> Self {
        let inner = Inner { remembered: VecDeque::new(), remembered_bytes: 0, partial: String::new() };
        Self { plugin, rate, usage, inner: Arc::new(Mutex::new(inner)) }
    }

    /// The last lines that say what went wrong, newest last; empty when there are none.
    pub(crate) fn tail(&self) -> String {
        let inner = self.inner.lock();
        inner
            .remembered
            .iter()
            .map(String::as_str)
            .chain(Some(inner.partial.as_str()))
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join(" | ")
    }

    /// Forgets what was said, so that an error shows only what belongs to its own call.
    pub(crate) fn clear(&self) {
        let mut inner = self.inner.lock();
        inner.remembered.clear();
        inner.remembered_bytes = 0;
        inner.partial.clear();
    }

    /// Remembers a line for error messages.
    pub(super) fn remember(&self, line: &str) {
        let mut inner = self.inner.lock();
        inner.remember(line);
    }

    fn say(&self, level: Level, line: &str) {
        let line = cut(line);
        if matches!(level, Level::Warn | Level::Error) {
            self.remember(line);
        }
        let plugin = &*self.plugin;
        let admission = self.rate.admit();
        if admission == Admission::JustFull {
            tracing::warn!(
                plugin,
                "this plugin writes more than {MAX_LINES_PER_WINDOW} lines in {} s; the rest of them is counted and left out",
                WINDOW.as_secs()
            );
        }
        if admission != Admission::Admitted {
            self.usage.count_log_line_left_out();
            return;
        }
        match level {
            Level::Debug => tracing::debug!(plugin, "{line}"),
            Level::Info => tracing::info!(plugin, "{line}"),
            Level::Warn => tracing::warn!(plugin, "{line}"),
            Level::Error => tracing::error!(plugin, "{line}"),
        }
    }

    /// Standard output and error of guests that have such.
    fn write_bytes(&self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut inner = self.inner.lock();
        inner.partial.push_str(&text);
        while let Some(end) = inner.partial.find('\n') {
            let line: String = inner.partial.drain(..=end).collect();
            inner.remember(cut(line.trim_end()));
        }
        if inner.partial.len() > MAX_LINE_BYTES {
            let line = std::mem::take(&mut inner.partial);
            inner.remember(cut(&line));
        }
    }
}

impl Inner {
    fn remember(&mut self, line: &str) {
        self.remembered_bytes += line.len();
        self.remembered.push_back(line.to_owned());
        while self.remembered_bytes > REMEMBERED_BYTES && self.remembered.len() > 1 {
            self.remembered_bytes -= self.remembered.pop_front().map_or(0, |line| line.len());
        }
    }
}

fn cut(line: &str) -> &str {
    let mut end = line.len().min(MAX_LINE_BYTES);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

impl Host for HostState {
    fn write(&mut self, level: Level, message: String) {
        self.log.say(level, &message);
    }
}

impl IsTerminal for GuestLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestLog {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl OutputStream for GuestLog {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.write_bytes(&bytes);
        Ok(())
    }
    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LINE_BYTES)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestLog {
    async fn ready(&mut self) {}
}

impl tokio::io::AsyncWrite for GuestLog {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.write_bytes(bytes);
        Poll::Ready(Ok(bytes.len()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_remembered_and_no_more() {
        let log = GuestLog::new("test".into(), Arc::default(), Arc::default());
        for number in 0..2000 {
            log.say(Level::Warn, &format!("line {number}"));
        }
        log.say(Level::Debug, "of no use in an error");
        log.write_bytes(b"half a li");
        log.write_bytes(b"ne\nrest");
        let tail = log.tail();
        assert!(tail.ends_with("line 1999 | half a line | rest"), "{tail}");
        assert!(tail.len() < 2 * REMEMBERED_BYTES && !tail.contains("of no use"));
        log.clear();
        assert_eq!(log.tail(), "");
    }

    #[test]
    fn a_flood_is_held_back_and_long_lines_are_cut_between_characters() {
        let (rate, usage) = (Arc::new(LogRate::default()), Arc::new(UsageCounters::default()));
        for _ in 0..10 {
            // Each call of a collector has an instance and a log of its own; the allowance is the plugin's.
            let log = GuestLog::new("test".into(), rate.clone(), usage.clone());
            (0..100).for_each(|_| log.say(Level::Debug, "again"));
        }
        assert_eq!(usage.read().log_lines_left_out, 1000 - u64::from(MAX_LINES_PER_WINDOW));
        assert_eq!(cut(&"ä".repeat(4000)).len(), MAX_LINE_BYTES);
        assert_eq!(cut(&format!("x{}", "ä".repeat(4000))).len(), MAX_LINE_BYTES - 1);
    }
}
