//! What the verdicts are made from, read from one snapshot.

use crate::rules::{Drifting, Facts, judge};
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{
    Timestamp,
    alert::{Alert, AlertState},
    drift::{DriftReport, DriftStanding},
    entity::{Entity, EntityId},
    graph::DependencyGraph,
    incident::Incident,
    objective::{Keeping, ObjectiveStanding},
    prediction::ServiceTraffic,
    relation::Relation,
    verdict::Verdict,
};
use tandem_store::{ReadError, ReadTx};

/// Relations looked at; beyond it paths may be cut short.
const MAX_RELATIONS: usize = 500_000;
/// Entities looked at.
const MAX_ENTITIES: usize = 200_000;
/// Versions of services looked at.
const MAX_TRAFFIC: usize = 100_000;
/// Incidents looked at, newest first, to find the active ones.
const MAX_INCIDENTS: usize = 10_000;
/// How many merges are followed.
const MAX_MERGE_STEPS: usize = 16;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct VerdictError(#[from] ReadError);

/// The verdict of every service, or of one; by name.
///
/// # Errors
/// When the store cannot be read.
pub fn verdicts(read: &ReadTx, service: Option<&str>, at: Timestamp) -> Result<Vec<Verdict>, VerdictError> {
    let entities = read.scan::<Entity>(.., MAX_ENTITIES)?;
    let canonical = Canonical::new(&entities);
    let relations = read.scan::<Relation>(.., MAX_RELATIONS)?;
    let relations: Vec<Relation> = relations
        .into_iter()
        .map(|r| Relation { dependent: canonical.of(&r.dependent), dependency: canonical.of(&r.dependency), ..r })
        .collect();
    let graph = DependencyGraph::new(&relations);
    let incidents = active_incidents(read, &canonical)?;
    let alerts = firing_alerts(read, &incidents)?;
    let drifting = latest_reports(read)?;
    let mut burning: BTreeMap<String, Vec<ObjectiveStanding>> = BTreeMap::new();
    for standing in read.scan::<ObjectiveStanding>(.., MAX_TRAFFIC)? {
        if standing.keeping == Keeping::Burning {
            burning.entry(standing.service.clone()).or_default().push(standing);
        }
    }
    let mut traffic: BTreeMap<String, Vec<ServiceTraffic>> = BTreeMap::new();
    for one in read.scan::<ServiceTraffic>(.., MAX_TRAFFIC)? {
        traffic.entry(one.service.clone()).or_default().push(one);
    }
    let known = entities.iter().filter(|entity| entity.kind == "service" && entity.merged_into.is_none());
    let mut services: BTreeMap<String, EntityId> =
        known.map(|entity| (entity.name.clone(), entity.id.clone())).collect();
    for name in traffic.keys() {
        services.entry(name.clone()).or_insert_with(|| EntityId(format!("service:{name}")));
    }
    let wanted = services.into_iter().filter(|(name, _)| service.is_none_or(|wanted| wanted == name));
    let names: BTreeMap<EntityId, String> =
        entities.iter().map(|entity| (entity.id.clone(), entity.name.clone())).collect();
    let judged = wanted.map(|(name, id)| {
        let mut paths = graph.dependencies_of(&id);
        paths.insert(0, vec![id]);
        judge(&Facts {
            traffic: traffic.get(&name).map(Vec::as_slice).unwrap_or_default(),
            drifting: drifting.get(&name),
            burning: burning.get(&name).map(Vec::as_slice).unwrap_or_default(),
            has_infrastructure: paths.len() > 1,
            paths: &paths,
            incidents: &incidents,
            alerts: &alerts,
            names: &names,
            service: name,
            at,
        })
    });
    Ok(judged.collect())
}

/// Ids after all merges.
struct Canonical(BTreeMap<EntityId, EntityId>);

impl Canonical {
    fn new(entities: &[Entity]) -> Self {
        Self(entities.iter().filter_map(|entity| Some((entity.id.clone(), entity.merged_into.clone()?))).collect())
    }

    fn of(&self, id: &EntityId) -> EntityId {
        let mut id = id;
        for _ in 0..MAX_MERGE_STEPS {
            match self.0.get(id) {
                Some(next) => id = next,
                None => break,
            }
        }
        id.clone()
    }
}

fn active_incidents(read: &ReadTx, canonical: &Canonical) -> Result<Vec<Incident>, ReadError> {
    let mut incidents = read.scan_back::<Incident>(.., MAX_INCIDENTS)?;
    incidents.retain(|incident| incident.status.is_active() && incident.merged_into.is_none());
    for incident in &mut incidents {
        let entities: BTreeSet<EntityId> = incident.entities.iter().map(|id| canonical.of(id)).collect();
        incident.entities = entities.into_iter().collect();
        for cause in &mut incident.causes {
            cause.entity = canonical.of(&cause.entity);
        }
    }
    Ok(incidents)
}

/// The firing alerts of the incidents, by fingerprint.
fn firing_alerts(read: &ReadTx, incidents: &[Incident]) -> Result<BTreeMap<String, Alert>, ReadError> {
    let mut alerts = BTreeMap::new();
    for fingerprint in incidents.iter().flat_map(|incident| &incident.alerts) {
        if let Some(alert) = read.get::<Alert>(&fingerprint.0)?.filter(|alert| alert.state == AlertState::Firing) {
            alerts.insert(fingerprint.0.clone(), alert);
        }
    }
    Ok(alerts)
}

/// Where each service stands: by the latest report of any of its versions.
fn latest_reports(read: &ReadTx) -> Result<BTreeMap<String, Drifting>, ReadError> {
    let mut latest: BTreeMap<String, DriftStanding> = BTreeMap::new();
    for standing in read.scan::<DriftStanding>(.., MAX_TRAFFIC)? {
        let known = latest.get(&standing.service);
        if known.is_none_or(|known| (known.at, known.report) < (standing.at, standing.report)) {
            latest.insert(standing.service.clone(), standing);
        }
    }
    let mut drifting = BTreeMap::new();
    for (service, standing) in latest {
        if let Some(report) = read.get::<DriftReport>(&standing.report)? {
            drifting.insert(service, Drifting { standing, report });
        }
    }
    Ok(drifting)
}

#[cfg(test)]
mod tests;
