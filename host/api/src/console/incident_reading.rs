//! What the page of an incident shows, read from the store in one snapshot.

use super::{
    chart::Mark,
    evidence::{self, Shown, Window},
};
use crate::error::ApiError;
use std::collections::{BTreeMap, BTreeSet};
use tandem_aiops::map::topology::followed_by;
use tandem_domain::{
    Timestamp,
    alert::{Alert, AlertState},
    deployment::Deployment,
    entity::{Entity, EntityId},
    finding::Finding,
    graph::DependencyGraph,
    incident::Incident,
    relation::{Relation, RelationKind},
    verdict::Verdict,
};
use tandem_store::{ReadError, ReadTx, Store};

/// Alerts and findings read of one incident; what is more is counted.
const MAX_EVIDENCE: usize = 200;
/// Relations looked at for the path.
const MAX_RELATIONS: usize = 500_000;
/// Services whose way to the cause is drawn.
const MAX_PATHS: usize = 3;
/// Deployments looked at for changes before the onset.
const MAX_DEPLOYMENTS: usize = 500;
/// How long before the onset a change may lie that is marked, in milliseconds.
const CHANGES_BEFORE_MILLIS: i64 = 3_600_000;
/// The least and the most that charts show before the onset, in milliseconds.
const BEFORE_MILLIS: (i64, i64) = (900_000, 6 * 3_600_000);
/// What charts show after the end of an incident, in milliseconds.
const AFTER_MILLIS: i64 = 600_000;

/// One step of the way from a service to the cause.
pub(super) struct Step {
    pub id: EntityId,
    pub name: String,
    /// In words, how the step before leads here; empty for the first.
    pub how: &'static str,
    /// Whether one of the incident's alerts fires there.
    pub fires: bool,
    /// Whether it is the likely cause.
    pub is_cause: bool,
}

/// Everything on the page.
pub(super) struct IncidentPage {
    pub at: Timestamp,
    pub incident: Incident,
    /// The cause's name.
    pub cause: Option<String>,
    /// Services that feel it, with what is said of them now.
    pub verdicts: Vec<Verdict>,
    pub paths: Vec<Vec<Step>>,
    pub charts: Vec<Shown>,
    pub alerts: Vec<Alert>,
    pub findings: Vec<Finding>,
    pub changes: Vec<Deployment>,
    pub names: BTreeMap<EntityId, String>,
}

impl IncidentPage {
    /// Reads it; none where there is no such incident.
    pub(super) fn read(store: &Store, id: u64, at: Timestamp) -> Result<Option<Self>, ApiError> {
        let read = store.read()?;
        let Some(incident) = read.get::<Incident>(&id)? else { return Ok(None) };
        let mut alerts = Vec::new();
        for fingerprint in incident.alerts.iter().take(MAX_EVIDENCE) {
            alerts.extend(read.get::<Alert>(&fingerprint.0)?);
        }
        let mut findings = Vec::new();
        for number in incident.findings.iter().take(MAX_EVIDENCE) {
            findings.extend(read.get::<Finding>(number)?);
        }
        findings.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        let blamed = blamed(&read, &incident, &alerts)?;
        let fires: BTreeSet<EntityId> = alerts
            .iter()
            .filter(|alert| alert.state == AlertState::Firing || !incident.status.is_active())
            .map(|alert| alert.entity.clone())
            .collect();
        let paths = paths(&read, &incident, blamed.as_ref(), &fires)?;
        let verdicts = crate::routes::verdicts_now(&read, at)?.into_iter();
        let verdicts: Vec<Verdict> = verdicts
            .filter(|verdict| verdict.infrastructure.incidents.contains(&id) || is_of(&incident, verdict))
            .collect();
        let onset = onset(&incident, &alerts, &findings);
        let changes = changes(&read, &verdicts, onset, &incident)?;
        let marks = marks(&incident, &changes);
        let cause = blamed.as_ref().map(|entity| &entity.id);
        let charts = evidence::charts(&read, &findings, &verdicts, cause, window(&incident, onset, at), &marks)?;
        let mut names = BTreeMap::new();
        let named = alerts.iter().map(|alert| &alert.entity).chain(findings.iter().map(|finding| &finding.entity));
        for id in named.chain(incident.entities.iter()).chain(charts.iter().map(|shown| &shown.entity)) {
            if !names.contains_key(id)
                && let Some(entity) = followed_by(&read, id)?
            {
                names.insert(id.clone(), entity.name);
            }
        }
        let cause = blamed.map(|entity| entity.name);
        Ok(Some(Self { at, incident, cause, verdicts, paths, charts, alerts, findings, changes, names }))
    }

    /// What people call an entity.
    pub(super) fn name<'a>(&'a self, id: &'a EntityId) -> &'a str {
        self.names.get(id).map_or(id.0.as_str(), String::as_str)
    }
}

/// Whether an incident touches a verdict's service itself, as one does that users feel.
fn is_of(incident: &Incident, verdict: &Verdict) -> bool {
    let of = |entity: &EntityId| entity.kind() == "service" && entity.identity() == verdict.service;
    incident.entities.iter().any(of)
}

