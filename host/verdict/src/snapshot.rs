//! All records that verdicts are made from, read at one moment.

use crate::{ask::Diagnosis, ground::Ground, rules::Drifting};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_domain::{
    alert::{Alert, AlertState},
    drift::{DriftReport, DriftStanding},
    entity::{Entity, EntityId},
    incident::{Incident, IncidentStatus},
    objective::{Keeping, ObjectiveStanding},
    prediction::ServiceTraffic,
};
use tandem_store::{ReadError, ReadTx};

/// Versions of services looked at.
const MAX_TRAFFIC: usize = 100_000;
/// Incidents looked at, newest first, to find the active ones.
const MAX_INCIDENTS: usize = 10_000;
/// Paths from a service that are wanted where nothing below it is in trouble: whether anything lies there, and what is nearest.
const NEAREST: usize = 8;

/// The records of both halves at one moment. Ids are those after all merges.
pub(crate) struct Snapshot {
    pub ground: Arc<Ground>,
    /// Active ones.
    pub incidents: Vec<Incident>,
    /// The alerts that speak for the incidents, by fingerprint.
    pub alerts: BTreeMap<String, Alert>,
    drifting: BTreeMap<String, Drifting>,
    burning: BTreeMap<String, Vec<ObjectiveStanding>>,
    traffic: BTreeMap<String, Vec<ServiceTraffic>>,
    diagnoses: BTreeMap<String, Diagnosis>,
}

impl Snapshot {
    /// Reads it; what is known of entities and relations is not read again when nothing changed.
    pub(crate) fn load(read: &ReadTx, known: Option<&Arc<Ground>>) -> Result<Self, ReadError> {
        let ground = Ground::current(read, known)?;
        let incidents = active_incidents(read, &ground)?;
        let alerts = speaking_alerts(read, &incidents, &ground)?;
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
        Ok(Self {
            ground,
            incidents,
            alerts,
            drifting: latest_reports(read)?,
            burning,
            traffic,
            diagnoses: diagnoses.into_iter().map(|one| (one.service.clone(), one)).collect(),
        })
    }

    /// Every service by name: those that are known, and those that predictions speak of.
    pub(crate) fn services(&self) -> BTreeMap<String, EntityId> {
        let known =
            self.ground.entities.values().filter(|entity| entity.kind == "service" && entity.merged_into.is_none());
        let mut services: BTreeMap<String, EntityId> =
            known.map(|entity| (entity.name.clone(), entity.id.clone())).collect();
        for name in self.traffic.keys() {
            services.entry(name.clone()).or_insert_with(|| EntityId(format!("service:{name}")));
        }
        services
    }

    pub(crate) fn entity(&self, id: &EntityId) -> Option<&Entity> {
        self.ground.entities.get(id)
    }

    /// The id after all merges.
    pub(crate) fn canonical(&self, id: &EntityId) -> EntityId {
        self.ground.canonical(id)
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

    /// From a service to everything it needs, itself first; only to what is nearest where no incident could lie on the way.
    pub(crate) fn paths(&self, service: &EntityId) -> Vec<Vec<EntityId>> {
        let most = if self.incidents.is_empty() { NEAREST } else { usize::MAX };
        let mut paths = self.ground.graph.nearest_dependencies_of(service, most);
        paths.insert(0, vec![service.clone()]);
        paths
    }
}

fn active_incidents(read: &ReadTx, ground: &Ground) -> Result<Vec<Incident>, ReadError> {
    let mut incidents = read.scan_back::<Incident>(.., MAX_INCIDENTS)?;
    incidents.retain(|incident| incident.status.is_active() && incident.merged_into.is_none());
    for incident in &mut incidents {
        let entities: BTreeSet<EntityId> = incident.entities.iter().map(|id| ground.canonical(id)).collect();
        incident.entities = entities.into_iter().collect();
        for cause in &mut incident.causes {
            cause.entity = ground.canonical(&cause.entity);
        }
    }
    Ok(incidents)
}

/// The alerts that speak for the incidents, by fingerprint: the firing ones of each, and those that are over where none fires or the
/// incident came back: what comes and goes is amiss meanwhile.
fn speaking_alerts(
    read: &ReadTx,
    incidents: &[Incident],
    ground: &Ground,
) -> Result<BTreeMap<String, Alert>, ReadError> {
    let mut speaking = BTreeMap::new();
    for incident in incidents {
        let mut alerts = Vec::new();
        for fingerprint in &incident.alerts {
            alerts.extend(read.get::<Alert>(&fingerprint.0)?);
        }
        let fires = |alert: &Alert| alert.state == AlertState::Firing;
        let comes_and_goes = incident.status == IncidentStatus::Reopened || !alerts.iter().any(fires);
        alerts.retain(|alert| comes_and_goes || fires(alert));
        speaking.extend(alerts.into_iter().map(|alert| {
            let entity = ground.canonical(&alert.entity);
            (alert.fingerprint.0.clone(), Alert { entity, ..alert })
        }));
    }
    Ok(speaking)
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
