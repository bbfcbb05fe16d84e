//! What to scrape. Keys are those of Prometheus' `scrape_configs` where they mean the same, beside the shorter own ones.

use super::{
    client::{UrlParameters, with_client_keys},
    discovery::{FileSdConfig, HttpSdConfig, KubernetesSdConfig},
};
use crate::{
    Period,
    config::interval_is_long_enough,
    limits::{
        MAX_LABEL_NAME_BYTES, MAX_LABEL_VALUE_BYTES, MAX_LABELS_PER_SERIES, MAX_SCRAPED_AGE_MILLIS, SampleLimits,
    },
};
use serde::{Deserialize, Deserializer, de};
use std::{collections::BTreeMap, time::Duration};
use tandem_domain::destination::DestinationGrant;
use tandem_wire::{
    exposition,
    relabel::{RelabelConfig, Relabeling},
};

/// Prometheus' own default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest page, in bytes after decompression, when the operator does not say: a kube-state-metrics of a large cluster is some
/// 100 MiB.
const MAX_PAGE_BYTES: usize = 128 << 20;
/// Dropped targets that are kept to be shown of one job, when the operator does not say: a cluster has thousands of pods, of
/// which a job takes some.
const MAX_DROPPED_SHOWN: usize = 1_000;

with_client_keys! {
    /// Prometheus or OpenMetrics endpoints that the host scrapes.
    #[derive(Debug, Clone, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct ScrapeConfig {
        /// Names the kind of thing scraped; the label `job` of its targets.
        #[serde(alias = "job_name")]
        pub job: String,
        /// `host:port` of each endpoint.
        #[serde(default)]
        pub targets: Vec<String>,
        /// What the operator knows of the targets, such as `service`, `gpu_uuid`, `powered_by`: labels of all their series.
        #[serde(default)]
        pub labels: BTreeMap<String, String>,
        /// Endpoints with labels of their own.
        #[serde(default)]
        pub static_configs: Vec<StaticConfig>,
        /// Endpoints that files list.
        #[serde(default)]
        pub file_sd_configs: Vec<FileSdConfig>,
        /// Endpoints that an HTTP server lists.
        #[serde(default)]
        pub http_sd_configs: Vec<HttpSdConfig>,
        /// Endpoints that Kubernetes' API lists.
        #[serde(default)]
        pub kubernetes_sd_configs: Vec<KubernetesSdConfig>,
        /// `http` or `https`.
        #[serde(default = "http")]
        pub scheme: String,
        /// Where the metrics are.
        #[serde(default = "metrics_path", alias = "metrics_path")]
        pub path: String,
        /// What follows the path in the address.
        #[serde(default)]
        pub params: UrlParameters,
        /// How often.
        #[serde(default = "fifteen_seconds", alias = "scrape_interval")]
        pub interval: Period,
        /// How long one scrape may take; at most the interval. Ten seconds when absent, or the interval where that is shorter.
        #[serde(alias = "scrape_timeout")]
        pub timeout: Option<Period>,
        /// Choose targets by their labels and rewrite these, before they are scraped.
        #[serde(default)]
        pub relabel_configs: Vec<RelabelConfig>,
        /// Choose series by their labels and rewrite these, before they are kept.
        #[serde(default)]
        pub metric_relabel_configs: Vec<RelabelConfig>,
        /// Whether the page's own labels count where the target has them too: for what passes on what others measured, such as
        /// a Prometheus that is federated or a Pushgateway. Otherwise the page's become `exported_…`.
        #[serde(default)]
        pub honor_labels: bool,
        /// Whether the page's own times count.
        #[serde(default = "yes")]
        pub honor_timestamps: bool,
        /// Whether a series with times of its own ends when the page no longer has it.
        #[serde(default)]
        pub track_timestamps_staleness: bool,
        /// A longer page, after decompression, is refused; 128MiB when absent.
        #[serde(default, deserialize_with = "bytes")]
        pub body_size_limit: Option<usize>,
        /// A page with more samples (after relabelling) is refused whole; absent or 0 for no limit but that of the body.
        pub sample_limit: Option<usize>,
        /// With more targets (after relabelling) none is scraped; absent or 0 for no limit.
        pub target_limit: Option<usize>,
        /// A sample whose series has more labels is rejected; 96 when absent.
        pub label_limit: Option<usize>,
        /// A sample with a longer label or metric name, in bytes, is rejected; 512 when absent.
        pub label_name_length_limit: Option<usize>,
        /// A sample with a longer label value, in bytes, is rejected; 4096 when absent.
        pub label_value_length_limit: Option<usize>,
        /// Targets that relabelling dropped and that are still shown; 1000 when absent, all when 0.
        pub keep_dropped_targets: Option<usize>,
        /// Whether `scrape_timeout_seconds`, `scrape_sample_limit` and `scrape_body_size_bytes` are told beside `up`.
        #[serde(default)]
        pub extra_scrape_metrics: bool,
    }
}

