//! What the rule room counts, by group.

use crate::metrics::MetricSample;
use std::{collections::BTreeMap, sync::Mutex};

/// Counts of one group.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct GroupCounts {
    pub evaluations: u64,
    pub failures: u64,
    pub iterations: u64,
    pub failed_iterations: u64,
    pub missed: u64,
    pub samples: u64,
    pub seconds: f64,
    pub last_seconds: f64,
}

/// Counters of the rule room.
#[derive(Debug, Default)]
pub struct RuleMetrics {
    groups: Mutex<BTreeMap<String, GroupCounts>>,
}

/// Name, help, and how it is read.
type Reading = (&'static str, &'static str, fn(&GroupCounts) -> f64);

const READINGS: [Reading; 8] = [
    ("tandem_rule_evaluations_total", "Rules evaluated.", |counts| counts.evaluations as f64),
    ("tandem_rule_evaluation_failures_total", "Rules whose evaluation failed.", |counts| counts.failures as f64),
    ("tandem_rule_group_iterations_total", "Evaluations of the group.", |counts| counts.iterations as f64),
    ("tandem_rule_group_iterations_failed_total", "Evaluations of the group of which nothing was kept.", |counts| {
        counts.failed_iterations as f64
    }),
    (
        "tandem_rule_group_iterations_missed_total",
        "Evaluations left out because an earlier one took too long.",
        |counts| counts.missed as f64,
    ),
    ("tandem_rule_group_samples_total", "Samples the group wrote.", |counts| counts.samples as f64),
    ("tandem_rule_group_seconds_total", "Time its evaluations took.", |counts| counts.seconds),
    ("tandem_rule_group_last_seconds", "Time its last evaluation took.", |counts| counts.last_seconds),
];

impl RuleMetrics {
    /// Counts for a group, named `file;group` as Prometheus does.
    pub(super) fn count(&self, group: &str, count: impl FnOnce(&mut GroupCounts)) {
        let mut groups = self.groups.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        count(groups.entry(group.to_owned()).or_default());
    }

    /// Forgets groups that are gone.
    pub(super) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        self.groups.lock().unwrap_or_else(std::sync::PoisonError::into_inner).retain(|name, _| is_there(name));
    }

    /// As shown.
    pub fn samples(&self) -> Vec<MetricSample> {
        let groups = self.groups.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let of = |(name, help, read): &Reading| {
            let (name, help, read) = (*name, *help, *read);
            let sample = move |(group, counts): (&String, &GroupCounts)| MetricSample {
                name,
                help,
                labels: vec![("rule_group", group.clone())],
                value: read(counts),
            };
            groups.iter().map(sample).collect::<Vec<_>>()
        };
        READINGS.iter().flat_map(of).collect()
    }
}
