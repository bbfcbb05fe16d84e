//! Alerts that others found and tell: what a Prometheus posts to its Alertmanager, what an Alertmanager posts to a webhook,
//! what our own rules say. They become alerts of the entity that their labels name, and end when they are told resolved or
//! when nobody has told them again in time. An alert is known by its labels: where several tell the same one, it is one alert
//! that ends with the last of them.

use super::{
    Holding, blamed,
    tables::{AlertSources, ToldUntil},
};
use crate::map::topology;
use std::ops::Bound;
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertChange, AlertState, Fingerprint, HeldAlert, ToldAlert},
    entity::{EntityDraft, IdentityKey, KeyStrength},
    objective::OBJECTIVES,
    series::Labels,
    topology::TopologyDraft,
    verdict::Blame,
};
use tandem_store::{ReadError, ReadTx, Store, WriteError, WriteTx};

/// Alerts that end in one pass because nobody told them again.
const ENDED_PER_PASS: usize = 1_000;
/// Labels that name an entity, most telling first: label, kind of entity, scheme of its key, whether it is unique in the world.
const NAMING: [(&str, &str, &str, KeyStrength); 12] = [
    ("gpu_uuid", "gpu", "uuid", KeyStrength::Unique),
    ("UUID", "gpu", "uuid", KeyStrength::Unique),
    ("service", "service", "name", KeyStrength::Local),
    ("service_name", "service", "name", KeyStrength::Local),
    ("pod", "pod", "pod", KeyStrength::Local),
    ("node", "host", "hostname", KeyStrength::Local),
    ("nodename", "host", "hostname", KeyStrength::Local),
    ("hostname", "host", "hostname", KeyStrength::Local),
    ("Hostname", "host", "hostname", KeyStrength::Local),
    ("host", "host", "hostname", KeyStrength::Local),
    ("instance", "host", "hostname", KeyStrength::Local),
    ("job", "service", "name", KeyStrength::Local),
];
/// Annotations that say in one sentence what is wrong, best first.
const TITLES: [&str; 3] = ["summary", "title", "description"];
/// Annotations that say what to do, best first.
const ADVICE: [&str; 4] = ["runbook_url", "runbook", "action", "description"];

/// Writes down what is told; the room takes it from there.
///
/// # Errors
/// When the store cannot be written; nothing was taken then.
pub async fn tell(store: &Store, alerts: Vec<ToldAlert>) -> Result<(), WriteError> {
    if alerts.is_empty() {
        return Ok(());
    }
    store.write(move |tx| alerts.iter().try_for_each(|alert| tx.append(alert).map(drop))).await
}

/// Host of `host:port`; of an IPv6 address without its brackets.
fn host_of(instance: &str) -> &str {
    let host = instance.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    host.map_or(instance, |(host, _)| host).trim_matches(['[', ']'])
}

/// Whose alert it is, by its labels; an alert that names nobody is one of the rule itself.
pub(super) fn subject(labels: &Labels) -> EntityDraft {
    let named = NAMING.iter().find_map(|(label, kind, scheme, strength)| {
        let value = labels.get(label)?;
        let value = if *label == "instance" { host_of(value) } else { value };
        (!value.is_empty()).then(|| (*kind, *scheme, value.to_owned(), *strength))
    });
    let rule = || ("rule", "name", labels.get("alertname").unwrap_or("unnamed").to_owned(), KeyStrength::Local);
    let (kind, scheme, value, strength) = named.unwrap_or_else(rule);
    let keys = vec![IdentityKey { scheme: scheme.into(), value: value.clone(), strength }];
    EntityDraft { kind: kind.into(), keys, name: value, attributes: Labels::default() }
}

/// The customary words for how bad it is; a rule that says nothing means a warning.
pub(super) fn severity(labels: &Labels) -> Severity {
    let word = labels.get("severity").or_else(|| labels.get("priority")).unwrap_or_default().to_ascii_lowercase();
    match word.as_str() {
        "critical" | "crit" | "page" | "emergency" | "fatal" | "error" | "high" | "p1" => Severity::Critical,
        "info" | "informational" | "information" | "none" | "notice" | "low" | "debug" => Severity::Info,
        _ => Severity::Warning,
    }
}

fn first<'l>(labels: &'l Labels, names: &[&str]) -> Option<&'l str> {
    names.iter().find_map(|name| labels.get(name))
}

/// Alertmanager's fingerprint, under which every teller of Prometheus' kind knows an alert; apart from our own faults.
fn identity(told: &ToldAlert) -> Fingerprint {
    Fingerprint(format!("alertmanager:{}", told.fingerprint.0))
}

/// Who tells that an alert fires.
fn tellers(tx: &mut WriteTx<'_>, fingerprint: &Fingerprint) -> Result<AlertSources, WriteError> {
    let none = || AlertSources { fingerprint: fingerprint.clone(), active: Vec::new() };
    Ok(tx.get::<AlertSources>(&fingerprint.0)?.unwrap_or_else(none))
}

/// Notes that somebody tells an alert, or no longer does; whether anybody does now.
fn note(tx: &mut WriteTx<'_>, fingerprint: &Fingerprint, teller: &str, fires: bool) -> Result<bool, WriteError> {
    let mut sources = tellers(tx, fingerprint)?;
    let knew = sources.active.iter().any(|known| known == teller);
    if knew != fires {
        sources.active.retain(|known| known != teller);
        sources.active.extend(fires.then(|| teller.to_owned()));
        tx.put(&sources)?;
    }
    Ok(!sources.active.is_empty())
}

