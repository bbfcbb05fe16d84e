//! The store as operators handle it.

use crate::{
    error::{ApiError, ErrorBody},
    state::ApiState,
};
use axum::{extract::State, http::StatusCode};

/// Brings the samples that are in memory and in the write-ahead log into the file, as blocks; answers when they are there. Before
/// the data folder is copied, or measured. Nothing is lost without it: what was acknowledged is in the log.
#[utoipa::path(post, path = "/api/v1/store/flush", tag = "store",
    responses((status = NO_CONTENT), (status = INTERNAL_SERVER_ERROR, body = ErrorBody)))]
pub(crate) async fn flush(State(state): State<ApiState>) -> Result<StatusCode, ApiError> {
    state.store.flush().await?;
    Ok(StatusCode::NO_CONTENT)
}
