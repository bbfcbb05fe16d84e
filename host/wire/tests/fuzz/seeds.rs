//! Good inputs to begin with: our own, and those of the shared corpora where they are there.

use std::path::{Path, PathBuf};
use tandem_domain::{
    Timestamp,
    histogram::{Buckets, NativeHistogram, ResetHint, Span},
    series::MetricType,
};
use tandem_wire::{
    compressed::open_snappy,
    remote_write::{Exemplar, Metadata, OutgoingSeries, Protocol, encode},
};

/// Files of one corpus that are taken at most.
const MAX_FILES: usize = 400;

/// The files below a folder of `shared/data`, when it is there.
pub fn corpus(part: &str, wanted: &str) -> Vec<Vec<u8>> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned();
    let shared = std::env::var("TANDEM_SHARED").unwrap_or(beside);
    let folder = PathBuf::from(shared).join("data").join(part);
    if !folder.exists() {
        eprintln!("fewer seeds: {} is absent; set TANDEM_SHARED to the folder that holds data/", folder.display());
    }
    let mut found = Vec::new();
    walk(&folder, wanted, &mut found);
    found.sort();
    found.iter().take(MAX_FILES).filter_map(|path| std::fs::read(path).ok()).collect()
}

fn walk(folder: &Path, wanted: &str, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            walk(&path, wanted, found);
        } else if path.to_string_lossy().contains(wanted) {
            found.push(path);
        }
    }
}

pub const PAGE: &str = "# HELP a help\n# TYPE a counter\n# UNIT a_s s\na_total{b=\"c\\\"d\",e=\"\"} 1 123.5 # {trace_id=\"x\"} 0.5 1\n\
    # TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1.5\nh_count 2\n# TYPE g gauge\ng -Inf 12\n\
    # TYPE i info\ni_info{v=\"1\"} 1\n{\"utf8 name\",\"l l\"=\"x\"} NaN\n# EOF\n";

/// A body of remote write with everything in it, opened.
pub fn remote_write(protocol: Protocol) -> Vec<u8> {
    let side = Buckets { spans: vec![Span { offset: -2, length: 2 }], counts: vec![1.0, 5.0] };
    let histogram = NativeHistogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 4.0,
        count: 20.0,
        sum: 12.5,
        positive: side.clone(),
        negative: side,
        custom_bounds: Vec::new(),
        reset: ResetHint::No,
        whole: true,
    };
    let series = [
        OutgoingSeries {
            labels: vec![("__name__", "requests_total"), ("job", "shop"), ("route", "/pay")],
            samples: vec![(Timestamp(15_000), 1.5), (Timestamp(30_000), f64::NAN)],
            exemplars: vec![Exemplar { labels: vec![("trace_id", "abc")], value: 0.5, at: Timestamp(17) }],
            metadata: Some(Metadata {
                family: "requests",
                metric_type: MetricType::Counter,
                help: "How many.",
                unit: "requests",
            }),
            ..OutgoingSeries::default()
        },
        OutgoingSeries {
            labels: vec![("__name__", "latency")],
            histograms: vec![
                (Timestamp(-5), histogram.clone()),
                (Timestamp(9), NativeHistogram { whole: false, ..histogram }),
            ],
            ..OutgoingSeries::default()
        },
    ];
    open_snappy(&encode(protocol, &series).expect("short"), 1 << 20).expect("our own")
}

pub const OTLP_METRICS: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}},
{"key":"a.b","value":{"arrayValue":{"values":[{"intValue":"1"},{"boolValue":true}]}}}]},"scopeMetrics":[{"scope":{"name":"n"},"metrics":[
{"name":"c","unit":"1","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[{"asInt":"5","timeUnixNano":"1544712660300000000","attributes":[{"key":"k","value":{"doubleValue":1.5}}]}]}},
{"name":"g","unit":"By/s","gauge":{"dataPoints":[{"asDouble":"NaN","timeUnixNano":1}]}},
{"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{"count":"2","sum":2,"bucketCounts":["1","1"],"explicitBounds":[1],"timeUnixNano":5000000}]}},
{"name":"e","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"5","count":"3","sum":10,"scale":9,"zeroCount":"1","positive":{"offset":1,"bucketCounts":["0","2"]}}]}},
{"name":"q","summary":{"dataPoints":[{"timeUnixNano":"5","count":"3","sum":10,"quantileValues":[{"quantile":0.5,"value":1}]}]}}]}]}]}"#;

pub const OTLP_LOGS: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"h"}}]},"scopeLogs":[{"scope":{"name":"n"},"logRecords":[
{"timeUnixNano":"1544712660300000000","severityNumber":17,"severityText":"ERROR","traceId":"5B8EFFF798038103D269B633813FC60C","body":{"stringValue":"text"},
"attributes":[{"key":"m","value":{"kvlistValue":{"values":[{"key":"x","value":{"bytesValue":"AAE="}}]}}}]}]}]}]}"#;

