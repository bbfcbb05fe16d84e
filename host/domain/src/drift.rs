//! Drift: what metrics are given, what they answer, and the report made of it.

use crate::{Record, Timestamp};
use serde::{Deserialize, Serialize};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Numbers.
    Numeric,
    /// Codes into a dictionary.
    Categorical,
    /// Rows of several numbers.
    Embedding,
}

/// A column as a metric is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDescription {
    /// Its name.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// For an embedding, how many values make one row; else 1.
    pub width: u32,
    /// What each code stands for.
    pub categories: Vec<String>,
}

/// Values of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnValues {
    /// NaN is missing. Embeddings are row after row.
    Numbers(Vec<f64>),
    /// `u32::MAX` is missing.
    Codes(Vec<u32>),
}

/// Rows of all columns, in the order of their descriptions.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// One entry per column.
    pub columns: Vec<ColumnValues>,
}

/// How a value was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// `psi/decile`, `ks/scipy` …
    pub id: String,
    /// The plugin's version.
    pub version: String,
    /// How bins were cut, or empty.
    pub binning: String,
    /// `e`, `2`, or empty.
    pub log_base: String,
    /// How empty bins are treated, or empty.
    pub smoothing: String,
}

/// One metric's answer for one column, or for all together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Index of the column; none for all together.
    pub column: Option<u32>,
    /// The distance or statistic.
    pub value: f64,
    /// Where the method is a test.
    pub p_value: Option<f64>,
    /// The bound it was held to.
    pub threshold: f64,
    /// Whether it is beyond the bound.
    pub drifted: bool,
    /// Rows of the reference that counted.
    pub reference_count: u64,
    /// Rows of the current sample that counted.
    pub current_count: u64,
    /// How it was computed.
    pub method: Method,
    /// Anything more.
    pub details: Vec<(String, String)>,
}

/// One line of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnDrift {
    /// Name of the column; none for all together.
    pub column: Option<String>,
    /// The metric plugin; empty where no metric was asked.
    pub plugin: String,
    /// Its answer, or why it has none.
    pub outcome: Result<Drift, crate::Failure>,
}

/// Where a report stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftState {
    /// Fewer columns drifted than the share that counts.
    Stable,
    /// As many or more.
    Drifted,
    /// Not enough rows to say: too few have a value, or they are no longer kept. The lines say which.
    InsufficientData,
    /// The metrics failed.
    Failed,
}

/// A comparison of a window of predictions with the reference of a service and version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// Its number.
    pub id: u64,
    /// The model service.
    pub service: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// When it was made.
    pub at: Timestamp,
    /// The reference window.
    pub reference: (Timestamp, Timestamp),
    /// The current window.
    pub current: (Timestamp, Timestamp),
    /// What it comes to.
    pub state: DriftState,
    /// Column by column, metric by metric.
    pub columns: Vec<ColumnDrift>,
    /// The version whose last predictions are the reference; none where it is the version's own first ones.
    #[serde(default)]
    pub reference_version: Option<String>,
}

/// The method of lines that say how many rows have no value for a column, beside how many had none in the reference. The
/// host measures it itself, since metrics leave out what is missing.
pub const MISSING_SHARE: &str = "missing-share";

/// The columns of a report that are what the model said; all others are what it was given.
pub const ANSWER_COLUMNS: [&str; 2] = ["prediction", "score"];

/// Whether a column is what the model said. (A feature of such a name stands as `feature.…` in a report.)
pub fn is_answer(column: &str) -> bool {
    ANSWER_COLUMNS.contains(&column)
}

impl DriftReport {
    /// Columns that moved, in the order of the report: those of which more than half of the metrics that could measure them
    /// say so, and those whose values are missing where they were not ([`MISSING_SHARE`]).
    pub fn moved(&self) -> Vec<&str> {
        moved(&self.columns)
    }
}

/// See [`DriftReport::moved`].
pub fn moved(lines: &[ColumnDrift]) -> Vec<&str> {
    let mut votes: Vec<(&str, usize, usize, bool)> = Vec::new();
    for line in lines {
        let (Some(name), Ok(drift)) = (line.column.as_deref(), &line.outcome) else { continue };
        let place = votes.iter().position(|(known, ..)| *known == name).unwrap_or_else(|| {
            votes.push((name, 0, 0, false));
            votes.len() - 1
        });
        let vote = &mut votes[place];
        if drift.method.id == MISSING_SHARE {
            vote.3 |= drift.drifted;
        } else {
            vote.1 += usize::from(drift.drifted);
            vote.2 += 1;
        }
    }
    votes
        .into_iter()
        .filter(|(_, drifted, all, missing)| *missing || drifted * 2 > *all)
        .map(|(name, ..)| name)
        .collect()
}

/// How long a report speaks for its service, in milliseconds: a day, so that a service with a daily rhythm keeps its answer
/// through the night. Later it says nothing of now.
pub const REPORT_HOLDS_MILLIS: i64 = 24 * 3_600_000;

/// Where a version of a service's model stands by its latest report, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftStanding {
    /// The model service.
    pub service: String,
    /// The model.
    pub model: String,
    /// Its version.
    pub version: String,
    /// What the latest report comes to.
    pub state: DriftState,
    /// Since when the reports come to that, without a gap longer than a report holds.
    pub since: Timestamp,
    /// The latest report.
    pub report: u64,
    /// When it was made.
    pub at: Timestamp,
}

impl DriftStanding {
    /// Where a report puts its subject, given where that stood before.
    pub fn after(before: Option<&DriftStanding>, report: &DriftReport) -> Self {
        let holds_on = |before: &&DriftStanding| before.state == report.state && before.holds_until() >= report.at;
        Self {
            service: report.service.clone(),
            model: report.model.clone(),
            version: report.version.clone(),
            state: report.state,
            since: before.filter(holds_on).map_or(report.at, |before| before.since),
            report: report.id,
            at: report.at,
        }
    }

    /// Until when its report speaks for the service.
    pub fn holds_until(&self) -> Timestamp {
        self.at.plus_millis(REPORT_HOLDS_MILLIS)
    }
}

impl Record for DriftStanding {
    const TABLE: &'static str = "drift_standings";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.service.clone(), format!("{}@{}", self.model, self.version))
    }
}

impl Record for DriftReport {
    const TABLE: &'static str = "drift_reports";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        self.id
    }
}
