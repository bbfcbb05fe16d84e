//! What a session remembers: alerts, incidents, findings, changes; bounded, in orders that do not depend on chance.

use crate::topology::Needs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Alerts remembered, resolved ones of live incidents included; beyond it the incidents longest unchanged are let go.
pub const MAX_ALERTS: usize = 50_000;
/// Findings remembered as possible evidence; beyond it the oldest are let go.
pub const MAX_FINDINGS: usize = 2_000;
/// Findings under one incident: a page of evidence; the strongest are kept.
pub const MAX_FINDINGS_PER_INCIDENT: usize = 64;
/// Changes remembered; beyond it the oldest are let go.
pub const MAX_CHANGES: usize = 500;
/// Separations that people asked for; beyond it the first in order are let go.
pub const MAX_SEPARATIONS: usize = 5_000;

/// Milliseconds in a second.
pub const MILLIS_PER_SECOND: i64 = 1_000;

/// Severity as a number that can be compared: 0 info, 1 warning, 2 critical.
pub type Level = u8;

/// An alert as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// The fault's code or the rule's name.
    pub code: String,
    /// How bad.
    pub level: Level,
    /// For people.
    pub title: String,
    /// Whose alert; may be empty.
    pub entity: String,
    /// The scope labels it carries.
    pub scope: BTreeMap<String, String>,
    /// When it last began.
    pub started_at: i64,
    /// When it first began in its incident: coming back is no sign of something new.
    pub joined_at: i64,
    /// When it last changed.
    pub changed_at: i64,
    /// Whether it is so now.
    pub firing: bool,
    /// The incident it is in.
    pub incident: String,
}

/// An incident as it stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Incident {
    /// Its earliest alert.
    pub opened_at: i64,
    /// When an alert last began in it.
    pub last_change: i64,
    /// Fingerprints of its alerts.
    pub alerts: BTreeSet<String>,
    /// Findings under it.
    pub findings: BTreeSet<u64>,
    /// A hash of what was last told of it.
    pub told: u64,
}

/// A finding that may be evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingRecord {
    /// Whose series.
    pub entity: String,
    /// Canonical name of the series.
    pub name: String,
    /// First odd point.
    pub started_at: i64,
    /// Highest score so far, as bits, so that nothing is lost in the text of a snapshot.
    pub score_bits: u64,
}

impl FindingRecord {
    /// Highest score so far.
    pub fn score(&self) -> f64 {
        f64::from_bits(self.score_bits)
    }
}

/// A change: a deployment, a new version, a configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// When.
    pub at: i64,
    /// Of what.
    pub entity: String,
    /// What, as a code.
    pub code: String,
    /// What, for people.
    pub title: String,
}

/// All that a session remembers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// The version of this form.
    pub version: u32,
    /// The latest moment any alert told of: time moves with the events, so that a replay groups as the live run did.
    pub latest: i64,
    /// By fingerprint.
    pub alerts: BTreeMap<String, AlertRecord>,
    /// By key.
    pub incidents: BTreeMap<String, Incident>,
    /// By id.
    pub findings: BTreeMap<u64, FindingRecord>,
    /// Oldest first.
    pub changes: VecDeque<ChangeRecord>,
    /// Fingerprint and incident that a person said do not belong together.
    pub separations: BTreeSet<(String, String)>,
    /// What each entity with an alert or a kept finding needs.
    pub needs: BTreeMap<String, Needs>,
    /// Alerts by entity, made anew after a restore.
    #[serde(skip)]
    pub by_entity: BTreeMap<String, BTreeSet<String>>,
    /// Alerts by scope, made anew after a restore.
    #[serde(skip)]
    pub by_scope: BTreeMap<Vec<(String, String)>, BTreeSet<String>>,
    /// Entities with alerts by what they need, made anew after a restore.
    #[serde(skip)]
    pub needed_by: BTreeMap<String, BTreeSet<String>>,
}

/// The scope of an alert as a key; none when it carries no scope label.
pub fn scope_key(alert: &AlertRecord) -> Option<Vec<(String, String)>> {
    (!alert.scope.is_empty()).then(|| alert.scope.clone().into_iter().collect())
}

impl State {
    /// Puts an alert into the indices.
    pub fn index(&mut self, fingerprint: &str) {
        let Some(alert) = self.alerts.get(fingerprint) else { return };
        if let Some(scope) = scope_key(alert) {
            self.by_scope.entry(scope).or_default().insert(fingerprint.to_owned());
        }
        if alert.entity.is_empty() {
            return;
        }
        self.by_entity.entry(alert.entity.clone()).or_default().insert(fingerprint.to_owned());
        for needed in self.needs.get(&alert.entity).into_iter().flat_map(|needs| needs.steps.keys()) {
            self.needed_by.entry(needed.clone()).or_default().insert(alert.entity.clone());
        }
    }

    /// Takes an alert out of the indices.
    pub fn unindex(&mut self, fingerprint: &str) {
        let Some(alert) = self.alerts.get(fingerprint) else { return };
        if let Some(scope) = scope_key(alert) {
            remove(&mut self.by_scope, &scope, fingerprint);
        }
        let entity = alert.entity.clone();
        remove(&mut self.by_entity, &entity, fingerprint);
        if !self.by_entity.contains_key(&entity) {
            self.forget_needs(&entity);
        }
    }

    /// Replaces what an entity needs; it must have no alert in the indices but the one about to be put there.
    pub fn learn_needs(&mut self, entity: &str, needs: Needs) {
        if self.needs.get(entity) == Some(&needs) {
            return;
        }
        self.forget_needs(entity);
        if self.by_entity.contains_key(entity) {
            for needed in needs.steps.keys() {
                self.needed_by.entry(needed.clone()).or_default().insert(entity.to_owned());
            }
        }
        self.needs.insert(entity.to_owned(), needs);
    }

    /// Makes the indices anew.
    pub fn index_all(&mut self) {
        self.by_entity.clear();
        self.by_scope.clear();
        self.needed_by.clear();
        for fingerprint in self.alerts.keys().cloned().collect::<Vec<_>>() {
            self.index(&fingerprint);
        }
    }

    fn forget_needs(&mut self, entity: &str) {
        if let Some(needs) = self.needs.remove(entity) {
            for needed in needs.steps.keys() {
                remove(&mut self.needed_by, needed, entity);
            }
        }
    }
}

fn remove<K: Ord>(index: &mut BTreeMap<K, BTreeSet<String>>, key: &K, value: &str) {
    if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
