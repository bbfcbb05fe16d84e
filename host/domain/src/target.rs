//! Targets: where series come from, and how the last attempt to read them went.

use crate::{Failure, Record, Timestamp, series::Labels};
use serde::{Deserialize, Serialize};

/// The instance under which this machine's own collections stand.
pub const THIS_MACHINE: &str = "local";

/// A target is known by its job and instance, as in Prometheus.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TargetKey {
    /// The scrape job, the collecting plugin, or the sender's job label.
    pub job: String,
    /// The address scraped, the collect target (`local` for this machine), or the sender's instance label.
    pub instance: String,
}

/// What a mapper is told of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInfo {
    /// Job and instance.
    pub key: TargetKey,
    /// Labels the operator gave it in the config.
    pub labels: Labels,
}

/// By which door a target's series come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Door {
    /// The host scrapes a metrics endpoint.
    Scrape,
    /// A collector plugin collects.
    Collect,
    /// A payload was pushed to a collector plugin.
    Push,
    /// A Prometheus-compatible sender writes remotely.
    RemoteWrite,
    /// A sender of OpenTelemetry's protocol.
    Otlp,
    /// A sender of Influx' line protocol.
    Influx,
    /// A sender of StatsD's datagrams.
    Statsd,
}

/// The state of one target, visible in the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Which target.
    pub info: TargetInfo,
    /// By which door.
    pub door: Door,
    /// The plugin that collects it, for `Collect` and `Push`.
    pub plugin: Option<String>,
    /// When it was last tried.
    pub last_attempt_at: Option<Timestamp>,
    /// When it last succeeded.
    pub last_success_at: Option<Timestamp>,
    /// How long the last attempt took.
    pub last_duration_millis: u64,
    /// Samples the last success brought, without those that were rejected.
    pub last_samples: u64,
    /// Lines and samples of the last success that were rejected.
    #[serde(default)]
    pub last_rejected: u64,
    /// Why, when there were any: each reason with its count, and an example.
    #[serde(default)]
    pub rejection: Option<String>,
    /// Why the last attempt failed; none when it succeeded.
    pub failure: Option<Failure>,
    /// Attempts that failed since the last success.
    pub failures_in_a_row: u32,
}

impl Record for TargetStatus {
    const TABLE: &'static str = "targets";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.info.key.job.clone(), self.info.key.instance.clone())
    }
}

/// How far a collector has read a target; committed together with what it read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectCursor {
    /// Which target.
    pub target: TargetKey,
    /// The plugin's own bytes.
    pub cursor: Vec<u8>,
}

impl Record for CollectCursor {
    const TABLE: &'static str = "collect_cursors";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.target.job.clone(), self.target.instance.clone())
    }
}
