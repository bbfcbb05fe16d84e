//! Which alerts belong together: placing alerts in incidents, joining incidents, attaching findings, forgetting.

use crate::{
    config::Config,
    nature,
    record::{
        AlertRecord, ChangeRecord, FindingRecord, Incident, Level, MAX_ALERTS, MAX_CHANGES, MAX_FINDINGS,
        MAX_FINDINGS_PER_INCIDENT, MAX_SEPARATIONS, MILLIS_PER_SECOND, State, scope_key,
    },
    topology::{CachedGraph, Needs},
};
use std::collections::{BTreeMap, BTreeSet};
use tandem_sdk::{
    correlator::{Alert, AlertState, Delta},
    types::Severity,
};

/// The number of the lowest severity.
const LEVEL_INFO: Level = 0;

/// What an update did, beside the state.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Incidents to be told again.
    pub changed: BTreeSet<String>,
    /// Incidents that have gone up into others.
    pub merged: BTreeMap<String, String>,
}

/// One update of a session.
pub struct Update<'u> {
    config: &'u Config,
    graph: &'u CachedGraph<'u>,
    state: &'u mut State,
    outcome: Outcome,
}

/// The number of a severity.
pub fn level_of(severity: Severity) -> Level {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
    }
}

impl<'u> Update<'u> {
    /// Takes a delta into the state.
    pub fn run(config: &'u Config, graph: &'u CachedGraph<'u>, state: &'u mut State, delta: &Delta) -> Outcome {
        let mut update = Update { config, graph, state, outcome: Outcome::default() };
        update.take_changes(delta);
        let mut alerts: Vec<&Alert> = delta.alerts.iter().collect();
        alerts.sort_by_key(|alert| (alert.changed_at, alert.started_at, &alert.fingerprint));
        for alert in alerts {
            update.take_alert(alert);
        }
        for finding in &delta.findings {
            let record = FindingRecord {
                entity: finding.entity.clone(),
                name: finding.name.clone(),
                started_at: finding.started_at,
                score_bits: finding.score.to_bits(),
            };
            update.take_finding(finding.id, record);
        }
        for feedback in &delta.feedback {
            for fingerprint in &feedback.fingerprints {
                update.take_feedback(&feedback.incident, fingerprint, feedback.belongs);
            }
        }
        update.forget();
        update.outcome
    }

    fn take_changes(&mut self, delta: &Delta) {
        for change in &delta.changes {
            self.state.changes.push_back(ChangeRecord {
                at: change.at,
                entity: change.entity.clone(),
                code: change.code.clone(),
                title: change.title.clone(),
            });
        }
        let excess = self.state.changes.len().saturating_sub(MAX_CHANGES);
        self.state.changes.drain(..excess);
        // A change may be told after the alerts that it caused.
        let entities: BTreeSet<&str> = delta.changes.iter().map(|change| change.entity.as_str()).collect();
        for entity in entities {
            let touched = self.near(entity).into_iter().filter_map(|near| self.state.by_entity.get(&near));
            let incidents = touched.flatten().map(|fingerprint| self.state.alerts[fingerprint].incident.clone());
            self.outcome.changed.extend(incidents.collect::<Vec<_>>());
        }
    }

    fn take_alert(&mut self, alert: &Alert) {
        self.state.latest = self.state.latest.max(alert.started_at).max(alert.changed_at);
        let firing = alert.state == AlertState::Firing;
        let known = self.state.alerts.get(&alert.fingerprint).cloned();
        let stays = match &known {
            Some(known) if !firing || known.firing => true,
            Some(known) => self.comes_back(known, alert.started_at),
            None if !firing => return,
            None => false,
        };
        let record = self.record(alert);
        if let (Some(known), true) = (&known, stays) {
            self.go_on(&alert.fingerprint, known, record);
            return;
        }
        // The incident it was in is over and stays as it was told.
        if let Some(former) = known.and_then(|known| self.state.incidents.get_mut(&known.incident)) {
            former.alerts.remove(&alert.fingerprint);
        }
        self.place(&alert.fingerprint, record);
    }

    /// An alert that stays in its incident: it ends, comes back, becomes worse, or turns out to be another entity's.
    fn go_on(&mut self, fingerprint: &str, known: &AlertRecord, mut record: AlertRecord) {
        let begins = record.firing && !known.firing;
        let started_at = record.started_at;
        record.incident.clone_from(&known.incident);
        record.joined_at = known.joined_at.min(started_at);
        if record.firing && record.entity != known.entity {
            let homes = self.find_homes(fingerprint, &record, Some(&known.incident));
            if let Some(key) = self.unite(homes) {
                record.incident = key;
            }
        }
        let key = record.incident.clone();
        self.put(fingerprint, record);
        if let (Some(incident), true) = (self.state.incidents.get_mut(&key), begins) {
            incident.last_change = incident.last_change.max(started_at);
        }
        self.outcome.changed.insert(key);
    }

