//! Recorded bodies, bodies of our own in both protocols, and hostile ones.

use super::*;
use crate::{
    classic::classic_series, families::FamilyTable, limits::WireLimits, protobuf::Writer, rejected::Reason,
    series_key::KeySeed, shared_data, split_target,
};
use proptest::prelude::*;
use std::collections::HashSet;
use tandem_domain::{
    Timestamp,
    histogram::{Buckets, NativeHistogram, ResetHint, Span},
    series::MetricType,
};

const SEED: KeySeed = KeySeed(7);

fn read(protocol: Protocol, body: &[u8]) -> WriteBody<'_> {
    decode(protocol, body, SEED, &WireLimits::default()).expect("a message")
}

fn native(whole: bool) -> NativeHistogram {
    let side = Buckets {
        spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
        counts: vec![1.0, 5.0, 2.0],
    };
    NativeHistogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 4.0,
        count: 20.0,
        sum: 12.5,
        positive: side.clone(),
        negative: side,
        custom_bounds: Vec::new(),
        reset: ResetHint::No,
        whole,
    }
}

fn outgoing() -> Vec<OutgoingSeries<'static>> {
    let labels = vec![("__name__", "requests_total"), ("job", "shop"), ("route", "/pay")];
    let exemplar = Exemplar { labels: vec![("trace_id", "abc")], value: 0.5, at: Timestamp(17) };
    let metadata =
        Metadata { family: "requests", metric_type: MetricType::Counter, help: "How many.", unit: "requests" };
    vec![
        OutgoingSeries {
            labels,
            samples: vec![(Timestamp(15_000), 1.5), (Timestamp(30_000), f64::from_bits(STALE_NAN))],
            exemplars: vec![exemplar],
            metadata: Some(metadata),
            ..OutgoingSeries::default()
        },
        OutgoingSeries {
            labels: vec![("__name__", "latency")],
            histograms: vec![(Timestamp(-5), native(true)), (Timestamp(0), native(false))],
            ..OutgoingSeries::default()
        },
    ]
}

#[test]
fn recorded_bodies_give_exactly_what_their_sender_counted() {
    let files = shared_data::files("captures/remote_write", ".snappy.pb");
    if files.is_empty() {
        return;
    }
    let mut families = FamilyTable::default();
    for (_, packed) in &files {
        let bytes = open(packed, &WireLimits::default()).expect("snappy");
        for metadata in &read(Protocol::V1, &bytes).metadata {
            families.note(metadata);
        }
    }
    let mut declared = 0;
    let (mut samples, mut metadata, mut stale) = (0, 0, 0);
    let (mut keys, mut described, mut names) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (name, packed) in files {
        let bytes = open(&packed, &WireLimits::default()).expect("snappy");
        let body = read(Protocol::V1, &bytes);
        assert!(body.rejections.is_empty(), "{name}: {:?}", body.rejections);
        samples += body.at.len();
        metadata += body.metadata.len();
        stale += body.stale_markers;
        for row in &body.series {
            let mut description = body.describe(row, &WireLimits::default()).expect("good labels");
            families.describe(&mut description);
            declared += usize::from(description.metric_type != MetricType::Unknown);
            let (target, inside) = split_target(description.clone());
            assert!(!target.job.is_empty() && inside.labels.get("instance").is_none());
            names.insert(description.metric.clone());
            keys.insert(row.key);
            described.insert(description);
        }
    }
    assert_eq!((samples, metadata, stale), (41_712, 7_152, 8));
    assert!(declared > samples / 2, "{declared} of {samples} are of a declared type");
    assert_eq!((keys.len(), described.len(), names.len()), (1_352, 1_352, 641));
}

/// Written by Google's protobuf library in Python from Prometheus' own `types.proto`.
const SECOND: &[u8] = include_bytes!("fixtures/remote_write_2.pb");

