//! The two answers and their cause: pure.

use std::collections::BTreeMap;
use tandem_domain::{
    Severity, Timestamp,
    alert::Alert,
    drift::{DriftReport, DriftStanding, DriftState},
    entity::EntityId,
    incident::Incident,
    objective::{Indicator, OBJECTIVES, ObjectiveStanding},
    prediction::{RECENT_MINUTES, ServiceTraffic, TrafficMinute},
    verdict::{CauseKind, Health, InfrastructureAnswer, ModelAnswer, Verdict},
};

/// Columns named in a sentence.
const MAX_NAMED_COLUMNS: usize = 3;

/// Milliseconds of an hour.
const HOUR_MILLIS: i64 = 3_600_000;

/// The latest report of a service, and since when it comes to what it comes to.
pub(crate) struct Drifting {
    pub standing: DriftStanding,
    pub report: DriftReport,
}

/// All that is known of one service.
pub(crate) struct Facts<'a> {
    pub service: String,
    pub at: Timestamp,
    pub traffic: &'a [ServiceTraffic],
    pub drifting: Option<&'a Drifting>,
    /// Objectives that it does not keep.
    pub burning: &'a [ObjectiveStanding],
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
    /// The objective about the quality of answers, when it is not kept.
    fn wrong(&self) -> Option<&ObjectiveStanding> {
        self.burning.iter().find(|standing| standing.objective.indicator == Indicator::Quality)
    }

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
    let mut answer = match facts.drifting {
        None => ModelAnswer { state: Health::Unknown, since: None, evidence: vec![unreported(facts)] },
        Some(drifting) => by_report(drifting, facts.at),
    };
    if let Some(wrong) = facts.wrong() {
        let since = answer.since.filter(|_| answer.state == Health::Degraded);
        answer.since = Some(since.map_or(wrong.since, |since| since.min(wrong.since)));
        answer.state = Health::Degraded;
        answer.evidence.insert(0, wrong.sentence.clone());
    }
    answer.evidence.extend(seen_lately(facts));
    answer
}

/// Why there is no report.
fn unreported(facts: &Facts<'_>) -> String {
    match facts.traffic.iter().map(|traffic| traffic.predictions).sum() {
        0u64 => "no predictions were sent: nothing says whether the model works".into(),
        seen => format!("{seen} predictions are not enough for a drift report yet"),
    }
}

/// What the latest report says, as long as it speaks of now.
fn by_report(Drifting { standing, report }: &Drifting, at: Timestamp) -> ModelAnswer {
    let holds_until = standing.holds_until();
    if at > holds_until {
        let hours = at.millis_since(standing.at) / HOUR_MILLIS;
        let old = format!(
            "the latest drift report is {hours} hours old and says nothing of now: too few predictions came since for another"
        );
        return ModelAnswer { state: Health::Unknown, since: Some(holds_until), evidence: vec![old] };
    }
    let why = report.columns.iter().find_map(|line| Some(line.outcome.as_ref().err()?.message.as_str()));
    let (state, said) = match report.state {
        DriftState::Stable => (Health::Ok, measured(report)),
        DriftState::Drifted => (Health::Degraded, measured(report)),
        DriftState::InsufficientData => {
            (Health::Unknown, format!("there are not enough rows to say: {}", why.unwrap_or("the rows hold no values")))
        }
        DriftState::Failed => {
            (Health::Unknown, format!("every drift metric failed, the first: {}", why.unwrap_or("see the report")))
        }
    };
    ModelAnswer { state, since: Some(standing.since), evidence: vec![said] }
}

/// What was seen of the service's answers, for good and lately.
fn seen_lately(facts: &Facts<'_>) -> Vec<String> {
    if facts.traffic.is_empty() {
        return Vec::new();
    }
    let share = |labels: u64, agreed: u64| 100.0 * agreed as f64 / labels as f64;
    let recent =
        facts.traffic.iter().map(|traffic| traffic.recent(facts.at)).fold(TrafficMinute::default(), |sum, one| {
            TrafficMinute {
                minute: one.minute,
                predictions: sum.predictions + one.predictions,
                labels: sum.labels + one.labels,
                agreed: sum.agreed + one.agreed,
            }
        });
    let mut seen = vec![match recent.predictions {
        0 => format!("no prediction was made in the last {RECENT_MINUTES} minutes"),
        count => format!("{count} predictions were made in the last {RECENT_MINUTES} minutes"),
    }];
    let (labels, agreed) =
        facts.traffic.iter().fold((0, 0), |(l, a), traffic| (l + traffic.labels, a + traffic.agreed));
    if labels > 0 {
        let mut all = format!("{:.1} % of {labels} labelled predictions agree with their label", share(labels, agreed));
        if recent.labels > 0 {
            let lately = share(recent.labels, recent.agreed);
            all.push_str(&format!(", {lately:.1} % of {} in the last {RECENT_MINUTES} minutes", recent.labels));
        }
        seen.push(all);
    }
    seen
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
        if !tells_of_itself(facts, incident) {
            continue;
        }
        let touched: Vec<&EntityId> = alerting.chain(incident.causes.first().map(|cause| &cause.entity)).collect();
        let path = facts.paths.iter().find(|path| path.last().is_some_and(|end| touched.contains(&end)));
        if let Some(path) = path {
            found.push((path.len(), OnPath { incident, path }));
        }
    }
    found.sort_by_key(|(length, on_path)| (std::cmp::Reverse(on_path.incident.severity), *length, on_path.incident.id));
    found.into_iter().map(|(_, on_path)| on_path).collect()
}

