//! Alerts: faults and symptoms, firing or resolved.

use super::entities::after_key;
use crate::{
    error::{ApiError, ErrorBody},
    paging::{self, Page, PageQuery},
    state::ApiState,
    time,
};
use axum::{
    Json,
    extract::{Path, Query, State},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_domain::{
    Severity,
    alert::{Alert, AlertState, HeldAlert},
};
use tandem_store::{ReadError, ReadTx};
use utoipa::{IntoParams, ToSchema};

/// An alert as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertView {
    /// The same from firing to resolved and again.
    pub fingerprint: String,
    /// `firing` or `resolved`.
    #[schema(value_type = String)]
    pub state: AlertState,
    /// The fault's code or the rule's name.
    pub code: String,
    /// `info`, `warning` or `critical`.
    #[schema(value_type = String)]
    pub severity: Severity,
    pub title: String,
    /// What to do about it.
    pub advice: String,
    pub entity: String,
    pub labels: BTreeMap<String, String>,
    pub started_at: String,
    pub ended_at: Option<String>,
    pub times_fired: u64,
    /// The plugin or rule that raised it.
    pub source: String,
    /// Why nobody is told of it, where that is so; it is `info` meanwhile.
    pub held: Option<String>,
}

impl AlertView {
    /// With why nobody is told of it, where that is so.
    fn with_held(self, read: &ReadTx) -> Result<Self, ReadError> {
        let held = match self.state {
            AlertState::Firing => read.get::<HeldAlert>(&self.fingerprint)?.map(|held| held.why),
            AlertState::Resolved => None,
        };
        Ok(Self { held, ..self })
    }
}

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        Self {
            held: None,
            fingerprint: alert.fingerprint.0,
            state: alert.state,
            code: alert.code,
            severity: alert.severity,
            title: alert.title,
            advice: alert.advice,
            entity: alert.entity.0,
            labels: alert.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            started_at: time::write(alert.started_at),
            ended_at: time::write_some(alert.ended_at),
            times_fired: alert.times_fired,
            source: alert.source,
        }
    }
}

/// Which alerts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertFilter {
    /// `firing` or `resolved`; both when absent.
    #[param(value_type = Option<String>)]
    state: Option<AlertState>,
    /// Only of this entity.
    entity: Option<String>,
}

/// Alerts, by fingerprint.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertFilter, PageQuery),
    responses((status = OK, body = Page<AlertView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<AlertFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<AlertView>>, ApiError> {
    let read = state.store.read()?;
    let page = paging::fill(
        &page,
        |after, limit| Ok(read.scan::<Alert>(after_key(after.map(str::to_owned)), limit)?),
        |alert| alert.fingerprint.0.clone(),
        |alert| {
            let fits = filter.state.is_none_or(|state| state == alert.state)
                && filter.entity.as_ref().is_none_or(|id| *id == alert.entity.0);
            fits.then(|| AlertView::from(alert))
        },
    )?;
    let items: Result<Vec<AlertView>, ReadError> = page.items.into_iter().map(|view| view.with_held(&read)).collect();
    Ok(Json(Page { items: items?, next_cursor: page.next_cursor }))
}

/// One alert.
#[utoipa::path(get, path = "/api/v1/alerts/{fingerprint}", tag = "alerts", params(("fingerprint" = String, Path)),
    responses((status = OK, body = AlertView), (status = NOT_FOUND, body = ErrorBody)))]
pub(crate) async fn one(
    State(state): State<ApiState>,
    Path(fingerprint): Path<String>,
) -> Result<Json<AlertView>, ApiError> {
    let read = state.store.read()?;
    let alert = read.get::<Alert>(&fingerprint)?;
    let alert = alert.ok_or_else(|| ApiError::not_found("alert", fingerprint, "/api/v1/alerts"))?;
    Ok(Json(AlertView::from(alert).with_held(&read)?))
}
