//! The two answers and their cause: pure.

use std::collections::BTreeMap;
use tandem_domain::{
    Severity, Timestamp,
    alert::Alert,
    drift::{DriftReport, DriftState},
    entity::EntityId,
    incident::Incident,
    prediction::ServiceTraffic,
    verdict::{CauseKind, Health, InfrastructureAnswer, ModelAnswer, Verdict},
};

/// Columns named in a sentence.
const MAX_NAMED_COLUMNS: usize = 3;

/// All that is known of one service.
pub(crate) struct Facts<'a> {
    pub service: String,
    pub at: Timestamp,
    pub traffic: &'a [ServiceTraffic],
    pub report: Option<&'a DriftReport>,
    /// From the service to everything it needs, the service itself first.
    pub paths: &'a [Vec<EntityId>],
    /// Whether anything is known to lie below it.
    pub has_infrastructure: bool,
    /// Active ones.
    pub incidents: &'a [Incident],
    /// Firing ones, by fingerprint.
    pub alerts: &'a BTreeMap<String, Alert>,
    pub names: &'a BTreeMap<EntityId, String>,
}

impl Facts<'_> {
    fn name(&self, id: &EntityId) -> String {
        self.names.get(id).cloned().unwrap_or_else(|| id.0.clone())
    }
}

/// The verdict.
pub(crate) fn judge(facts: &Facts<'_>) -> Verdict {
    let model = model(facts);
    let on_path = incidents_on_path(facts);
    let infrastructure = infrastructure(facts, &on_path);
    let (cause, cause_entity, sentence) = cause(facts, &model, &on_path);
    Verdict { service: facts.service.clone(), at: facts.at, model, infrastructure, cause, cause_entity, sentence }
}

fn model(facts: &Facts<'_>) -> ModelAnswer {
    let unknown = |why: String| ModelAnswer { state: Health::Unknown, since: None, evidence: vec![why] };
    let seen: u64 = facts.traffic.iter().map(|traffic| traffic.predictions).sum();
    let mut answer = match facts.report {
        None if seen == 0 => return unknown("no predictions were sent: nothing says whether the model works".into()),
        None => return unknown(format!("{seen} predictions are not enough for a drift report yet")),
        Some(report) => match report.state {
            DriftState::Stable => {
                ModelAnswer { state: Health::Ok, since: Some(report.at), evidence: vec![measured(report)] }
            }
            DriftState::Drifted => {
                ModelAnswer { state: Health::Degraded, since: Some(report.at), evidence: vec![measured(report)] }
            }
            DriftState::InsufficientData => unknown("there are not enough rows to say".into()),
            DriftState::Failed => unknown("every drift metric failed; see the report for why".into()),
        },
    };
    let (labels, agreed) =
        facts.traffic.iter().fold((0, 0), |(l, a), traffic| (l + traffic.labels, a + traffic.agreed));
    if labels > 0 {
        answer.evidence.push(format!(
            "{:.1} % of {labels} labelled predictions agree with their label",
            100.0 * agreed as f64 / labels as f64
        ));
    }
    answer
}

fn drifted_columns(report: &DriftReport) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for line in &report.columns {
        let drifted = line.outcome.as_ref().is_ok_and(|drift| drift.drifted);
        if let (true, Some(name)) = (drifted, line.column.as_deref())
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

fn measured(report: &DriftReport) -> String {
    let drifted = drifted_columns(report);
    let mut columns: Vec<&str> = report.columns.iter().filter_map(|line| line.column.as_deref()).collect();
    columns.sort_unstable();
    columns.dedup();
    let failed = report.columns.iter().filter(|line| line.outcome.is_err()).count();
    let mut named = drifted.iter().take(MAX_NAMED_COLUMNS).copied().collect::<Vec<_>>().join(", ");
    if drifted.len() > MAX_NAMED_COLUMNS {
        named.push_str(", …");
    }
    let tail = if failed > 0 { format!("; {failed} measurements could not be made") } else { String::new() };
    match drifted.len() {
        0 => format!(
            "none of {} columns of {} version {} has drifted{tail}",
            columns.len(),
            report.model,
            report.version
        ),
        count => format!(
            "{count} of {} columns of {} version {} have drifted: {named}{tail}",
            columns.len(),
            report.model,
            report.version
        ),
    }
}

/// An incident with the path that leads to it.
struct OnPath<'a> {
    incident: &'a Incident,
    path: &'a [EntityId],
}

