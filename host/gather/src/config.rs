//! What to scrape and what to collect.

use crate::Period;
use serde::Deserialize;
use std::{collections::BTreeMap, time::Duration};

/// The shortest interval, so that a slip of the pen does not flood a target.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Prometheus' own default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

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
        Self { plugin: plugin.into(), target: String::new(), interval: fifteen_seconds(), labels: BTreeMap::new() }
    }

    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if self.plugin.is_empty() {
            return Err("plugin is empty; name a collector, such as plugin = \"collector-power\"".into());
        }
        interval(self.interval)
    }
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
    }
}