/// Forgets until when somebody lets an alert fire.
fn forget_until(tx: &mut WriteTx<'_>, fingerprint: &Fingerprint, teller: &str) -> Result<(), WriteError> {
    match tx.get::<ToldUntil>(&fingerprint.0)? {
        Some(known) if known.teller.is_empty() || known.teller == teller => tx.remove::<ToldUntil>(&fingerprint.0),
        _ => Ok(()),
    }
}

/// Applies what was told; whether an alert changed.
pub(super) fn take(tx: &mut WriteTx<'_>, told: &ToldAlert, now: Timestamp) -> Result<bool, WriteError> {
    let fingerprint = identity(told);
    let known = tx.get::<Alert>(&fingerprint.0)?;
    let fires = told.state == AlertState::Firing && told.ends_at.is_none_or(|end| end > now);
    let is_told = note(tx, &fingerprint, &told.source, fires)?;
    if !fires {
        forget_until(tx, &fingerprint, &told.source)?;
        if is_told {
            return Ok(false);
        }
        let Some(alert) = known.filter(super::is_firing) else { return Ok(false) };
        return end(tx, alert, told.ends_at.unwrap_or(now)).map(|()| true);
    }
    match told.ends_at {
        Some(until) => tx.put(&ToldUntil { fingerprint: fingerprint.clone(), until, teller: told.source.clone() })?,
        None => forget_until(tx, &fingerprint, &told.source)?,
    }
    let severity = hold(tx, told, &fingerprint, known.as_ref(), now)?;
    if let Some(alert) = known.as_ref().filter(|alert| super::is_firing(alert) && alert.severity >= severity) {
        // Told again, which is how tellers keep an alert alive.
        let title = first(&told.annotations, &TITLES);
        if title.is_none_or(|title| title == alert.title) {
            return Ok(false);
        }
    }
    let draft = TopologyDraft { entities: vec![subject(&told.labels)], relations: Vec::new() };
    let written = topology::write(tx, &draft, &told.source, now)?;
    let Some(entity) = written.entities.into_iter().next().flatten() else { return Ok(false) };
    let name = told.labels.get("alertname").unwrap_or("unnamed").to_owned();
    let lasts = known.as_ref().is_some_and(super::is_firing);
    let times_fired = known.as_ref().map_or(0, |alert| alert.times_fired) + u64::from(!lasts);
    let alert = Alert {
        fingerprint,
        state: AlertState::Firing,
        severity,
        title: first(&told.annotations, &TITLES).map_or_else(|| name.clone(), str::to_owned),
        advice: first(&told.annotations, &ADVICE).unwrap_or_default().to_owned(),
        code: name,
        entity,
        labels: told.labels.clone(),
        started_at: told.started_at,
        ended_at: None,
        changed_at: now,
        times_fired,
        source: told.source.clone(),
    };
    tx.put(&alert)?;
    tx.append(&AlertChange { alert })?;
    Ok(true)
}

/// How bad it is for now: what users feel has severity info until the verdict has said something to stand by, or for a minute.
fn hold(
    tx: &mut WriteTx<'_>,
    told: &ToldAlert,
    fingerprint: &Fingerprint,
    known: Option<&Alert>,
    now: Timestamp,
) -> Result<Severity, WriteError> {
    let severity = severity(&told.labels);
    if told.source != OBJECTIVES || known.is_some_and(super::is_firing) {
        return Ok(severity);
    }
    let blame = match told.labels.get("service") {
        Some(service) => tx.get::<Blame>(&service.to_owned())?,
        None => None,
    };
    let Holding::Held(until, why) = blamed::judge(now, now, blame.is_some_and(|blame| blame.settled)) else {
        return Ok(severity);
    };
    tx.put(&HeldAlert { fingerprint: fingerprint.clone(), since: now, until, severity, why })?;
    Ok(Severity::Info)
}

fn end(tx: &mut WriteTx<'_>, alert: Alert, at: Timestamp) -> Result<(), WriteError> {
    let at = at.max(alert.started_at);
    let alert = Alert { state: AlertState::Resolved, ended_at: Some(at), changed_at: at, ..alert };
    tx.put(&alert)?;
    tx.append(&AlertChange { alert })?;
    Ok(())
}

/// The alerts that nobody told again in time, and when the next one would be such.
pub(super) fn overdue(read: &ReadTx, now: Timestamp) -> Result<(Vec<ToldUntil>, Option<Timestamp>), ReadError> {
    let all = read.scan::<ToldUntil>((Bound::<String>::Unbounded, Bound::Unbounded), usize::MAX)?;
    let next = all.iter().map(|told| told.until).filter(|until| *until > now).min();
    let mut over: Vec<ToldUntil> = all.into_iter().filter(|told| told.until <= now).collect();
    over.truncate(ENDED_PER_PASS);
    Ok((over, next))
}

/// Ends an alert that nobody told again, unless somebody has meanwhile.
pub(super) fn expire(tx: &mut WriteTx<'_>, told: &ToldUntil) -> Result<bool, WriteError> {
    if tx.get::<ToldUntil>(&told.fingerprint.0)?.as_ref() != Some(told) {
        return Ok(false);
    }
    tx.remove::<ToldUntil>(&told.fingerprint.0)?;
    if note(tx, &told.fingerprint, &told.teller, false)? {
        return Ok(false);
    }
    let Some(alert) = tx.get::<Alert>(&told.fingerprint.0)?.filter(super::is_firing) else { return Ok(false) };
    end(tx, alert, told.until)?;
    Ok(true)
}