/// Active incidents whose firing alerts, or whose first cause, lie on the service's dependency path; nearest first.
fn incidents_on_path<'a>(facts: &'a Facts<'_>) -> Vec<OnPath<'a>> {
    let mut found: Vec<(usize, OnPath<'a>)> = Vec::new();
    for incident in facts.incidents {
        let alerting = incident
            .alerts
            .iter()
            .filter_map(|fingerprint| facts.alerts.get(&fingerprint.0))
            .map(|alert| &alert.entity);
        let touched: Vec<&EntityId> = alerting.chain(incident.causes.first().map(|cause| &cause.entity)).collect();
        let path = facts.paths.iter().find(|path| path.last().is_some_and(|end| touched.contains(&end)));
        if let Some(path) = path {
            found.push((path.len(), OnPath { incident, path }));
        }
    }
    found.sort_by_key(|(length, on_path)| (std::cmp::Reverse(on_path.incident.severity), *length, on_path.incident.id));
    found.into_iter().map(|(_, on_path)| on_path).collect()
}

fn infrastructure(facts: &Facts<'_>, on_path: &[OnPath<'_>]) -> InfrastructureAnswer {
    let grave = on_path.iter().any(|found| found.incident.severity >= Severity::Warning);
    let state = match (grave, facts.has_infrastructure) {
        (true, _) => Health::Degraded,
        (false, true) => Health::Ok,
        (false, false) => Health::Unknown,
    };
    let since = on_path.iter().map(|found| found.incident.opened_at).min();
    InfrastructureAnswer {
        state,
        since: since.filter(|_| grave),
        incidents: on_path.iter().map(|found| found.incident.id).collect(),
    }
}

fn cause(facts: &Facts<'_>, model: &ModelAnswer, on_path: &[OnPath<'_>]) -> (CauseKind, Option<EntityId>, String) {
    let service = &facts.service;
    let below = on_path.iter().find(|found| found.incident.severity >= Severity::Warning);
    let told = below.map(|found| {
        let entity =
            found.incident.causes.first().map(|cause| cause.entity.clone()).or_else(|| found.path.last().cloned());
        let steps: Vec<String> = found.path.iter().skip(1).map(|id| facts.name(id)).collect();
        let way = if steps.is_empty() { String::new() } else { format!(", reached through {}", steps.join(" → ")) };
        (entity, format!("incident #{} ({}){way}", found.incident.id, found.incident.title))
    });
    let drifted = facts.report.filter(|_| model.state == Health::Degraded);
    match (drifted, told) {
        (None, None) if model.state == Health::Unknown && !facts.has_infrastructure => {
            (CauseKind::Unknown, None, format!("nothing is known of {service} yet but its name"))
        }
        (None, None) => (CauseKind::None, None, format!("nothing is known to be wrong with {service}")),
        (None, Some((entity, incident))) => {
            let model_says = if model.state == Health::Ok {
                "the model's answers are as expected"
            } else {
                "nothing is known of the model's answers"
            };
            (CauseKind::Infrastructure, entity, format!("{service} depends on what fails: {incident}; {model_says}"))
        }
        (Some(report), None) => {
            // What the model is given has moved, or only what it says.
            let drifted = drifted_columns(report);
            let inputs = drifted.iter().any(|name| !["prediction", "score"].contains(name));
            let kind = if inputs { CauseKind::Data } else { CauseKind::Model };
            let what = if inputs {
                "what it is given has moved"
            } else {
                "its answers have moved while what it is given has not"
            };
            (kind, None, format!("{service} has drifted: {what}; the infrastructure below it has no open incident"))
        }
        (Some(report), Some((entity, incident))) => {
            let opened = on_path.iter().map(|found| found.incident.opened_at).min();
            let first = if opened.is_some_and(|opened| opened <= report.at) {
                "since before the drift was seen"
            } else {
                "since after the drift was seen"
            };
            (CauseKind::Both, entity, format!("{service} has drifted, and below it there is, {first}, {incident}"))
        }
    }
}

#[cfg(test)]
mod tests;