#[test]
fn a_body_of_another_protobuf_library_is_read_field_by_field() {
    let body = read(Protocol::V2, SECOND);
    assert!(body.rejections.is_empty(), "{:?}", body.rejections);
    assert_eq!(
        (body.at.as_slice(), body.stale_markers),
        ([Timestamp(1_700_000_000_000), Timestamp(-15)].as_slice(), 1)
    );
    assert_eq!(body.exemplars, outgoing()[0].exemplars);
    let [first, second] = body.series.as_slice() else { panic!("{:?}", body.series) };
    assert_eq!(body.pairs(first), Ok(outgoing()[0].labels.clone()));
    assert_eq!(first.metadata.map(|metadata| (metadata.help, metadata.unit)), Some(("How many.", "requests")));
    assert_eq!((first.started_at, second.started_at), (Some(Timestamp(1_699_990_000_000)), Some(Timestamp(7))));
    assert_eq!(body.histograms[0], (Timestamp(-5), NativeHistogram { schema: -1, ..native(true) }));
    let (at, custom) = &body.histograms[1];
    assert_eq!((at.0, custom.schema, custom.whole), (9, -53, false));
    assert_eq!(custom.classic(2, 64), [(0.5, 1.0), (1.0, 1.5), (f64::INFINITY, 2.5)]);
}

#[test]
fn both_protocols_carry_samples_histograms_exemplars_and_metadata_there_and_back() {
    for protocol in [Protocol::V1, Protocol::V2] {
        let packed = encode(protocol, &outgoing()).expect("short");
        let bytes = open(&packed, &WireLimits::default()).expect("snappy");
        let body = read(protocol, &bytes);
        assert!(body.rejections.is_empty(), "{:?}", body.rejections);
        assert_eq!(body.at, [Timestamp(15_000), Timestamp(30_000)]);
        assert_eq!((body.value[0], body.value[1].to_bits(), body.stale_markers), (1.5, STALE_NAN, 1));
        assert_eq!(body.histograms, [(Timestamp(-5), native(true)), (Timestamp(0), native(false))]);
        assert_eq!(body.exemplars, outgoing()[0].exemplars);
        assert_eq!(body.pairs(&body.series[0]), Ok(outgoing()[0].labels.clone()));
        let description = body.describe(&body.series[0], &WireLimits::default()).expect("good labels");
        assert_eq!((description.metric.as_str(), description.labels.len()), ("requests_total", 2));
        let declared = match protocol {
            Protocol::V1 => body.metadata[0],
            Protocol::V2 => Metadata { family: "requests", ..body.series[0].metadata.expect("declared") },
        };
        assert_eq!(Some(declared), outgoing()[0].metadata);
        assert_eq!((body.series[1].samples.len(), body.series[1].histograms.len()), (0, 2));
    }
}

#[test]
fn a_series_has_the_same_key_in_both_protocols_and_in_pairs() {
    let [first, second] = [Protocol::V1, Protocol::V2].map(|protocol| {
        let bytes = encode::message(protocol, &outgoing());
        read(protocol, &bytes).series.iter().map(|row| row.key).collect::<Vec<_>>()
    });
    assert_eq!(first, second);
    assert_eq!(first[0], SEED.of_pairs(outgoing()[0].labels.iter().copied(), &mut Vec::new()));
}

#[test]
fn one_bad_series_costs_itself() {
    let good = outgoing();
    let mut writer = Writer::default();
    writer.bytes(1, &[0x0a, 50, 1]);
    writer.bytes(1, &[0x12, 3, 0x09, 1, 2]);
    let mut bytes = writer.into_bytes();
    bytes.extend(encode::message(Protocol::V1, &good));
    let body = read(Protocol::V1, &bytes);
    assert_eq!((body.series.len(), body.at.len(), body.rejections.total()), (2, 2, 2));
    assert!(body.rejections.sentence().expect("told").contains("malformed 2"), "{:?}", body.rejections);
}

