//! The room's private records.

use serde::{Deserialize, Serialize};
use tandem_domain::{
    Record, Timestamp,
    meaning::Range,
    prediction::{FeatureValue, Prediction},
};

/// That a prediction is there, what it said, and its label once there is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptPrediction {
    pub service: String,
    pub id: String,
    pub model: String,
    pub version: String,
    pub sequence: u64,
    pub prediction: FeatureValue,
    pub label: Option<FeatureValue>,
    #[serde(default)]
    pub band: Option<Range>,
}

impl KeptPrediction {
    pub(super) fn new(prediction: &Prediction, sequence: u64, label: Option<FeatureValue>) -> Self {
        Self {
            service: prediction.service.clone(),
            id: prediction.id.clone(),
            model: prediction.model.clone(),
            version: prediction.version.clone(),
            sequence,
            prediction: prediction.prediction.clone(),
            label,
            band: prediction.band,
        }
    }
}

impl Record for KeptPrediction {
    const TABLE: &'static str = "kept_predictions";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.service.clone(), self.id.clone())
    }
}

/// A label whose prediction has not come yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnjoinedLabel {
    pub service: String,
    pub id: String,
    pub label: FeatureValue,
    pub at: Timestamp,
    /// Its place in the log: it is given up when that is trimmed.
    #[serde(default)]
    pub sequence: u64,
}

impl Record for UnjoinedLabel {
    const TABLE: &'static str = "unjoined_labels";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.service.clone(), self.id.clone())
    }
}
