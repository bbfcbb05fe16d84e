//! Is the infrastructure behind it healthy? Incidents on the dependency path.

use super::{Facts, cause::Found};
use tandem_domain::{
    Severity,
    alert::Alert,
    entity::EntityId,
    incident::Incident,
    objective::OBJECTIVES,
    verdict::{BLAMES, Health, InfrastructureAnswer},
};

/// An incident with the path that leads to it.
pub(super) struct OnPath<'a> {
    pub incident: &'a Incident,
    pub path: &'a [EntityId],
}

/// Active incidents whose firing alerts, or whose first cause, lie on the service's dependency path; nearest first.
pub(super) fn incidents_on_path<'a>(facts: &'a Facts<'_>) -> Vec<OnPath<'a>> {
    let mut found: Vec<(usize, OnPath<'a>)> = Vec::new();
    for incident in facts.incidents {
        let alerting = incident
            .alerts
            .iter()
            .filter_map(|fingerprint| facts.alerts.get(&fingerprint.0))
            .filter(|alert| alert.source != BLAMES)
            .map(|alert| &alert.entity);
        if !tells_of_itself(facts, incident) {
            continue;
        }
        let touched: Vec<&EntityId> = alerting.chain(cause_of(facts, incident)).collect();
        let path = facts.paths.iter().find(|path| path.last().is_some_and(|end| touched.contains(&end)));
        if let Some(path) = path {
            found.push((path.len(), OnPath { incident, path }));
        }
    }
    found.sort_by_key(|(length, on_path)| (std::cmp::Reverse(on_path.incident.severity), *length, on_path.incident.id));
    found.into_iter().map(|(_, on_path)| on_path).collect()
}

/// Whether an incident is more than that users feel something and whom verdicts blame for it: an objective that is not kept says
/// nothing of what lies below, and a verdict is no witness for itself.
fn tells_of_itself(facts: &Facts<'_>, incident: &Incident) -> bool {
    let mut alerts = incident.alerts.iter().filter_map(|fingerprint| facts.alerts.get(&fingerprint.0)).peekable();
    alerts.peek().is_none() || alerts.any(|alert| ![OBJECTIVES, BLAMES].contains(&alert.source.as_str()))
}

/// The first cause that an incident names, but for those that only a verdict has named to it.
pub(super) fn cause_of<'a>(facts: &'a Facts<'_>, incident: &'a Incident) -> Option<&'a EntityId> {
    let alerts: Vec<&Alert> = speaking(facts, incident).collect();
    let is_echo = |entity: &EntityId| {
        let mut of_it = alerts.iter().filter(|alert| alert.entity == *entity).peekable();
        of_it.peek().is_some() && of_it.all(|alert| alert.source == BLAMES)
    };
    incident.causes.iter().map(|cause| &cause.entity).find(|entity| !is_echo(entity))
}

/// Grave incidents on a service's path, each with the alerts that speak for it.
pub(crate) fn grave_incidents<'a>(facts: &'a Facts<'_>) -> Vec<(&'a Incident, Vec<&'a Alert>)> {
    let grave = incidents_on_path(facts).into_iter().filter(|found| found.incident.severity >= Severity::Warning);
    grave.map(|found| (found.incident, speaking(facts, found.incident).collect())).collect()
}

/// The alerts that speak for an incident.
pub(super) fn speaking<'a>(facts: &'a Facts<'_>, incident: &'a Incident) -> impl Iterator<Item = &'a Alert> {
    incident.alerts.iter().filter_map(|fingerprint| facts.alerts.get(&fingerprint.0))
}

pub(super) fn infrastructure(facts: &Facts<'_>, on_path: &[OnPath<'_>], cause: &Found) -> InfrastructureAnswer {
    // Only what degrades says since when.
    let grave = on_path.iter().filter(|found| found.incident.severity >= Severity::Warning);
    let since = grave.map(|found| found.incident.opened_at).min().or(cause.below_since);
    let state = match (since, facts.has_infrastructure()) {
        (Some(_), _) => Health::Degraded,
        (None, true) => Health::Ok,
        (None, false) => Health::Unknown,
    };
    InfrastructureAnswer { state, since, incidents: on_path.iter().map(|found| found.incident.id).collect() }
}
