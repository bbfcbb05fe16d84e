//! What to collect, and that no target is configured twice.

use crate::{Period, ScrapeConfig, push::PUSHED, schedule::instance_of};
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};

/// The shortest interval, so that a slip of the pen does not flood a target.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// The longest time for one collection: beyond it nobody waits for the answer, and a plugin instance is held by it.
const LONGEST_COLLECTION: Duration = Duration::from_secs(600);

/// A collecting plugin and what it shall read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectConfig {
    /// The collector.
    pub plugin: String,
    /// An address as the collector understands it; this machine when absent.
    #[serde(default)]
    pub target: String,
    /// How often.
    #[serde(default = "fifteen_seconds")]
    pub interval: Period,
    /// How long one collection may take; 30 s when absent. Where it is longer than the interval, visits are left out.
    pub timeout: Option<Period>,
    /// What the operator knows of the target.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

fn fifteen_seconds() -> Period {
    Period::seconds(15)
}

impl CollectConfig {
    /// This machine, read by a collector.
    pub fn this_machine(plugin: impl Into<String>) -> Self {
        Self {
            plugin: plugin.into(),
            target: String::new(),
            interval: fifteen_seconds(),
            timeout: None,
            labels: BTreeMap::new(),
        }
    }

    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if self.plugin.is_empty() {
            return Err("plugin is empty; name a collector, such as plugin = \"collector-power\"".into());
        }
        if self.target == PUSHED {
            return Err(format!(
                "target is {PUSHED:?}, under which stands what is pushed to the plugin; give an address"
            ));
        }
        if let Some(timeout) = self.timeout
            && !(SHORTEST_INTERVAL..=LONGEST_COLLECTION).contains(&timeout.0)
        {
            return Err(format!("timeout must be 100ms to {}s", LONGEST_COLLECTION.as_secs()));
        }
        interval_is_long_enough(self.interval)
    }
}

/// Checks that no target is configured twice: it would be visited twice at once, and the samples of both visits would be of
/// the same series. Scraped targets may be told apart by labels; what relabelling or discovery brings together is told when it
/// happens.
///
/// # Errors
/// The key of the later entry, such as `scrape.1`, and in words: which target, the earlier entry, and what to do.
pub fn check_targets(scrapes: &[ScrapeConfig], collects: &[CollectConfig]) -> Result<(), (String, String)> {
    let mut planned = Vec::new();
    for (index, scrape) in scrapes.iter().enumerate().filter(|(_, scrape)| scrape.relabel_configs.is_empty()) {
        for group in scrape.statics() {
            let named = |target: String| (scrape.job.clone(), target, group.labels.clone(), format!("scrape.{index}"));
            planned.extend(group.targets.into_iter().map(named));
        }
    }
    for (index, collect) in collects.iter().enumerate() {
        let instance = instance_of(collect).to_owned();
        planned.push((collect.plugin.clone(), instance, BTreeMap::new(), format!("collect.{index}")));
    }
    let mut seen = BTreeMap::new();
    for (job, target, labels, key) in planned {
        let Some(earlier) = seen.insert((job.clone(), target.clone(), labels), key.clone()) else { continue };
        let remedy = match (key == earlier, key.starts_with("scrape") || earlier.starts_with("scrape")) {
            (true, _) => "list it once",
            (false, true) => "remove one of them, or give one another job or a label that tells them apart",
            (false, false) => "remove one of them: a plugin reads a target once",
        };
        let problem =
            format!("target {target:?} of job {job:?} is configured already by {earlier} (counted from 0); {remedy}");
        return Err((key, problem));
    }
    Ok(())
}

/// Checks an interval.
///
/// # Errors
/// In words.
pub(crate) fn interval_is_long_enough(interval: Period) -> Result<(), String> {
    if interval.0 < SHORTEST_INTERVAL {
        return Err("interval is below 100ms; give a longer one".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_configured_twice_is_told_with_both_entries() {
        let scrape = |text: &str| serde_json::from_str::<ScrapeConfig>(text).expect("a config");
        let node = scrape(r#"{"job": "node", "targets": ["h:1", "h:2"]}"#);
        let more = scrape(r#"{"job": "node", "targets": ["h:3", "h:2"], "path": "/more"}"#);
        let (key, problem) = check_targets(&[node.clone(), more], &[]).expect_err("twice");
        assert_eq!(key, "scrape.1");
        assert!(problem.contains("\"h:2\" of job \"node\"") && problem.contains("by scrape.0"), "{problem}");
        let twice = scrape(r#"{"job": "node", "targets": ["h:1", "h:1"]}"#);
        assert!(check_targets(&[twice], &[]).expect_err("twice").1.ends_with("list it once"));
        let told_apart = r#"{"job": "node", "targets": ["h:1"], "path": "/more", "labels": {"page": "more"}}"#;
        assert_eq!(check_targets(&[node.clone(), scrape(told_apart)], &[]), Ok(()));
        let other_job = scrape(r#"{"job": "node-2", "targets": ["h:2"]}"#);
        let here = CollectConfig::this_machine("collector-host");
        assert_eq!(check_targets(&[node, other_job], std::slice::from_ref(&here)), Ok(()));
        let there = CollectConfig { target: "local".into(), ..here.clone() };
        let (key, problem) = check_targets(&[], &[here, there]).expect_err("twice");
        assert_eq!(key, "collect.1");
        assert!(problem.contains("by collect.0") && problem.contains("reads a target once"), "{problem}");
    }

    #[test]
    fn what_is_pushed_and_the_time_for_a_collection_are_kept_apart_and_bounded() {
        let read = |text: &str| serde_json::from_str::<CollectConfig>(text).expect("a config").validate();
        assert!(read(r#"{"plugin": "p", "target": "push"}"#).expect_err("taken").contains("is pushed to the plugin"));
        assert!(read(r#"{"plugin": "p", "timeout": "1h"}"#).expect_err("too long").contains("600s"));
        assert_eq!(read(r#"{"plugin": "p", "interval": "30s", "timeout": "2m"}"#), Ok(()));
    }
}
