//! The doors for senders in other people's formats: remote write, OTLP, Influx' lines. Each answers in its own protocol.

use crate::{error::ApiError, ingest::Posted, state::ApiState};
use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use tandem_gather::sent::{SentError, Taken};
use tandem_wire::{
    otlp::{self, Encoding, Signal},
    remote_write::Written,
};
use utoipa::IntoParams;

/// Takes Prometheus' remote write in, 1.0 and 2.0. 204 when all was kept; 400 with the reasons when something can never be
/// kept, what is good of the body being kept all the same; the headers `X-Prometheus-Remote-Write-…-Written` count it.
#[utoipa::path(post, path = "/prometheus/api/v1/write", tag = "senders",
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses((status = NO_CONTENT), (status = BAD_REQUEST), (status = PAYLOAD_TOO_LARGE),
              (status = UNSUPPORTED_MEDIA_TYPE), (status = TOO_MANY_REQUESTS), (status = SERVICE_UNAVAILABLE),
              (status = LOOP_DETECTED)))]
pub(crate) async fn remote_write(State(state): State<ApiState>, posted: Posted) -> Response {
    let forwarded_by = posted.headers.get(tandem_forward::FORWARDED_BY).and_then(|value| value.to_str().ok());
    if forwarded_by.is_some_and(|identity| state.forwards.is_own(identity)) {
        let why = "this server was sent what it forwards itself; give the forward the address of another";
        return (StatusCode::LOOP_DETECTED, why).into_response();
    }
    let (kind, encoding) = (posted.header(header::CONTENT_TYPE), posted.header(header::CONTENT_ENCODING));
    let (written, mut answer) = match state.sent.remote_write(kind, encoding, &posted.body).await {
        Ok(done) => {
            let answer = match done.rejections.sentence() {
                None => StatusCode::NO_CONTENT.into_response(),
                Some(why) => (StatusCode::BAD_REQUEST, why).into_response(),
            };
            (done.written, answer)
        }
        Err(error) => (Written::default(), ApiError::from(error).into_response()),
    };
    for (name, value) in written.headers() {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// Takes OTLP metrics in, protobuf or JSON; what cannot be kept is told as partial success.
#[utoipa::path(post, path = "/v1/metrics", tag = "senders",
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses((status = OK), (status = BAD_REQUEST), (status = PAYLOAD_TOO_LARGE), (status = UNSUPPORTED_MEDIA_TYPE),
              (status = TOO_MANY_REQUESTS), (status = SERVICE_UNAVAILABLE)))]
pub(crate) async fn otlp_metrics(State(state): State<ApiState>, posted: Posted) -> Response {
    let encoding = match Encoding::of(posted.header(header::CONTENT_TYPE)) {
        Ok(encoding) => encoding,
        Err(error) => return ApiError::from(SentError::from(error)).into_response(),
    };
    let taken = state.sent.otlp_metrics(encoding, posted.header(header::CONTENT_ENCODING), &posted.body).await;
    otlp_answer(encoding, Signal::Metrics, taken)
}

/// Takes OTLP logs in as events of the services and machines that wrote them.
#[utoipa::path(post, path = "/v1/logs", tag = "senders",
    request_body(content = Vec<u8>, content_type = "application/x-protobuf"),
    responses((status = OK), (status = BAD_REQUEST), (status = PAYLOAD_TOO_LARGE), (status = UNSUPPORTED_MEDIA_TYPE),
              (status = TOO_MANY_REQUESTS), (status = SERVICE_UNAVAILABLE)))]
pub(crate) async fn otlp_logs(State(state): State<ApiState>, posted: Posted) -> Response {
    let encoding = match Encoding::of(posted.header(header::CONTENT_TYPE)) {
        Ok(encoding) => encoding,
        Err(error) => return ApiError::from(SentError::from(error)).into_response(),
    };
    let taken = state.sent.otlp_logs(encoding, posted.header(header::CONTENT_ENCODING), &posted.body).await;
    otlp_answer(encoding, Signal::Logs, taken)
}

fn otlp_answer(encoding: Encoding, signal: Signal, taken: Result<Taken, SentError>) -> Response {
    let kind = [(header::CONTENT_TYPE, encoding.content_type())];
    match taken {
        Ok(taken) => {
            let why = taken.rejections.sentence().unwrap_or_default();
            (kind, otlp::accepted(encoding, signal, taken.rejections.total(), &why)).into_response()
        }
        Err(error) => {
            let told = error.to_string();
            let mut answer = ApiError::from(error).into_response();
            // The status stays, the body speaks the protocol.
            *answer.body_mut() = otlp::refused(encoding, &told).into();
            answer.headers_mut().remove(header::CONTENT_LENGTH);
            if let Ok(value) = encoding.content_type().parse() {
                answer.headers_mut().insert(header::CONTENT_TYPE, value);
            }
            answer
        }
    }
}

/// How lines are to be read. What names a place to keep them (`db`, `org`, `bucket` …) is taken and not used.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct InfluxQuery {
    /// `ns` (where nothing is said), `us`, `ms`, `s`; v1 also `n`, `u`, `m`, `h`.
    precision: Option<String>,
}

async fn influx(state: &ApiState, query: &InfluxQuery, posted: &Posted) -> Response {
    let encoding = posted.header(header::CONTENT_ENCODING);
    match state.sent.influx(query.precision.as_deref(), encoding, &posted.body).await {
        Ok(taken) => match taken.rejections.sentence() {
            None => StatusCode::NO_CONTENT.into_response(),
            Some(why) => {
                let kept = taken.samples;
                ApiError::bad_request(format!("partial write: {why}"), format!("{kept} samples were kept"))
                    .into_response()
            }
        },
        Err(error) => ApiError::from(error).into_response(),
    }
}

/// Takes Influx' line protocol in, as InfluxDB 1 does. 204 when all was kept; 400 when some lines can never be kept, the
/// others being kept all the same.
#[utoipa::path(post, path = "/write", tag = "senders", params(InfluxQuery), request_body(content = String, content_type = "text/plain"),
    responses((status = NO_CONTENT), (status = BAD_REQUEST), (status = PAYLOAD_TOO_LARGE), (status = TOO_MANY_REQUESTS)))]
pub(crate) async fn influx_v1(
    State(state): State<ApiState>,
    Query(query): Query<InfluxQuery>,
    posted: Posted,
) -> Response {
    influx(&state, &query, &posted).await
}

/// Takes Influx' line protocol in, as InfluxDB 2 does.
#[utoipa::path(post, path = "/api/v2/write", tag = "senders", params(InfluxQuery), request_body(content = String, content_type = "text/plain"),
    responses((status = NO_CONTENT), (status = BAD_REQUEST), (status = PAYLOAD_TOO_LARGE), (status = TOO_MANY_REQUESTS)))]
pub(crate) async fn influx_v2(
    State(state): State<ApiState>,
    Query(query): Query<InfluxQuery>,
    posted: Posted,
) -> Response {
    influx(&state, &query, &posted).await
}
