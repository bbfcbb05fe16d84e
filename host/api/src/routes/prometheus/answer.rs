//! Answers in Prometheus' own JSON.

use super::working::HeldAnswer;
use axum::{
    Json,
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeTuple},
};
use serde_json::{Value, json};
use std::sync::Arc;
use tandem_domain::{histogram::NativeHistogram, series::Labels};
use tandem_query::{Answer, Datum, ErrorKind, Outcome, QueryError, Sample, SampleSeries, SampleShare};

/// Warnings and infos told of one answer at the most, each: as Prometheus does.
const MAX_ANNOTATIONS: usize = 10;
/// When to come again where there is no room.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");
/// Beyond these, numbers are written with an exponent.
const PLAIN_NUMBERS: std::ops::Range<f64> = 1e-6..1e21;

pub(super) fn labels_json(labels: &Labels) -> Value {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<serde_json::Map<_, _>>().into()
}

/// A number as Prometheus writes it: as text, so that infinities and NaN have a place.
pub(super) fn number_text(value: f64) -> String {
    if value == 0.0 || !value.is_finite() || PLAIN_NUMBERS.contains(&value.abs()) {
        return tandem_query::number_text(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Seconds since the epoch, whole ones without a point.
pub(super) struct Moment(pub(super) i64);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 {
            serializer.serialize_i64(self.0 / 1000)
        } else {
            serializer.serialize_f64(self.0 as f64 / 1000.0)
        }
    }
}

struct LabelMap<'a>(&'a Labels);

impl Serialize for LabelMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

/// Count, sum and filled buckets, each with which of its bounds are part of it.
struct Distribution<'a>(&'a NativeHistogram);

impl Serialize for Distribution<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rule = |lower: f64, upper: f64| match (lower < 0.0, upper > 0.0) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("count", &number_text(self.0.count))?;
        map.serialize_entry("sum", &number_text(self.0.sum))?;
        let filled = self.0.all_buckets().into_iter().filter(|bucket| bucket.count != 0.0);
        let buckets: Vec<(i32, String, String, String)> = filled
            .map(|one| {
                let (lower, upper) = (number_text(one.lower), number_text(one.upper));
                (rule(one.lower, one.upper), lower, upper, number_text(one.count))
            })
            .collect();
        if !buckets.is_empty() {
            map.serialize_entry("buckets", &buckets)?;
        }
        map.end()
    }
}

/// A moment with its value.
struct Point<'a>(&'a Sample);

impl Serialize for Point<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&Moment(self.0.at))?;
        match &self.0.value {
            Datum::Float(value) => pair.serialize_element(&number_text(*value))?,
            Datum::Histogram(histogram) => pair.serialize_element(&Distribution(histogram))?,
        }
        pair.end()
    }
}

struct Instant<'a>(&'a (Labels, Sample));

impl Serialize for Instant<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (labels, sample) = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("metric", &LabelMap(labels))?;
        let name = if sample.value.float().is_some() { "value" } else { "histogram" };
        map.serialize_entry(name, &Point(sample))?;
        map.end()
    }
}

struct Ranged<'a>(&'a SampleSeries);

impl Serialize for Ranged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Points<'a>(&'a [Sample], bool);
        impl Serialize for Points<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let of_kind = self.0.iter().filter(|sample| sample.value.float().is_some() == self.1);
                serializer.collect_seq(of_kind.map(Point))
            }
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("metric", &LabelMap(&self.0.labels))?;
        for (name, is_float) in [("values", true), ("histograms", false)] {
            if self.0.samples.iter().any(|sample| sample.value.float().is_some() == is_float) {
                map.serialize_entry(name, &Points(&self.0.samples, is_float))?;
            }
        }
        map.end()
    }
}

struct Data<'a>(&'a Outcome);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Each<'a, T, F>(&'a [T], F);
        impl<'a, T, R: Serialize, F: Fn(&'a T) -> R> Serialize for Each<'a, T, F> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_seq(self.0.iter().map(&self.1))
            }
        }
        let mut map = serializer.serialize_map(Some(2))?;
        match self.0 {
            Outcome::Scalar(at, value) => {
                map.serialize_entry("resultType", "scalar")?;
                map.serialize_entry("result", &(Moment(*at), number_text(*value)))?;
            }
            Outcome::Text(at, text) => {
                map.serialize_entry("resultType", "string")?;
                map.serialize_entry("result", &(Moment(*at), text))?;
            }
            Outcome::Vector(series) => {
                map.serialize_entry("resultType", "vector")?;
                map.serialize_entry("result", &Each(series, Instant))?;
            }
            Outcome::Matrix(series) => {
                map.serialize_entry("resultType", "matrix")?;
                map.serialize_entry("result", &Each(series, Ranged))?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    status: &'static str,
    data: Data<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    infos: Vec<String>,
}

pub(super) fn success(data: Value) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}

