//! Predictions of models and the labels that come later.

use crate::{LogRecord, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value of a feature or an outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FeatureValue {
    /// true or false.
    Bool(bool),
    /// A finite number.
    Number(f64),
    /// A category.
    Text(String),
    /// Missing.
    Missing,
}

/// One answer of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// The model service.
    pub service: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// The request's id, by which a label is joined; unique within the service.
    pub id: String,
    /// When it was made.
    pub at: Timestamp,
    /// The replica that made it, as an entity name or address; empty when unknown.
    pub replica: String,
    /// What the model was given.
    pub features: BTreeMap<String, FeatureValue>,
    /// What it said.
    pub prediction: FeatureValue,
    /// How sure it was, 0 to 1.
    pub score: Option<f64>,
}

impl LogRecord for Prediction {
    const LOG: &'static str = "predictions";
    const VERSION: u16 = 1;
}

/// What turned out to be true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthLabel {
    /// The model service.
    pub service: String,
    /// The prediction's id.
    pub id: String,
    /// What was true.
    pub label: FeatureValue,
    /// When it became known.
    pub at: Timestamp,
}

impl LogRecord for TruthLabel {
    const LOG: &'static str = "truth_labels";
    const VERSION: u16 = 1;
}

/// What was seen of one version of a model service's model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTraffic {
    /// The model service.
    pub service: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Predictions kept.
    pub predictions: u64,
    /// Labels joined with them.
    pub labels: u64,
    /// Labels that agreed with their prediction.
    pub agreed: u64,
    /// When the first prediction was made.
    pub first_at: Timestamp,
    /// When the latest was made.
    pub last_at: Timestamp,
}

impl crate::Record for ServiceTraffic {
    const TABLE: &'static str = "service_traffic";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.service.clone(), format!("{}@{}", self.model, self.version))
    }
}
