//! `tandem.toml`: every key optional, unknown keys are errors. The server only composes; what a room is told, the room's own
//! config type says, with its defaults and checks.

mod explain;
mod plugins;
mod store;

pub use explain::ConfigError;
pub(crate) use plugins::read_secret;
pub use plugins::{Bytes, PluginConfig};
pub use store::StoreConfig;

use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tandem_gather::{Period, sent::LabelLimits};
use tandem_query::DEFAULT_SHARED_SAMPLES;
use tandem_store::SeriesLimits;
use tandem_wire::limits::WireLimits;

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the server listens. Only loopback as long as there are no tokens.
    pub listen: SocketAddr,
    /// The folder of the store, the cache of compiled plugins, and `plugins/`.
    pub data: PathBuf,
    /// What the server logs: `error`, `warn`, `info`, `debug`, or filters such as `info,tandem_gather=debug`.
    pub log: String,
    /// Prometheus and OpenMetrics endpoints to scrape.
    pub scrape: Vec<tandem_gather::ScrapeConfig>,
    /// A configuration of Prometheus whose `scrape_configs` are scraped too, unchanged.
    pub prometheus_config: Option<PathBuf>,
    /// What of it was not taken over, each with its place.
    #[serde(skip)]
    pub left_out: Vec<String>,
    /// What no metrics endpoint gives. Without any, every bundled collector that reads local files reads this machine.
    pub collect: Option<Vec<tandem_gather::CollectConfig>>,
    /// StatsD over UDP; not listened for when absent.
    pub statsd: Option<tandem_gather::StatsdConfig>,
    /// Syslog over UDP and TCP; not listened for when absent.
    pub syslog: Option<tandem_gather::SyslogConfig>,
    /// How long lines of logs are kept, and how much of them.
    pub logs: LogsConfig,
    /// Receivers of remote write that samples are forwarded to.
    pub forward: Vec<tandem_forward::ForwardConfig>,
    /// What the operator says of plugins, by name: grants, limits, configuration.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// Relations that no collector can see, such as which hosts a UPS feeds.
    pub relation: Vec<tandem_aiops::RelationConfig>,
    /// Services and what they promise to those who use them.
    pub service: Vec<tandem_aiops::ServiceConfig>,
    /// Prometheus' rule files, and how they are evaluated.
    pub rules: tandem_aiops::rule::RulesConfig,
    /// Webhooks on incident open and resolve, by name.
    pub notify: BTreeMap<String, tandem_aiops::ReceiverConfig>,
    /// The AIOps rooms.
    pub aiops: tandem_aiops::AiopsConfig,
    /// The MLOps rooms.
    pub mlops: tandem_mlops::MlopsConfig,
    /// How long samples are kept, and how many.
    pub store: StoreConfig,
    /// How much memory things may take.
    pub limits: LimitsConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8420)),
            data: PathBuf::from("./data"),
            log: "info".into(),
            scrape: Vec::new(),
            prometheus_config: None,
            left_out: Vec::new(),
            collect: None,
            statsd: None,
            syslog: None,
            logs: LogsConfig::default(),
            forward: Vec::new(),
            plugins: BTreeMap::new(),
            relation: Vec::new(),
            service: Vec::new(),
            rules: Default::default(),
            notify: BTreeMap::new(),
            aiops: Default::default(),
            mlops: Default::default(),
            store: StoreConfig::default(),
            limits: LimitsConfig::default(),
        }
    }
}

/// The least that queries can be given together, in samples: a page of a hundred series over a day.
const MIN_QUERY_SAMPLES: usize = 1_000_000;
/// Most labels of a series that can be asked for: beyond it lookups by label are no longer cheap.
const MAX_LABELS: usize = 1_024;

/// How long lines of logs are kept, and how much of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogsConfig {
    /// Older lines are dropped, an hour at a time, and are not taken in by OTLP.
    pub retention: Period,
    /// When lines take more, as they are compressed, the oldest are dropped.
    pub max_size: Bytes,
}

impl Default for LogsConfig {
    fn default() -> Self {
        Self { retention: Period::seconds(7 * 86_400), max_size: Bytes(2 << 30) }
    }
}