#[test]
fn labels_are_refused_with_their_reason_when_they_are_asked_for() {
    let long = "x".repeat(5_000);
    let many: Vec<String> = (0..100).map(|number| format!("l{number:03}")).collect();
    let mut too_many = vec![("__name__", "m")];
    too_many.extend(many.iter().map(|name| (name.as_str(), "1")));
    let cases = [
        (vec![("a", "b")], Reason::NoName),
        (vec![("__name__", "m"), ("a", "1"), ("a", "2")], Reason::DuplicateLabel),
        (vec![("__name__", "m"), ("a", long.as_str())], Reason::LabelsTooLong),
        (vec![("__name__", "m"), ("", "1")], Reason::BadName),
        (too_many, Reason::TooManyLabels),
    ];
    for (labels, reason) in cases {
        let series = [OutgoingSeries { labels, samples: vec![(Timestamp(1), 1.0)], ..OutgoingSeries::default() }];
        let bytes = encode::message(Protocol::V1, &series);
        let body = read(Protocol::V1, &bytes);
        let refused = body.describe(&body.series[0], &WireLimits::default()).expect_err("refused");
        assert_eq!(refused.reason, reason, "{refused:?}");
        assert!(refused.text.len() < 300, "a long label is not repeated: {}", refused.text.len());
    }
}

#[test]
fn labels_out_of_order_or_between_samples_are_the_same_series() {
    let mut writer = Writer::default();
    writer.message(1, |series| {
        series.message(1, |label| {
            label.text(1, "b");
            label.text(2, "2");
        });
        series.message(2, |sample| sample.number(2, 5));
        series.message(1, |label| {
            label.text(1, "__name__");
            label.text(2, "m");
        });
    });
    let bytes = writer.into_bytes();
    let body = read(Protocol::V1, &bytes);
    let description = body.describe(&body.series[0], &WireLimits::default()).expect("good");
    assert_eq!((description.metric.as_str(), description.labels.get("b")), ("m", Some("2")));
    assert_eq!(body.series[0].key, SEED.of_pairs([("b", "2"), ("__name__", "m")], &mut Vec::new()));
    assert_eq!((body.at[0], body.value[0]), (Timestamp(5), 0.0));
}

#[test]
fn references_to_nothing_odd_ones_and_label_bombs_are_rejected() {
    let huge = "x".repeat(4_000);
    let request = |refs: Vec<u64>| {
        let mut writer = Writer::default();
        for symbol in ["", "__name__", "m", "a", &huge] {
            writer.bytes(4, symbol.as_bytes());
        }
        writer.message(5, |series| {
            series.packed(1, refs.into_iter());
            series.message(2, |sample| sample.number(2, 5));
        });
        writer.into_bytes()
    };
    let bomb = [1, 2].into_iter().chain([3, 4].repeat(90)).collect();
    for (refs, reason) in [
        (vec![1, 2, 3], Reason::BadReference),
        (vec![1, 99], Reason::BadReference),
        (bomb, Reason::LabelsTooLong),
        ([3, 4].repeat(200), Reason::TooManyLabels),
    ] {
        let bytes = request(refs);
        let body = read(Protocol::V2, &bytes);
        assert_eq!((body.series.len(), body.at.len()), (0, 0));
        assert_eq!(body.rejections.counts().next(), Some((reason, 1)));
    }
    let bytes = request(vec![1, 2]);
    assert_eq!(read(Protocol::V2, &bytes).series.len(), 1);
}

#[test]
fn bad_histograms_and_bodies_of_the_other_protocol_are_told() {
    let mut bad = native(true);
    bad.count = 1.0;
    let mut series = outgoing();
    series[1].histograms.push((Timestamp(9), bad));
    let bytes = encode::message(Protocol::V2, &series);
    let body = read(Protocol::V2, &bytes);
    assert_eq!((body.histograms.len(), body.rejections.total()), (2, 1));
    assert_eq!(body.rejections.counts().next(), Some((Reason::BadHistogram, 1)));
    for (written, read) in [(Protocol::V1, Protocol::V2), (Protocol::V2, Protocol::V1)] {
        let bytes = encode::message(written, &outgoing());
        let error = decode(read, &bytes, SEED, &WireLimits::default()).expect_err("the other");
        assert!(error.to_string().contains("it holds fields of"), "{error}");
    }
}

#[test]
fn more_than_the_items_of_one_body_are_counted_and_left() {
    let limits = WireLimits { items: 3, ..WireLimits::default() };
    let one = OutgoingSeries {
        labels: vec![("__name__", "m")],
        samples: vec![(Timestamp(1), 1.0)],
        ..OutgoingSeries::default()
    };
    let bytes = encode::message(Protocol::V1, &vec![one; 5]);
    let body = decode(Protocol::V1, &bytes, SEED, &limits).expect("a message");
    assert_eq!((body.at.len(), body.rejections.counts().next()), (3, Some((Reason::TooMany, 2))));
}

