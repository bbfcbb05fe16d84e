//! Incidents as they are written: opened from groupings, grown, merged, resolved, reopened; each change told in the log that
//! notifications read.

use super::{
    config::CorrelateConfig,
    query::Topology,
    rules::{self, Review},
    tables::{IncidentOfKey, IncidentsOfAlert, Membership, Returns},
};
use crate::map::topology::followed;
use std::{collections::BTreeSet, sync::Arc};
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertChange, AlertState, Fingerprint},
    entity::{Entity, EntityId},
    incident::{Cause, Incident, IncidentAction, IncidentChange, IncidentStatus, TimelineEntry},
    ports::Grouping,
};
use tandem_store::{WriteError, WriteTx};

/// The name under which alerts without a correlator become incidents.
pub const PASS_THROUGH: &str = "pass-through";
/// Before the key of an incident whose correlator has lost its state: it may be taken over by a new key.
pub const FORMER: &str = "former:";
/// Actor of what the room does by itself.
const ROOM: &str = "correlate";

/// Most alerts of one incident; a data centre that goes dark has some thousand.
const MAX_ALERTS: usize = 5_000;
/// Most findings under one incident.
const MAX_FINDINGS: usize = 1_000;
/// Most causes kept.
const MAX_CAUSES: usize = 20;
/// Most entities named.
const MAX_ENTITIES: usize = 5_000;
/// Longest title, in bytes of UTF-8.
const MAX_TITLE_BYTES: usize = 300;
/// Incidents remembered per alert.
const MAX_MEMBERSHIPS: usize = 16;
/// Members told one by one in the story when they join together; of more only the count is told.
const MAX_TOLD_MEMBERS: usize = 10;

/// What is needed to write incidents.
pub struct Context {
    /// The correlator, or [`PASS_THROUGH`].
    pub correlator: String,
    /// The graph.
    pub topology: Arc<Topology>,
    /// Settings.
    pub config: CorrelateConfig,
    /// Now.
    pub now: Timestamp,
    /// Told in the story of incidents that open, when there is something to say about how they came to be.
    pub remark: Option<String>,
}

fn entry(now: Timestamp, actor: &str, text: String) -> TimelineEntry {
    TimelineEntry { at: now, actor: actor.to_owned(), text }
}

fn name_of(tx: &mut WriteTx<'_>, id: &EntityId) -> Result<String, WriteError> {
    Ok(tx.get::<Entity>(&id.0)?.map_or_else(|| id.to_string(), |entity| entity.name))
}

