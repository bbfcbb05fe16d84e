//! An existing configuration of Prometheus: its `scrape_configs` as jobs, unchanged. What is not taken over is told by name.

use super::ScrapeConfig;
use serde_json::{Map, Value};
use std::path::Path;

/// Keys of `global` that are defaults of every job.
const DEFAULTS: [&str; 9] = [
    "scrape_interval",
    "scrape_timeout",
    "body_size_limit",
    "sample_limit",
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "keep_dropped_targets",
];
/// Keys of a job that are taken over, beside those of a client.
const JOB: [&str; 22] = [
    "job_name",
    "scrape_interval",
    "scrape_timeout",
    "metrics_path",
    "scheme",
    "params",
    "honor_labels",
    "honor_timestamps",
    "track_timestamps_staleness",
    "relabel_configs",
    "metric_relabel_configs",
    "static_configs",
    "file_sd_configs",
    "http_sd_configs",
    "kubernetes_sd_configs",
    "body_size_limit",
    "sample_limit",
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "keep_dropped_targets",
];
/// Keys of a client that are taken over.
const CLIENT: [&str; 6] =
    ["basic_auth", "authorization", "bearer_token", "bearer_token_file", "tls_config", "follow_redirects"];
/// Keys of discovery by Kubernetes that are taken over, beside those of a client.
const KUBERNETES: [&str; 5] = ["role", "api_server", "namespaces", "selectors", "attach_metadata"];
/// Interval of a job where neither it nor `global` says one.
const PROMETHEUS_INTERVAL: &str = "1m";

/// What a configuration gives.
#[derive(Debug, Default)]
pub struct Imported {
    /// Its jobs.
    pub scrapes: Vec<ScrapeConfig>,
    /// What is not taken over, each with its place.
    pub left_out: Vec<String>,
}

/// Reads the text of a configuration that lies at `path`, to whose folder its own paths are relative.
///
/// # Errors
/// When it is no configuration, or a job of it cannot be taken; in words, with the job.
pub fn import(path: &Path, text: &str) -> Result<Imported, String> {
    let read: Value = serde_saphyr::from_str(text).map_err(|error| format!("it is no YAML: {error}"))?;
    let Value::Object(file) = read else { return Err("it is no configuration of Prometheus".into()) };
    let mut imported = Imported::default();
    for key in file.keys().filter(|key| !["global", "scrape_configs"].contains(&key.as_str())) {
        imported.left_out.push(format!("{key}: only scrape_configs are taken over"));
    }
    let global = file.get("global").and_then(Value::as_object).cloned().unwrap_or_default();
    for key in global.keys().filter(|key| !DEFAULTS.contains(&key.as_str())) {
        imported.left_out.push(format!("global.{key}"));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    for (index, job) in file.get("scrape_configs").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let Value::Object(job) = job else { return Err(format!("scrape_configs.{index} is no job")) };
        let name = job.get("job_name").and_then(Value::as_str).unwrap_or_default();
        let place = format!("scrape_configs.{index} ({name})");
        let mut job = job.clone();
        take_over(&mut job, &place, folder, &mut imported.left_out);
        for key in DEFAULTS.iter().filter(|key| global.contains_key(**key)) {
            job.entry((*key).to_owned()).or_insert_with(|| global[*key].clone());
        }
        job.entry("scrape_interval").or_insert_with(|| PROMETHEUS_INTERVAL.into());
        shorten_timeout(&mut job, &global);
        let wrong = |problem: String| format!("{place}: {problem}");
        let scrape: ScrapeConfig =
            serde_json::from_value(Value::Object(job)).map_err(|error| wrong(error.to_string()))?;
        scrape.validate().map_err(wrong)?;
        imported.scrapes.push(scrape);
    }
    Ok(imported)
}

/// A timeout that is the default of all jobs gives way to a job's shorter interval, as in Prometheus.
fn shorten_timeout(job: &mut Map<String, Value>, global: &Map<String, Value>) {
    let period = |key: &str| job.get(key).and_then(Value::as_str).and_then(crate::Period::parse);
    let is_default = job.get("scrape_timeout") == global.get("scrape_timeout");
    if is_default && period("scrape_timeout") > period("scrape_interval") {
        job.remove("scrape_timeout");
    }
}

/// Leaves out of a job what is not taken over, makes its paths absolute, and its texts texts.
fn take_over(job: &mut Map<String, Value>, place: &str, folder: &Path, left_out: &mut Vec<String>) {
    let known: Vec<&str> = JOB.iter().chain(&CLIENT).copied().collect();
    keep_known(job, &known, place, left_out);
    for (list, own) in
        [("http_sd_configs", ["url", "refresh_interval"].as_slice()), ("kubernetes_sd_configs", &KUBERNETES)]
    {
        let known: Vec<&str> = own.iter().chain(&CLIENT).copied().collect();
        for (index, config) in job.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().enumerate() {
            if let Value::Object(config) = config {
                keep_known(config, &known, &format!("{place}.{list}.{index}"), left_out);
            }
        }
    }
    job.iter_mut().for_each(|(key, value)| prepare(key, value, folder));
}

