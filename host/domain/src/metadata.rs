//! What senders say of metrics besides their samples.

use crate::{Record, series::MetricType};
use serde::{Deserialize, Serialize};

/// What a sender said last of a family of metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricMetadata {
    /// Its name: that of its series without `_bucket`, `_sum` and the like.
    pub family: String,
    /// Its type.
    pub metric_type: MetricType,
    /// Its unit, or empty.
    pub unit: String,
    /// For people.
    pub help: String,
}

impl Record for MetricMetadata {
    const TABLE: &'static str = "metric_metadata";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.family.clone()
    }
}
