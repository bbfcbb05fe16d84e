//! The published corpus, recorded bodies, and how points become series.

use super::*;
use crate::{compressed::open_encoded, shared_data};
use base64::Engine as _;
use proptest::prelude::*;
use serde_json::Value;
use std::io::Read;

fn decoded(body: &[u8], precision: Precision) -> InfluxBatch {
    decode(body, precision, Timestamp(7), KeySeed(1), &WireLimits::default())
}

/// A text of the corpus: JSON text, or base64 where it is no UTF-8.
fn bytes(value: &Value) -> Vec<u8> {
    match value.as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => {
            let binary = value["binary"].as_str().expect("text or binary");
            base64::engine::general_purpose::STANDARD.decode(binary).expect("base64")
        }
    }
}

fn precision(value: &Value) -> Precision {
    let word = value.as_str().expect("a precision");
    Precision::of(Some(word.strip_prefix('1').expect("of one unit"))).expect("known")
}

fn told_field(value: &Value) -> Field<'static> {
    let (kind, value) = value.as_object().expect("a value").iter().next().expect("of a kind");
    let special = |value: &Value| match value.as_str() {
        Some(word) => word.parse().expect("a number"),
        None => value.as_f64().expect("a number"),
    };
    match kind.as_str() {
        "float" => Field::Float(special(value)),
        "int" => Field::Integer(value.as_i64().expect("an integer")),
        "uint" => Field::Unsigned(value.as_u64().expect("an integer")),
        "bool" => Field::Boolean(value.as_bool().expect("a boolean")),
        _ => Field::Text(Cow::Owned(String::from_utf8(bytes(value)).expect("UTF-8"))),
    }
}

fn told_point(value: &Value) -> Point<'static> {
    let text = |value: &Value| Cow::<'static, str>::Owned(String::from_utf8(bytes(value)).expect("UTF-8"));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    Point {
        measurement: text(&value["name"]),
        tags: list(&value["tags"]).iter().map(|tag| (text(&tag["key"]), text(&tag["value"]))).collect(),
        fields: list(&value["fields"]).iter().map(|field| (text(&field["key"]), told_field(&field["value"]))).collect(),
        nanos: value["time"].as_i64(),
    }
}

