//! Own metrics: the rooms' counters in the Prometheus text format.

use std::{fmt::Write as _, sync::Arc};
use tandem_aiops::{ChainMetrics, metrics::MetricSample};
use tandem_api::{MetricsPage, ServingMetrics};
use tandem_domain::{
    plugin::{PluginState, PluginStatus},
    ports::PluginCatalogue,
};
use tandem_forward::{ForwardState, ForwardStatus, Forwards};
use tandem_gather::{ExemplarMetrics, GatherMetrics, ListenMetrics, sent::SentMetrics};
use tandem_mlops::MlopsMetrics;
use tandem_query::{BudgetUse, SampleBudget};
use tandem_runtime::MemoryBudget;
use tandem_store::Store;
use tandem_verdict::AskMetrics;

/// What is asked for its counters.
pub(crate) struct OwnMetrics {
    pub(crate) store: Store,
    pub(crate) gather: Arc<GatherMetrics>,
    pub(crate) sent: Arc<SentMetrics>,
    pub(crate) listen: Arc<ListenMetrics>,
    pub(crate) serving: Arc<ServingMetrics>,
    pub(crate) aiops: ChainMetrics,
    pub(crate) mlops: MlopsMetrics,
    pub(crate) verdicts: Arc<AskMetrics>,
    pub(crate) forwards: Arc<Forwards>,
    pub(crate) queries: Arc<SampleBudget>,
    pub(crate) catalogue: Arc<dyn PluginCatalogue>,
    pub(crate) budget: Arc<MemoryBudget>,
}

impl MetricsPage for OwnMetrics {
    fn render(&self) -> String {
        let mut page = String::new();
        for (name, help, value) in self.gather.read().into_iter().chain(self.sent.read()) {
            single(&mut page, name, "counter", help, value);
        }
        rejected(&mut page, &self.sent);
        refused_series(&mut page, &self.gather);
        exemplars(&mut page, [("tandem_gather", &self.gather.exemplars), ("tandem_sent", &self.sent.exemplars)]);
        listeners(&mut page, &self.listen);
        serving(&mut page, &self.serving);
        let store = self.store.metrics();
        single(&mut page, "tandem_store_commits_total", "counter", "Commits, one fsync each", store.commits);
        single(&mut page, "tandem_store_changes_total", "counter", "Changes in those commits", store.changes);
        single(&mut page, "tandem_store_failed_commits_total", "counter", "Commits that failed", store.failed_commits);
        single(
            &mut page,
            "tandem_store_head_samples",
            "gauge",
            "Samples in memory and not in blocks yet",
            store.head_samples,
        );
        single(&mut page, "tandem_store_series", "gauge", "Series that are registered", store.series);
        single(&mut page, "tandem_store_exemplars", "gauge", "Exemplars that are kept", store.exemplars);
        single(&mut page, "tandem_store_file_bytes", "gauge", "Size of the store's file", store.file_bytes);
        single(&mut page, "tandem_store_head_bytes", "gauge", "Memory of samples in memory", store.head_bytes);
        single(&mut page, "tandem_store_wal_bytes", "gauge", "Size of the write-ahead log", store.wal_bytes);
        if let Ok(kept) = self.store.read().and_then(|read| read.logs_kept()) {
            single(&mut page, "tandem_logs_kept_lines", "gauge", "Lines of logs that are kept", kept.entries);
            single(&mut page, "tandem_logs_kept_bytes", "gauge", "What they take, compressed", kept.bytes);
        }
        single(
            &mut page,
            "tandem_plugin_budget_bytes",
            "gauge",
            "Linear memory all plugins may have",
            self.budget.total_bytes(),
        );
        single(
            &mut page,
            "tandem_plugin_budget_used_bytes",
            "gauge",
            "Linear memory all plugins have",
            self.budget.used_bytes(),
        );
        rooms(&mut page, self.aiops.samples());
        for (name, help, value) in self.mlops.read().into_iter().chain(self.verdicts.read()) {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            single(&mut page, name, kind, help, value);
        }
        queries(&mut page, &self.queries.usage());
        forwards(&mut page, &self.forwards.statuses());
        plugins(&mut page, &self.catalogue.statuses());
        page
    }
}

fn single(page: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    // Writing to a string cannot fail.
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
}

