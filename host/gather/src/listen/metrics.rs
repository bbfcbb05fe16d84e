//! What listeners count.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tandem_wire::rejected::Rejections;

/// Why something that was sent to a listener is not kept. A closed set, so that it can label a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// Its sender is of no network that may send.
    SenderNotAllowed,
    /// What was received before is still being written.
    QueueFull,
    /// The kernel had no room for it.
    KernelQueueFull,
    /// As many connections as are taken are open.
    TooManyConnections,
    /// A message was begun and not brought to its end in time.
    Stalled,
    /// Longer than a message may be.
    TooLong,
    /// It was received, and the store could not be written.
    NotWritten,
}

impl Dropped {
    fn name(self) -> &'static str {
        match self {
            Self::SenderNotAllowed => "sender_not_allowed",
            Self::QueueFull => "queue_full",
            Self::KernelQueueFull => "kernel_queue_full",
            Self::TooManyConnections => "too_many_connections",
            Self::Stalled => "stalled",
            Self::TooLong => "too_long",
            Self::NotWritten => "not_written",
        }
    }
}

/// Counters of one listener.
#[derive(Debug, Default)]
pub(crate) struct Door {
    received: AtomicU64,
    connections: AtomicU64,
    dropped: Mutex<BTreeMap<&'static str, u64>>,
}

impl Door {
    /// Datagrams, or messages of a stream, that came.
    pub(crate) fn received(&self, count: u64) {
        self.received.fetch_add(count, Ordering::Relaxed);
    }

    /// What was lost.
    pub(crate) fn dropped(&self, why: Dropped, count: u64) {
        self.add(why.name(), count);
    }

    /// What could not be used, by the decoder's reasons.
    pub(crate) fn rejected(&self, rejections: &Rejections) {
        for (reason, count) in rejections.counts() {
            self.add(reason.name(), count);
        }
    }

    fn add(&self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.dropped.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += count;
        }
    }

    pub(crate) fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn disconnected(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counters of all listeners since the server started.
#[derive(Debug, Default)]
pub struct ListenMetrics {
    pub(crate) statsd: Door,
    pub(crate) syslog_udp: Door,
    pub(crate) syslog_tcp: Door,
}

/// What one listener counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listened {
    /// `statsd`, `syslog-udp`, `syslog-tcp`.
    pub listener: &'static str,
    /// Datagrams or messages that came.
    pub received: u64,
    /// Open connections.
    pub connections: u64,
    /// What was lost or could not be used, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
}

impl ListenMetrics {
    /// Each listener's counters.
    pub fn read(&self) -> [Listened; 3] {
        [("statsd", &self.statsd), ("syslog-udp", &self.syslog_udp), ("syslog-tcp", &self.syslog_tcp)].map(
            |(listener, door)| Listened {
                listener,
                received: door.received.load(Ordering::Relaxed),
                connections: door.connections.load(Ordering::Relaxed),
                dropped: door.dropped.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            },
        )
    }
}