/// A field of bytes as protobuf writes it; short ones only.
fn bytes(number: u8, inside: &[u8]) -> Vec<u8> {
    let length = u8::try_from(inside.len()).expect("short");
    let mut field = vec![number << 3 | 2];
    // A length above 127 takes a second byte.
    field.extend(if length < 0x80 { vec![length] } else { vec![length, 1] });
    field.extend_from_slice(inside);
    field
}

fn fixed(number: u8, value: u64) -> Vec<u8> {
    let mut field = vec![number << 3 | 1];
    field.extend(value.to_le_bytes());
    field
}

fn varint(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

fn attribute(number: u8, key: &str, value: &str) -> Vec<u8> {
    bytes(number, &[bytes(1, key.as_bytes()), bytes(2, &bytes(1, value.as_bytes()))].concat())
}

/// A group of one resource and one scope with these items.
fn otlp(items: &[Vec<u8>]) -> Vec<u8> {
    let resource = bytes(1, &attribute(1, "service.name", "s"));
    let scope = bytes(1, &bytes(1, b"n"));
    let items: Vec<u8> = items.iter().flat_map(|item| bytes(2, item)).collect();
    bytes(1, &[resource, bytes(2, &[scope, items].concat())].concat())
}

/// One metric of each type, each in its own request.
pub fn otlp_metrics_protobuf() -> Vec<Vec<u8>> {
    let metric = |field: u8, point: Vec<u8>| {
        let points = [bytes(1, &point), varint(2, 2), varint(3, 1)].concat();
        otlp(&[[bytes(1, b"m"), bytes(3, b"ms"), bytes(field, &points)].concat()])
    };
    let (time, two) = (fixed(3, 5 << 40), 2.0_f64.to_bits());
    let number = [time.clone(), fixed(4, two), attribute(7, "k", "v")].concat();
    let integer = [time.clone(), fixed(6, 7), varint(8, 1)].concat();
    let counts = [1_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat();
    let histogram =
        [time.clone(), fixed(4, 2), fixed(5, two), bytes(6, &counts), bytes(7, &two.to_le_bytes())].concat();
    let side = [varint(1, 3), bytes(2, &[1, 1])].concat();
    let exponential =
        [time.clone(), fixed(4, 3), varint(6, 8), fixed(7, 1), bytes(8, &side), attribute(1, "k", "v")].concat();
    let quantile = [fixed(1, two), fixed(2, two)].concat();
    let summary = [time, fixed(4, 3), fixed(5, two), bytes(6, &quantile)].concat();
    vec![metric(5, number), metric(7, integer), metric(9, histogram), metric(10, exponential), metric(11, summary)]
}

/// A request of one log record.
pub fn otlp_logs_protobuf() -> Vec<u8> {
    let list = bytes(5, &bytes(1, &varint(3, 7)));
    let record = [
        fixed(1, 5 << 40),
        varint(2, 17),
        bytes(3, b"ERR"),
        bytes(5, &bytes(1, b"text")),
        bytes(6, &[bytes(1, b"k"), bytes(2, &list)].concat()),
        bytes(9, &[7; 16]),
    ];
    otlp(&[record.concat()])
}

pub const INFLUX: &str = "cpu\\ load,host=a\\ b\\,c\\=d msg=\"he said \\\"hi\\\"\",n=3i,u=4u,ok=true,v=1.5e3 1700000000000000000\n\
    # comment\nm v=-.5\r\nm,a=1,b=2 x=f,y=T 12\n";
pub const STATSD: &str =
    "page.views:1|c|@0.1|#a:b,c\ntemp:-5|g\nusers:a|s\nload:320|ms\nsize:1:2:4|h\nsize:0|d|T123|c:id\n_sc|x|0";
pub const SYSLOG: &str = "<165>1 2003-10-11T22:14:15.003Z host app - ID47 [ex@32473 iut=\"3\" s=\"A\\]\\\"c\"][m@1 a=\"b\"] \u{feff}An entry\n\
    <34>Oct 11 22:14:15 machine su[42]: 'su root' failed\n<189>Feb 29 2024 12:00:00: %LINK-3-UPDOWN: down\n11 <14>a: x\n\ny";
pub const ALERTS: &str = r#"[{"labels":{"alertname":"A","x":""},"annotations":{"summary":"s"},"startsAt":"2025-11-23T18:16:40.568Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p/"}]"#;
pub const WEBHOOK: &str = r#"{"version":"4","receiver":"t","groupKey":"g","externalURL":"http://a","truncatedAlerts":0,"status":"firing","alerts":[{"status":"resolved","labels":{"alertname":"A"},"annotations":{"s":"x"},"startsAt":"2026-11-23T18:16:40.568Z","endsAt":"2026-11-23T18:17:40Z","generatorURL":"","fingerprint":"4aacf230f3c81da4"}]}"#;
pub const PREDICTIONS: &str = "{\"service\":\"s\",\"id\":\"1\",\"at\":1700000000,\"features\":{\"a\":1.5,\"b\":\"x\",\"c\":null,\"d\":true},\"prediction\":0.5,\"score\":0.9}\n{\"service\":\"s\",\"id\":\"2\"}";