fn rejected(page: &mut String, sent: &SentMetrics) {
    let name = "tandem_sent_rejected_total";
    let _ = writeln!(page, "# HELP {name} Items of senders' bodies that were not kept\n# TYPE {name} counter");
    for (reason, count) in sent.rejected() {
        let _ = writeln!(page, "{name}{{reason=\"{reason}\"}} {count}");
    }
}

fn refused_series(page: &mut String, gather: &GatherMetrics) {
    let name = "tandem_gather_samples_of_refused_series_total";
    let _ = writeln!(
        page,
        "# HELP {name} Samples of new series of which no more are taken, by reason\n# TYPE {name} counter"
    );
    for (reason, count) in gather.refused_series() {
        let _ = writeln!(page, "{name}{{reason=\"{reason}\"}} {count}");
    }
}

fn exemplars(page: &mut String, doors: [(&str, &ExemplarMetrics); 2]) {
    for (door, metrics) in doors {
        single(page, &format!("{door}_exemplars_total"), "counter", "Exemplars that were kept", metrics.kept());
        let name = format!("{door}_exemplars_refused_total");
        let _ = writeln!(page, "# HELP {name} Exemplars that were not kept, by reason\n# TYPE {name} counter");
        for (reason, count) in metrics.refused() {
            let _ = writeln!(page, "{name}{{reason=\"{reason}\"}} {count}");
        }
    }
}

fn serving(page: &mut String, serving: &ServingMetrics) {
    for (name, help, value) in serving.read() {
        single(page, name, if name.ends_with("_total") { "counter" } else { "gauge" }, help, value);
    }
    let name = "tandem_http_connections_ended_total";
    let _ = writeln!(page, "# HELP {name} Connections by how they ended\n# TYPE {name} counter");
    for (how, count) in serving.ended() {
        let _ = writeln!(page, "{name}{{how=\"{how}\"}} {count}");
    }
    let name = "tandem_http_refusals_total";
    let _ = writeln!(page, "# HELP {name} Requests that were refused or failed\n# TYPE {name} counter");
    for (status, count) in serving.refusals() {
        let _ = writeln!(page, "{name}{{status=\"{status}\"}} {count}");
    }
}

fn queries(page: &mut String, used: &BudgetUse) {
    let total = "Samples that all queries may hold together";
    single(page, "tandem_query_samples_limit", "gauge", total, used.total);
    single(page, "tandem_query_samples_held", "gauge", "Samples that queries hold", used.held);
    let waited = "Times that a query waited for others to give samples back";
    single(page, "tandem_query_waits_total", "counter", waited, used.waited);
    let refused = "Queries that were told to come again, since others hold the samples there may be";
    single(page, "tandem_query_refused_total", "counter", refused, used.refused);
}

fn listeners(page: &mut String, listen: &ListenMetrics) {
    let listened = listen.read();
    let name = "tandem_listen_received_total";
    let _ = writeln!(page, "# HELP {name} Datagrams and messages that listeners received\n# TYPE {name} counter");
    for one in &listened {
        let _ = writeln!(page, "{name}{{listener=\"{}\"}} {}", one.listener, one.received);
    }
    let name = "tandem_listen_dropped_total";
    let _ = writeln!(page, "# HELP {name} What listeners lost or could not use\n# TYPE {name} counter");
    for one in &listened {
        for (reason, count) in &one.dropped {
            let _ = writeln!(page, "{name}{{listener=\"{}\",reason=\"{reason}\"}} {count}", one.listener);
        }
    }
    let name = "tandem_listen_connections";
    let _ = writeln!(page, "# HELP {name} Open connections of listeners\n# TYPE {name} gauge");
    for one in listened.iter().filter(|one| one.listener == "syslog-tcp") {
        let _ = writeln!(page, "{name}{{listener=\"{}\"}} {}", one.listener, one.connections);
    }
}