#[test]
fn native_histograms_have_classic_series() {
    let series = classic_series(&native(true));
    assert_eq!(series[0], ("_count", String::new(), 20.0));
    assert_eq!(series.last(), Some(&("_bucket", "+Inf".to_owned(), 20.0)));
    assert!(series.iter().filter(|(suffix, ..)| *suffix == "_bucket").is_sorted_by(|a, b| a.2 <= b.2), "{series:?}");
    let stale = NativeHistogram { sum: f64::from_bits(STALE_NAN), ..native(true) };
    assert_eq!(classic_series(&stale).len(), 2);
}

#[test]
fn headers_choose_the_protocol_or_are_told_what_is_taken() {
    let negotiate = Protocol::negotiate;
    assert_eq!(negotiate(Some("application/x-protobuf"), Some("snappy")), Ok(Protocol::V1));
    assert_eq!(negotiate(None, None), Ok(Protocol::V1));
    let second = "application/x-protobuf; proto=io.prometheus.write.v2.Request";
    assert_eq!(negotiate(Some(second), Some("snappy")), Ok(Protocol::V2));
    assert!(matches!(negotiate(Some("application/json"), None), Err(Unsupported::ContentType(_))));
    assert!(matches!(negotiate(Some("application/x-protobuf;proto=x"), None), Err(Unsupported::Message(_))));
    assert!(matches!(negotiate(Some(second), Some("zstd")), Err(Unsupported::Encoding(_))));
    for protocol in [Protocol::V1, Protocol::V2] {
        let [(_, content_type), (_, encoding), _] = protocol.headers();
        assert_eq!(negotiate(Some(content_type), Some(encoding)), Ok(protocol));
    }
    let counts = Written { samples: 3, histograms: 2, exemplars: 1 };
    let written = counts.headers();
    assert_eq!(written[0], ("x-prometheus-remote-write-samples-written", "3".to_owned()));
    let of = |name: &str| written.iter().find(|(known, _)| *known == name).map(|(_, count)| count.as_str());
    assert_eq!(Written::read(of), Some(counts));
    assert_eq!(Written::read(|name| of(name).filter(|_| name.contains("samples"))).map(|w| w.histograms), Some(0));
    assert_eq!(Written::read(|_| None), None);
}

#[test]
fn families_can_be_told_without_series() {
    let declared =
        Metadata { family: "latency", metric_type: MetricType::Histogram, help: "How long.", unit: "seconds" };
    let packed = encode_metadata(&[declared, Metadata { family: "up", ..declared }]).expect("short");
    let bytes = open(&packed, &WireLimits::default()).expect("snappy");
    let body = read(Protocol::V1, &bytes);
    assert_eq!((body.series.len(), body.rejections.total()), (0, 0));
    assert_eq!(body.metadata, [declared, Metadata { family: "up", ..declared }]);
}

proptest! {
    #[test]
    fn samples_come_back_as_they_were(
        samples in prop::collection::vec((any::<i64>(), any::<u64>()), 1..20),
        value in "\\PC{0,30}",
    ) {
        let samples: Vec<_> = samples.into_iter().map(|(at, bits)| (Timestamp(at), f64::from_bits(bits))).collect();
        let series = [OutgoingSeries {
            labels: vec![("__name__", "m"), ("l", &value)],
            samples: samples.clone(),
            ..OutgoingSeries::default()
        }];
        for protocol in [Protocol::V1, Protocol::V2] {
            let bytes = encode::message(protocol, &series);
            let body = read(protocol, &bytes);
            let found: Vec<_> = body.at.iter().zip(&body.value).map(|(at, value)| (*at, value.to_bits())).collect();
            let sent: Vec<_> = samples.iter().map(|(at, value)| (*at, value.to_bits())).collect();
            prop_assert_eq!(found, sent);
            prop_assert_eq!(body.pairs(&body.series[0]), Ok(series[0].labels.clone()));
        }
    }
}
