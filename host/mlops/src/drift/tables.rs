//! The room's private records.

use serde::{Deserialize, Serialize};
use tandem_domain::{Record, Timestamp, drift::ColumnDescription, prediction::Prediction};

/// One version of one service's model, with its windows by sequence number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct DriftSubject {
    pub service: String,
    pub model: String,
    pub version: String,
    pub reference: Vec<u64>,
    pub reference_span: (Timestamp, Timestamp),
    pub current: Vec<u64>,
    /// Rows since the last report.
    pub unreported: u64,
    /// Once the reference was described.
    pub columns: Vec<ColumnDescription>,
    /// How many rows of the reference have a value, by column.
    #[serde(default)]
    pub reference_present: Vec<u64>,
}

impl DriftSubject {
    pub(super) fn of(prediction: &Prediction) -> Self {
        Self {
            service: prediction.service.clone(),
            model: prediction.model.clone(),
            version: prediction.version.clone(),
            reference: Vec::new(),
            reference_span: (Timestamp(0), Timestamp(0)),
            current: Vec::new(),
            unreported: 0,
            columns: Vec::new(),
            reference_present: Vec::new(),
        }
    }
}

impl Record for DriftSubject {
    const TABLE: &'static str = "drift_subjects";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.service.clone(), format!("{}@{}", self.model, self.version))
    }
}

/// A reference column as one metric has fitted it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FittedColumn {
    pub key: (String, String),
    pub plugin_digest: String,
    #[serde(with = "serde_bytes")]
    pub state: Vec<u8>,
}

impl FittedColumn {
    pub(super) fn key_of(subject: &DriftSubject, plugin: &str, column: &str) -> (String, String) {
        (format!("{}\n{}@{}", subject.service, subject.model, subject.version), format!("{plugin}\n{column}"))
    }
}

impl Record for FittedColumn {
    const TABLE: &'static str = "fitted_columns";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        self.key.clone()
    }
}
