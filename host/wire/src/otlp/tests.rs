//! Recorded and published requests, requests of our own, and hostile ones.

use super::*;
use crate::{
    classic::classic_series, compressed::open_encoded, limits::WireLimits, protobuf::Writer, rejected::Reason,
    remote_write::STALE_NAN, series_key::KeySeed, shared_data,
};
use tandem_domain::{Severity, Timestamp, series::MetricType};

const SEED: KeySeed = KeySeed(3);

fn metrics(encoding: Encoding, body: &[u8]) -> MetricsBatch {
    decode_metrics(encoding, body, &Options::default(), SEED, &WireLimits::default()).expect("a request")
}

fn logs(encoding: Encoding, body: &[u8]) -> LogsBatch {
    decode_logs(encoding, body, Timestamp(42), &WireLimits::default()).expect("a request")
}

/// A recorded body, opened by its recorded headers.
fn recorded(name: &str) -> Option<(Encoding, Vec<u8>)> {
    let body = std::fs::read(shared_data::path(&format!("captures/otlp/{name}.body"))?).expect("readable");
    let told = shared_data::path(&format!("captures/otlp/{name}.headers.json"))?;
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(told).expect("readable")).expect("JSON");
    let header = |wanted: &str| {
        let headers = told["headers"].as_object().expect("headers");
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, value)| value.as_str())
    };
    let encoding = Encoding::of(header("content-type")).expect("taken");
    let opened = open_encoded(header("content-encoding"), &body, 1 << 20).expect("opened").into_owned();
    Some((encoding, opened))
}

fn one<'b>(batch: &'b MetricsBatch, name: &str) -> &'b SampleRow {
    batch.samples.iter().find(|row| row.series.metric == name).unwrap_or_else(|| panic!("{name} is missing"))
}

#[test]
fn recorded_metrics_are_taken_whole_and_named_as_prometheus_names_them() {
    for name in ["00_v1_metrics", "01_v1_metrics", "02_v1_metrics", "03_v1_metrics"] {
        let Some((encoding, body)) = recorded(name) else { return };
        let batch = metrics(encoding, &body);
        assert!(batch.rejections.is_empty(), "{name}: {:?}", batch.rejections);
        assert_eq!(batch.resources[0].target.job, "checkout");
        let requests: f64 = batch
            .samples
            .iter()
            .filter(|row| row.series.metric == "http_server_requests_total")
            .map(|row| row.value)
            .sum();
        assert_eq!(requests, 50.0);
        let count = one(&batch, "http_server_duration_milliseconds_count");
        assert_eq!((count.value, count.series.metric_type), (50.0, MetricType::Histogram));
        assert_eq!((count.series.unit.as_str(), count.series.labels.get("route")), ("milliseconds", Some("/pay")));
        let infinite = batch.samples.iter().find(|row| row.series.labels.get("le") == Some("+Inf"));
        assert_eq!(infinite.expect("a bucket").value, 50.0);
        assert_eq!((one(&batch, "gpu_temperature_celsius").value, one(&batch, "queue_depth").value), (61.5, 0.0));
        assert_eq!(one(&batch, "queue_depth").series.metric_type, MetricType::Gauge);
        let info = one(&batch, "target_info");
        assert_eq!(info.series.labels.get("host_name"), Some("node-7"));
        assert_eq!((info.value, info.series.labels.get("service_version")), (1.0, Some("1.4.2")));
        let native = &batch.histograms[0];
        assert_eq!((native.series.metric.as_str(), native.histogram.count), ("exp_latency_milliseconds", 50.0));
        let classic = classic_series(&native.histogram);
        assert_eq!(classic.last().map(|(_, le, count)| (le.as_str(), *count)), Some(("+Inf", 50.0)));
    }
}

#[test]
fn recorded_logs_say_what_was_logged() {
    let Some((encoding, body)) = recorded("05_v1_logs") else { return };
    let batch = logs(encoding, &body);
    assert!(batch.rejections.is_empty(), "{:?}", batch.rejections);
    let told: Vec<_> = batch.entries.iter().map(|(_, entry)| (entry.severity, entry.text.as_str())).collect();
    let expected = [(Severity::Warning, "payment failed for order 4711"), (Severity::Warning, "slow query 913 ms")];
    assert_eq!(told, expected);
    let (_, first) = &batch.entries[0];
    assert_eq!((first.level.as_str(), first.app.as_str(), first.host.as_str()), ("ERROR", "checkout", "node-7"));
    assert_eq!(first.attributes.get("order"), Some("4711"));
}

