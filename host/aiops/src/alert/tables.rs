//! What the alert room keeps for itself.

use serde::{Deserialize, Serialize};
use tandem_domain::{Record, Timestamp, alert::Fingerprint, entity::EntityId};

/// Which sources of an alert say that it is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSources {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// Source keys, in the order they began.
    pub active: Vec<String>,
}

impl Record for AlertSources {
    const TABLE: &'static str = "alert_sources";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.fingerprint.0.clone()
    }
}

/// The alert that a source last belonged to: an entity may get another id while its fault lasts, and the end must find the
/// alert that began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceAlert {
    /// Detector, series and code.
    pub source: String,
    /// The alert.
    pub fingerprint: Fingerprint,
}

impl Record for SourceAlert {
    const TABLE: &'static str = "alert_of_source";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.source.clone()
    }
}

/// Until when an alert that somebody tells fires for them, unless they tell it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldUntil {
    /// The alert.
    pub fingerprint: Fingerprint,
    /// When it ends.
    pub until: Timestamp,
    /// Who tells it.
    #[serde(default)]
    pub teller: String,
}

impl Record for ToldUntil {
    const TABLE: &'static str = "told_until";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.fingerprint.0.clone()
    }
}

/// An alert that fires because a verdict blames an entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlamedAlert {
    /// The entity that is blamed.
    pub entity: EntityId,
    /// The alert.
    pub fingerprint: Fingerprint,
    /// Whether the verdict is in doubt: then it is mere information beside what is felt.
    #[serde(default)]
    pub doubtful: bool,
}

impl Record for BlamedAlert {
    const TABLE: &'static str = "blamed_alerts";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.entity.0.clone()
    }
}
