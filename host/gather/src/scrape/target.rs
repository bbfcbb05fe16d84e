//! From the labels that discovery found to what is scraped: defaults of the job, relabelling, and the reading of the labels
//! with two underscores, as Prometheus documents it.

use super::config::ScrapeConfig;
use crate::{Period, config::interval_is_long_enough};
use std::time::Duration;
use tandem_domain::{
    series::Labels,
    target::{TargetInfo, TargetKey},
};
use tandem_wire::relabel::{LabelMap, Relabeling};
use url::Url;

/// Begins the names of labels that say how a target is scraped.
const RESERVED: &str = "__";
/// Begins the names of labels that set a parameter of the address.
const PARAMETER: &str = "__param_";

/// A target that is scraped. Two of the same labels and address are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Planned {
    /// Its labels, `job` and `instance` among them.
    pub labels: LabelMap,
    /// With all parameters.
    pub url: String,
    /// `host:port`, for the grant.
    pub address: String,
    pub interval: Duration,
    pub timeout: Duration,
}

/// What becomes of what discovery found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// It is scraped.
    Scraped(Planned),
    /// Relabelling let it go.
    Dropped,
    /// Its labels make no target; why.
    Wrong(String),
}

impl Planned {
    /// Its key: what names it among all targets.
    pub(crate) fn key(&self) -> TargetKey {
        TargetKey { job: self.labels.get("job").to_owned(), instance: self.labels.get("instance").to_owned() }
    }

    /// What mappers are told of it.
    pub(crate) fn info(&self) -> TargetInfo {
        TargetInfo { key: self.key(), labels: self.own_labels() }
    }

