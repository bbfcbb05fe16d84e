//! An existing configuration of Prometheus against ones that were bent, cut and spliced from good ones (see `driver` in
//! `host/wire/tests/fuzz`): no panic, and bounded memory.

#[path = "../../../wire/tests/fuzz/driver.rs"]
mod driver;
#[path = "../../../wire/tests/fuzz/memory.rs"]
mod memory;
#[path = "../../../wire/tests/fuzz/mutate.rs"]
mod mutate;

use driver::{FREE_BYTES, Target, fuzz};
use std::path::Path;

/// Expressions of a file may take this much together, in bytes: their programs.
const EXPRESSIONS_BYTES: usize = 256 << 20;

const CONFIGURATION: &str = "global: { scrape_interval: 30s, scrape_timeout: 20s, sample_limit: 5 }\nrule_files: ['rules.yml']\n\
    scrape_configs:\n- job_name: node\n  scrape_interval: 5s\n  proxy_url: http://proxy\n  file_sd_configs: [{ files: ['targets/*.yml'] }]\n  \
    basic_auth: { username: ann, password_file: /etc/secret }\n  tls_config: { ca_file: ca.pem, min_version: TLS12 }\n- job_name: other\n  \
    metrics_path: /m\n  params: { module: [http_2xx, 7] }\n  static_configs: [{ targets: ['h:1'], labels: { port: 80, flag: true } }]\n  \
    relabel_configs: [{ target_label: number, replacement: 7 }, { source_labels: [__address__], regex: '(.*):(\\d+)', action: keep }]\n- job_name: k\n  \
    kubernetes_sd_configs: [{ role: pod, namespaces: { names: [a] }, selectors: [{ role: pod, label: 'a=b' }] }]\n  \
    http_sd_configs: [{ url: 'http://127.0.0.1:1/t', refresh_interval: 1m }]\n  body_size_limit: 10MB\n  honor_labels: true\n";

#[test]
fn prometheus_configuration() {
    let run = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let imported = tandem_gather::scrape::import(Path::new("/etc/prometheus/prometheus.yml"), &text);
        imported.map_or(0, |imported| 1 + imported.scrapes.len())
    };
    let seeds = vec![CONFIGURATION.into()];
    fuzz(&Target {
        name: "prometheus_configuration",
        seeds,
        memory_factor: 4_000,
        free_bytes: FREE_BYTES + EXPRESSIONS_BYTES,
        run,
    });
}
