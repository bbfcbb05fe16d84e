//! Incidents in words: the title, the causes with their sentences, the services that suffer.

use crate::{
    causes::{self, Candidate},
    config::Config,
    record::{Incident, Level, State},
    topology::{CachedGraph, Link, kind_of},
};
use std::collections::BTreeSet;
use tandem_sdk::correlator::{Cause, Grouping, Signal};

/// Victims named in a sentence; the rest are counted.
const MAX_NAMED: usize = 3;
/// Longest title: the host takes 512 bytes of a name.
const MAX_TITLE_BYTES: usize = 400;
/// Longest sentence: a person reads no more.
const MAX_SENTENCE_BYTES: usize = 2_000;
/// Signals told for one cause.
const MAX_SIGNALS: usize = 10;
/// Milliseconds in a minute.
const MILLIS_PER_MINUTE: i64 = 60_000;
/// What a severity weighs as a signal: info, warning, critical.
const SEVERITY_SIGNAL: [f64; 3] = [0.2, 0.5, 1.0];

/// Tells one incident as it stands.
pub fn tell(config: &Config, state: &State, graph: &CachedGraph<'_>, key: &str, incident: &Incident) -> Grouping {
    let candidates = causes::rank(config, state, graph, incident);
    let services = affected_services(config, state, graph, incident, candidates.first());
    let words = Words { config, state, graph };
    let causes = candidates
        .iter()
        .enumerate()
        .map(|(rank, candidate)| Cause {
            entity: candidate.entity.clone(),
            score: candidate.score,
            signals: words.signals(candidate),
            sentence: plain(words.sentence(candidate, if rank == 0 { &services } else { &[] }), MAX_SENTENCE_BYTES),
        })
        .collect();
    Grouping {
        key: key.to_owned(),
        title: plain(words.title(incident, candidates.first(), &services), MAX_TITLE_BYTES),
        fingerprints: incident.alerts.iter().cloned().collect(),
        findings: incident.findings.iter().copied().collect(),
        causes,
        merged_into: None,
    }
}

/// Tells that an incident has gone up into another; its alerts are told there.
pub fn tell_merged(key: &str, into: &str) -> Grouping {
    Grouping {
        key: key.to_owned(),
        title: "Part of another incident".into(),
        fingerprints: Vec::new(),
        findings: Vec::new(),
        causes: Vec::new(),
        merged_into: Some(into.to_owned()),
    }
}

/// One line of bounded length: titles of alerts and names of entities come from outside.
fn plain(text: String, max_bytes: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() > max_bytes {
        let end = (0..=max_bytes).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}

/// Services that alert themselves, or that depend on the first cause.
fn affected_services(
    config: &Config,
    state: &State,
    graph: &CachedGraph<'_>,
    incident: &Incident,
    cause: Option<&Candidate>,
) -> Vec<String> {
    let alerting = incident.alerts.iter().filter_map(|fingerprint| state.alerts.get(fingerprint));
    let mut services: BTreeSet<String> =
        alerting.map(|alert| alert.entity.clone()).filter(|entity| kind_of(entity) == "service").collect();
    if let Some(cause) = cause.filter(|cause| !cause.alerts.is_empty()) {
        services.extend(graph.dependents_of_kind(&cause.entity, "service", config.max_hops));
    }
    services.into_iter().collect()
}

struct Words<'w> {
    config: &'w Config,
    state: &'w State,
    graph: &'w CachedGraph<'w>,
}