impl LogsConfig {
    /// Checks what the shapes alone do not say.
    fn validate(&self) -> Result<(), String> {
        if !(3_600..=3_650 * 86_400).contains(&self.retention.0.as_secs()) {
            return Err("retention must be 1h to 3650d".into());
        }
        if self.max_size.0 < 16 << 20 {
            return Err("max_size must be at least 16MiB".into());
        }
        Ok(())
    }

    /// As the store is told.
    pub fn retention(&self) -> tandem_store::LogRetention {
        let age_millis = i64::try_from(self.retention.0.as_millis()).unwrap_or(i64::MAX);
        tandem_store::LogRetention { age_millis, bytes: self.max_size.0 }
    }
}

/// Limits of the whole server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Linear memory of all plugin instances together.
    pub plugin_memory: Bytes,
    /// The store's page cache.
    pub store_cache: Bytes,
    /// Series at a time; new ones beyond it are refused.
    pub series: u64,
    /// Series of one target.
    pub series_per_target: u64,
    /// Series of one metric, over all targets; as many as there may be in total when it is not given.
    pub series_per_metric: Option<u64>,
    /// Samples that all queries may hold together, 16 to 32 bytes each.
    pub query_samples: usize,
    /// Labels of a series that is sent.
    pub labels_per_series: usize,
    /// Longest name of a label or metric of a series that is sent, in bytes.
    pub label_name_bytes: usize,
    /// Longest value of a label of a series that is sent, in bytes.
    pub label_value_bytes: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let (series, labels) = (SeriesLimits::default(), LabelLimits::default());
        Self {
            plugin_memory: Bytes(2 << 30),
            store_cache: Bytes(32 << 20),
            series: series.total,
            series_per_target: series.per_target,
            series_per_metric: None,
            query_samples: DEFAULT_SHARED_SAMPLES,
            labels_per_series: labels.labels,
            label_name_bytes: labels.name_bytes,
            label_value_bytes: labels.value_bytes,
        }
    }
}

impl LimitsConfig {
    /// For the store.
    pub fn series_limits(&self) -> SeriesLimits {
        let per_metric = self.series_per_metric.unwrap_or(self.series);
        SeriesLimits { total: self.series, per_target: self.series_per_target, per_metric }
    }

    /// For the doors of senders.
    pub fn label_limits(&self) -> LabelLimits {
        LabelLimits {
            labels: self.labels_per_series,
            name_bytes: self.label_name_bytes,
            value_bytes: self.label_value_bytes,
        }
    }

    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// Names the key, and says in words what to do.
    fn validate(&self) -> Result<(), (String, String)> {
        let most = WireLimits::default();
        let per_metric = self.series_per_metric.unwrap_or(1);
        let counts =
            [("series", self.series), ("series_per_target", self.series_per_target), ("series_per_metric", per_metric)];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err((format!("limits.{key}"), "0 would refuse every series; give a number from 1".into()));
        }
        if self.query_samples < MIN_QUERY_SAMPLES {
            let problem = format!("a dashboard needs more; give a number from {MIN_QUERY_SAMPLES}");
            return Err(("limits.query_samples".into(), problem));
        }
        let labels = [
            ("labels_per_series", self.labels_per_series, MAX_LABELS),
            ("label_name_bytes", self.label_name_bytes, most.label_bytes),
            ("label_value_bytes", self.label_value_bytes, most.label_bytes),
        ];
        match labels.into_iter().find(|(_, given, most)| !(1..=*most).contains(given)) {
            Some((key, _, most)) => Err((format!("limits.{key}"), format!("give a number from 1 to {most}"))),
            None => Ok(()),
        }
    }
}