/// Endpoints with labels of their own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StaticConfig {
    /// `host:port` of each.
    pub targets: Vec<String>,
    /// Labels of all of them.
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

fn yes() -> bool {
    true
}

/// Reads `10MB`, `10MiB` or a number of bytes; 0 is no limit. `MB` is 2^20 bytes, as for Prometheus.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(usize),
        Text(String),
    }
    let read = match Written::deserialize(deserializer)? {
        Written::Number(bytes) => Ok(bytes),
        Written::Text(text) => amount(&text).ok_or(text),
    };
    let read = read.map_err(|text| de::Error::custom(format!("{text:?} is no amount; write it like \"10MiB\"")))?;
    Ok((read > 0).then_some(read))
}

fn amount(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let shift = match &text[digits..] {
        "" | "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        _ => return None,
    };
    text[..digits].parse::<usize>().ok()?.checked_mul(1 << shift)
}

/// An absent limit and one of 0 are none.
fn limit(given: Option<usize>) -> Option<usize> {
    given.filter(|limit| *limit > 0)
}

impl ScrapeConfig {
    /// How long one scrape may take.
    pub fn timeout(&self) -> Duration {
        self.timeout.map_or(DEFAULT_TIMEOUT.min(self.interval.0), |timeout| timeout.0)
    }

    /// What samples must keep to.
    pub(crate) fn limits(&self) -> SampleLimits {
        SampleLimits {
            labels: limit(self.label_limit).unwrap_or(MAX_LABELS_PER_SERIES),
            label_name_bytes: limit(self.label_name_length_limit).unwrap_or(MAX_LABEL_NAME_BYTES),
            label_value_bytes: limit(self.label_value_length_limit).unwrap_or(MAX_LABEL_VALUE_BYTES),
            age_millis: MAX_SCRAPED_AGE_MILLIS,
        }
    }

    /// Longest page, in bytes.
    pub(crate) fn page_bytes(&self) -> usize {
        self.body_size_limit.unwrap_or(MAX_PAGE_BYTES)
    }

    /// Most samples of a page.
    pub(crate) fn samples(&self) -> Option<usize> {
        limit(self.sample_limit)
    }

    /// Most targets.
    pub(crate) fn target_count(&self) -> Option<usize> {
        limit(self.target_limit)
    }

    /// Dropped targets that are shown.
    pub(crate) fn dropped_shown(&self) -> usize {
        self.keep_dropped_targets.map_or(MAX_DROPPED_SHOWN, |kept| if kept == 0 { usize::MAX } else { kept })
    }