/// The entity that is to blame: the first cause, or where no cause is named what fired first.
fn blamed(read: &ReadTx, incident: &Incident, alerts: &[Alert]) -> Result<Option<Entity>, ReadError> {
    let first = alerts.iter().min_by_key(|alert| (alert.entity.kind() == "service", alert.started_at));
    let id = incident.causes.first().map(|cause| &cause.entity).or(first.map(|alert| &alert.entity));
    id.map_or(Ok(None), |id| followed_by(read, id))
}

/// When it began, by whatever shows it first; never long before it opened, as an alert may be older than its incident.
fn onset(incident: &Incident, alerts: &[Alert], findings: &[Finding]) -> Timestamp {
    let earliest = incident.opened_at.plus_millis(-BEFORE_MILLIS.1 / 2);
    let moments = alerts.iter().map(|alert| alert.started_at).chain(findings.iter().map(|finding| finding.started_at));
    moments.filter(|at| *at >= earliest).min().unwrap_or(incident.opened_at).min(incident.opened_at)
}

fn window(incident: &Incident, onset: Timestamp, now: Timestamp) -> Window {
    let end = incident.resolved_at.map_or(now, |resolved| now.min(resolved.plus_millis(AFTER_MILLIS)));
    let before = (end.millis_since(onset) / 2).clamp(BEFORE_MILLIS.0, BEFORE_MILLIS.1);
    Window { from: onset.plus_millis(-before), to: end.max(onset.plus_millis(1)) }
}

/// Deployments of the services that feel it, shortly before it began or while it lasts.
fn changes(
    read: &ReadTx,
    verdicts: &[Verdict],
    onset: Timestamp,
    incident: &Incident,
) -> Result<Vec<Deployment>, ReadError> {
    let last = incident.resolved_at.unwrap_or(Timestamp::MAX);
    let mut changes = read.scan_back::<Deployment>(.., MAX_DEPLOYMENTS)?;
    changes.retain(|deployment| {
        verdicts.iter().any(|verdict| verdict.service == deployment.revision.service)
            && (onset.plus_millis(-CHANGES_BEFORE_MILLIS)..=last).contains(&deployment.requested_at)
    });
    Ok(changes)
}

fn marks(incident: &Incident, changes: &[Deployment]) -> Vec<Mark> {
    let mut marks = vec![Mark { at: incident.opened_at, label: "incident opened".into() }];
    marks.extend(incident.resolved_at.map(|at| Mark { at, label: "resolved".into() }));
    marks.extend(changes.iter().map(|deployment| Mark {
        at: deployment.requested_at,
        label: format!("deployed {} {}", deployment.revision.model, deployment.revision.version),
    }));
    marks
}

/// The ways from the services that feel it to the cause; where none feels it, the cause alone.
fn paths(
    read: &ReadTx,
    incident: &Incident,
    blamed: Option<&Entity>,
    fires: &BTreeSet<EntityId>,
) -> Result<Vec<Vec<Step>>, ReadError> {
    let Some(blamed) = blamed else { return Ok(Vec::new()) };
    let relations = read.scan::<Relation>(.., MAX_RELATIONS)?;
    let kinds: BTreeMap<(&EntityId, &EntityId), RelationKind> =
        relations.iter().map(|relation| ((&relation.dependent, &relation.dependency), relation.kind)).collect();
    let graph = DependencyGraph::new(&relations);
    let mut found: Vec<Vec<EntityId>> = Vec::new();
    for service in incident.entities.iter().filter(|id| id.kind() == "service") {
        if found.len() == MAX_PATHS {
            break;
        }
        let Some(service) = followed_by(read, service)? else { continue };
        let way = graph.dependencies_of(&service.id).into_iter().find(|path| path.last() == Some(&blamed.id));
        found.extend(way);
    }
    if found.is_empty() {
        found.push(vec![blamed.id.clone()]);
    }
    let mut drawn = Vec::new();
    for path in found {
        let mut steps = Vec::new();
        for (place, id) in path.iter().enumerate() {
            let before = place.checked_sub(1).and_then(|before| path.get(before));
            let how = before.map_or("", |before| match (kinds.get(&(before, id)), kinds.get(&(id, before))) {
                (Some(kind), _) => down_words(*kind),
                (None, Some(_)) => "is part of",
                (None, None) => "needs",
            });
            let name = followed_by(read, id)?.map_or_else(|| id.0.clone(), |entity| entity.name);
            steps.push(Step { name, how, fires: fires.contains(id), is_cause: *id == blamed.id, id: id.clone() });
        }
        drawn.push(steps);
    }
    Ok(drawn)
}

fn down_words(kind: RelationKind) -> &'static str {
    match kind {
        RelationKind::RunsOn => "runs on",
        RelationKind::Contains => "contains",
        RelationKind::PoweredBy => "is powered by",
        RelationKind::ConnectedTo => "is connected through",
        RelationKind::StoredOn => "is stored on",
        RelationKind::DependsOn => "needs",
    }
}
