//! What to scrape and what to collect.

use crate::{
    Period,
    limits::{
        MAX_LABEL_NAME_BYTES, MAX_LABEL_VALUE_BYTES, MAX_LABELS_PER_SERIES, MAX_SCRAPED_AGE_MILLIS, SampleLimits,
    },
    push::PUSHED,
    schedule::instance_of,
};
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};
use tandem_wire::exposition;

/// The shortest interval, so that a slip of the pen does not flood a target.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Prometheus' own default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time for one collection: beyond it nobody waits for the answer, and a plugin instance is held by it.
const LONGEST_COLLECTION: Duration = Duration::from_secs(600);

/// Prometheus or OpenMetrics endpoints that the host scrapes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapeConfig {
    /// Names the kind of thing scraped; part of every target's identity.
    pub job: String,
    /// `host:port` of each endpoint.
    pub targets: Vec<String>,
    /// `http` or `https`.
    #[serde(default = "http")]
    pub scheme: String,
    /// Where the metrics are.
    #[serde(default = "metrics_path")]
    pub path: String,
    /// How often.
    #[serde(default = "fifteen_seconds")]
    pub interval: Period,
    /// How long one scrape may take; at most the interval. Ten seconds when absent, or the interval where that is shorter.
    pub timeout: Option<Period>,
    /// What the operator knows of the targets, such as `service`, `gpu_uuid`, `powered_by`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// A page with more samples is refused whole; absent for no limit but that of the body.
    pub sample_limit: Option<usize>,
    /// Whether the page's own `job` and `instance` labels say whose a series is: for what passes on what others measured,
    /// such as a Prometheus that is federated or a Pushgateway. Otherwise they are labels like any other.
    #[serde(default)]
    pub honor_labels: bool,
    /// A sample whose series has more labels is rejected; 96 when absent.
    pub label_limit: Option<usize>,
    /// A sample with a longer label or metric name, in bytes, is rejected; 512 when absent.
    pub label_name_length_limit: Option<usize>,
    /// A sample with a longer label value, in bytes, is rejected; 4096 when absent.
    pub label_value_length_limit: Option<usize>,
}

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

fn http() -> String {
    "http".into()
}

fn metrics_path() -> String {
    "/metrics".into()
}

fn fifteen_seconds() -> Period {
    Period::seconds(15)
}

impl ScrapeConfig {
    /// How long one scrape may take.
    pub fn timeout(&self) -> Duration {
        self.timeout.map_or(DEFAULT_TIMEOUT.min(self.interval.0), |timeout| timeout.0)
    }

    /// What samples must keep to.
    pub(crate) fn limits(&self) -> SampleLimits {
        SampleLimits {
            labels: self.label_limit.unwrap_or(MAX_LABELS_PER_SERIES),
            label_name_bytes: self.label_name_length_limit.unwrap_or(MAX_LABEL_NAME_BYTES),
            label_value_bytes: self.label_value_length_limit.unwrap_or(MAX_LABEL_VALUE_BYTES),
            age_millis: MAX_SCRAPED_AGE_MILLIS,
        }
    }

    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if self.job.is_empty() {
            return Err("job is empty; give the kind of thing that is scraped, such as job = \"node\"".into());
        }
        if !["http", "https"].contains(&self.scheme.as_str()) {
            return Err(format!("scheme is {:?}; give \"http\" or \"https\"", self.scheme));
        }
        if !self.path.starts_with('/') {
            return Err(format!("path is {:?}; give one that begins with /", self.path));
        }
        if let Some(target) = self.targets.iter().find(|target| target.is_empty() || target.contains(['/', ' ', '@'])) {
            return Err(format!("target {target:?} is not host:port; scheme and path have keys of their own"));
        }
        if self.label_limit.is_some_and(|limit| limit > exposition::MAX_LABELS) {
            return Err(format!(
                "label_limit is above {}, and lines with more labels are not read; give at most so many",
                exposition::MAX_LABELS
            ));
        }
        interval(self.interval)?;
        if self.timeout() > self.interval.0 {
            return Err("timeout is longer than interval; a target is never scraped twice at once".into());
        }
        Ok(())
    }
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
        interval(self.interval)
    }
}

/// Checks that no target is configured twice: it would be visited twice at once, and each visit would overwrite the other's
/// state, series and cursor.
///
/// # Errors
/// The key of the later entry, such as `scrape.1`, and in words: which target, the earlier entry, and what to do.
pub fn check_targets(scrapes: &[ScrapeConfig], collects: &[CollectConfig]) -> Result<(), (String, String)> {
    let scraped = scrapes.iter().enumerate().flat_map(|(index, scrape)| {
        let targets = scrape.targets.iter();
        targets.map(move |target| ((scrape.job.as_str(), target.as_str()), format!("scrape.{index}")))
    });
    let collected = collects
        .iter()
        .enumerate()
        .map(|(index, collect)| ((collect.plugin.as_str(), instance_of(collect)), format!("collect.{index}")));
    let mut seen: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for ((job, target), key) in scraped.chain(collected) {
        let Some(earlier) = seen.insert((job, target), key.clone()) else { continue };
        let remedy = match (key == earlier, key.starts_with("scrape") || earlier.starts_with("scrape")) {
            (true, _) => "list it once",
            (false, true) => "remove one of them, or give one another job, such as the job's name with -2 at its end",
            (false, false) => "remove one of them: a plugin reads a target once",
        };
        let problem =
            format!("target {target:?} of job {job:?} is configured already by {earlier} (counted from 0); {remedy}");
        return Err((key, problem));
    }
    Ok(())
}

fn interval(interval: Period) -> Result<(), String> {
    if interval.0 < SHORTEST_INTERVAL {
        return Err("interval is below 100ms; give a longer one".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_interval_shortens_the_timeout_that_was_not_given() {
        let read = |text: &str| serde_json::from_str::<ScrapeConfig>(text).expect("a config");
        let short = read(r#"{"job": "j", "targets": ["h:1"], "interval": "5s"}"#);
        assert_eq!((short.timeout(), short.validate()), (Duration::from_secs(5), Ok(())));
        let long = read(r#"{"job": "j", "targets": ["h:1"]}"#);
        assert_eq!(long.timeout(), DEFAULT_TIMEOUT);
        let wrong = read(r#"{"job": "j", "targets": ["h:1"], "interval": "5s", "timeout": "6s"}"#);
        assert!(wrong.validate().is_err());
        let wide = read(r#"{"job": "j", "targets": ["h:1"], "label_limit": 500}"#);
        assert!(wide.validate().expect_err("not read").contains("above 128"));
    }

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