fn corpus() -> Option<Value> {
    let packed = std::fs::read(shared_data::path("line-protocol-corpus/corpus.json.gz")?).expect("readable");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).expect("gzip");
    Some(serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn the_corpus_decodes_as_it_says() {
    let Some(corpus) = corpus() else { return };
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for (key, case) in corpus["decode"].as_object().expect("cases") {
        let (text, output) = (bytes(&case["input"]["text"]), &case["output"]);
        let unit = precision(&case["input"]["precision"]);
        // Where a line says nothing, the case's moment stands in, cut to the precision.
        let default = case["input"]["defaultTime"].as_i64().expect("a moment").div_euclid(unit.nanos()) * unit.nanos();
        let found: Result<Vec<_>, _> = points(&text, unit)
            .map(|point| {
                point.map(|mut point| {
                    point.tags.sort();
                    point.nanos.get_or_insert(default);
                    point
                })
            })
            .collect();
        let agrees = match (&found, output["error"].is_string()) {
            (Err(_), true) => {
                bad += 1;
                true
            }
            (Ok(found), false) => {
                good += 1;
                let told: Vec<Point<'_>> =
                    output["result"].as_array().cloned().unwrap_or_default().iter().map(told_point).collect();
                *found == told
            }
            _ => false,
        };
        if !agrees {
            wrong.push(format!("{key} {:?}: {found:?} but {output}", String::from_utf8_lossy(&text)));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    assert_eq!((good, bad), (396, 6_219));
}

#[test]
fn the_corpus_encodes_as_it_says() {
    let Some(corpus) = corpus() else { return };
    let (mut good, mut bad) = (0, 0);
    for (key, case) in corpus["encode"].as_object().expect("cases") {
        let point = told_point(&case["input"]["point"]);
        let mut line = String::new();
        match (encode(&point, precision(&case["input"]["precision"]), &mut line), case["output"]["result"].as_str()) {
            (Ok(()), Some(told)) => {
                assert_eq!(line, told, "{key}");
                good += 1;
            }
            (Err(_), None) => bad += 1,
            (found, told) => panic!("{key}: {found:?} but {told:?}"),
        }
    }
    assert_eq!((good, bad), (114, 1));
}

#[test]
fn recorded_bodies_become_series() {
    for (name, encoding) in [("06_api_v2_write", None), ("07_api_v2_write", Some("gzip"))] {
        let Some(path) = shared_data::path(&format!("captures/influx/{name}.body")) else { return };
        let body = std::fs::read(path).expect("readable");
        let batch = decoded(&open_encoded(encoding, &body, 1 << 20).expect("opened"), Precision::Nanoseconds);
        assert_eq!((batch.samples.len(), batch.strings, batch.rejections.total()), (9, 3, 0));
        let metrics: Vec<&str> = batch.samples[..3].iter().map(|sample| sample.series.metric.as_str()).collect();
        assert_eq!(metrics, ["cpu_load_n", "cpu_load_ok", "cpu_load_v"]);
        assert_eq!(batch.samples[0].series.labels.get("host"), Some("a b,c=d"));
        assert_eq!((batch.samples[2].value, batch.samples[2].at), (1.5, Timestamp(1_700_000_000_000)));
    }
}

#[test]
fn a_bad_line_costs_itself_and_moments_have_the_units_asked_for() {
    let batch = decoded(b"m v=1 60\nm v=\nm,a=1,a=2 v=1\nm v=1,w=t\nm v=\"a\nb\",x=2i", Precision::Minutes);
    assert_eq!((batch.samples.len(), batch.strings), (4, 1));
    assert_eq!((batch.samples[0].at, batch.samples[1].at), (Timestamp(3_600_000), Timestamp(7)));
    assert_eq!(batch.rejections.counts().next(), Some((Reason::Malformed, 2)));
    assert!(batch.rejections.told()[1].text.starts_with("line 3"), "{:?}", batch.rejections);
    let units = ["n", "u", "µs", "ms", "s", "h"].map(|word| Precision::of(Some(word)).expect("known").nanos());
    assert_eq!(units, [1, 1_000, 1_000, 1_000_000, 1_000_000_000, 3_600_000_000_000]);
    assert!(Precision::of(Some("d")).is_err());
}

#[test]
fn names_are_of_characters_that_series_have() {
    let batch = decoded("1 cpu-löad,__name__=x,a.b=1,a-b=2 usage%=1".as_bytes(), Precision::Nanoseconds);
    assert_eq!(batch.rejections.total(), 1, "a blank ends a measurement");
    let batch = decoded("1cpu-löad,__name__=x,a.b=1,a-b=2 usage%=1".as_bytes(), Precision::Nanoseconds);
    let series = &batch.samples[0].series;
    assert_eq!(series.metric, "_1cpu_l_ad_usage_");
    assert_eq!((series.labels.get("key__name__"), series.labels.get("a_b")), (Some("x"), Some("1")));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(name in "[a-z ,=\\\\]{0,6}[a-z]", tag in "\\PC{0,8}[a-z]", value in any::<f64>(), text in "\\PC*") {
        let point = Point {
            measurement: name.into(),
            tags: vec![("t".into(), tag.into())],
            fields: vec![("f".into(), Field::Float(value)), ("s".into(), Field::Text(text.into()))],
            nanos: Some(5),
        };
        let mut line = String::new();
        if encode(&point, Precision::Nanoseconds, &mut line).is_ok() && !line.starts_with([' ', '#']) {
            let found: Vec<_> = points(line.as_bytes(), Precision::Nanoseconds).collect();
            prop_assert_eq!(found, [Ok(point)]);
        }
    }
}