fn cut(text: &str) -> String {
    let end = (0..=MAX_TITLE_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

/// The alerts of an incident, as they stand.
pub fn alerts_of(tx: &mut WriteTx<'_>, incident: &Incident) -> Result<Vec<Alert>, WriteError> {
    let mut alerts = Vec::with_capacity(incident.alerts.len());
    for fingerprint in &incident.alerts {
        alerts.extend(tx.get::<Alert>(&fingerprint.0)?);
    }
    Ok(alerts)
}

/// When an incident came back lately.
fn returns_of(tx: &mut WriteTx<'_>, incident: u64) -> Result<Vec<Timestamp>, WriteError> {
    Ok(tx.get::<Returns>(&incident)?.map(|returns| returns.at).unwrap_or_default())
}

/// What the alerts of an incident demand of it now.
fn review(
    tx: &mut WriteTx<'_>,
    incident: &Incident,
    alerts: &[Alert],
    now: Timestamp,
    config: &CorrelateConfig,
) -> Result<Review, WriteError> {
    let returns = returns_of(tx, incident.id)?;
    Ok(rules::review(incident, &returns, alerts, now, config))
}

/// Notes that an incident came back, so that it is held longer before it is over.
fn note_return(
    tx: &mut WriteTx<'_>,
    incident: &mut Incident,
    at: Timestamp,
    now: Timestamp,
    config: &CorrelateConfig,
) -> Result<(), WriteError> {
    let before = returns_of(tx, incident.id)?;
    let mut returns = before.clone();
    if !rules::come_back(&mut returns, at) {
        return Ok(());
    }
    if let Some(text) = rules::told_of_return(&before, &returns, config) {
        rules::tell(incident, entry(now, ROOM, text));
    }
    tx.put(&Returns { incident: incident.id, at: returns })
}

fn announce(tx: &mut WriteTx<'_>, incident: &Incident, now: Timestamp) -> Result<(), WriteError> {
    tx.append(&IncidentChange { incident: incident.id, status: incident.status, at: now })?;
    Ok(())
}

/// Takes in the groupings of one update: first those that stand, then those that went up into others.
pub fn take_groupings(tx: &mut WriteTx<'_>, context: &Context, groupings: &[Grouping]) -> Result<Vec<u64>, WriteError> {
    let mut touched = Vec::new();
    for grouping in groupings.iter().filter(|grouping| grouping.merged_into.is_none()) {
        touched.extend(stand(tx, context, grouping)?);
    }
    for grouping in groupings {
        let Some(into) = &grouping.merged_into else { continue };
        let (Some(from), Some(into)) = (incident_of(tx, context, &grouping.key)?, incident_of(tx, context, into)?)
        else {
            continue;
        };
        touched.extend(merge(tx, context, from, into.id)?);
    }
    Ok(touched)
}

fn incident_of(tx: &mut WriteTx<'_>, context: &Context, key: &str) -> Result<Option<Incident>, WriteError> {
    let found = tx.get::<IncidentOfKey>(&(context.correlator.clone(), key.to_owned()))?;
    match found {
        Some(found) => tx.get::<Incident>(&found.incident),
        None => Ok(None),
    }
}

/// A grouping that stands by itself: its incident grows, or one opens.
fn stand(tx: &mut WriteTx<'_>, context: &Context, grouping: &Grouping) -> Result<Option<u64>, WriteError> {
    let mut alerts = Vec::new();
    let mut seen = BTreeSet::new();
    for fingerprint in grouping.fingerprints.iter().filter(|one| seen.insert(one.as_str())).take(MAX_ALERTS) {
        alerts.extend(tx.get::<Alert>(fingerprint)?);
    }
    let known = incident_of(tx, context, &grouping.key)?;
    let outlived = match &known {
        Some(incident) => review(tx, incident, &alerts, context.now, &context.config)? == Review::Outlived,
        None => false,
    };
    let mut incident = match known.filter(|_| !outlived) {
        Some(incident) if incident.merged_into.is_none() => incident,
        _ if !alerts.iter().any(rules::opens) => return Ok(None),
        _ if context.correlator == PASS_THROUGH && looked_after(tx, context, &alerts)? => return Ok(None),
        _ => match adoptable(tx, &alerts)? {
            Some(incident) => adopt(tx, context, grouping, incident)?,
            None => opened(tx, context, grouping, &alerts)?,
        },
    };
    let is_new = |alert: &&Alert| rules::opens(alert) && !incident.alerts.contains(&alert.fingerprint);
    let newly_firing = alerts.iter().any(|alert| is_new(&alert));
    fill(tx, context, grouping, &mut incident, &alerts)?;
    if newly_firing && !incident.status.is_active() {
        let text = "Another alert that belongs to it fires.".to_owned();
        rules::act(&mut incident, IncidentAction::Reopen, entry(context.now, ROOM, text), context.now);
        announce(tx, &incident, context.now)?;
    }
    settle(tx, &mut incident, &alerts, context.now, &context.config)?;
    tx.put(&incident)?;
    Ok(Some(incident.id))
}

fn incidents_with(tx: &mut WriteTx<'_>, alerts: &[Alert]) -> Result<Vec<Incident>, WriteError> {
    let mut ids = BTreeSet::new();
    for alert in alerts {
        let found = tx.get::<IncidentsOfAlert>(&alert.fingerprint.0)?;
        ids.extend(found.into_iter().flat_map(|found| found.memberships).map(|membership| membership.incident));
    }
    let mut found = Vec::new();
    for id in ids {
        found.extend(tx.get::<Incident>(&id)?.filter(|incident| incident.merged_into.is_none()));
    }
    Ok(found)
}

/// Whether an incident of a correlator's already has these alerts: it is active, or comes back for them.
fn looked_after(tx: &mut WriteTx<'_>, context: &Context, alerts: &[Alert]) -> Result<bool, WriteError> {
    for incident in incidents_with(tx, alerts)? {
        if incident.status.is_active() || review(tx, &incident, alerts, context.now, &context.config)? == Review::Reopen
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An active incident of these alerts that has no correlator to look after it any more: the oldest.
fn adoptable(tx: &mut WriteTx<'_>, alerts: &[Alert]) -> Result<Option<Incident>, WriteError> {
    Ok(incidents_with(tx, alerts)?.into_iter().find(|incident| {
        let alone = incident.correlator == PASS_THROUGH || incident.correlator_key.starts_with(FORMER);
        alone && incident.status.is_active()
    }))
}

fn adopt(
    tx: &mut WriteTx<'_>,
    context: &Context,
    grouping: &Grouping,
    mut incident: Incident,
) -> Result<Incident, WriteError> {
    if context.correlator != PASS_THROUGH {
        let text = format!("{} looks after this incident from now on.", context.correlator);
        rules::tell(&mut incident, entry(context.now, ROOM, text));
    }
    incident.correlator = context.correlator.clone();
    incident.correlator_key = grouping.key.clone();
    remember_key(tx, &incident)?;
    Ok(incident)
}

fn remember_key(tx: &mut WriteTx<'_>, incident: &Incident) -> Result<(), WriteError> {
    let (correlator, key) = (incident.correlator.clone(), incident.correlator_key.clone());
    tx.put(&IncidentOfKey { correlator, key, incident: incident.id })
}

fn opened(
    tx: &mut WriteTx<'_>,
    context: &Context,
    grouping: &Grouping,
    alerts: &[Alert],
) -> Result<Incident, WriteError> {
    let started = alerts.iter().filter(|alert| alert.state == AlertState::Firing).map(|alert| alert.started_at).min();
    let mut incident = Incident {
        id: tx.next_id("incidents")?,
        correlator: context.correlator.clone(),
        correlator_key: grouping.key.clone(),
        title: cut(&grouping.title),
        status: IncidentStatus::Open,
        severity: Severity::Info,
        opened_at: started.unwrap_or(context.now).min(context.now),
        resolved_at: None,
        changed_at: context.now,
        entities: Vec::new(),
        alerts: Vec::new(),
        findings: Vec::new(),
        causes: Vec::new(),
        timeline: Vec::new(),
        merged_into: None,
    };
    let text = format!("Opened: {}.", incident.title.trim_end_matches('.'));
    rules::tell(&mut incident, entry(context.now, &context.correlator, text));
    if let Some(remark) = &context.remark {
        rules::tell(&mut incident, entry(context.now, ROOM, remark.clone()));
    }
    remember_key(tx, &incident)?;
    announce(tx, &incident, context.now)?;
    Ok(incident)
}

/// Members, entities, causes and title as the grouping says; what is new is told in the story.
fn fill(
    tx: &mut WriteTx<'_>,
    context: &Context,
    grouping: &Grouping,
    incident: &mut Incident,
    alerts: &[Alert],
) -> Result<(), WriteError> {
    let joined: Vec<&Alert> = alerts.iter().filter(|alert| !incident.alerts.contains(&alert.fingerprint)).collect();
    for alert in joined.iter().take(MAX_TOLD_MEMBERS) {
        let name = name_of(tx, &alert.entity)?;
        let text = format!("{} on {name} ({}).", alert.title.trim_end_matches('.'), alert.code);
        rules::tell(incident, entry(context.now, &context.correlator, text));
    }
    if joined.len() > MAX_TOLD_MEMBERS {
        let text = format!("{} more alerts joined.", joined.len() - MAX_TOLD_MEMBERS);
        rules::tell(incident, entry(context.now, &context.correlator, text));
    }
    for alert in joined {
        join(tx, alert, incident.id)?;
    }
    incident.alerts = alerts.iter().map(|alert| alert.fingerprint.clone()).collect();
    if !grouping.title.is_empty() {
        incident.title = cut(&grouping.title);
    }
    incident.findings = grouping.findings.iter().copied().take(MAX_FINDINGS).collect();
    let causes: Vec<Cause> =
        grouping.causes.iter().filter(|cause| cause.score.is_finite()).take(MAX_CAUSES).cloned().collect();
    let first = |causes: &[Cause]| causes.first().map(|cause| cause.entity.clone());
    if first(&causes) != first(&incident.causes)
        && let Some(cause) = causes.first()
    {
        let text = format!("Most likely cause: {}. {}", name_of(tx, &cause.entity)?, cause.sentence);
        rules::tell(incident, entry(context.now, &context.correlator, text));
    }
    incident.causes = causes;
    let mut entities = BTreeSet::new();
    for alert in alerts {
        let entity = followed(tx, alert.entity.clone())?;
        entities.extend(context.topology.services_on.get(&entity).into_iter().flatten().cloned());
        entities.insert(entity);
    }
    incident.entities = entities.into_iter().take(MAX_ENTITIES).collect();
    incident.changed_at = incident.changed_at.max(context.now);
    Ok(())
}

fn join(tx: &mut WriteTx<'_>, alert: &Alert, incident: u64) -> Result<(), WriteError> {
    let fingerprint = alert.fingerprint.0.clone();
    let known = tx.get::<IncidentsOfAlert>(&fingerprint)?;
    let mut record = known.unwrap_or(IncidentsOfAlert { fingerprint, memberships: Vec::new() });
    record.memberships.retain(|membership| membership.incident != incident);
    let times_fired = alert.times_fired;
    record.memberships.push(Membership { incident, times_fired, times_fired_before: times_fired });
    let too_many = record.memberships.len().saturating_sub(MAX_MEMBERSHIPS);
    record.memberships.drain(..too_many);
    tx.put(&record)
}

/// Severity, resolution and return as the alerts demand; when to look again if they demand it later.
fn settle(
    tx: &mut WriteTx<'_>,
    incident: &mut Incident,
    alerts: &[Alert],
    now: Timestamp,
    config: &CorrelateConfig,
) -> Result<Option<Timestamp>, WriteError> {
    let worst = alerts.iter().filter(|alert| alert.state == AlertState::Firing).map(|alert| alert.severity).max();
    incident.severity = incident.severity.max(worst.unwrap_or(Severity::Info));
    let changed = match review(tx, incident, alerts, now, config)? {
        Review::Later(due) => return Ok(Some(due)),
        Review::Stays | Review::Outlived => false,
        Review::Resolve(since) => {
            let text = "All alerts are over.".to_owned();
            rules::act(incident, IncidentAction::Resolve, entry(now, ROOM, text), since)
        }
        Review::Reopen => {
            let text = "An alert fires again.".to_owned();
            rules::act(incident, IncidentAction::Reopen, entry(now, ROOM, text), now)
        }
    };
    if changed {
        announce(tx, incident, now)?;
    }
    Ok(None)
}

fn merge(tx: &mut WriteTx<'_>, context: &Context, mut from: Incident, into: u64) -> Result<Option<u64>, WriteError> {
    if from.id == into || from.merged_into.is_some() {
        return Ok(None);
    }
    let Some(mut target) = tx.get::<Incident>(&into)? else { return Ok(None) };
    let (now, actor) = (context.now, context.correlator.as_str());
    rules::tell(
        &mut target,
        entry(now, actor, format!("Incident {} ({}) turned out to be part of this one.", from.id, from.title)),
    );
    let missing: Vec<Fingerprint> = from.alerts.iter().filter(|one| !target.alerts.contains(one)).cloned().collect();
    for fingerprint in missing {
        if let Some(alert) = tx.get::<Alert>(&fingerprint.0)?.filter(|_| target.alerts.len() < MAX_ALERTS) {
            join(tx, &alert, target.id)?;
            target.alerts.push(fingerprint);
        }
    }
    let entities: BTreeSet<EntityId> = target.entities.drain(..).chain(from.entities.iter().cloned()).collect();
    target.entities = entities.into_iter().take(MAX_ENTITIES).collect();
    target.severity = target.severity.max(from.severity);
    let alerts = alerts_of(tx, &target)?;
    settle(tx, &mut target, &alerts, now, &context.config)?;
    tx.put(&target)?;
    from.merged_into = Some(into);
    let text = format!("Went up into incident {into} ({}).", target.title);
    if rules::act(&mut from, IncidentAction::Resolve, entry(now, actor, text.clone()), now) {
        announce(tx, &from, now)?;
    } else {
        rules::tell(&mut from, entry(now, actor, text));
    }
    tx.put(&from)?;
    Ok(Some(into))
}

/// Takes in a change of an alert: the incidents it is in are told, and settled. Answers them.
pub fn take_alert(
    tx: &mut WriteTx<'_>,
    change: &AlertChange,
    now: Timestamp,
    config: &CorrelateConfig,
) -> Result<Vec<u64>, WriteError> {
    let alert = &change.alert;
    let Some(mut record) = tx.get::<IncidentsOfAlert>(&alert.fingerprint.0)? else { return Ok(Vec::new()) };
    let mut touched = Vec::new();
    let before = record.clone();
    let mut incidents = Vec::new();
    for membership in &record.memberships {
        let found = tx.get::<Incident>(&membership.incident)?;
        incidents.push(found.filter(|incident| incident.alerts.contains(&alert.fingerprint)));
    }
    // What its correlator has put into another incident does not bring an old one back.
    let lives = incidents.iter().flatten().any(|incident| incident.status.is_active());
    for (membership, incident) in record.memberships.iter_mut().zip(incidents) {
        let Some(mut incident) = incident else { continue };
        let fired_again = alert.state == AlertState::Firing && alert.times_fired > membership.times_fired;
        membership.times_fired = membership.times_fired.max(alert.times_fired);
        let alerts = alerts_of(tx, &incident)?;
        let returns = review(tx, &incident, &alerts, now, config)? == Review::Reopen;
        if !incident.status.is_active() && (lives || !returns) {
            continue;
        }
        if fired_again || alert.state == AlertState::Resolved {
            let what = if fired_again { "fires again" } else { "is over" };
            let text = format!("{} on {} {what}.", alert.title.trim_end_matches('.'), name_of(tx, &alert.entity)?);
            rules::tell(&mut incident, entry(now, ROOM, text));
        }
        // An alert that fired as information may have become worse since, so it is asked how often it had fired at first.
        if rules::opens(alert) && alert.times_fired > membership.times_fired_before && rules::was_quiet(&alerts, alert)
        {
            note_return(tx, &mut incident, alert.started_at, now, config)?;
        }
        settle(tx, &mut incident, &alerts, now, config)?;
        tx.put(&incident)?;
        touched.push(incident.id);
    }
    if record != before {
        tx.put(&record)?;
    }
    Ok(touched)
}

/// Looks at an incident again because its time has come; when to look once more.
pub fn look_again(
    tx: &mut WriteTx<'_>,
    id: u64,
    now: Timestamp,
    config: &CorrelateConfig,
) -> Result<Option<Timestamp>, WriteError> {
    let Some(mut incident) = tx.get::<Incident>(&id)? else { return Ok(None) };
    if !incident.status.is_active() {
        return Ok(None);
    }
    let alerts = alerts_of(tx, &incident)?;
    let before = incident.clone();
    let later = settle(tx, &mut incident, &alerts, now, config)?;
    if incident != before {
        tx.put(&incident)?;
    }
    Ok(later)
}

/// Marks the active incidents of a correlator that lost its state, so that its new groupings take them over.
pub fn orphan(tx: &mut WriteTx<'_>, correlator: &str, active: &[u64]) -> Result<(), WriteError> {
    for id in active {
        let found = tx.get::<Incident>(id)?.filter(|incident| incident.correlator == correlator);
        let Some(mut incident) = found.filter(|incident| !incident.correlator_key.starts_with(FORMER)) else {
            continue;
        };
        tx.remove::<IncidentOfKey>(&(correlator.to_owned(), incident.correlator_key.clone()))?;
        incident.correlator_key = format!("{FORMER}{}", incident.correlator_key);
        tx.put(&incident)?;
    }
    Ok(())
}