    fn record(&self, alert: &Alert) -> AlertRecord {
        let scope = |name: &String| {
            let label = alert.labels.iter().find(|label| label.name == *name && !label.value.is_empty())?;
            Some((name.clone(), label.value.clone()))
        };
        AlertRecord {
            code: alert.code.clone(),
            level: level_of(alert.severity),
            title: alert.title.clone(),
            entity: alert.entity.clone(),
            scope: self.config.scope_labels.iter().filter_map(scope).collect(),
            started_at: alert.started_at,
            joined_at: alert.started_at,
            changed_at: alert.changed_at,
            firing: alert.state == AlertState::Firing,
            incident: String::new(),
        }
    }

    /// Whether an alert that begins again does so in the incident it was in.
    fn comes_back(&self, known: &AlertRecord, started_at: i64) -> bool {
        let Some(incident) = self.state.incidents.get(&known.incident) else { return false };
        let lives = incident.alerts.iter().any(|other| self.state.alerts[other].firing);
        lives || started_at - known.changed_at <= self.window()
    }

    fn window(&self) -> i64 {
        i64::from(self.config.window_seconds) * MILLIS_PER_SECOND
    }

    /// Sets an alert, in the indices too.
    fn put(&mut self, fingerprint: &str, record: AlertRecord) {
        if let Some(known) = self.state.alerts.get(fingerprint)
            && (&known.entity, &known.scope) != (&record.entity, &record.scope)
        {
            self.state.unindex(fingerprint);
        }
        self.state.alerts.insert(fingerprint.to_owned(), record);
        self.state.index(fingerprint);
    }

    fn take_out(&mut self, fingerprint: &str, incident: &str) {
        if let Some(former) = self.state.incidents.get_mut(incident) {
            former.alerts.remove(fingerprint);
            self.outcome.changed.insert(incident.to_owned());
        }
    }

    fn place(&mut self, fingerprint: &str, mut record: AlertRecord) {
        let homes = self.find_homes(fingerprint, &record, None);
        let key = match self.unite(homes) {
            Some(key) => key,
            None => self.open(fingerprint, record.started_at),
        };
        let incident = self.state.incidents.entry(key.clone()).or_default();
        incident.alerts.insert(fingerprint.to_owned());
        incident.opened_at = incident.opened_at.min(record.started_at);
        incident.last_change = incident.last_change.max(record.started_at);
        record.incident.clone_from(&key);
        let entity = record.entity.clone();
        self.put(fingerprint, record);
        self.outcome.changed.insert(key.clone());
        self.gather_findings(&key, &entity);
    }

    /// The incidents that an alert belongs to, oldest first, its present one among them; and what its entity needs is learned.
    fn find_homes(&mut self, fingerprint: &str, record: &AlertRecord, present: Option<&String>) -> Vec<String> {
        let needs = self.graph.needs_of(&record.entity, self.config.max_hops);
        let mut homes = self.connected_incidents(fingerprint, record, &needs);
        homes.extend(present.cloned());
        if !record.entity.is_empty() {
            self.state.learn_needs(&record.entity, needs);
        }
        let opened_at = |key: &String| self.state.incidents.get(key).map_or(0, |incident| incident.opened_at);
        let mut homes: Vec<(i64, String)> = homes.into_iter().map(|key| (opened_at(&key), key)).collect();
        homes.sort();
        if record.level == LEVEL_INFO {
            // Mere information may lie beside a fault; it does not make one of two.
            homes.retain(|(_, key)| present.is_none_or(|present| present == key));
            homes.truncate(1);
        }
        homes.into_iter().map(|(_, key)| key).collect()
    }

    /// The first of some incidents, into which the others have gone up.
    fn unite(&mut self, homes: Vec<String>) -> Option<String> {
        let mut homes = homes.into_iter();
        let oldest = homes.next()?;
        for younger in homes {
            self.merge(&younger, &oldest);
        }
        Some(oldest)
    }

    fn open(&mut self, fingerprint: &str, started_at: i64) -> String {
        let key = format!("{fingerprint}@{started_at}");
        let incident = Incident { opened_at: started_at, last_change: started_at, ..Incident::default() };
        self.state.incidents.insert(key.clone(), incident);
        key
    }

