//! What the rule room keeps: how each group fared, and how each rule stands. Readable for whoever tells of rules; committed
//! together with the series and alerts that came of it.

use serde::{Deserialize, Serialize};
use tandem_domain::{Record, Timestamp, rule::Rule, series::Labels};

/// A group as it is evaluated, and how its last evaluation went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    /// The file it comes from.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Where it stands among all groups, from 0: files in order, groups as in their file.
    pub place: u64,
    /// How often it is evaluated, in milliseconds.
    pub interval_millis: i64,
    /// Series or alerts that one rule may come to; 0 for no limit.
    pub limit: usize,
    /// The moment of the last evaluation.
    pub evaluated_at: Option<Timestamp>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Its rules in order.
    pub rules: Vec<RuleRun>,
}

impl Record for GroupState {
    const TABLE: &'static str = "rule_groups";
    const VERSION: u16 = 1;
    type Key = (String, String);
    fn key(&self) -> (String, String) {
        (self.file.clone(), self.name.clone())
    }
}

/// A rule and how its last evaluation went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleRun {
    /// The key of its [`RuleState`].
    pub id: String,
    /// The rule.
    pub rule: Rule,
    /// Whether it was evaluated, and well.
    pub health: Health,
    /// Why it failed, when it did.
    pub last_error: Option<String>,
    /// When it was last evaluated.
    pub evaluated_at: Option<Timestamp>,
    /// How long that took, in seconds.
    pub seconds: f64,
}

/// How a rule's last evaluation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It was not evaluated yet.
    Unknown,
    /// Well.
    Ok,
    /// It failed.
    Err,
}

/// How a rule stands: what it last came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleState {
    /// Its identity: file, group, name and labels, whatever its expression.
    pub id: String,
    /// Series it last wrote, with all labels; those that are missing the next time have ended.
    pub series: Vec<Labels>,
    /// Its alerts that are pending or firing.
    pub alerts: Vec<ActiveAlert>,
}

impl Record for RuleState {
    const TABLE: &'static str = "rule_states";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// Whether an alert of a rule has been so for long enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// Not yet.
    Pending,
    /// It has.
    Firing,
}

/// An alert of a rule: one series that its expression came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// Its identity in its rule; `alertname` among them.
    pub labels: Labels,
    /// What people are told.
    pub annotations: Labels,
    /// Whether it fires.
    pub activity: Activity,
    /// Since when it has been so.
    pub active_at: Timestamp,
    /// Since when it fires.
    pub fired_at: Option<Timestamp>,
    /// Since when it fires though it is no longer so.
    pub kept_since: Option<Timestamp>,
    /// When it last was so.
    pub seen_at: Timestamp,
    /// When it was last told on.
    pub told_at: Option<Timestamp>,
    /// The annotations it was told with.
    pub told_annotations: Labels,
    /// The last value.
    pub value: f64,
}
