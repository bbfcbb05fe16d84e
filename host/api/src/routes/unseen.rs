//! What Tandem cannot see.

use crate::{error::ApiError, state::ApiState};
use axum::{Json, extract::State};
use serde::Serialize;
use tandem_verdict::Gap;
use utoipa::ToSchema;

/// All gaps of one kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GapView {
    /// `silent-target`, `service-without-infrastructure`, `service-without-predictions`, `service-without-labels`,
    /// `unknown-version`, `replica-without-host`, `gpu-without-service` or `host-without-power`.
    kind: &'static str,
    count: usize,
    /// The first five by name.
    examples: Vec<String>,
    sentence: String,
    /// What to do about it.
    remedy: &'static str,
}

impl From<Gap> for GapView {
    fn from(gap: Gap) -> Self {
        Self {
            kind: gap.kind.name(),
            count: gap.count,
            sentence: gap.sentence(),
            remedy: gap.kind.remedy(),
            examples: gap.examples,
        }
    }
}

/// All gaps.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unseen {
    items: Vec<GapView>,
    /// Always none: there is one entry per kind.
    next_cursor: Option<String>,
}

/// What Tandem cannot see, and what would let it: one entry per kind of gap, those first that blind most.
#[utoipa::path(get, path = "/api/v1/unseen", tag = "verdict", responses((status = OK, body = Unseen)))]
pub(crate) async fn list(State(state): State<ApiState>) -> Result<Json<Unseen>, ApiError> {
    let now = state.clock.now();
    let gaps = tokio::task::spawn_blocking(move || tandem_verdict::unseen(&state.store.read()?, now))
        .await
        .map_err(|error| ApiError::internal(error.to_string()))??;
    Ok(Json(Unseen { items: gaps.into_iter().map(GapView::from).collect(), next_cursor: None }))
}