impl Config {
    /// Reads and checks a file; the defaults when no path is given and there is no `tandem.toml` here.
    ///
    /// # Errors
    /// Names the file, the line, the key, and the remedy.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let (path, required) = path.map_or((Path::new("tandem.toml"), false), |path| (path, true));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return Ok(Self::default()),
            Err(error) => return Err(ConfigError::unreadable(path, &error)),
        };
        let config = Self::parse(path, &text)?;
        Ok(config)
    }

    /// Parses and checks the text of a file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut config: Config = toml::from_str(text).map_err(|error| ConfigError::from_toml(path, text, &error))?;
        let at = |problem: String| ConfigError::at_key(path, text, "prometheus_config", &problem);
        config.take_over_prometheus().map_err(at)?;
        config.check().map_err(|(key, problem)| ConfigError::at_key(path, text, &key, &problem))?;
        config.rules = config.rules.beside(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Adds the jobs of the configuration of Prometheus, where one is named.
    fn take_over_prometheus(&mut self) -> Result<(), String> {
        let Some(path) = &self.prometheus_config else { return Ok(()) };
        let named = |problem: String| format!("{}: {problem}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(format!("it cannot be read: {error}")))?;
        let imported = tandem_gather::scrape::import(path, &text).map_err(named)?;
        self.scrape.extend(imported.scrapes);
        self.left_out = imported.left_out;
        Ok(())
    }

    /// Checks the address alone, for one that was given on the command line.
    ///
    /// # Errors
    /// When it is reachable from other machines.
    pub fn check_listen(&self) -> Result<(), ConfigError> {
        self.listens_on_loopback().map_err(|problem| ConfigError { path: "--listen".into(), line: None, problem })
    }

    fn listens_on_loopback(&self) -> Result<(), String> {
        if self.listen.ip().is_loopback() {
            return Ok(());
        }
        Err(format!(
            "{} is reachable from other machines, and this version has no tokens to tell them apart: listen on \
             loopback (listen = \"127.0.0.1:{}\") and put a proxy that authenticates in front",
            self.listen,
            self.listen.port()
        ))
    }

    /// What the shapes alone do not say.
    fn check(&self) -> Result<(), (String, String)> {
        self.listens_on_loopback().map_err(|problem| ("listen".to_owned(), problem))?;
        for (index, scrape) in self.scrape.iter().enumerate() {
            scrape.validate().map_err(|problem| (format!("scrape.{index}"), problem))?;
        }
        for (index, collect) in self.collect.iter().flatten().enumerate() {
            collect.validate().map_err(|problem| (format!("collect.{index}"), problem))?;
        }
        tandem_gather::check_targets(&self.scrape, self.collect.as_deref().unwrap_or_default())?;
        self.logs.validate().map_err(|problem| ("logs".into(), problem))?;
        if let Some(statsd) = &self.statsd {
            statsd.validate().map_err(|problem| ("statsd".into(), problem))?;
        }
        if let Some(syslog) = &self.syslog {
            syslog.validate().map_err(|problem| ("syslog".into(), problem))?;
        }
        for (index, forward) in self.forward.iter().enumerate() {
            forward.validate().map_err(|problem| (format!("forward.{index}"), problem))?;
        }
        tandem_forward::check_forwards(&self.forward, self.listen.port())?;
        for (name, plugin) in &self.plugins {
            plugin.validate().map_err(|problem| (format!("plugins.{name}"), problem))?;
        }
        for (name, receiver) in &self.notify {
            receiver.validate().map_err(|problem| (format!("notify.{name}"), problem))?;
        }
        for (index, relation) in self.relation.iter().enumerate() {
            relation.validate().map_err(|problem| (format!("relation.{index}"), problem))?;
        }
        self.check_services()?;
        self.limits.validate()?;
        self.rules.validate().map_err(|problem| ("rules".into(), problem))?;
        self.aiops.validate().map_err(|problem| ("aiops".into(), problem))?;
        self.store.validate().map_err(|problem| ("store".into(), problem))?;
        self.mlops.validate().map_err(|problem| ("mlops".into(), problem))?;
        Ok(())
    }

    fn check_services(&self) -> Result<(), (String, String)> {
        for (index, service) in self.service.iter().enumerate() {
            let at = |problem: String| (format!("service.{index}"), problem);
            service.validate().map_err(at)?;
            if self.service[..index].iter().any(|earlier| earlier.name == service.name) {
                return Err(at(format!("{:?} is there twice; put its objectives together", service.name)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
