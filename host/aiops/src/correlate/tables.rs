//! What the correlate room keeps for itself.

use serde::{Deserialize, Serialize};
use tandem_domain::{Record, Timestamp};

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
    /// How often it had fired when it joined the incident; where that was not written down, it never counts as coming back.
    #[serde(default = "unknown_times")]
    pub times_fired_before: u64,
}

fn unknown_times() -> u64 {
    u64::MAX
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

/// When an incident came back lately; those that never did have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returns {
    /// The incident.
    pub incident: u64,
    /// When the alerts began that brought it back, oldest first; only the newest are kept.
    pub at: Vec<Timestamp>,
}

impl Record for Returns {
    const TABLE: &'static str = "incident_returns";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        self.incident
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_written_before_returns_were_counted_never_counts_as_one() {
        let known: Membership = serde_json::from_str(r#"{"incident": 1, "times_fired": 3}"#).unwrap();
        assert_eq!(known, Membership { incident: 1, times_fired: 3, times_fired_before: u64::MAX });
    }
}
