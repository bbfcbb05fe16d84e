//! What to listen for: StatsD and syslog. Neither is listened for unless the operator says where.

use crate::Period;
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// How often StatsD's totals are told as samples when the operator does not say: as often as StatsD's own server does.
const DEFAULT_FLUSH: Period = Period::seconds(10);
/// The shortest flush, since each is a commit of all series.
const SHORTEST_FLUSH: Duration = Duration::from_millis(100);
/// How long a silent series of StatsD is told on when the operator does not say.
const DEFAULT_IDLE: Period = Period::seconds(300);
/// Connections of syslog senders at a time when the operator does not say: a rack's worth of relays and devices.
const DEFAULT_CONNECTIONS: usize = 256;
/// The most connections that can be asked for: each may hold two messages of the longest kind.
const MOST_CONNECTIONS: usize = 4_096;

/// StatsD over UDP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatsdConfig {
    /// Where datagrams are received; by custom port 8125.
    pub listen: SocketAddr,
    /// How often the totals are told as samples.
    #[serde(default = "default_flush")]
    pub flush_interval: Period,
    /// How long a series that is not sent any more is told on, before it ends.
    #[serde(default = "default_idle")]
    pub idle: Period,
    /// Put before every name.
    #[serde(default)]
    pub prefix: String,
    /// Labels of every series that does not bring one of the same name as a tag.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Networks whose datagrams are taken beside this machine's own; needed to listen on an address that others reach.
    #[serde(default)]
    pub senders: Vec<IpNet>,
}

/// Syslog over UDP and TCP.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyslogConfig {
    /// Where datagrams are received; by custom port 514.
    pub udp: Option<SocketAddr>,
    /// Where connections are taken; by custom port 601.
    pub tcp: Option<SocketAddr>,
    /// Networks whose messages are taken beside this machine's own; needed to listen on an address that others reach.
    pub senders: Vec<IpNet>,
    /// Connections at a time; further ones are closed at once, and counted.
    pub connections: Option<usize>,
}

fn default_flush() -> Period {
    DEFAULT_FLUSH
}

fn default_idle() -> Period {
    DEFAULT_IDLE
}

/// Who may send.
#[derive(Debug, Clone)]
pub(crate) struct Senders(Vec<IpNet>);

impl Senders {
    pub(crate) fn of(networks: &[IpNet]) -> Self {
        Self(networks.to_vec())
    }

    /// Whether what comes from an address is taken.
    pub(crate) fn admit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_loopback() || self.0.iter().any(|network| network.contains(&address))
    }
}

/// An address that others reach needs the word of who may send.
fn guarded(key: &str, listen: SocketAddr, senders: &[IpNet]) -> Result<(), String> {
    if listen.ip().is_loopback() || !senders.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{key} = \"{listen}\" is reachable from other machines, and whoever sends there is believed: name the networks \
         that may send, such as senders = [\"10.0.0.0/8\"], or listen on loopback ({key} = \"127.0.0.1:{}\")",
        listen.port()
    ))
}

impl StatsdConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        guarded("listen", self.listen, &self.senders)?;
        if self.flush_interval.0 < SHORTEST_FLUSH {
            return Err("flush_interval is below 100ms; give a longer one".into());
        }
        if self.idle.0 < self.flush_interval.0 {
            return Err("idle is shorter than flush_interval; a series would end before it was told".into());
        }
        Ok(())
    }
}

impl SyslogConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        for (key, listen) in [("udp", self.udp), ("tcp", self.tcp)] {
            listen.map_or(Ok(()), |listen| guarded(key, listen, &self.senders))?;
        }
        if self.udp.is_none() && self.tcp.is_none() {
            return Err("neither udp nor tcp is given; give one, such as udp = \"127.0.0.1:5514\"".into());
        }
        if !(1..=MOST_CONNECTIONS).contains(&self.connections()) {
            return Err(format!("connections must be 1 to {MOST_CONNECTIONS}"));
        }
        Ok(())
    }

    /// Connections at a time.
    pub(crate) fn connections(&self) -> usize {
        self.connections.unwrap_or(DEFAULT_CONNECTIONS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_needs_the_word_of_who_may_send() {
        let statsd = |text: &str| serde_json::from_str::<StatsdConfig>(text).expect("a config").validate();
        assert_eq!(statsd(r#"{"listen": "127.0.0.1:8125"}"#), Ok(()));
        let told = statsd(r#"{"listen": "0.0.0.0:8125"}"#).expect_err("open");
        assert!(told.contains("senders = [") && told.contains("127.0.0.1:8125"), "{told}");
        assert_eq!(statsd(r#"{"listen": "0.0.0.0:8125", "senders": ["10.0.0.0/8"]}"#), Ok(()));
        assert!(statsd(r#"{"listen": "127.0.0.1:8125", "flush_interval": "10ms"}"#).is_err());
        assert!(statsd(r#"{"listen": "127.0.0.1:8125", "idle": "5s"}"#).is_err());
        let syslog = |text: &str| serde_json::from_str::<SyslogConfig>(text).expect("a config").validate();
        assert_eq!(syslog(r#"{"udp": "[::1]:514"}"#), Ok(()));
        assert!(syslog(r#"{"udp": "[::1]:514", "tcp": "[::]:601"}"#).expect_err("open").starts_with("tcp = "));
        assert!(syslog("{}").is_err());
        assert!(syslog(r#"{"tcp": "[::1]:601", "connections": 0}"#).is_err());
    }

    #[test]
    fn this_machine_and_named_networks_may_send() {
        let senders = Senders::of(&["10.1.0.0/16".parse().expect("a network")]);
        let admit = |address: &str| senders.admit(address.parse().expect("an address"));
        assert!(admit("127.0.0.1") && admit("::1") && admit("10.1.2.3") && admit("::ffff:10.1.2.3"));
        assert!(!admit("10.2.0.1") && !admit("::ffff:192.168.0.1"));
    }
}
