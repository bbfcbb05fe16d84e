//! What the notify room keeps for itself.

use serde::{Deserialize, Serialize};
use tandem_domain::{Failure, Record, Timestamp};

/// How far a receiver has been told, and how it fares. Visible to the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverState {
    /// Its name in the config.
    pub name: String,
    /// Changes of incidents up to this are delivered or given up.
    pub through: u64,
    /// Deliveries that failed since the last success.
    pub failures: u32,
    /// When the next try is due; none when nothing waits.
    pub retry_at: Option<Timestamp>,
    /// Why the last delivery failed; none when it succeeded.
    pub failure: Option<Failure>,
    /// When it last took a delivery.
    pub delivered_at: Option<Timestamp>,
    /// Deliveries it took.
    pub delivered: u64,
    /// Deliveries given up.
    pub given_up: u64,
}

impl Record for ReceiverState {
    const TABLE: &'static str = "notify_receivers";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.name.clone()
    }
}
