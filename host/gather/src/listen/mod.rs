//! What comes in without being asked over HTTP and without an answer: StatsD over UDP, syslog over UDP and TCP. Off unless
//! the operator says where to listen. Queues are bounded; what finds no room is counted with its reason, since the senders
//! of these protocols cannot be told.

mod config;
mod datagrams;
mod metrics;
mod statsd;
mod stream;
mod syslog;
#[cfg(test)]
mod tests;

pub use config::{StatsdConfig, SyslogConfig};
pub use metrics::{ListenMetrics, Listened};

use crate::sent::SentReceiver;
use statsd::StatsdListener;
use std::{io, net::SocketAddr, sync::Arc};
use syslog::SyslogListener;
use tandem_domain::time::Clock;
use tokio::sync::watch;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{address} cannot be listened on for {what}: {error}")]
pub struct ListenError {
    /// Where.
    pub address: SocketAddr,
    /// `StatsD` or `syslog`.
    pub what: &'static str,
    /// Why.
    pub error: io::Error,
}

/// Where listeners listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ListenAddresses {
    /// StatsD over UDP.
    pub statsd: Option<SocketAddr>,
    /// Syslog over UDP.
    pub syslog_udp: Option<SocketAddr>,
    /// Syslog over TCP.
    pub syslog_tcp: Option<SocketAddr>,
}

/// All listeners.
pub struct Listeners {
    statsd: Option<StatsdListener>,
    syslog: Option<SyslogListener>,
}

impl Listeners {
    /// Takes the addresses that the operator gave.
    ///
    /// # Errors
    /// When one of them is taken or not allowed.
    pub async fn bind(
        statsd: Option<&StatsdConfig>,
        syslog: Option<&SyslogConfig>,
        sent: Arc<SentReceiver>,
        clock: Arc<dyn Clock>,
        metrics: Arc<ListenMetrics>,
    ) -> Result<Self, ListenError> {
        let statsd = statsd
            .map(|config| {
                StatsdListener::bind(config.clone(), sent.clone(), clock.clone(), metrics.clone())
                    .map_err(|error| ListenError { address: config.listen, what: "StatsD", error })
            })
            .transpose()?;
        let syslog = match syslog {
            None => None,
            Some(config) => {
                let bound = SyslogListener::bind(config.clone(), sent, clock, metrics).await;
                Some(bound.map_err(|(address, error)| ListenError { address, what: "syslog", error })?)
            }
        };
        Ok(Self { statsd, syslog })
    }

    /// Where they listen.
    pub fn addresses(&self) -> ListenAddresses {
        let (syslog_udp, syslog_tcp) = self.syslog.as_ref().map(SyslogListener::addresses).unwrap_or_default();
        let statsd = self.statsd.as_ref().and_then(|statsd| statsd.address().ok());
        ListenAddresses { statsd, syslog_udp, syslog_tcp }
    }

    /// Listens until `stop` says so; then takes what has come by then, and writes it.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let Self { statsd, syslog } = self;
        let stopped = stop.clone();
        let statsd = async move {
            if let Some(statsd) = statsd {
                statsd.run(stopped).await;
            }
        };
        let syslog = async move {
            if let Some(syslog) = syslog {
                syslog.run(stop).await;
            }
        };
        tokio::join!(statsd, syslog);
    }
}

/// Resolves when the server stops, or nobody is left who could tell.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // What it answers holds a lock, and must not be kept.
    drop(stop.wait_for(|stop| *stop).await);
}
