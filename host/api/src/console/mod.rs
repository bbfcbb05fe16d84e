//! The server-rendered overview: the two questions per service, open incidents, this and other machines' entities with their
//! latest values, targets, and the plugins with what each uses. No script: it works in any browser and refreshes itself.

mod overview;
mod reading;
mod telling;

use crate::{error::ApiError, state::ApiState};
use axum::{
    extract::State,
    http::header,
    response::{Html, IntoResponse},
};

/// The page at `/`.
pub(crate) async fn overview(State(state): State<ApiState>) -> Result<Html<String>, ApiError> {
    let now = state.clock.now();
    let reading = tokio::task::spawn_blocking(move || reading::Overview::read(&state, now))
        .await
        .map_err(|error| ApiError::internal(format!("rendering the overview: {error}")))??;
    Ok(Html(overview::render(&reading).into_string()))
}

/// The style sheet of all pages.
pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("console.css"))
}
