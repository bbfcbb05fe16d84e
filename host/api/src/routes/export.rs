//! Samples as a file, streamed while it is made.

use crate::{
    error::{ApiError, ErrorBody, ErrorCode},
    routes::series::moment,
    state::ApiState,
};
use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;
use std::sync::Arc;
use tandem_domain::Timestamp;
use tandem_forward::{Chosen, Export, ExportError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::form_urlencoded;

/// Exports under way at once: each keeps a processor and some 30 MiB busy.
const MAX_EXPORTS: usize = 2;

/// Places for exports.
#[derive(Debug, Clone)]
pub struct ExportPlaces(Arc<Semaphore>);

impl Default for ExportPlaces {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_EXPORTS)))
    }
}

impl From<ExportError> for ApiError {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Read(error) => error.into(),
            ExportError::File(error) => ApiError::bad_request(error.to_string(), "give a narrower match[]"),
        }
    }
}

/// Makes the next piece away from the threads that serve.
async fn next_piece(mut export: Export) -> Result<Option<(Vec<u8>, Export)>, ExportError> {
    let made = tokio::task::spawn_blocking(move || Ok(export.next_piece()?.map(|piece| (piece, export)))).await;
    made.unwrap_or_else(|broken| Err(tandem_store::ReadError::Storage(broken.to_string()).into()))
}

/// What is sent: pieces until one fails, which breaks the answer off, so that nobody takes a part for the whole.
fn body(first: (Vec<u8>, Export), place: OwnedSemaphorePermit) -> Body {
    let (piece, export) = first;
    let rest = stream::try_unfold((export, place), |(export, place)| async move {
        let next = next_piece(export).await.inspect_err(|error| tracing::error!("an export broke off: {error}"))?;
        Ok::<_, ExportError>(next.map(|(piece, export)| (piece, (export, place))))
    });
    Body::from_stream(stream::StreamExt::chain(stream::once(async move { Ok(piece) }), rest))
}

/// Samples of chosen series as a Parquet file: a column for each label, `timestamp` (milliseconds, UTC) and `value`.
#[utoipa::path(get, path = "/api/v1/export", tag = "series",
    params(
        ("match[]" = Option<Vec<String>>, Query, description = "Series selectors; all series when there is none."),
        ("start" = Option<String>, Query, description = "RFC 3339 or Unix seconds; the beginning when absent."),
        ("end" = Option<String>, Query, description = "RFC 3339 or Unix seconds; now when absent."),
        ("format" = Option<String>, Query, description = "`parquet`.")),
    responses((status = OK, body = Vec<u8>, content_type = "application/vnd.apache.parquet"),
              (status = BAD_REQUEST, body = ErrorBody), (status = TOO_MANY_REQUESTS, body = ErrorBody)))]
pub(crate) async fn export(State(state): State<ApiState>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let (mut selectors, mut start, mut end) = (Vec::new(), Timestamp(0), state.clock.now());
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "match[]" => selectors.push(tandem_query::selector(&value).map_err(|error| {
                ApiError::bad_request(
                    format!("match[] is {value:?}: {error}"),
                    "give a selector such as up{job=\"node\"}",
                )
            })?),
            "start" => start = moment("start", Some(&value))?.unwrap_or(start),
            "end" => end = moment("end", Some(&value))?.unwrap_or(end),
            "format" if value == "parquet" => {}
            "format" => return Err(ApiError::bad_request(format!("format is {value:?}"), "parquet is what there is")),
            other => {
                let known = "match[], start, end and format are known";
                return Err(ApiError::bad_request(format!("there is no parameter {other:?}"), known));
            }
        }
    }
    let Ok(place) = state.exports.0.clone().try_acquire_owned() else {
        let why = format!("{MAX_EXPORTS} exports are under way already");
        return Err(ApiError::new(ErrorCode::TooManyRequests, why, "ask again when one of them is done"));
    };
    let store = state.store.clone();
    let begun = tokio::task::spawn_blocking(move || {
        let chosen = Chosen::new(store, &selectors).map_err(ExportError::from)?;
        chosen.export(start, end)
    });
    let export = begun.await.map_err(|broken| ApiError::internal(format!("an export broke: {broken}")))??;
    let first = next_piece(export).await?.ok_or_else(|| ApiError::internal("an export without a first piece"))?;
    let headers = [
        (header::CONTENT_TYPE, "application/vnd.apache.parquet"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"samples.parquet\""),
    ];
    Ok((headers, body(first, place)).into_response())
}
