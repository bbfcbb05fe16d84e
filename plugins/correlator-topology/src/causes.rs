//! Which entity of an incident is the likely cause: first those that depend on nothing else that alerts, then by severity,
//! by who was first, by how much it explains, by evidence, and by a change shortly before.

use crate::{
    config::Config,
    record::{AlertRecord, ChangeRecord, Incident, MILLIS_PER_SECOND, State},
    topology::{CachedGraph, Needs},
};
use std::collections::BTreeMap;

/// Causes told for one incident: more than a person follows up.
pub const MAX_CAUSES: usize = 5;
/// Outweighs all else together, so that no victim ranks above what it depends on.
const WEIGHT_ROOT: f64 = 6.0;
/// For the worst severity of its alerts: little, since victims often shout loudest.
const WEIGHT_SEVERITY: f64 = 0.5;
/// For having been first.
const WEIGHT_EARLY: f64 = 2.0;
/// For the share of the other entities that depend on it.
const WEIGHT_EXPLAINS: f64 = 1.5;
/// For the share of the incident's alerts that are its own.
const WEIGHT_ALERTS: f64 = 0.5;
/// For its strongest finding.
const WEIGHT_FINDING: f64 = 0.5;
/// For a change of it shortly before.
const WEIGHT_CHANGE: f64 = 0.5;
/// Being this many milliseconds later than the first halves the weight for having been first.
const EARLY_HALF_MILLIS: f64 = 30_000.0;
/// A finding of this score has half its weight.
const FINDING_HALF_SCORE: f64 = 2.0;
/// Share of the severity weight by severity: info, warning, critical.
const SEVERITY_SHARE: [f64; 3] = [0.2, 0.5, 1.0];

/// A candidate with what speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Whose fault it may be.
    pub entity: String,
    /// Share of all candidates' weight, squared so that a clear cause stands out; sums to 1 over all.
    pub score: f64,
    /// Fingerprints of its alerts, worst first.
    pub alerts: Vec<String>,
    /// Its findings, strongest first.
    pub findings: Vec<u64>,
    /// The last change of it before its first sign.
    pub change: Option<ChangeRecord>,
    /// The other entities of the incident that depend on it.
    pub explains: Vec<String>,
}

#[derive(Default)]
struct Evidence {
    alerts: Vec<String>,
    findings: Vec<u64>,
    since: i64,
}

/// The candidates of an incident, most likely first.
pub fn rank(config: &Config, state: &State, graph: &CachedGraph<'_>, incident: &Incident) -> Vec<Candidate> {
    let evidence = evidence(state, incident);
    let needs: BTreeMap<&str, Needs> = evidence
        .keys()
        .map(|entity| {
            let known = state.needs.get(entity).cloned();
            (entity.as_str(), known.unwrap_or_else(|| graph.needs_of(entity, config.max_hops)))
        })
        .collect();
    let mut explains: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (dependent, needs) in &needs {
        for (needed, _) in evidence.iter().filter(|(other, _)| needs.contains(other)) {
            explains.entry(needed.as_str()).or_default().push((*dependent).to_owned());
        }
    }
    let first = evidence.values().map(|e| e.since).min().unwrap_or_default();
    let mut weighed: Vec<(f64, Candidate)> = evidence
        .iter()
        .map(|(entity, own)| {
            // A part and its container need each other; neither is the root of the other by the graph alone.
            let rests_on = |other: &String| {
                other != entity && !evidence[other].alerts.is_empty() && !needs[other.as_str()].contains(entity)
            };
            let is_root = !own.alerts.is_empty()
                && !evidence.keys().any(|other| needs[entity.as_str()].contains(other) && rests_on(other));
            let explains = explains.remove(entity.as_str()).unwrap_or_default();
            let candidate = candidate(config, state, entity, own, explains);
            let weight = weigh(state, incident, evidence.len(), first, is_root, own, &candidate);
            (weight, candidate)
        })
        .collect();
    weighed.sort_by(|(a, one), (b, other)| b.total_cmp(a).then_with(|| one.entity.cmp(&other.entity)));
    let total: f64 = weighed.iter().map(|(weight, _)| weight * weight).sum();
    let scored = weighed.into_iter().take(MAX_CAUSES).map(|(weight, mut candidate)| {
        candidate.score = if total > 0.0 { weight * weight / total } else { 0.0 };
        candidate
    });
    scored.collect()
}

fn evidence(state: &State, incident: &Incident) -> BTreeMap<String, Evidence> {
    let mut evidence: BTreeMap<String, Evidence> = BTreeMap::new();
    for fingerprint in &incident.alerts {
        let Some(alert) = state.alerts.get(fingerprint).filter(|alert| !alert.entity.is_empty()) else { continue };
        let own = evidence.entry(alert.entity.clone()).or_default();
        own.since = if own.alerts.is_empty() { alert.started_at } else { own.since.min(alert.started_at) };
        own.alerts.push(fingerprint.clone());
    }
    for id in &incident.findings {
        let Some(finding) = state.findings.get(id) else { continue };
        let own = evidence.entry(finding.entity.clone()).or_default();
        if own.alerts.is_empty() && own.findings.is_empty() {
            own.since = finding.started_at;
        }
        own.since = own.since.min(finding.started_at);
        own.findings.push(*id);
    }
    evidence
}

fn candidate(config: &Config, state: &State, entity: &str, own: &Evidence, explains: Vec<String>) -> Candidate {
    let alert = |fingerprint: &String| -> &AlertRecord { &state.alerts[fingerprint] };
    let mut alerts = own.alerts.clone();
    alerts.sort_by_key(|fingerprint| {
        (std::cmp::Reverse(alert(fingerprint).level), alert(fingerprint).started_at, fingerprint.clone())
    });
    let mut findings = own.findings.clone();
    findings.sort_by(|a, b| state.findings[b].score().total_cmp(&state.findings[a].score()).then(a.cmp(b)));
    let reach = i64::from(config.change_seconds) * MILLIS_PER_SECOND;
    let before =
        |change: &&ChangeRecord| change.entity == entity && change.at <= own.since && own.since - change.at <= reach;
    let change = state.changes.iter().filter(before).max_by_key(|change| change.at).cloned();
    Candidate { entity: entity.to_owned(), score: 0.0, alerts, findings, change, explains }
}

fn weigh(
    state: &State,
    incident: &Incident,
    entities: usize,
    first: i64,
    is_root: bool,
    own: &Evidence,
    candidate: &Candidate,
) -> f64 {
    let level = candidate.alerts.first().map(|worst| usize::from(state.alerts[worst].level));
    let severity = level.map_or(0.0, |level| SEVERITY_SHARE[level.min(SEVERITY_SHARE.len() - 1)]);
    let early = EARLY_HALF_MILLIS / (EARLY_HALF_MILLIS + (own.since - first) as f64);
    let others = entities.saturating_sub(1).max(1) as f64;
    let strongest = candidate.findings.first().map_or(0.0, |id| state.findings[id].score());
    let mut weight = WEIGHT_SEVERITY * severity
        + WEIGHT_EARLY * early
        + WEIGHT_EXPLAINS * candidate.explains.len() as f64 / others
        + WEIGHT_ALERTS * own.alerts.len() as f64 / incident.alerts.len().max(1) as f64
        + WEIGHT_FINDING * strongest / (FINDING_HALF_SCORE + strongest);
    if candidate.change.is_some() {
        weight += WEIGHT_CHANGE;
    }
    if is_root { weight + WEIGHT_ROOT } else { weight }
}
