//! Services and how they keep what they promise.

use crate::{error::ApiError, state::ApiState, time};
use axum::{Json, extract::State};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{
    Severity,
    entity::Entity,
    objective::{Counted, Indicator, Keeping, ObjectiveStanding},
    prediction::ServiceTraffic,
};
use tandem_store::ReadTx;
use utoipa::ToSchema;

/// Rows looked at.
const MAX_ROWS: usize = 200_000;

/// A service.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceView {
    name: String,
    /// The entity, once a model server or an alert told of it.
    entity: Option<String>,
    /// Versions of models that predictions named, as `model@version`.
    versions: Vec<String>,
    objectives: Vec<ObjectiveView>,
}

/// How one objective is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ObjectiveView {
    /// `availability`, `latency` or `quality`.
    indicator: &'static str,
    /// Of `latency`: within how many seconds a request shall be answered.
    within_seconds: Option<f64>,
    /// Share of good that is promised, 0 to 1.
    target: f64,
    /// `kept`, `burning` or `unknown`.
    #[schema(value_type = String)]
    keeping: Keeping,
    /// `critical` or `warning` while it burns.
    #[schema(value_type = Option<String>)]
    severity: Option<Severity>,
    since: String,
    at: String,
    /// What was counted, the shortest time first.
    counted: Vec<CountedView>,
    sentence: String,
    /// Replicas through which users feel it; empty when it is all of them, or nobody knows.
    of: Vec<String>,
    /// What was usual and what is now, where it is held against the service's own past.
    learned: Option<LearnedView>,
}

/// What was usual of a service, and what is now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LearnedView {
    /// Seconds of a request, or a share of failures or of labels that agreed.
    usual: f64,
    /// In the same unit; of the worst replica where some are named.
    now: f64,
    /// Share of requests or labelled predictions that are concerned.
    share: f64,
    /// The model's version that is worse, and the one it was held against.
    version: Option<String>,
    against: Option<String>,
}

/// What was counted over some minutes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountedView {
    minutes: i64,
    /// Share of the minutes in which it was counted at all.
    covered: f64,
    good: f64,
    total: f64,
}

impl From<ObjectiveStanding> for ObjectiveView {
    fn from(standing: ObjectiveStanding) -> Self {
        let within_seconds = match standing.objective.indicator {
            Indicator::Latency { within_seconds } => Some(within_seconds),
            Indicator::Availability | Indicator::Quality => None,
        };
        let counted =
            |Counted { minutes, covered, good, total }: Counted| CountedView { minutes, covered, good, total };
        Self {
            indicator: standing.objective.indicator.name(),
            within_seconds,
            target: standing.objective.target,
            keeping: standing.keeping,
            severity: standing.severity,
            since: time::write(standing.since),
            at: time::write(standing.at),
            counted: standing.counted.into_iter().map(counted).collect(),
            sentence: standing.sentence,
            of: standing.of.into_iter().map(|id| id.0).collect(),
            learned: standing.learned.map(|learned| LearnedView {
                usual: learned.usual,
                now: learned.now,
                share: learned.share,
                version: learned.version,
                against: learned.against,
            }),
        }
    }
}

/// All services.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Services {
    items: Vec<ServiceView>,
    /// Always none: services are few.
    next_cursor: Option<String>,
}

fn services(read: &ReadTx) -> Result<Services, ApiError> {
    let mut entities = BTreeMap::new();
    for entity in read.scan::<Entity>(.., MAX_ROWS)? {
        if entity.kind == "service" && entity.merged_into.is_none() {
            entities.insert(entity.name, entity.id.0);
        }
    }
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for traffic in read.scan::<ServiceTraffic>(.., MAX_ROWS)? {
        let version = format!("{}@{}", traffic.model, traffic.version);
        versions.entry(traffic.service).or_default().push(version);
    }
    let mut standings: BTreeMap<String, Vec<ObjectiveView>> = BTreeMap::new();
    for standing in read.scan::<ObjectiveStanding>(.., MAX_ROWS)? {
        standings.entry(standing.service.clone()).or_default().push(standing.into());
    }
    let names: BTreeSet<String> = entities.keys().chain(versions.keys()).chain(standings.keys()).cloned().collect();
    let view = |name: String| ServiceView {
        entity: entities.get(&name).cloned(),
        versions: versions.remove(&name).unwrap_or_default(),
        objectives: standings.remove(&name).unwrap_or_default(),
        name,
    };
    Ok(Services { items: names.into_iter().map(view).collect(), next_cursor: None })
}

/// Services, by name: what serves them, and how they keep their objectives.
#[utoipa::path(get, path = "/api/v1/services", tag = "services", responses((status = OK, body = Services)))]
pub(crate) async fn list(State(state): State<ApiState>) -> Result<Json<Services>, ApiError> {
    tokio::task::spawn_blocking(move || services(&state.store.read()?))
        .await
        .map_err(|error| ApiError::internal(error.to_string()))?
        .map(Json)
}
