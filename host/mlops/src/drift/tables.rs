//! The room's private records.

use serde::{Deserialize, Serialize};
use tandem_domain::{
    Record, Timestamp,
    drift::{ColumnDescription, DriftReport, DriftState},
    prediction::Prediction,
};

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
    /// The version whose last rows are the reference; none where it is its own first rows.
    #[serde(default)]
    pub reference_version: Option<String>,
    /// Rows since the last comparison, whether it became a report or not.
    #[serde(default)]
    pub uncompared: u64,
    /// What the last comparison would have reported, when that was news: it is reported when the next one says the same.
    #[serde(default)]
    pub suspected: Option<Suspected>,
}

/// See [`DriftSubject::suspected`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Suspected {
    pub state: DriftState,
    pub moved: Vec<String>,
}

impl Suspected {
    pub(super) fn of(report: &DriftReport) -> Self {
        Self { state: report.state, moved: report.moved().into_iter().map(str::to_owned).collect() }
    }

    /// Whether both say the same of at least one column. Which further ones pass their bounds changes from look to look.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let both_none = self.moved.is_empty() && other.moved.is_empty();
        self.state == other.state && (both_none || self.moved.iter().any(|column| other.moved.contains(column)))
    }
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
            reference_version: None,
            uncompared: 0,
            suspected: None,
        }
    }
}

impl DriftSubject {
    /// A new version that is held against the last rows of the one before it.
    pub(super) fn after(prediction: &Prediction, before: &DriftSubject, rows: Vec<u64>) -> Self {
        Self { reference: rows, reference_version: Some(before.version.clone()), ..Self::of(prediction) }
    }

    /// The place of its newest row; 0 before the first.
    pub(super) fn newest(&self) -> u64 {
        self.current.last().or(self.reference.last().filter(|_| self.reference_version.is_none())).copied().unwrap_or(0)
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
