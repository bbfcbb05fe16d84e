//! All records that verdicts are made from, read at one moment.

use crate::{ask::Diagnosis, rules::Drifting};
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{
    alert::{Alert, AlertState},
    drift::{DriftReport, DriftStanding},
    entity::{Entity, EntityId},
    graph::DependencyGraph,
    incident::Incident,
    objective::{Keeping, ObjectiveStanding},
    prediction::ServiceTraffic,
    relation::Relation,
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

/// The records of both halves at one moment. Ids are those after all merges.
pub(crate) struct Snapshot {
    entities: BTreeMap<EntityId, Entity>,
    canonical: Canonical,
    pub relations: Vec<Relation>,
    pub graph: DependencyGraph,
    /// Active ones.
    pub incidents: Vec<Incident>,
    /// The firing alerts of the incidents, by fingerprint.
    pub alerts: BTreeMap<String, Alert>,
    drifting: BTreeMap<String, Drifting>,
    burning: BTreeMap<String, Vec<ObjectiveStanding>>,
    traffic: BTreeMap<String, Vec<ServiceTraffic>>,
    diagnoses: BTreeMap<String, Diagnosis>,
    pub names: BTreeMap<EntityId, String>,
}

impl Snapshot {
    /// Reads it.
    pub(crate) fn load(read: &ReadTx) -> Result<Self, ReadError> {
        let entities = read.scan::<Entity>(.., MAX_ENTITIES)?;
        let canonical = Canonical::new(&entities);
        let relations = read.scan::<Relation>(.., MAX_RELATIONS)?;
        let relations: Vec<Relation> = relations
            .into_iter()
            .map(|r| Relation { dependent: canonical.of(&r.dependent), dependency: canonical.of(&r.dependency), ..r })
            .collect();
        let graph = DependencyGraph::new(&relations);
        let incidents = active_incidents(read, &canonical)?;
        let alerts = firing_alerts(read, &incidents, &canonical)?;
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
        let diagnoses = read.scan::<Diagnosis>(.., MAX_TRAFFIC)?;
        let names = entities.iter().map(|entity| (entity.id.clone(), entity.name.clone())).collect();
        Ok(Self {
            entities: entities.into_iter().map(|entity| (entity.id.clone(), entity)).collect(),
            canonical,
            relations,
            graph,
            incidents,
            alerts,
            drifting: latest_reports(read)?,
            burning,
            traffic,
            diagnoses: diagnoses.into_iter().map(|one| (one.service.clone(), one)).collect(),
            names,
        })
    }

    /// Every service by name: those that are known, and those that predictions speak of.
    pub(crate) fn services(&self) -> BTreeMap<String, EntityId> {
        let known = self.entities.values().filter(|entity| entity.kind == "service" && entity.merged_into.is_none());
        let mut services: BTreeMap<String, EntityId> =
            known.map(|entity| (entity.name.clone(), entity.id.clone())).collect();
        for name in self.traffic.keys() {
            services.entry(name.clone()).or_insert_with(|| EntityId(format!("service:{name}")));
        }
        services
    }

    pub(crate) fn entity(&self, id: &EntityId) -> Option<&Entity> {
        self.entities.get(id)
    }

    /// The id after all merges.
    pub(crate) fn canonical(&self, id: &EntityId) -> EntityId {
        self.canonical.of(id)
    }

    pub(crate) fn traffic(&self, service: &str) -> &[ServiceTraffic] {
        self.traffic.get(service).map(Vec::as_slice).unwrap_or_default()
    }

    /// Objectives that a service does not keep.
    pub(crate) fn burning(&self, service: &str) -> &[ObjectiveStanding] {
        self.burning.get(service).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn drifting(&self, service: &str) -> Option<&Drifting> {
        self.drifting.get(service)
    }

    pub(crate) fn diagnosis(&self, service: &str) -> Option<&Diagnosis> {
        self.diagnoses.get(service)
    }

    /// Services that have an answer.
    pub(crate) fn diagnosed(&self) -> impl Iterator<Item = &Diagnosis> {
        self.diagnoses.values()
    }

    /// From a service to everything it needs, itself first.
    pub(crate) fn paths(&self, service: &EntityId) -> Vec<Vec<EntityId>> {
        let mut paths = self.graph.dependencies_of(service);
        paths.insert(0, vec![service.clone()]);
        paths
    }
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
fn firing_alerts(
    read: &ReadTx,
    incidents: &[Incident],
    canonical: &Canonical,
) -> Result<BTreeMap<String, Alert>, ReadError> {
    let mut alerts = BTreeMap::new();
    for fingerprint in incidents.iter().flat_map(|incident| &incident.alerts) {
        if let Some(alert) = read.get::<Alert>(&fingerprint.0)?.filter(|alert| alert.state == AlertState::Firing) {
            let entity = canonical.of(&alert.entity);
            alerts.insert(fingerprint.0.clone(), Alert { entity, ..alert });
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
