//! The two answers and their cause: pure.

mod advice;
mod below;
mod cause;
mod cost;
mod model;
#[cfg(test)]
mod tests;

pub(crate) use below::grave_incidents;

use crate::{ask::Diagnosis, snapshot::Snapshot};
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    alert::Alert,
    drift::{DriftReport, DriftStanding},
    entity::EntityId,
    incident::Incident,
    objective::{Indicator, ObjectiveStanding},
    prediction::ServiceTraffic,
    verdict::Verdict,
};

/// The latest report of a service, and since when it comes to what it comes to.
pub(crate) struct Drifting {
    pub standing: DriftStanding,
    pub report: DriftReport,
}

/// All that is known of one service.
pub(crate) struct Facts<'a> {
    pub service: &'a str,
    pub at: Timestamp,
    pub traffic: &'a [ServiceTraffic],
    pub drifting: Option<&'a Drifting>,
    /// Objectives that it does not keep.
    pub burning: &'a [ObjectiveStanding],
    /// From the service to everything it needs, the service itself first.
    pub paths: &'a [Vec<EntityId>],
    /// Active ones.
    pub incidents: &'a [Incident],
    /// Those that speak for the incidents, by fingerprint.
    pub alerts: &'a BTreeMap<String, Alert>,
    pub names: &'a BTreeMap<EntityId, String>,
    /// What was answered when it was asked who is to blame.
    pub diagnosis: Option<&'a Diagnosis>,
}

impl<'a> Facts<'a> {
    /// The facts of one service; `paths` are those of the snapshot for it.
    pub(crate) fn of(snapshot: &'a Snapshot, service: &'a str, paths: &'a [Vec<EntityId>], at: Timestamp) -> Self {
        Self {
            service,
            at,
            traffic: snapshot.traffic(service),
            drifting: snapshot.drifting(service),
            burning: snapshot.burning(service),
            paths,
            incidents: &snapshot.incidents,
            alerts: &snapshot.alerts,
            names: &snapshot.ground.names,
            diagnosis: snapshot.diagnosis(service),
        }
    }

    /// Whether anything is known to lie below it.
    fn has_infrastructure(&self) -> bool {
        self.paths.len() > 1
    }

    /// The objective about the quality of answers, when it is not kept.
    fn wrong(&self) -> Option<&ObjectiveStanding> {
        self.burning.iter().find(|standing| standing.objective.indicator == Indicator::Quality)
    }

    /// An objective about waiting and errors that is not kept: those who use it feel it.
    fn felt(&self) -> Option<&ObjectiveStanding> {
        self.burning.iter().find(|standing| standing.objective.indicator != Indicator::Quality)
    }

    fn name(&self, id: &EntityId) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| id.0.clone())
    }
}

/// The verdict.
pub(crate) fn judge(facts: &Facts<'_>) -> Verdict {
    let model = model::model(facts);
    let on_path = below::incidents_on_path(facts);
    let cause = cause::cause(facts, &model, &on_path);
    let infrastructure = below::infrastructure(facts, &on_path, &cause);
    Verdict {
        service: facts.service.to_owned(),
        at: facts.at,
        model,
        infrastructure,
        cause: cause.kind,
        cause_entity: cause.entity,
        sentence: cause.sentence,
        grounds: cause.grounds,
        demonstration: None,
    }
}
