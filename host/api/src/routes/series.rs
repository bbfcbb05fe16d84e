//! Series with their meaning, and their points.

use super::entities::{self, after_key};
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
    Timestamp,
    meaning::Meaning,
    series::{MetricType, Series, SeriesId},
};
use utoipa::{IntoParams, ToSchema};

/// Points in one answer; a longer stretch must be asked for in parts.
const MAX_POINTS: usize = 50_000;
/// How far back points go when the caller does not say, in milliseconds.
const DEFAULT_STRETCH_MILLIS: i64 = 3_600_000;

/// A series: as its sender describes it, and what it means.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SeriesView {
    id: u64,
    job: String,
    instance: String,
    /// The sender's own name.
    metric: String,
    #[schema(value_type = String)]
    metric_type: MetricType,
    labels: BTreeMap<String, String>,
    /// The unit the sender declares, or empty.
    sent_unit: String,
    /// Absent as long as no mapper knows it.
    meaning: Option<MeaningView>,
}

/// What a series means.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeaningView {
    entity: String,
    /// Canonical name.
    name: String,
    /// Canonical unit.
    unit: String,
    /// Canonical value = sent value × scale + offset.
    scale: f64,
    offset: f64,
    dimensions: BTreeMap<String, String>,
    /// Codes of the faults it can tell of.
    faults: Vec<String>,
    mapper: String,
}

impl SeriesView {
    fn new(series: Series, meaning: Option<Meaning>) -> Self {
        let pairs = |labels: &tandem_domain::series::Labels| labels.iter().map(|(n, v)| (n.into(), v.into())).collect();
        Self {
            id: series.id.0,
            labels: pairs(&series.description.labels),
            job: series.target.job,
            instance: series.target.instance,
            metric: series.description.metric,
            metric_type: series.description.metric_type,
            sent_unit: series.description.unit,
            meaning: meaning.map(|meaning| MeaningView {
                entity: meaning.entity.0,
                dimensions: pairs(&meaning.body.dimensions),
                faults: meaning.body.fault_rules.into_iter().map(|rule| rule.code).collect(),
                name: meaning.body.name,
                unit: meaning.body.unit,
                scale: meaning.body.scale,
                offset: meaning.body.offset,
                mapper: meaning.mapper,
            }),
        }
    }
}

/// Which series.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SeriesFilter {
    /// Only of this entity.
    entity: Option<String>,
    /// Only with this canonical name, or the sender's metric name.
    name: Option<String>,
    /// Only of this scrape job or collecting plugin.
    job: Option<String>,
}

/// All series, by number.
#[utoipa::path(get, path = "/api/v1/series", tag = "series", params(SeriesFilter, PageQuery),
    responses((status = OK, body = Page<SeriesView>), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Query(filter): Query<SeriesFilter>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<SeriesView>>, ApiError> {
    page.number()?;
    let read = state.store.read()?;
    let entity = match &filter.entity {
        None => None,
        Some(id) => {
            Some(entities::find(&read, id)?.ok_or_else(|| ApiError::not_found("entity", id, "/api/v1/entities"))?.id)
        }
    };
    let mut failure = None;
    let page = paging::fill(
        &page,
        |after, limit| Ok(read.scan::<Series>(after_key(after.and_then(|text| text.parse::<u64>().ok())), limit)?),
        |series| series.id.0.to_string(),
        |series| {
            if filter.job.as_ref().is_some_and(|job| *job != series.target.job) {
                return None;
            }
            let meaning = read.get::<Meaning>(&series.id.0).unwrap_or_else(|error| {
                failure = Some(error);
                None
            });
            let fits_entity = entity.as_ref().is_none_or(|id| meaning.as_ref().is_some_and(|m| m.entity == *id));
            let fits_name = filter.name.as_ref().is_none_or(|name| {
                *name == series.description.metric || meaning.as_ref().is_some_and(|m| m.body.name == *name)
            });
            (fits_entity && fits_name).then(|| SeriesView::new(series, meaning))
        },
    )?;
    failure.map_or(Ok(Json(page)), |error| Err(error.into()))
}

/// Which points.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PointsQuery {
    /// First moment; an hour before the end when absent.
    start: Option<String>,
    /// Last moment; now when absent.
    end: Option<String>,
    /// Values as sent instead of in the canonical unit.
    #[serde(default)]
    raw: bool,
}

/// Points in columns of equal length.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PointsView {
    series: u64,
    /// The unit of the values.
    unit: String,
    at: Vec<String>,
    /// null is a missing value or the end of the series.
    value: Vec<Option<f64>>,
}

/// The points of one series, in its canonical unit.
#[utoipa::path(get, path = "/api/v1/series/{id}/points", tag = "series", params(("id" = u64, Path), PointsQuery),
    responses((status = OK, body = PointsView), (status = NOT_FOUND, body = ErrorBody), (status = BAD_REQUEST, body = ErrorBody)))]
pub(crate) async fn points(
    State(state): State<ApiState>,
    Path(id): Path<u64>,
    Query(query): Query<PointsQuery>,
) -> Result<Json<PointsView>, ApiError> {
    let read = state.store.read()?;
    let series = read.get::<Series>(&id)?.ok_or_else(|| ApiError::not_found("series", id, "/api/v1/series"))?;
    let meaning = read.get::<Meaning>(&id)?.filter(|_| !query.raw);
    let end = moment("end", query.end.as_deref())?.unwrap_or_else(|| state.clock.now());
    let start = moment("start", query.start.as_deref())?.unwrap_or(end.plus_millis(-DEFAULT_STRETCH_MILLIS));
    let points = read.points(SeriesId(id), start, end)?;
    if points.at.len() > MAX_POINTS {
        return Err(ApiError::bad_request(
            format!("there are {} points from start to end", points.at.len()),
            format!("ask for a shorter stretch, of at most {MAX_POINTS} points"),
        ));
    }
    let canonical = |sent: f64| meaning.as_ref().map_or(sent, |meaning| meaning.body.canonical(sent));
    Ok(Json(PointsView {
        series: id,
        unit: meaning.as_ref().map_or(series.description.unit, |meaning| meaning.body.unit.clone()),
        at: points.at.into_iter().map(time::write).collect(),
        value: points.value.into_iter().map(canonical).map(|value| value.is_finite().then_some(value)).collect(),
    }))
}

/// A moment given in a query.
pub(crate) fn moment(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| {
        time::read(text).ok_or_else(|| {
            ApiError::bad_request(format!("{name} is {text:?}"), "write a moment as RFC 3339 or as Unix seconds")
        })
    })
    .transpose()
}