/// Whether an incident is more than that users feel something: an objective that is not kept says nothing of what lies below.
fn tells_of_itself(facts: &Facts<'_>, incident: &Incident) -> bool {
    let mut alerts = incident.alerts.iter().filter_map(|fingerprint| facts.alerts.get(&fingerprint.0)).peekable();
    alerts.peek().is_none() || alerts.any(|alert| alert.source != OBJECTIVES)
}

fn infrastructure(facts: &Facts<'_>, on_path: &[OnPath<'_>]) -> InfrastructureAnswer {
    // Only what degrades says since when.
    let grave = on_path.iter().filter(|found| found.incident.severity >= Severity::Warning);
    let since = grave.map(|found| found.incident.opened_at).min();
    let state = match (since, facts.has_infrastructure) {
        (Some(_), _) => Health::Degraded,
        (None, true) => Health::Ok,
        (None, false) => Health::Unknown,
    };
    InfrastructureAnswer { state, since, incidents: on_path.iter().map(|found| found.incident.id).collect() }
}

/// Whether the latest report says that something drifted, and still speaks of now.
fn is_drifted(Drifting { standing, report }: &Drifting, at: Timestamp) -> bool {
    report.state == DriftState::Drifted && at <= standing.holds_until()
}

/// What users feel of it, at the end of a sentence.
fn felt(facts: &Facts<'_>) -> String {
    facts.burning.first().map(|missed| format!("; users feel it: {}", missed.sentence)).unwrap_or_default()
}

/// Answers are wrong, and neither the data nor what lies below says why.
fn unexplained_answers(facts: &Facts<'_>, wrong: &ObjectiveStanding) -> String {
    let stable = facts.drifting.is_some_and(|drifting| drifting.report.state == DriftState::Stable);
    let data = if stable { "what it is given has not moved" } else { "nothing is known of what it is given" };
    format!("{}: {}; {data}, and nothing below it has an open incident", facts.service, wrong.sentence)
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
    let drifted = facts.drifting.filter(|drifting| is_drifted(drifting, facts.at));
    let felt = felt(facts);
    match (drifted, told) {
        (None, None) if model.state == Health::Unknown && !facts.has_infrastructure => {
            (CauseKind::Unknown, None, format!("nothing is known of {service} yet but its name"))
        }
        (None, None) => match (facts.wrong(), facts.burning.first()) {
            (Some(wrong), _) => (CauseKind::Model, None, unexplained_answers(facts, wrong)),
            (None, Some(missed)) => (
                CauseKind::Unknown,
                None,
                format!(
                    "{service} does not keep what it promises: {}; nothing that lies below it and nothing in its data says why",
                    missed.sentence
                ),
            ),
            (None, None) => (CauseKind::None, None, format!("nothing is known to be wrong with {service}")),
        },
        (None, Some((entity, incident))) => {
            let model_says = match model.state {
                Health::Ok => "the model's answers are as expected",
                Health::Degraded => "its answers are wrong too",
                Health::Unknown => "nothing is known of the model's answers",
            };
            (
                CauseKind::Infrastructure,
                entity,
                format!("{service} depends on what fails: {incident}; {model_says}{felt}"),
            )
        }
        (Some(Drifting { report, .. }), None) => {
            // What the model is given has moved, or only what it says.
            let drifted = drifted_columns(report);
            let inputs = drifted.iter().any(|name| !["prediction", "score"].contains(name));
            let kind = if inputs { CauseKind::Data } else { CauseKind::Model };
            let what = if inputs {
                "what it is given has moved"
            } else {
                "its answers have moved while what it is given has not"
            };
            (
                kind,
                None,
                format!("{service} has drifted: {what}; the infrastructure below it has no open incident{felt}"),
            )
        }
        (Some(Drifting { standing, .. }), Some((entity, incident))) => {
            let opened = below.map(|found| found.incident.opened_at);
            let first = if opened.is_some_and(|opened| opened <= standing.since) {
                "since before the drift was seen"
            } else {
                "since after the drift was seen"
            };
            (
                CauseKind::Both,
                entity,
                format!("{service} has drifted, and below it there is, {first}, {incident}{felt}"),
            )
        }
    }
}

#[cfg(test)]
mod tests;
