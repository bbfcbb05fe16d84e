//! What serving counts: connections and how they ended, requests, refusals by status.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// As connections do.
    InOrder,
    /// It did not send the head of a request in time, or nothing at all.
    HeadTimeout,
    /// It sent more of a head than is taken.
    HeadTooLong,
    /// It sent what is no request.
    NoRequest,
    /// It broke off, or did not read its answer.
    BrokeOff,
}

impl ConnectionEnd {
    pub(super) fn of(ended: Result<(), hyper::Error>) -> Self {
        match ended {
            Ok(()) => Self::InOrder,
            Err(error) if error.is_timeout() => Self::HeadTimeout,
            Err(error) if error.is_parse_too_large() => Self::HeadTooLong,
            Err(error) if error.is_parse() || error.is_parse_status() => Self::NoRequest,
            Err(_) => Self::BrokeOff,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::InOrder => "in_order",
            Self::HeadTimeout => "head_timeout",
            Self::HeadTooLong => "head_too_long",
            Self::NoRequest => "no_request",
            Self::BrokeOff => "broke_off",
        }
    }
}

/// Counted since the server started.
#[derive(Debug, Default)]
pub struct ServingMetrics {
    accepted: AtomicU64,
    not_accepted: AtomicU64,
    refused: AtomicU64,
    open: AtomicU64,
    requests: AtomicU64,
    ended: Mutex<BTreeMap<&'static str, u64>>,
    refusals: Mutex<BTreeMap<u16, u64>>,
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl ServingMetrics {
    pub(super) fn accepted(&self) {
        add(&self.accepted);
    }

    pub(super) fn not_accepted(&self) {
        add(&self.not_accepted);
    }

    pub(super) fn refused(&self) {
        add(&self.refused);
    }

    pub(super) fn opened(&self) {
        add(&self.open);
    }

    pub(super) fn closed(&self, end: ConnectionEnd) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner).entry(end.name()).or_default() += 1;
    }

    /// A request was answered with a status.
    pub(crate) fn answered(&self, status: u16) {
        add(&self.requests);
        if status >= 400 {
            *self.refusals.lock().unwrap_or_else(PoisonError::into_inner).entry(status).or_default() += 1;
        }
    }

    /// Name, meaning and value of each plain counter, and of the gauge of open connections at the end.
    pub fn read(&self) -> [(&'static str, &'static str, u64); 5] {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("tandem_http_connections_accepted_total", "Connections taken from the kernel", read(&self.accepted)),
            (
                "tandem_http_connections_not_accepted_total",
                "Connections that could not be taken for want of descriptors",
                read(&self.not_accepted),
            ),
            (
                "tandem_http_connections_refused_total",
                "Connections beyond the limit, told to come again",
                read(&self.refused),
            ),
            ("tandem_http_requests_total", "Requests answered", read(&self.requests)),
            ("tandem_http_connections", "Open connections", read(&self.open)),
        ]
    }

    /// Connections by how they ended.
    pub fn ended(&self) -> BTreeMap<&'static str, u64> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that were refused or failed, by status.
    pub fn refusals(&self) -> BTreeMap<u16, u64> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
