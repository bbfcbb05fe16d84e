//! Events, newest first.

use crate::{
    error::{ApiError, ErrorBody},
    paging::{self, Page, PageQuery},
    routes::series::moment,
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_domain::{Severity, Timestamp, event::Event};
use utoipa::{IntoParams, ToSchema};

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    at: String,
    entity: String,
    /// Stable dotted code.
    code: String,
    /// `info`, `warning` or `critical`.
    #[schema(value_type = String)]
    severity: Severity,
    title: String,
    attributes: BTreeMap<String, String>,
    source: String,
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventFilter {
    /// Only of this entity.
    entity: Option<String>,
    /// Only with this code.
    code: Option<String>,
    /// The mildest grade: `info`, `warning` or `critical`.
    #[param(value_type = Option<String>)]
    severity: Option<Severity>,
    /// First moment.
    start: Option<String>,
    /// Last moment.
    end: Option<String>,
    /// A part of the title, in any case.
    text: Option<String>,
}

/// Events in the order they were learned, newest first.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(EventFilter, PageQuery),
    responses((status = OK, body = Page<EventView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<EventFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<EventView>>, ApiError> {
    page.number()?;
    let start = moment("start", filter.start.as_deref())?.unwrap_or(Timestamp::MIN);
    let end = moment("end", filter.end.as_deref())?.unwrap_or(Timestamp::MAX);
    let text = filter.text.as_ref().map(|text| text.to_lowercase());
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |before, limit| {
            let before = before.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
            Ok(read.log_before::<Event>(before, limit)?)
        },
        |(sequence, _)| sequence.to_string(),
        |(_, event)| {
            let fits = filter.entity.as_ref().is_none_or(|id| *id == event.entity.0)
                && filter.code.as_ref().is_none_or(|code| *code == event.code)
                && filter.severity.is_none_or(|least| event.severity >= least)
                && (start..=end).contains(&event.at)
                && text.as_ref().is_none_or(|text| event.title.to_lowercase().contains(text));
            fits.then(|| EventView {
                at: time::write(event.at),
                entity: event.entity.0,
                code: event.code,
                severity: event.severity,
                title: event.title,
                attributes: event.attributes.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
                source: event.source,
            })
        },
    )?;
    Ok(Json(page))
}
