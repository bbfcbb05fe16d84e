//! What the correlate room keeps for itself.

use serde::{Deserialize, Serialize};
use tandem_domain::Record;

/// A correlator's state with how far it had read; committed with the incidents that came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorrelatorState {
    /// The correlator.
    pub plugin: String,
    /// Its digest.
    pub digest: String,
    /// Its own bytes; none before its first update.
    #[serde(with = "serde_bytes")]
    pub state: Option<Vec<u8>>,
    /// How far changes of alerts are in it.
    pub alerts: u64,
    /// How far changes of findings are in it.
    pub findings: u64,
    /// How far events are in it.
    pub events: u64,
}

impl Record for CorrelatorState {
    const TABLE: &'static str = "correlator_states";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.plugin.clone()
    }
}

/// The newest incident of a correlator's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentOfKey {
    /// The correlator.
    pub correlator: String,
    /// Its own key.
    pub key: String,
    /// The incident.
    pub incident: u64,
}

impl Record for IncidentOfKey {
    const TABLE: &'static str = "incident_of_key";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.correlator.clone(), self.key.clone())
    }
}

/// An alert's place in an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The incident.
    pub incident: u64,
    /// How often the alert had fired when the incident last heard of it.
    pub times_fired: u64,
}

/// The incidents that an alert is or was in, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentsOfAlert {
    /// The alert.
    pub fingerprint: String,
    /// Newest last; only the newest are kept.
    pub memberships: Vec<Membership>,
}

impl Record for IncidentsOfAlert {
    const TABLE: &'static str = "incidents_of_alert";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.fingerprint.clone()
    }
}
