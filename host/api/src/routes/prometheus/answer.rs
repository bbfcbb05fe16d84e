//! Answers in Prometheus' own JSON.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tandem_domain::series::Labels;
use tandem_query::{Answer, ErrorKind, Outcome, QueryError, Sample};

pub(super) fn labels_json(labels: &Labels) -> Value {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<serde_json::Map<_, _>>().into()
}

/// A number as Prometheus writes it: as text, so that infinities and NaN have a place.
fn sample_json(sample: &Sample) -> Value {
    let text = match sample.value {
        value if value == f64::INFINITY => "+Inf".to_owned(),
        value if value == f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    };
    json!([sample.at as f64 / 1000.0, text])
}

fn outcome_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Scalar(sample) => json!({"resultType": "scalar", "result": sample_json(sample)}),
        Outcome::Text(at, text) => json!({"resultType": "string", "result": [*at as f64 / 1000.0, text]}),
        Outcome::Vector(series) => {
            let one = |(labels, sample): &(Labels, Sample)| json!({"metric": labels_json(labels), "value": sample_json(sample)});
            json!({"resultType": "vector", "result": series.iter().map(one).collect::<Vec<_>>()})
        }
        Outcome::Matrix(series) => {
            let one = |one: &tandem_query::SampleSeries| {
                let values: Vec<Value> = one.samples.iter().map(sample_json).collect();
                json!({"metric": labels_json(&one.labels), "values": values})
            };
            json!({"resultType": "matrix", "result": series.iter().map(one).collect::<Vec<_>>()})
        }
    }
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
        ErrorKind::Timeout | ErrorKind::Canceled => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let body = json!({"status": "error", "errorType": error.kind.name(), "error": error.message});
    (status, Json(body)).into_response()
}

pub(super) fn told(answer: Result<Answer, QueryError>) -> Response {
    match answer {
        Err(failed) => error(&failed),
        Ok(answer) => {
            let mut body = json!({"status": "success", "data": outcome_json(&answer.outcome)});
            for (name, texts) in [("warnings", &answer.annotations.warnings), ("infos", &answer.annotations.infos)] {
                if !texts.is_empty() {
                    body[name] = json!(texts);
                }
            }
            Json(body).into_response()
        }
    }
}