/// Data of which some may have been left out.
pub(super) fn warned(data: Value, warning: Option<String>) -> Response {
    let Some(warning) = warning else { return success(data) };
    Json(json!({"status": "success", "data": data, "warnings": [warning]})).into_response()
}

pub(super) fn error(error: &QueryError) -> Response {
    let status = match error.kind {
        ErrorKind::BadData => StatusCode::BAD_REQUEST,
        ErrorKind::Execution => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Timeout | ErrorKind::Canceled | ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = json!({"status": "error", "errorType": error.kind.name(), "error": error.message});
    let mut answer = (status, Json(body)).into_response();
    if error.kind == ErrorKind::Unavailable {
        answer.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    answer
}

/// An answer as the bytes of its JSON: made where the query was worked on, since there may be many.
pub(super) fn answer_bytes(answer: &Answer) -> Result<Vec<u8>, QueryError> {
    let (warnings, infos) = answer.annotations.told(MAX_ANNOTATIONS);
    let body = Body { status: "success", data: Data(&answer.outcome), warnings, infos };
    serde_json::to_vec(&body).map_err(|error| QueryError {
        kind: ErrorKind::Internal,
        message: format!("error marshaling response: {error}"),
    })
}

/// Bytes on their way out, which hold a share of the budget of samples until they are sent or whoever asked has left.
struct HeldBytes {
    bytes: Vec<u8>,
    _share: Arc<SampleShare>,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

pub(super) fn told(answer: Result<HeldAnswer, QueryError>) -> Response {
    match answer {
        Err(failed) => error(&failed),
        Ok(HeldAnswer { bytes, share }) => {
            let held = Bytes::from_owner(HeldBytes { bytes, _share: share });
            ([(header::CONTENT_TYPE, "application/json")], held).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::histogram::{Buckets, ResetHint, Span};
    use tandem_query::Annotations;

    #[test]
    fn numbers_are_written_as_prometheus_does() {
        let told = [0.0, -0.5, 1e-7, 1.5e21, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 100_000.0].map(number_text);
        assert_eq!(told, ["0", "-0.5", "1e-07", "1.5e+21", "+Inf", "-Inf", "NaN", "100000"]);
    }

    #[test]
    fn floats_and_histograms_of_a_series_are_told_apart() {
        let histogram = NativeHistogram {
            schema: 0,
            zero_threshold: 0.5,
            zero_count: 1.0,
            count: 4.0,
            sum: 2.5,
            positive: Buckets { spans: vec![Span { offset: 1, length: 1 }], counts: vec![3.0] },
            negative: Buckets::default(),
            custom_bounds: Vec::new(),
            reset: ResetHint::Unknown,
            whole: true,
        };
        let samples = vec![
            Sample { at: 1_500, value: Datum::Float(2.0) },
            Sample { at: 2_000, value: Datum::Histogram(Arc::new(histogram)) },
        ];
        let labels = Labels::new([("a".to_owned(), "b".to_owned())]);
        let mut annotations = Annotations::default();
        annotations.warnings.insert("w".to_owned());
        let answer = Answer { outcome: Outcome::Matrix(vec![SampleSeries { labels, samples }]), annotations };
        let told: Value = serde_json::from_slice(&answer_bytes(&answer).expect("bytes")).expect("JSON");
        let buckets = json!([[3, "-0.5", "0.5", "1"], [0, "1", "2", "3"]]);
        let expected = json!({"status": "success", "warnings": ["w"], "data": {"resultType": "matrix", "result": [{
            "metric": {"a": "b"},
            "values": [[1.5, "2"]],
            "histograms": [[2, {"count": "4", "sum": "2.5", "buckets": buckets}]],
        }]}});
        assert_eq!(told, expected);
    }
}
