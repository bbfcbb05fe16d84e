//! Plugins as the rest of the house knows them: kinds, what they declare, how they fare.

use crate::{Failure, Timestamp};
use serde::{Deserialize, Serialize};

/// The kind of a plugin; one world each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginKind {
    /// Reads what no metrics endpoint gives, and gives series their meaning.
    Collector,
    /// Finds what is odd or broken.
    Detector,
    /// Puts alerts together and ranks causes.
    Correlator,
    /// Says why something went wrong.
    RootCause,
    /// Measures drift.
    DriftMetric,
    /// Puts models into service.
    DeploymentTarget,
}

impl PluginKind {
    /// As written in names and texts.
    pub fn as_str(self) -> &'static str {
        match self {
            PluginKind::Collector => "collector",
            PluginKind::Detector => "detector",
            PluginKind::Correlator => "correlator",
            PluginKind::RootCause => "root-cause",
            PluginKind::DriftMetric => "drift-metric",
            PluginKind::DeploymentTarget => "deployment-target",
        }
    }
}

/// A right a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// `http`, `tcp`, `udp` or `file`.
    pub name: String,
    /// What it covers.
    pub value: String,
    /// Why, for the operator.
    pub reason: String,
}

/// What series are shown together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Each by itself.
    Series,
    /// All of one entity.
    Entity,
    /// The same metric across entities of one kind.
    Peers,
    /// All of one target (mappers).
    Target,
}

/// Which series; every given condition must hold, an empty list asks nothing. `*` stands for any run of characters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Selector {
    /// Patterns on the metric name: the sender's for mappers, the canonical one for the rest.
    pub metrics: Vec<String>,
    /// Patterns on the kind of the entity.
    pub entity_kinds: Vec<String>,
    /// Label (or dimension) name and pattern.
    pub labels: Vec<(String, String)>,
    /// Only series with fault rules.
    pub with_fault_rules: bool,
}

/// A standing wish to see series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interest {
    /// Which.
    pub selector: Selector,
    /// How grouped.
    pub scope: Scope,
    /// With how much history.
    pub history_seconds: u32,
}

/// What a plugin says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema of the configuration, or empty.
    pub config_schema: String,
    /// What it wishes to see.
    pub interests: Vec<Interest>,
    /// What it asks for.
    pub capabilities: Vec<Capability>,
}

/// How a plugin fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum PluginState {
    /// Being compiled.
    Loading,
    /// Compiled; its first instance is being tried.
    Canary,
    /// At work.
    Live,
    /// Waiting to be tried again.
    Backoff {
        /// Until when.
        until: Timestamp,
        /// How many restarts so far.
        restarts: u32,
    },
    /// Failed too often; a person or a new file must bring it back.
    Quarantined {
        /// Why.
        reason: String,
        /// Since when.
        since: Timestamp,
    },
    /// Switched off in the config.
    Disabled,
}

/// What a plugin uses, counted since the server started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PluginUsage {
    /// Calls into it.
    pub calls: u64,
    /// Calls that it answered with a failure.
    pub failures: u64,
    /// Calls that trapped.
    pub traps: u64,
    /// Calls that ran out of time.
    pub timeouts: u64,
    /// Answers that did not keep the contract.
    pub contract_breaches: u64,
    /// Requests refused for want of a grant.
    pub denials: u64,
    /// Lines left out of the log because it wrote too many.
    pub log_lines_left_out: u64,
    /// Components under this name that were not let in.
    pub refused_loads: u64,
    /// Time spent in calls.
    pub busy_nanos: u64,
    /// Linear memory of its live instances now.
    pub memory_bytes: u64,
    /// The most that one instance ever had.
    pub memory_peak_bytes: u64,
    /// Live instances.
    pub instances: u64,
    /// Instances replaced because they had served long enough or grown too big.
    pub recycled: u64,
}

/// A plugin as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// Its kind, once known.
    pub kind: Option<PluginKind>,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// `bundled`, or the file it was loaded from.
    pub origin: String,
    /// What it says of itself, once it has said so.
    pub description: Option<Description>,
    /// Interfaces it imports: the upper bound of what it can do.
    pub imports: Vec<String>,
    /// Capabilities asked for and granted.
    pub granted: Vec<Capability>,
    /// How it fares.
    pub state: PluginState,
    /// The last thing that went wrong, naming the function and the fix.
    pub last_error: Option<Failure>,
    /// What it uses.
    pub usage: PluginUsage,
}
