//! Alerts: faults and symptoms with an identity that outlives their changes of state.

use crate::{LogRecord, Record, Severity, Timestamp, entity::EntityId, series::Labels};
use serde::{Deserialize, Serialize};

/// Stays the same for one alert from firing to resolved and again: a hash of code, entity and the labels that tell it apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// Alertmanager's fingerprint of a set of labels: FNV-1a of 64 bits over each name and value, each ended by a byte 255.
    /// An alert of Prometheus' kind is known by it, whoever tells it.
    pub fn of_labels(labels: &Labels) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (name, value) in labels.iter() {
            for byte in name.bytes().chain([0xff]).chain(value.bytes()).chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        Self(format!("{hash:016x}"))
    }
}

/// Whether it is so now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It is so.
    Firing,
    /// It was so.
    Resolved,
}

/// An alert as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Whether it is so now.
    pub state: AlertState,
    /// The fault's code or the rule's name.
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// For people.
    pub title: String,
    /// What to do about it.
    pub advice: String,
    /// Whose alert.
    pub entity: EntityId,
    /// What tells it apart, and more.
    pub labels: Labels,
    /// When it last began to fire.
    pub started_at: Timestamp,
    /// When it ended, when it has.
    pub ended_at: Option<Timestamp>,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// How many times it began to fire.
    pub times_fired: u64,
    /// The plugin or rule that raised it.
    pub source: String,
}

impl Record for Alert {
    const TABLE: &'static str = "alerts";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.fingerprint.0.clone()
    }
}

/// That an alert fires and nobody is told of it, and why: it stands as information until it is over, or until it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAlert {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// Since when it is so.
    pub since: Timestamp,
    /// When it is told at the latest.
    pub until: Timestamp,
    /// How bad it is when it is told.
    pub severity: Severity,
    /// In one sentence.
    pub why: String,
}

impl Record for HeldAlert {
    const TABLE: &'static str = "held_alerts";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.fingerprint.0.clone()
    }
}

/// Every change of an alert, in order; what the correlate room reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertChange {
    /// The alert as it stood after the change.
    pub alert: Alert,
}

impl LogRecord for AlertChange {
    const LOG: &'static str = "alert_changes";
    const VERSION: u16 = 1;
}

/// An alert as somebody else tells it, in the order it was told; what the alert room reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldAlert {
    /// Who tells: `alertmanager`, `rules`.
    pub source: String,
    /// The teller's own identity of it.
    pub fingerprint: Fingerprint,
    /// Whether it is so now.
    pub state: AlertState,
    /// What it is; `alertname` among them.
    pub labels: Labels,
    /// What people are told.
    pub annotations: Labels,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; of one that fires, when it ends unless it is told again.
    pub ends_at: Option<Timestamp>,
}

impl LogRecord for ToldAlert {
    const LOG: &'static str = "told_alerts";
    const VERSION: u16 = 1;
}