    /// Incidents that an alert is connected with.
    fn connected_incidents(&self, fingerprint: &str, record: &AlertRecord, needs: &Needs) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        let mut consider = |other: &AlertRecord, by_burst: bool| {
            let separated = self.state.separations.contains(&(fingerprint.to_owned(), other.incident.clone()));
            let near_in_time = || by_burst || self.in_time(record.started_at, other);
            let alike = || nature::may_share_a_cause(self.config, &self.state.changes, record, other);
            if !separated && near_in_time() && alike() {
                keys.insert(other.incident.clone());
            }
        };
        if needs.related {
            for entity in self.near_with(&record.entity, needs) {
                let others = self.state.by_entity.get(&entity).into_iter().flatten();
                others.for_each(|other| consider(&self.state.alerts[other], false));
            }
        } else {
            // Nothing is known of it but its name and scope, which say little: only time speaks.
            let burst = i64::from(self.config.burst_seconds) * MILLIS_PER_SECOND;
            let same_name = self.state.by_entity.get(&record.entity);
            let same_scope = scope_key(record).and_then(|scope| self.state.by_scope.get(&scope));
            for other in same_name.into_iter().chain(same_scope).flatten() {
                let other = &self.state.alerts[other];
                let related = self.state.needs.get(&other.entity).is_some_and(|needs| needs.related);
                let in_burst = (other.joined_at - record.started_at).abs() <= burst;
                if burst > 0 && in_burst && !related && !in_conflict(&record.scope, &other.scope) {
                    consider(other, true);
                }
            }
        }
        keys
    }

    /// Whether an alert that began at a moment is near enough to one that is in an incident.
    fn in_time(&self, started_at: i64, other: &AlertRecord) -> bool {
        let Some(incident) = self.state.incidents.get(&other.incident) else { return false };
        let apart = (started_at - incident.last_change).max(incident.opened_at - started_at).max(0);
        let window = if other.firing {
            self.config.firing_window_seconds.max(self.config.window_seconds)
        } else {
            self.config.window_seconds
        };
        apart <= i64::from(window) * MILLIS_PER_SECOND
    }

    /// Entities with alerts that an entity needs, that need it, or that it is.
    fn near_with(&self, entity: &str, needs: &Needs) -> BTreeSet<String> {
        let mut near: BTreeSet<String> =
            needs.steps.keys().filter(|needed| self.state.by_entity.contains_key(*needed)).cloned().collect();
        near.extend(self.state.needed_by.get(entity).into_iter().flatten().cloned());
        near.insert(entity.to_owned());
        near
    }

    fn near(&self, entity: &str) -> BTreeSet<String> {
        self.near_with(entity, &self.graph.needs_of(entity, self.config.max_hops))
    }

    /// One incident goes up into another, unless a person has taken one of its alerts out of that one.
    fn merge(&mut self, from: &str, into: &str) {
        let Some(gone) = self.state.incidents.get(from) else { return };
        let kept_apart = |alert: &String| self.state.separations.contains(&(alert.clone(), into.to_owned()));
        if gone.alerts.iter().any(kept_apart) {
            return;
        }
        let Some(gone) = self.state.incidents.remove(from) else { return };
        for fingerprint in &gone.alerts {
            if let Some(alert) = self.state.alerts.get_mut(fingerprint) {
                alert.incident = into.to_owned();
            }
        }
        let incident = self.state.incidents.entry(into.to_owned()).or_default();
        incident.alerts.extend(gone.alerts);
        incident.findings.extend(gone.findings);
        incident.opened_at = incident.opened_at.min(gone.opened_at);
        incident.last_change = incident.last_change.max(gone.last_change);
        self.outcome.changed.remove(from);
        self.outcome.merged.insert(from.to_owned(), into.to_owned());
        for end in self.outcome.merged.values_mut().filter(|end| *end == from) {
            into.clone_into(end);
        }
        self.keep_strongest_findings(into);
    }

    fn take_finding(&mut self, id: u64, record: FindingRecord) {
        let incidents: BTreeSet<String> = self
            .near(&record.entity)
            .iter()
            .filter_map(|entity| self.state.by_entity.get(entity))
            .flatten()
            .map(|fingerprint| self.state.alerts[fingerprint].incident.clone())
            .collect();
        let started_at = record.started_at;
        self.state.findings.insert(id, record);
        for key in incidents {
            if self.finding_in_time(started_at, &key) {
                self.attach(id, &key);
            }
        }
    }

    fn finding_in_time(&self, started_at: i64, key: &str) -> bool {
        let Some(incident) = self.state.incidents.get(key) else { return false };
        let lives = incident.alerts.iter().any(|alert| self.state.alerts[alert].firing);
        let window = self.window();
        started_at >= incident.opened_at - window && (lives || started_at <= incident.last_change + window)
    }

    fn attach(&mut self, finding: u64, key: &str) {
        if let Some(incident) = self.state.incidents.get_mut(key) {
            incident.findings.insert(finding);
            self.outcome.changed.insert(key.to_owned());
            self.keep_strongest_findings(key);
        }
    }

    fn keep_strongest_findings(&mut self, key: &str) {
        let Some(incident) = self.state.incidents.get_mut(key) else { return };
        if incident.findings.len() <= MAX_FINDINGS_PER_INCIDENT {
            return;
        }
        let score = |id: &u64| self.state.findings.get(id).map_or(0.0, FindingRecord::score);
        let mut findings: Vec<u64> = incident.findings.iter().copied().collect();
        findings.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
        incident.findings = findings.into_iter().take(MAX_FINDINGS_PER_INCIDENT).collect();
    }

    /// Findings seen before the alert that they are evidence for.
    fn gather_findings(&mut self, key: &str, entity: &str) {
        let Some(needs) = self.state.needs.get(entity) else { return };
        let mut by_entity: BTreeMap<&str, bool> = BTreeMap::new();
        let mut found = Vec::new();
        for (id, finding) in &self.state.findings {
            let near = *by_entity.entry(&finding.entity).or_insert_with(|| {
                finding.entity == entity
                    || needs.contains(&finding.entity)
                    || self.graph.needs_of(&finding.entity, self.config.max_hops).contains(entity)
            });
            if near && self.finding_in_time(finding.started_at, key) {
                found.push(*id);
            }
        }
        for id in found {
            self.attach(id, key);
        }
    }

    fn take_feedback(&mut self, key: &str, fingerprint: &str, belongs: bool) {
        let Some(alert) = self.state.alerts.get(fingerprint).cloned() else { return };
        let is_there = alert.incident == key;
        if is_there == belongs || !self.state.incidents.contains_key(key) {
            return;
        }
        self.take_out(fingerprint, &alert.incident);
        let home = if belongs {
            self.state.separations.remove(&(fingerprint.to_owned(), key.to_owned()));
            key.to_owned()
        } else {
            self.state.separations.insert((fingerprint.to_owned(), key.to_owned()));
            self.open(&format!("{fingerprint}!"), alert.started_at)
        };
        if let Some(incident) = self.state.incidents.get_mut(&home) {
            incident.alerts.insert(fingerprint.to_owned());
            incident.opened_at = incident.opened_at.min(alert.started_at);
        }
        if let Some(alert) = self.state.alerts.get_mut(fingerprint) {
            alert.incident.clone_from(&home);
        }
        self.outcome.changed.insert(home);
    }

    /// Lets go of incidents that are over for longer than anything could still join them, and holds the bounds.
    fn forget(&mut self) {
        let window = i64::from(self.config.window_seconds.max(self.config.firing_window_seconds)) * MILLIS_PER_SECOND;
        let (state, changed) = (&*self.state, &self.outcome.changed);
        let over = |incident: &Incident| {
            let ended = |fingerprint: &String| {
                let alert = &state.alerts[fingerprint];
                !alert.firing && state.latest - alert.changed_at > window
            };
            incident.alerts.iter().all(ended)
        };
        let gone = state.incidents.iter().filter(|(key, incident)| !changed.contains(*key) && over(incident));
        let mut gone: Vec<String> = gone.map(|(key, _)| key.clone()).collect();
        if state.alerts.len() > MAX_ALERTS {
            let mut oldest: Vec<(&String, &Incident)> = state.incidents.iter().collect();
            oldest.sort_by_key(|(key, incident)| (incident.last_change, *key));
            let mut excess = state.alerts.len() - MAX_ALERTS;
            for (key, incident) in oldest {
                if excess == 0 {
                    break;
                }
                excess = excess.saturating_sub(incident.alerts.len());
                gone.push(key.clone());
            }
        }
        for key in gone {
            self.drop_incident(&key);
        }
        while self.state.findings.len() > MAX_FINDINGS {
            self.state.findings.pop_first();
        }
        while self.state.separations.len() > MAX_SEPARATIONS {
            self.state.separations.pop_first();
        }
    }

    fn drop_incident(&mut self, key: &str) {
        let Some(incident) = self.state.incidents.remove(key) else { return };
        for fingerprint in incident.alerts {
            self.state.unindex(&fingerprint);
            self.state.alerts.remove(&fingerprint);
        }
        self.state.separations.retain(|(_, separated)| separated != key);
        self.outcome.changed.remove(key);
    }
}

/// Whether two alerts carry a scope label with different values.
fn in_conflict(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> bool {
    one.iter().any(|(name, value)| other.get(name).is_some_and(|theirs| theirs != value))
}