fn keep_known(table: &mut Map<String, Value>, known: &[&str], place: &str, left_out: &mut Vec<String>) {
    let others: Vec<String> = table.keys().filter(|key| !known.contains(&key.as_str())).cloned().collect();
    for key in others {
        left_out.push(format!("{place}.{key}"));
        table.remove(&key);
    }
}

/// Keys whose values are texts even where they are written as numbers.
const TEXTS: [&str; 4] = ["regex", "replacement", "separator", "target_label"];

fn prepare(key: &str, value: &mut Value, folder: &Path) {
    let is_path = key.ends_with("_file") || key == "files";
    match value {
        Value::Object(table) if key == "labels" || key == "params" => {
            table.iter_mut().for_each(|(_, value)| as_text(value));
        }
        Value::Object(table) => table.iter_mut().for_each(|(key, value)| prepare(key, value, folder)),
        Value::Array(all) => all.iter_mut().for_each(|value| prepare(key, value, folder)),
        Value::String(path) if is_path => *path = folder.join(&*path).display().to_string(),
        other if TEXTS.contains(&key) => as_text(other),
        _ => {}
    }
}

fn as_text(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(as_text),
        Value::Null => *value = Value::String(String::new()),
        Value::Bool(_) | Value::Number(_) => *value = Value::String(value.to_string()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{path::PathBuf, time::Duration};

    #[test]
    fn jobs_are_taken_over_and_what_is_not_is_named() {
        let text = "global: { scrape_interval: 30s, scrape_timeout: 20s, external_labels: { a: b }, sample_limit: 5 }\n\
                    rule_files: ['rules.yml']\n\
                    scrape_configs:\n\
                    - job_name: node\n  scrape_interval: 5s\n  proxy_url: http://proxy\n\
                    \x20 file_sd_configs: [{ files: ['targets/*.yml'] }]\n\
                    \x20 basic_auth: { username: ann, password_file: /etc/secret }\n\
                    \x20 tls_config: { ca_file: ca.pem }\n\
                    - job_name: other\n  metrics_path: /m\n\
                    \x20 static_configs: [{ targets: ['h:1'], labels: { port: 80, flag: true } }]\n\
                    \x20 relabel_configs: [{ target_label: number, replacement: 7 }]\n\
                    - job_name: cloud\n  ec2_sd_configs: [{ region: x }]\n  static_configs: [{ targets: ['h:2'] }]\n";
        let imported = import(Path::new("/etc/prometheus/prometheus.yml"), text).expect("taken over");
        let [node, other, cloud] = imported.scrapes.as_slice() else { panic!("{imported:?}") };
        assert_eq!((node.interval.0, node.timeout()), (Duration::from_secs(5), Duration::from_secs(5)));
        assert_eq!(node.file_sd_configs[0].files, [PathBuf::from("/etc/prometheus/targets/*.yml")]);
        assert_eq!(node.tls_config.ca_file.as_deref(), Some(Path::new("/etc/prometheus/ca.pem")));
        let password = node.basic_auth.as_ref().and_then(|basic| basic.password_file.clone());
        assert_eq!(password, Some(PathBuf::from("/etc/secret")));
        assert_eq!(
            (other.interval.0, other.timeout(), other.samples()),
            (Duration::from_secs(30), Duration::from_secs(20), Some(5))
        );
        assert_eq!((other.path.as_str(), other.static_configs[0].labels["port"].as_str()), ("/m", "80"));
        assert_eq!(other.relabel_configs[0].replacement.as_deref(), Some("7"));
        assert_eq!(cloud.job, "cloud");
        for part in ["rule_files: ", "global.external_labels", "(node).proxy_url", "(cloud).ec2_sd_configs"] {
            assert!(imported.left_out.iter().any(|one| one.contains(part)), "{part}: {:?}", imported.left_out);
        }
        assert_eq!(imported.left_out.len(), 4, "{:?}", imported.left_out);
    }

    #[test]
    fn jobs_that_cannot_be_taken_are_named() {
        let said = |text: &str| import(Path::new("p.yml"), text).expect_err("wrong");
        assert!(
            said("scrape_configs: [{ job_name: a, static_configs: [{ targets: ['h/x'] }] }]").contains("(a): target")
        );
        assert!(said("scrape_configs: [{ job_name: a }]").contains("names no target"));
        assert!(said("- a").contains("no configuration"));
    }
}
