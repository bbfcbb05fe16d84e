//! Rules as people write them in Prometheus' rule files: expressions that become series, and expressions that become alerts.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rules that are evaluated together and one after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleGroup {
    /// Its name, once in its file.
    pub name: String,
    /// How often it is evaluated, in milliseconds; as the server does by default when absent.
    pub interval_millis: Option<i64>,
    /// How far back its expressions look, in milliseconds, for data that arrive late; as the server does when absent.
    pub query_offset_millis: Option<i64>,
    /// Series or alerts that one of its rules may come to; 0 for no limit.
    pub limit: usize,
    /// In the order they are evaluated.
    pub rules: Vec<Rule>,
    /// Where it begins in its file, from 1.
    pub line: usize,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The name of the series it writes, or of its alert.
    pub name: String,
    /// The expression, as written.
    pub expr: String,
    /// Labels that are set on what it comes to; those of its group among them. An empty one takes a label away.
    pub labels: BTreeMap<String, String>,
    /// Whether it records or alerts.
    pub kind: RuleKind,
    /// Where it begins in its file, from 1.
    pub line: usize,
}

/// What becomes of a rule's expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleKind {
    /// Series.
    Recording,
    /// Alerts.
    Alerting {
        /// How long it must be so before the alert fires, in milliseconds.
        for_millis: i64,
        /// How long it goes on firing when it is no longer so, in milliseconds.
        keep_firing_for_millis: i64,
        /// What people are told; templates.
        annotations: BTreeMap<String, String>,
    },
}

impl Rule {
    /// Whether it alerts.
    pub fn is_alerting(&self) -> bool {
        matches!(self.kind, RuleKind::Alerting { .. })
    }
}

/// One thing that is wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{}{problem}", told_line(*.line), told_name("group", .group), told_name("rule", .rule))]
pub struct RuleProblem {
    /// The line, from 1, when it can be told.
    pub line: Option<usize>,
    /// The group's name, inside of one.
    pub group: Option<String>,
    /// The rule's name, inside of one.
    pub rule: Option<String>,
    /// What is wrong, and what to do.
    pub problem: String,
}

fn told_line(line: Option<usize>) -> String {
    line.map(|line| format!("{line}: ")).unwrap_or_default()
}

fn told_name(what: &str, name: &Option<String>) -> String {
    name.as_ref().map(|name| format!("{what} {name:?}: ")).unwrap_or_default()
}