    /// Endpoints that stand in the configuration itself.
    pub(crate) fn statics(&self) -> Vec<StaticConfig> {
        let mut all = self.static_configs.clone();
        if !self.targets.is_empty() {
            all.insert(0, StaticConfig { targets: self.targets.clone(), labels: self.labels.clone() });
        }
        all
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
        for target in self.statics().iter().flat_map(|group| &group.targets) {
            if target.is_empty() || target.contains(['/', ' ', '@']) {
                return Err(format!("target {target:?} is not host:port; scheme and path have keys of their own"));
            }
        }
        if self.label_limit.is_some_and(|limit| limit > exposition::MAX_LABELS) {
            return Err(format!(
                "label_limit is above {}, and lines with more labels are not read; give at most so many",
                exposition::MAX_LABELS
            ));
        }
        interval_is_long_enough(self.interval)?;
        if self.timeout() > self.interval.0 {
            return Err("timeout is longer than interval; a target is never scraped twice at once".into());
        }
        if self.timeout().is_zero() {
            return Err("timeout is 0; give a longer one".into());
        }
        DestinationGrant::parse(&self.allow_http).map_err(|error| format!("allow_http: {error}"))?;
        self.client()?;
        Relabeling::compile("relabel_configs", &self.relabel_configs)?;
        Relabeling::compile("metric_relabel_configs", &self.metric_relabel_configs)?;
        self.validate_discovery()
    }

    fn validate_discovery(&self) -> Result<(), String> {
        let finds = !self.file_sd_configs.is_empty()
            || !self.http_sd_configs.is_empty()
            || !self.kubernetes_sd_configs.is_empty();
        if !finds && self.statics().is_empty() {
            return Err(
                "it names no target; give targets = [\"host:port\"] or one of static_configs, file_sd_configs, \
                        http_sd_configs and kubernetes_sd_configs"
                    .into(),
            );
        }
        if !self.labels.is_empty() && self.targets.is_empty() {
            return Err("labels are those of targets, and there are none; give labels to static_configs, or set them \
                        with relabel_configs"
                .into());
        }
        let at = |key: &str, index: usize, problem: String| format!("{key}.{index}: {problem}");
        for (index, config) in self.file_sd_configs.iter().enumerate() {
            config.validate().map_err(|problem| at("file_sd_configs", index, problem))?;
        }
        for (index, config) in self.http_sd_configs.iter().enumerate() {
            config.validate().map_err(|problem| at("http_sd_configs", index, problem))?;
        }
        for (index, config) in self.kubernetes_sd_configs.iter().enumerate() {
            config.validate().map_err(|problem| at("kubernetes_sd_configs", index, problem))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> ScrapeConfig {
        serde_json::from_str(json).expect("a config")
    }

    #[test]
    fn a_short_interval_shortens_the_timeout_that_was_not_given() {
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
    fn prometheus_names_are_known_and_its_mistakes_are_told() {
        let config = read(
            r#"{"job_name": "j", "scrape_interval": "1m", "metrics_path": "/m", "body_size_limit": "2MB",
                "static_configs": [{"targets": ["h:1"], "labels": {"a": "b"}}], "sample_limit": 0}"#,
        );
        assert_eq!(config.validate(), Ok(()));
        assert_eq!((config.interval, config.path.as_str()), (Period::seconds(60), "/m"));
        assert_eq!((config.page_bytes(), config.samples()), (2 << 20, None));
        for (json, part) in [
            (r#"{"job": "j"}"#, "names no target"),
            (r#"{"job": "j", "targets": ["h:1"], "relabel_configs": [{"regex": "("}]}"#, "relabel_configs.0"),
            (
                r#"{"job": "j", "targets": ["h:1"], "bearer_token": "t", "basic_auth": {"username": "u"}}"#,
                "at most one",
            ),
            (r#"{"job": "j", "file_sd_configs": [{"files": ["a.txt"]}]}"#, "file_sd_configs.0"),
            (r#"{"job": "j", "targets": ["h:1"], "allow_http": ["http://x"]}"#, "allow_http"),
        ] {
            let said = read(json).validate().expect_err(json);
            assert!(said.contains(part), "{said}");
        }
    }
}
