//! Short bodies that would cost much if the decoders let them: one long text named over and over, a million small parts, deep
//! nesting. Each must be done with soon and told by reason; done carelessly they take minutes.

use std::time::{Duration, Instant};
use tandem_domain::Timestamp;
use tandem_wire::{
    influx::{self, Precision},
    limits::WireLimits,
    otlp::{self, Encoding, Options},
    rejected::Reason,
    remote_write::{self, Protocol},
    series_key::KeySeed,
    statsd, syslog,
};

/// What an unoptimised build on a busy machine may take.
const SOON: Duration = Duration::from_secs(20);
const NOW: Timestamp = Timestamp(1_767_312_000_000);
const LONG: usize = 1 << 20;

fn soon<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = run();
    assert!(begun.elapsed() < SOON, "{what} took {:?}", begun.elapsed());
    done
}

fn varint(mut value: usize, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn field(number: u8, inside: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    varint(inside.len(), &mut bytes);
    bytes.extend_from_slice(inside);
    bytes
}

#[test]
fn influx_lines_of_many_fields_and_long_names() {
    let fields = vec!["a=1"; 100_000].join(",");
    let tags: String = (0..20_000).map(|n| format!(",t{n}=1")).collect();
    let long = "m".repeat(LONG);
    for (line, reason) in [
        (format!("m{tags} {fields}"), Reason::TooManyLabels),
        (format!("{long} {fields}"), Reason::BadName),
        (format!("m,t={long} {fields}"), Reason::LabelsTooLong),
    ] {
        let batch = soon("a line", || {
            influx::decode(line.as_bytes(), Precision::Seconds, NOW, KeySeed(1), &WireLimits::default())
        });
        assert_eq!(batch.rejections.counts().collect::<Vec<_>>(), [(reason, 100_000)]);
    }
}

#[test]
fn otlp_points_under_long_names() {
    let long = "m".repeat(LONG);
    let points = vec![r#"{"asInt":1,"timeUnixNano":5000000}"#; 50_000].join(",");
    let request = |service: &str, name: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"{service}"}}}}]}},
            "scopeMetrics":[{{"scope":{{"name":"{service}"}},"metrics":[{{"name":"{name}","gauge":{{"dataPoints":[{points}]}}}}]}}]}}]}}"#
        )
    };
    let options = Options { promote: vec!["service.name".into()], scope_labels: true };
    let decode = |body: &str| {
        soon("a request", || {
            otlp::decode_metrics(Encoding::Json, body.as_bytes(), &options, KeySeed(1), &WireLimits::default())
                .expect("a request")
        })
    };
    assert_eq!(decode(&request("s", &long)).rejections.counts().next(), Some((Reason::BadName, 50_000)));
    let named = decode(&request(&long, "g"));
    assert_eq!((named.points, named.resources[0].target.job.len()), (50_000, 4_096));
}

#[test]
fn remote_write_symbols_named_over_and_over() {
    let symbol = field(4, &vec![b'x'; 4_000]);
    let mut body: Vec<u8> = [field(4, b""), field(4, b"__name__"), symbol].concat();
    let refs: Vec<u8> = [1, 2].repeat(8);
    let series = field(5, &[field(1, &refs), field(2, &[0x10, 5])].concat());
    body.extend(series.repeat(200_000));
    let decoded = soon("a body", || {
        remote_write::decode(Protocol::V2, &body, KeySeed(1), &WireLimits::default()).expect("a message")
    });
    let lost: u64 = decoded.rejections.counts().map(|(_, count)| count).sum();
    assert_eq!(decoded.at.len() as u64 + lost, 200_000);
    assert_eq!(decoded.rejections.counts().next().map(|(reason, _)| reason), Some(Reason::TooMany));
    let help: Vec<u8> = [field(4, b""), field(4, b"__name__"), field(4, &vec![b'x'; LONG])].concat();
    let series = field(5, &[field(1, &[1, 1]), field(2, &[0x10, 5]), field(5, &[0x18, 2])].concat());
    let body = [help, series.repeat(100_000)].concat();
    let decoded = soon("a body", || {
        remote_write::decode(Protocol::V2, &body, KeySeed(1), &WireLimits::default()).expect("a message")
    });
    assert_eq!(decoded.at.len(), 100_000);
}

#[test]
fn statsd_lines_of_many_tags_and_values() {
    let values = vec!["1"; 10_000].join(":");
    let tags: Vec<String> = (0..8_000).map(|n| format!("t{n}")).collect();
    let line = format!("m:{values}|h|#{}", tags.join(","));
    let mut held = statsd::Aggregator::new(KeySeed(1), WireLimits::default(), 10);
    let refused = soon("a line", || {
        statsd::lines(line.as_bytes()).map(|line| held.apply(&line.expect("a line"), NOW)).next().expect("one")
    });
    assert_eq!(refused.expect_err("refused").reason, Reason::TooManyLabels);
    let wide: String = (0..600).map(|n| format!("m:1e{}|h\nm:-1e{}|h\n", n - 300, n - 300)).collect();
    for line in statsd::lines(wide.as_bytes()) {
        held.apply(&line.expect("a line"), NOW).expect("taken");
    }
    let flush = held.flush(NOW);
    assert!(flush.histograms[0].2.buckets() <= 160, "{}", flush.histograms[0].2.buckets());
    assert_eq!((flush.histograms[0].2.count, flush.histograms[0].2.check()), (1_200.0, Ok(())));
}

#[test]
fn syslog_messages_of_brackets() {
    for text in ["[".repeat(60_000), "[a b=\"".repeat(10_000), format!("[a {}]", "b=\"\" ".repeat(12_000))] {
        let message = format!("<14>1 - h a - - {text}");
        let entry =
            soon("a message", || syslog::parse(message.as_bytes(), NOW, &WireLimits::default()).expect("a message"));
        assert!(entry.attributes.len() <= 96);
    }
}