fn rooms(page: &mut String, samples: Vec<MetricSample>) {
    let mut told = "";
    for sample in samples {
        if sample.name != told {
            let kind = if sample.name.ends_with("_total") { "counter" } else { "gauge" };
            let _ = writeln!(page, "# HELP {} {}\n# TYPE {} {kind}", sample.name, sample.help, sample.name);
            told = sample.name;
        }
        let labels: Vec<String> =
            sample.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let braces = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(page, "{}{braces} {}", sample.name, sample.value);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

type Reading = (&'static str, &'static str, &'static str, fn(&PluginStatus) -> f64);

const OF_PLUGINS: [Reading; 11] = [
    ("tandem_plugin_live", "gauge", "Whether the plugin is at work", |s| {
        f64::from(u8::from(s.state == PluginState::Live))
    }),
    ("tandem_plugin_calls_total", "counter", "Calls into the plugin", |s| s.usage.calls as f64),
    ("tandem_plugin_failures_total", "counter", "Calls it answered with a failure", |s| s.usage.failures as f64),
    ("tandem_plugin_traps_total", "counter", "Calls that trapped", |s| s.usage.traps as f64),
    ("tandem_plugin_timeouts_total", "counter", "Calls that ran out of time", |s| s.usage.timeouts as f64),
    ("tandem_plugin_contract_breaches_total", "counter", "Answers that did not keep the contract", |s| {
        s.usage.contract_breaches as f64
    }),
    ("tandem_plugin_denials_total", "counter", "Requests refused for want of a grant", |s| s.usage.denials as f64),
    ("tandem_plugin_log_lines_left_out_total", "counter", "Lines left out of the log, beyond its rate", |s| {
        s.usage.log_lines_left_out as f64
    }),
    ("tandem_plugin_refused_loads_total", "counter", "Components that were not let in", |s| {
        s.usage.refused_loads as f64
    }),
    ("tandem_plugin_busy_seconds_total", "counter", "Time spent in calls", |s| s.usage.busy_nanos as f64 / 1e9),
    ("tandem_plugin_memory_bytes", "gauge", "Linear memory of its instances", |s| s.usage.memory_bytes as f64),
];

fn plugins(page: &mut String, statuses: &[PluginStatus]) {
    for (name, kind, help, read) in OF_PLUGINS {
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for status in statuses {
            let _ = writeln!(page, "{name}{{plugin=\"{}\"}} {}", escaped(&status.name), read(status));
        }
    }
}

type ForwardReading = (&'static str, &'static str, &'static str, fn(&ForwardStatus) -> f64);

const OF_FORWARDS: [ForwardReading; 11] = [
    ("tandem_forward_up", "gauge", "Whether the receiver took the last request", |s| {
        f64::from(u8::from(!matches!(s.state, ForwardState::Retrying | ForwardState::Refused)))
    }),
    ("tandem_forward_samples_total", "counter", "Samples that the receiver took", |s| s.samples as f64),
    ("tandem_forward_requests_total", "counter", "Requests tried", |s| s.requests as f64),
    ("tandem_forward_retries_total", "counter", "Requests that failed and were tried again", |s| s.retries as f64),
    ("tandem_forward_bytes_total", "counter", "Bytes posted, compressed", |s| s.bytes as f64),
    ("tandem_forward_skipped_batches_total", "counter", "Batches given up unread, beyond keep", |s| {
        s.skipped_batches as f64
    }),
    (
        "tandem_forward_trimmed_batches_total",
        "counter",
        "Batches trimmed from the log unread and made good from the chunks",
        |s| s.trimmed_batches as f64,
    ),
    ("tandem_forward_pending_samples", "gauge", "Samples under way", |s| s.pending_samples as f64),
    ("tandem_forward_pending_batches", "gauge", "Batches of the log that are not settled", |s| {
        s.pending_batches as f64
    }),
    ("tandem_forward_lag_seconds", "gauge", "Age of the newest settled sample while something waits", |s| {
        s.lag_millis as f64 / 1_000.0
    }),
    ("tandem_forward_shards", "gauge", "Requests that went at once in the last round", |s| s.shards as f64),
];

fn forwards(page: &mut String, statuses: &[ForwardStatus]) {
    if statuses.is_empty() {
        return;
    }
    for (name, kind, help, read) in OF_FORWARDS {
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for status in statuses {
            let _ = writeln!(page, "{name}{{forward=\"{}\"}} {}", escaped(&status.name), read(status));
        }
    }
    let name = "tandem_forward_dropped_samples_total";
    let _ = writeln!(page, "# HELP {name} Samples that will not be delivered\n# TYPE {name} counter");
    for status in statuses {
        for (reason, count) in &status.dropped {
            let _ = writeln!(page, "{name}{{forward=\"{}\",reason=\"{reason}\"}} {count}", escaped(&status.name));
        }
    }
}
