//! What dashboards and alert rules ask: the shapes of node-exporter's, Kubernetes' and DCGM's own dashboards and alerts.

/// Moments that a request is about.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// One.
    Instant,
    /// From so many minutes back, at a step in seconds.
    Range { minutes: i64, step: i64 },
}

/// A request of Prometheus' query API.
#[derive(Debug, Clone, Copy)]
pub enum Asked {
    /// A query.
    Query(When, &'static str),
    /// `series`, `labels` or `label/…/values`, with what its series are to fit.
    Labels(&'static str, Option<&'static str>),
}

const HOUR: When = When::Range { minutes: 60, step: 30 };
const AFTERNOON: When = When::Range { minutes: 230, step: 60 };

/// Everything that is asked, with what it stands for.
pub const ALL: [(&str, Asked); 38] = [
    ("what is up", Asked::Query(When::Instant, "up")),
    ("alert: target down", Asked::Query(When::Instant, "up == 0")),
    ("alert: job is gone", Asked::Query(When::Instant, "absent(up{job=\"missing\"})")),
    ("requests by instance", Asked::Query(When::Instant, "sum by (instance) (rate(http_requests_total[5m]))")),
    (
        "errors as a ratio",
        Asked::Query(
            When::Instant,
            "sum by (instance) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (instance) (rate(http_requests_total[5m]))",
        ),
    ),
    (
        "latency p99 by handler",
        Asked::Query(
            When::Instant,
            "histogram_quantile(0.99, sum by (le, handler) (rate(http_request_duration_seconds_bucket[5m])))",
        ),
    ),
    (
        "latency p90 by instance",
        Asked::Query(
            When::Instant,
            "histogram_quantile(0.9, sum by (le, instance) (rate(http_request_duration_seconds_bucket[5m])))",
        ),
    ),
    (
        "mean latency",
        Asked::Query(
            When::Instant,
            "sum by (handler) (rate(http_request_duration_seconds_sum[5m])) / sum by (handler) (rate(http_request_duration_seconds_count[5m]))",
        ),
    ),
    (
        "busiest ten machines",
        Asked::Query(When::Instant, "topk(10, sum by (instance) (rate(node_cpu_seconds_total{mode!=\"idle\"}[5m])))"),
    ),
    (
        "processor use",
        Asked::Query(When::Instant, "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))"),
    ),
    (
        "alert: file system fills",
        Asked::Query(
            When::Instant,
            "node_filesystem_avail_bytes / node_filesystem_size_bytes * 100 < 60 and predict_linear(node_filesystem_avail_bytes[1h], 14400) > 0",
        ),
    ),
    ("memory use", Asked::Query(When::Instant, "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes")),
    (
        "traffic with names",
        Asked::Query(
            When::Instant,
            "rate(node_network_receive_bytes_total[5m]) * on (instance) group_left (nodename) node_uname_info",
        ),
    ),
    (
        "series by a regex",
        Asked::Query(When::Instant, "count by (job) ({__name__=~\"node_disk_.*\", device=~\"nvme.*\"})"),
    ),
    (
        "peak of a subquery",
        Asked::Query(When::Instant, "max_over_time(sum by (zone) (rate(http_requests_total[1m]))[30m:1m])"),
    ),
    ("alert: GPU hot", Asked::Query(When::Instant, "max by (UUID) (DCGM_FI_DEV_GPU_TEMP) > 60")),
    ("GPU power over an hour", Asked::Query(When::Instant, "avg_over_time(DCGM_FI_DEV_POWER_USAGE[1h])")),
    ("alert: XID changed", Asked::Query(When::Instant, "changes(DCGM_FI_DEV_XID_ERRORS[1h]) > 0")),
    ("load p95 by zone", Asked::Query(When::Instant, "quantile by (zone) (0.95, node_load5)")),
    ("alert: out of memory", Asked::Query(When::Instant, "increase(node_vmstat_oom_kill[1h]) > 0")),
    ("loaded machines by rack", Asked::Query(When::Instant, "count by (rack) (node_load1 > 4)")),
    (
        "alert: disk saturated",
        Asked::Query(When::Instant, "rate(node_disk_io_time_seconds_total[5m]) > 0.2 unless on (instance) up == 0"),
    ),
    (
        "alert: network errors",
        Asked::Query(When::Instant, "sum by (instance) (increase(node_network_receive_errs_total[1h])) > 1"),
    ),
    ("all series counted", Asked::Query(When::Instant, "count({__name__=~\".+\"})")),
    ("graph: requests by instance", Asked::Query(HOUR, "sum by (instance) (rate(http_requests_total[5m]))")),
    ("graph: requests by code", Asked::Query(AFTERNOON, "sum by (code) (rate(http_requests_total[5m]))")),
    (
        "graph: latency p99",
        Asked::Query(HOUR, "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"),
    ),
    (
        "graph: processor use",
        Asked::Query(HOUR, "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[5m]))"),
    ),
    ("graph: processor by mode", Asked::Query(HOUR, "sum by (mode) (rate(node_cpu_seconds_total[5m]))")),
    (
        "graph: load of one machine",
        Asked::Query(When::Range { minutes: 230, step: 15 }, "node_load1{instance=\"10.0.0.1:9100\"}"),
    ),
    ("graph: GPU use by zone", Asked::Query(AFTERNOON, "avg by (zone) (DCGM_FI_DEV_GPU_UTIL)")),
    ("graph: five busiest disks", Asked::Query(HOUR, "topk(5, rate(node_disk_written_bytes_total[5m]))")),
    (
        "graph: memory use",
        Asked::Query(AFTERNOON, "avg by (zone) (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)"),
    ),
    ("graph: hottest sensors", Asked::Query(HOUR, "max by (instance) (max_over_time(node_hwmon_temp_celsius[10m]))")),
    ("series of a machine", Asked::Labels("series", Some("{instance=\"10.0.0.1:9100\"}"))),
    ("series of a metric", Asked::Labels("series", Some("node_load1"))),
    ("names of labels", Asked::Labels("labels", None)),
    ("values of a label", Asked::Labels("label/instance/values", None)),
];