impl Words<'_> {
    fn title(&self, incident: &Incident, cause: Option<&Candidate>, services: &[String]) -> String {
        let worst = |fingerprint: &&String| {
            let alert = &self.state.alerts[*fingerprint];
            (std::cmp::Reverse(alert.level), alert.started_at, (*fingerprint).clone())
        };
        let own = cause.and_then(|cause| cause.alerts.first());
        let Some(alert) = own.or_else(|| incident.alerts.iter().min_by_key(worst)) else {
            return "No alerts left".into();
        };
        let alert = &self.state.alerts[alert];
        let mut title = match cause {
            Some(cause) => self.said_of(&cause.entity, &alert.title),
            None => alert.title.clone(),
        };
        let others: Vec<String> = services.iter().filter(|s| **s != alert.entity).cloned().collect();
        if !others.is_empty() {
            title += &format!("; affects {}", self.list("service", &others));
        }
        title
    }

    fn sentence(&self, candidate: &Candidate, services: &[String]) -> String {
        let name = self.graph.name_of(&candidate.entity);
        let mut sentence = match (candidate.alerts.first(), candidate.findings.first()) {
            (Some(worst), _) => format!("{name} reported {}", self.state.alerts[worst].title),
            (None, Some(finding)) => format!("{name} shows an unusual {}", self.state.findings[finding].name),
            (None, None) => name,
        };
        if candidate.alerts.len() > 1 {
            sentence += &format!(" and {}", count(candidate.alerts.len() - 1, "more alert"));
        }
        let mut victims: Vec<&String> = services.iter().filter(|service| **service != candidate.entity).collect();
        victims.extend(candidate.explains.iter().filter(|entity| !services.contains(entity)));
        for victim in victims.iter().take(MAX_NAMED) {
            sentence += &format!("; {}", self.suffering(victim, &candidate.entity));
        }
        if victims.len() > MAX_NAMED {
            sentence += &format!("; {} on it as well", count(victims.len() - MAX_NAMED, "more entity depends"));
        }
        if let Some(change) = &candidate.change {
            let since = candidate.alerts.iter().map(|f| self.state.alerts[f].started_at).min().unwrap_or(change.at);
            let minutes = (since - change.at) / MILLIS_PER_MINUTE;
            sentence += &format!("; {} happened {} before", change.title, count(minutes.max(0) as usize, "minute"));
        }
        sentence
    }

    /// "service chat runs on it through replica a".
    fn suffering(&self, victim: &str, cause: &str) -> String {
        let path = self.graph.needs_of(victim, self.config.max_hops).path(victim, cause);
        let verb = match path.last().and_then(|(_, link)| *link) {
            Some(Link::RunsOn) => "runs on it",
            Some(Link::Contains) if path.len() == 2 => "contains it",
            Some(Link::PartOf) if path.len() == 2 => "is a part of it",
            Some(Link::PoweredBy) if path.len() == 2 => "draws power from it",
            Some(Link::ConnectedTo) if path.len() == 2 => "reaches the network through it",
            Some(Link::StoredOn) if path.len() == 2 => "lies on it",
            _ => "depends on it",
        };
        let between = path.get(1..path.len().saturating_sub(1)).unwrap_or_default();
        let through: Vec<String> = between.iter().map(|(id, _)| self.with_kind(id)).collect();
        let through = if through.is_empty() { String::new() } else { format!(" through {}", through.join(", ")) };
        format!("{} {verb}{through}", self.with_kind(victim))
    }

    /// "service chat"; but "GPU 3 on node-7", where the name says the kind.
    fn with_kind(&self, id: &str) -> String {
        let (kind, name) = (kind_of(id).replace('-', " "), self.graph.name_of(id));
        if kind.is_empty() || name.to_lowercase().starts_with(&kind) || name == id {
            name
        } else {
            format!("{kind} {name}")
        }
    }

    /// The title of an alert with the name of its entity, unless it is there already.
    fn said_of(&self, entity: &str, title: &str) -> String {
        let name = self.graph.name_of(entity);
        if title.contains(&name) { title.to_owned() } else { format!("{name}: {title}") }
    }

    fn list(&self, kind: &str, ids: &[String]) -> String {
        let names: Vec<String> = ids.iter().take(MAX_NAMED).map(|id| self.graph.name_of(id)).collect();
        let more = if ids.len() > MAX_NAMED { format!(" and {} more", ids.len() - MAX_NAMED) } else { String::new() };
        let plural = if ids.len() > 1 { "s" } else { "" };
        format!("{kind}{plural} {}{more}", names.join(", "))
    }

    fn signals(&self, candidate: &Candidate) -> Vec<Signal> {
        let weight = |level: Level| SEVERITY_SIGNAL[usize::from(level).min(SEVERITY_SIGNAL.len() - 1)];
        let alerts = candidate.alerts.iter().map(|fingerprint| {
            let alert = &self.state.alerts[fingerprint];
            Signal { name: alert.code.clone(), score: weight(alert.level) }
        });
        let findings = candidate.findings.iter().map(|id| {
            let finding = &self.state.findings[id];
            Signal { name: finding.name.clone(), score: finding.score() }
        });
        let change = candidate.change.iter().map(|change| Signal { name: change.code.clone(), score: 1.0 });
        change.chain(alerts).chain(findings).take(MAX_SIGNALS).collect()
    }
}

/// "1 minute", "2 minutes", "3 more entities depend".
fn count(number: usize, thing: &str) -> String {
    match (number, thing) {
        (1, thing) => format!("1 {thing}"),
        (n, "more entity depends") => format!("{n} more entities depend"),
        (n, thing) => format!("{n} {thing}s"),
    }
}