#[test]
fn published_json_requests_lose_nothing() {
    let read = |name: &str| {
        shared_data::path(&format!("otlp/examples/{name}")).map(|path| std::fs::read(path).expect("readable"))
    };
    let Some(body) = read("metrics.json") else { return };
    let batch = metrics(Encoding::Json, &body);
    assert!(batch.rejections.is_empty(), "{:?}", batch.rejections);
    assert_eq!((batch.points, batch.samples.len(), batch.histograms.len()), (4, 6, 1));
    let counter = one(&batch, "my_counter_total");
    assert_eq!((counter.value, counter.at), (5.0, Timestamp(1_544_712_660_300)));
    assert_eq!(counter.counting, Counting::Increment { since: Timestamp(1_544_712_660_300) });
    assert_eq!(one(&batch, "my_gauge_ratio").value, 10.0);
    assert_eq!(one(&batch, "my_histogram_bucket").series.labels.get("le"), Some("1"));
    assert_eq!(batch.histograms[0].histogram.positive.counts, [0.0, 2.0]);
    let batch = logs(Encoding::Json, &read("logs.json").expect("beside"));
    let (_, entry) = &batch.entries[0];
    assert_eq!((entry.text.as_str(), entry.level.as_str()), ("Example log record", "Information"));
    assert_eq!(entry.attributes.get("trace_id"), Some("5b8efff798038103d269b633813fc60c"));
    assert_eq!(entry.attributes.get("array.attribute"), Some(r#"["many","values"]"#));
    assert_eq!(entry.attributes.get("map.attribute"), Some(r#"{"some.map.key":"some value"}"#));
    let events = logs(Encoding::Json, &read("events.json").expect("beside"));
    assert!(!events.entries.is_empty() && events.rejections.is_empty(), "{:?}", events.rejections);
}

fn point(extra: &str) -> String {
    format!(r#"{{"timeUnixNano":"5000000000","startTimeUnixNano":1000000000{extra}}}"#)
}

fn request(metrics: &str) -> Vec<u8> {
    let resource = r#"{"attributes":[{"key":"service.namespace","value":{"stringValue":"shop"}},
        {"key":"service.name","value":{"stringValue":"pay"}},{"key":"service.instance.id","value":{"stringValue":"i1"}},
        {"key":"gpu.uuid","value":{"stringValue":"GPU-1"}},{"key":"gpu/uuid","value":{"stringValue":"GPU-2"}}]}"#;
    format!(
        r#"{{"unknown":1,"resourceMetrics":[{{"resource":{resource},"scopeMetrics":[{{"scope":null,"metrics":[{metrics}]}}]}}]}}"#
    )
    .into_bytes()
}

#[test]
fn one_bad_point_or_metric_costs_itself() {
    let good = point(r#","asInt":"7""#);
    let gauge = |points: &str| format!(r#"{{"name":"g","gauge":{{"dataPoints":[{points}]}}}}"#);
    let body = request(&format!(
        r#"{},{{"name":"bad","gauge":{{"dataPoints":[{{"asInt":"seven"}}]}}}},{},{}"#,
        gauge(&format!("{good},{},{{\"asInt\":1}}", point(""))),
        gauge(&point(r#","asDouble":"NaN""#)),
        r#"{"name":"s","sum":{"isMonotonic":true,"dataPoints":[{"asInt":1,"timeUnixNano":5}]}}"#,
    ));
    let batch = metrics(Encoding::Json, &body);
    assert_eq!((batch.points, batch.rejections.total()), (2, 4), "{:?}", batch.rejections);
    let reasons: Vec<_> = batch.rejections.counts().collect();
    assert_eq!(reasons, [(Reason::Malformed, 2), (Reason::Unsupported, 1), (Reason::BadTime, 1)]);
    assert_eq!(batch.resources[0].target.job, "shop/pay");
    assert_eq!(batch.resources[0].target.instance, "i1");
    assert_eq!(one(&batch, "target_info").series.labels.get("gpu_uuid"), Some("GPU-1;GPU-2"));
    assert!(batch.samples.iter().any(|row| row.value.is_nan()));
}

#[test]
fn promoted_attributes_and_scopes_become_labels_where_they_are_asked_for() {
    let body = request(&format!(r#"{{"name":"g","gauge":{{"dataPoints":[{}]}}}}"#, point(r#","asInt":7"#)));
    let options = Options { promote: vec!["gpu.uuid".into()], scope_labels: true };
    let batch = decode_metrics(Encoding::Json, &body, &options, SEED, &WireLimits::default()).expect("a request");
    assert_eq!(one(&batch, "g").series.labels.get("gpu_uuid"), Some("GPU-1"));
    let pairs = [("__name__", "g"), ("gpu_uuid", "GPU-1"), ("instance", "i1"), ("job", "shop/pay")];
    assert_eq!(one(&batch, "g").key, SEED.of_pairs(pairs, &mut Vec::new()));
}

#[test]
fn what_was_scraped_from_prometheus_keeps_its_name() {
    let sum = |name: &str, more: &str| {
        let points = point(r#","asInt":7"#);
        format!(
            r#"{{"name":"{name}","unit":"By","sum":{{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{points}]}}{more}}}"#
        )
    };
    let told = r#","metadata":[{"key":"prometheus.type","value":{"stringValue":"counter"}}]"#;
    let body = request(&format!("{},{}", sum("DCGM_A", told), sum("DCGM_B", "")));
    let batch = metrics(Encoding::Json, &body);
    assert_eq!(one(&batch, "DCGM_A").series.metric_type, MetricType::Counter);
    assert_eq!(one(&batch, "DCGM_B_bytes_total").series.metric_type, MetricType::Counter);
    let text = String::from_utf8(body).expect("text");
    let scope =
        r#""scope":{"name":"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver"}"#;
    let batch = metrics(Encoding::Json, text.replace(r#""scope":null"#, scope).as_bytes());
    assert_eq!(one(&batch, "DCGM_B").series.unit, "bytes");
}

#[test]
fn points_without_value_end_their_series() {
    let body = request(&format!(
        r#"{{"name":"g","gauge":{{"dataPoints":[{}]}}}},{{"name":"h","histogram":{{"aggregationTemporality":2,"dataPoints":[{}]}}}}"#,
        point(r#","flags":1"#),
        point(r#","flags":1"#)
    ));
    let batch = metrics(Encoding::Json, &body);
    assert!(batch.rejections.is_empty(), "{:?}", batch.rejections);
    let ended = batch.samples.iter().filter(|row| row.value.to_bits() == STALE_NAN).count();
    assert_eq!(ended, 3, "the gauge, and bucket and count of the histogram");
}

#[test]
fn summaries_and_bad_histograms() {
    let body = request(&format!(
        r#"{{"name":"s","summary":{{"dataPoints":[{}]}}}},{{"name":"h","histogram":{{"aggregationTemporality":2,"dataPoints":[{},{}]}}}}"#,
        point(r#","count":"2","sum":3,"quantileValues":[{"quantile":0.5,"value":1.5}]"#),
        point(r#","count":2,"bucketCounts":[1,1],"explicitBounds":[1,2]"#),
        point(r#","count":2,"bucketCounts":[1,0,1],"explicitBounds":[2,1]"#)
    ));
    let batch = metrics(Encoding::Json, &body);
    assert_eq!(one(&batch, "s").series.labels.get("quantile"), Some("0.5"));
    assert_eq!((one(&batch, "s_count").value, one(&batch, "s_sum").value), (2.0, 3.0));
    assert_eq!(batch.rejections.counts().collect::<Vec<_>>(), [(Reason::BadHistogram, 2)]);
    assert!(!batch.samples.iter().any(|row| row.series.metric.starts_with("h_")), "none is told in part");
}

#[test]
fn increments_add_up_in_order_and_within_bounds() {
    let mut accumulator = Accumulator::new(2);
    let [a, b, c] = ["a", "b", "c"].map(|name| SEED.of_pairs([("__name__", name)], &mut Vec::new()));
    assert_eq!(accumulator.add(a, Timestamp(10), 5.0), Ok(5.0));
    assert_eq!(accumulator.add(a, Timestamp(20), 2.0), Ok(7.0));
    let again = accumulator.add(a, Timestamp(20), 2.0).expect_err("added already");
    assert_eq!(again.reason, Reason::OutOfOrder);
    assert_eq!(accumulator.add(b, Timestamp(5), 1.0), Ok(1.0));
    assert_eq!(accumulator.add(c, Timestamp(5), 1.0).expect_err("no room").reason, Reason::TooMany);
    assert_eq!(accumulator.forget_before(Timestamp(6)), 1);
    let body = request(&format!(
        r#"{{"name":"e","exponentialHistogram":{{"aggregationTemporality":1,"dataPoints":[{}]}}}}"#,
        point(r#","count":"3","sum":4,"scale":20,"zeroCount":1,"positive":{"offset":-5,"bucketCounts":["1","1"]}"#)
    ));
    let batch = metrics(Encoding::Json, &body);
    let row = &batch.histograms[0];
    assert_eq!(row.histogram.schema, 8, "made coarser");
    let first = accumulator.add_histogram(c, Timestamp(1), row.histogram.clone()).expect("room");
    assert_eq!(first.count, 3.0);
    assert_eq!(accumulator.add_histogram(c, Timestamp(2), row.histogram.clone()).expect("later").count, 6.0);
}

#[test]
fn answers_tell_partial_success_in_the_senders_encoding() {
    assert!(accepted(Encoding::Protobuf, Signal::Metrics, 0, "").is_empty());
    assert_eq!(accepted(Encoding::Json, Signal::Logs, 0, ""), b"{}");
    assert_eq!(accepted(Encoding::Protobuf, Signal::Metrics, 3, "no"), [0x0a, 6, 0x08, 3, 0x12, 2, b'n', b'o']);
    let json: serde_json::Value =
        serde_json::from_slice(&accepted(Encoding::Json, Signal::Logs, 3, "no")).expect("JSON");
    assert_eq!(json["partialSuccess"]["rejectedLogRecords"], "3");
    assert_eq!(refused(Encoding::Protobuf, "x"), [0x12, 1, b'x']);
    assert!(matches!(Encoding::of(Some("text/plain")), Err(OtlpError::ContentType(_))));
    assert_eq!(Encoding::of(Some("application/json; charset=utf-8")), Ok(Encoding::Json));
}

#[test]
fn what_nests_or_repeats_without_end_is_bounded() {
    let mut value = Writer::default();
    value.text(1, "x");
    let mut nested = value.into_bytes();
    for _ in 0..200 {
        let mut list = Writer::default();
        list.bytes(1, &nested);
        let list = list.into_bytes();
        let mut outer = Writer::default();
        outer.bytes(5, &list);
        nested = outer.into_bytes();
    }
    let mut record = Writer::default();
    record.bytes(5, &nested);
    let record = record.into_bytes();
    let mut body = Writer::default();
    body.message(1, |group| group.message(2, |scoped| scoped.bytes(2, &record)));
    let batch = logs(Encoding::Protobuf, &body.into_bytes());
    assert_eq!((batch.entries.len(), batch.rejections.total()), (0, 1));
    let deep = format!(r#"{{"resourceLogs":[{}{}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(decode_logs(Encoding::Json, deep.as_bytes(), Timestamp(0), &WireLimits::default()).is_err());
    let limits = WireLimits { items: 10, ..WireLimits::default() };
    let points = vec![point(r#","asInt":1"#); 20].join(",");
    let body = request(&format!(r#"{{"name":"g","gauge":{{"dataPoints":[{points}]}}}}"#));
    let batch = decode_metrics(Encoding::Json, &body, &Options::default(), SEED, &limits).expect("a request");
    assert_eq!((batch.points, batch.rejections.counts().next()), (10, Some((Reason::TooMany, 10))));
}