    /// Its labels but `job` and `instance`.
    pub(crate) fn own_labels(&self) -> Labels {
        let others = self.labels.iter().filter(|(name, _)| !["job", "instance"].contains(name));
        others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// The labels of a target before relabelling: its own, its group's, and the job's defaults.
pub(crate) fn discovered(config: &ScrapeConfig, own: &LabelMap, group: &LabelMap) -> LabelMap {
    let mut labels = own.clone();
    group.iter().for_each(|(name, value)| labels.set_missing(name, value));
    labels.set_missing("job", &config.job);
    labels.set_missing("__scheme__", &config.scheme);
    labels.set_missing("__metrics_path__", &config.path);
    labels.set_missing("__scrape_interval__", &config.interval.to_string());
    labels.set_missing("__scrape_timeout__", &Period(config.timeout()).to_string());
    for (name, values) in &config.params {
        if let Some(first) = values.first() {
            labels.set_missing(&format!("{PARAMETER}{name}"), first);
        }
    }
    labels
}

/// Plans one target by its labels before relabelling.
pub(crate) fn plan(config: &ScrapeConfig, relabeling: &Relabeling, discovered: &LabelMap) -> Plan {
    let mut labels = discovered.clone();
    if !relabeling.apply(&mut labels) {
        return Plan::Dropped;
    }
    match scraped(config, labels) {
        Ok(planned) => Plan::Scraped(planned),
        Err(problem) => Plan::Wrong(problem),
    }
}

fn scraped(config: &ScrapeConfig, mut labels: LabelMap) -> Result<Planned, String> {
    let address = labels.get("__address__").to_owned();
    if address.is_empty() {
        return Err("it has no __address__".into());
    }
    if address.contains(['/', ' ', '@', '?', '#']) {
        return Err(format!("its __address__ is {address:?}, which is not host:port"));
    }
    let scheme = labels.get("__scheme__");
    if !["http", "https"].contains(&scheme) {
        return Err(format!("its __scheme__ is {scheme:?}; it must be http or https"));
    }
    let no_address = |error: url::ParseError| format!("its __address__ {address:?} is none: {error}");
    let mut url = Url::parse(&format!("{scheme}://{address}/")).map_err(no_address)?;
    url.set_path(labels.get("__metrics_path__"));
    add_parameters(&mut url, config, &labels);
    let host = url.host_str().unwrap_or_default();
    let granted = format!("{host}:{}", url.port_or_known_default().unwrap_or_default());
    let duration = |name: &str| {
        let text = labels.get(name);
        Period::parse(text).ok_or_else(|| format!("its {name} is {text:?}, which is no duration"))
    };
    let (interval, timeout) = (duration("__scrape_interval__")?, duration("__scrape_timeout__")?);
    interval_is_long_enough(interval)?;
    if timeout.0.is_zero() || timeout > interval {
        return Err(format!("its __scrape_timeout__ is {timeout}; it must be above 0 and at most {interval}"));
    }
    labels.retain(|name| !name.starts_with(RESERVED));
    labels.set_missing("instance", &address);
    Ok(Planned { labels, url: url.into(), address: granted, interval: interval.0, timeout: timeout.0 })
}

/// The job's parameters, the first value of each as the target's label says, and those that only labels set; by name, as
/// Prometheus orders them.
fn add_parameters(url: &mut Url, config: &ScrapeConfig, labels: &LabelMap) {
    let mut parameters = config.params.clone();
    for (name, value) in labels.iter().filter_map(|(name, value)| Some((name.strip_prefix(PARAMETER)?, value))) {
        let values = parameters.entry(name.to_owned()).or_default();
        match values.first_mut() {
            Some(first) => value.clone_into(first),
            None => values.push(value.to_owned()),
        }
    }
    if parameters.values().all(Vec::is_empty) {
        return;
    }
    let mut query = url.query_pairs_mut();
    for (name, values) in &parameters {
        for value in values {
            query.append_pair(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(config: &str, own: &[(&str, &str)]) -> Plan {
        let config: ScrapeConfig = serde_json::from_str(config).expect("a config");
        let relabeling = Relabeling::compile("relabel_configs", &config.relabel_configs).expect("rules");
        let own = own.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        plan(&config, &relabeling, &discovered(&config, &own, &LabelMap::default()))
    }

    fn target(config: &str, own: &[(&str, &str)]) -> Planned {
        match planned(config, own) {
            Plan::Scraped(planned) => planned,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_target_without_rules_is_scraped_at_its_address() {
        let one = target(r#"{"job": "node"}"#, &[("__address__", "h:9100"), ("rack", "7"), ("__meta_x", "y")]);
        assert_eq!((one.url.as_str(), one.address.as_str()), ("http://h:9100/metrics", "h:9100"));
        assert_eq!(one.key(), TargetKey { job: "node".into(), instance: "h:9100".into() });
        assert_eq!(one.own_labels().iter().collect::<Vec<_>>(), [("rack", "7")]);
        assert_eq!((one.interval, one.timeout), (Duration::from_secs(15), Duration::from_secs(10)));
        let six = target(r#"{"job": "node", "scheme": "https"}"#, &[("__address__", "[::1]")]);
        assert_eq!((six.url.as_str(), six.address.as_str()), ("https://[::1]/metrics", "[::1]:443"));
    }

    #[test]
    fn the_blackbox_pattern_asks_the_prober_for_each_target() {
        let config = r#"{"job": "probe", "path": "/probe", "params": {"module": ["http_2xx"], "more": ["a", "b c"]},
            "relabel_configs": [
                {"source_labels": ["__address__"], "target_label": "__param_target"},
                {"source_labels": ["__param_target"], "target_label": "instance"},
                {"target_label": "__address__", "replacement": "127.0.0.1:9115"}]}"#;
        let one = target(config, &[("__address__", "example.org")]);
        assert_eq!(one.url, "http://127.0.0.1:9115/probe?module=http_2xx&more=a&more=b+c&target=example.org");
        assert_eq!(one.key().instance, "example.org");
    }

    #[test]
    fn labels_set_scheme_path_interval_and_job() {
        let config = r#"{"job": "pods", "relabel_configs": [
            {"source_labels": ["__meta_scheme"], "target_label": "__scheme__"},
            {"source_labels": ["__meta_path"], "target_label": "__metrics_path__"},
            {"target_label": "__scrape_interval__", "replacement": "1m"},
            {"target_label": "__scrape_timeout__", "replacement": "30s"},
            {"target_label": "job", "replacement": "other"}]}"#;
        let one = target(config, &[("__address__", "h:1"), ("__meta_scheme", "https"), ("__meta_path", "/a b")]);
        assert_eq!(one.url, "https://h:1/a%20b");
        assert_eq!((one.interval, one.timeout), (Duration::from_secs(60), Duration::from_secs(30)));
        assert_eq!(one.key().job, "other");
    }

    #[test]
    fn what_makes_no_target_says_why() {
        let wrong = |config: &str, own: &[(&str, &str)]| match planned(config, own) {
            Plan::Wrong(problem) => problem,
            other => panic!("{other:?}"),
        };
        assert!(wrong(r#"{"job": "j"}"#, &[]).contains("no __address__"));
        assert!(wrong(r#"{"job": "j"}"#, &[("__address__", "h/x")]).contains("not host:port"));
        assert!(wrong(r#"{"job": "j"}"#, &[("__address__", "h"), ("__scheme__", "ftp")]).contains("ftp"));
        let long = [("__address__", "h"), ("__scrape_timeout__", "16s")];
        assert!(wrong(r#"{"job": "j"}"#, &long).contains("at most 15s"));
        let drop = r#"{"job": "j", "relabel_configs": [{"source_labels": ["a"], "regex": "b", "action": "drop"}]}"#;
        assert_eq!(planned(drop, &[("__address__", "h"), ("a", "b")]), Plan::Dropped);
    }
}
