//! What is known beside the signals: faults, changes, and what has drifted.

use super::suspects::{Suspects, version_id};
use crate::{rules::Drifting, snapshot::Snapshot};
use std::collections::BTreeMap;
use tandem_domain::{
    Severity, Timestamp,
    alert::Alert,
    cause::{DriftedColumn, SuspectChange, SuspectFault},
    deployment::{Deployment, DeploymentStatus},
    drift::{DriftState, is_answer},
    event::Event,
    objective::{Indicator, OBJECTIVES, ObjectiveStanding},
    prediction::ServiceTraffic,
    verdict::BLAMES,
};
use tandem_store::{ReadError, ReadTx};

/// Alerts looked through.
const MAX_ALERTS: usize = 100_000;
/// Deployments looked through, newest first.
const MAX_DEPLOYMENTS: usize = 1_000;
/// Events looked through, newest first.
const MAX_EVENTS: usize = 5_000;
/// Faults that were over so long before the onset have nothing to do with it, in milliseconds.
const OLD_MILLIS: i64 = 3_600_000;
/// Changes that are older than this at the onset are not told, in milliseconds.
const CHANGES_MILLIS: i64 = 2 * 3_600_000;
/// A version is called new for so long after its first prediction, in milliseconds.
const NEW_VERSION_MILLIS: i64 = 2 * 3_600_000;
/// How many times beyond its threshold a column can be.
const MAX_TIMES: f64 = 100.0;

/// What of a service is asked about: its records.
pub(super) struct Told<'a> {
    pub service: &'a str,
    pub onset: Timestamp,
    pub traffic: &'a [ServiceTraffic],
    pub burning: &'a [ObjectiveStanding],
    pub drifting: Option<&'a Drifting>,
}

/// Faults of suspects that stand or stood about the onset. Of the service's own objectives only that about its answers: the others
/// are shown by its signals. What verdicts blame is no fault either: an answer must not follow from itself.
pub(super) fn faults(
    read: &ReadTx,
    snapshot: &Snapshot,
    suspects: &Suspects,
    told: &Told<'_>,
) -> Result<Vec<SuspectFault>, ReadError> {
    let mut faults = Vec::new();
    for alert in read.scan::<Alert>(.., MAX_ALERTS)? {
        let over = alert.ended_at.is_some_and(|ended| ended < told.onset.plus_millis(-OLD_MILLIS));
        if over || [OBJECTIVES, BLAMES].contains(&alert.source.as_str()) {
            continue;
        }
        if let Some(suspect) = suspects.index.get(&snapshot.canonical(&alert.entity)) {
            faults.push(SuspectFault {
                suspect: *suspect,
                code: alert.code,
                severity: alert.severity,
                title: alert.title,
                started_at: alert.started_at,
                ended_at: alert.ended_at,
            });
        }
    }
    let wrong = told.burning.iter().filter(|standing| standing.objective.indicator == Indicator::Quality);
    faults.extend(wrong.map(|standing| SuspectFault {
        suspect: 0,
        code: "objective.quality".into(),
        severity: standing.severity.unwrap_or(Severity::Warning),
        title: standing.sentence.clone(),
        started_at: standing.since,
        ended_at: None,
    }));
    Ok(faults)
}

/// The newest version of a service's model that took another's place lately: model and version.
pub(crate) fn new_version(traffic: &[ServiceTraffic], at: Timestamp) -> Option<&ServiceTraffic> {
    let newest = traffic.iter().max_by_key(|one| one.first_at)?;
    let replaced = traffic.iter().any(|one| one.first_at < newest.first_at && one.version != newest.version);
    (replaced && at.millis_since(newest.first_at) <= NEW_VERSION_MILLIS).then_some(newest)
}

/// The version whose place another took.
pub(crate) fn version_before<'a>(traffic: &'a [ServiceTraffic], newest: &ServiceTraffic) -> Option<&'a ServiceTraffic> {
    traffic.iter().filter(|one| one.version != newest.version).max_by_key(|one| one.last_at)
}

/// What changed before the onset: deployments, versions that were seen for the first time, and events that are no faults.
pub(super) fn changes(
    read: &ReadTx,
    snapshot: &Snapshot,
    suspects: &mut Suspects,
    told: &Told<'_>,
    now: Timestamp,
) -> Result<Vec<SuspectChange>, ReadError> {
    let timely = |at: Timestamp| at <= now && told.onset.millis_since(at) <= CHANGES_MILLIS;
    let mut changes = Vec::new();
    for deployment in read.scan_back::<Deployment>(.., MAX_DEPLOYMENTS)? {
        let at = deployment.applied_at.unwrap_or(deployment.requested_at);
        let served = matches!(
            deployment.status,
            DeploymentStatus::Live | DeploymentStatus::Applying | DeploymentStatus::Superseded
        );
        if deployment.revision.service == told.service && served && timely(at) {
            let suspect = suspects.add_version(&deployment.revision.model, &deployment.revision.version);
            let title = format!("deployment {} of version {}", deployment.id, deployment.revision.version);
            changes.push(SuspectChange { suspect, at, code: "deployment".into(), title });
        }
    }
    if let Some(newest) = new_version(told.traffic, now).filter(|newest| timely(newest.first_at)) {
        let suspect = suspects.add_version(&newest.model, &newest.version);
        let title = format!("the first prediction of version {}", newest.version);
        changes.push(SuspectChange { suspect, at: newest.first_at, code: "version.first-prediction".into(), title });
    }
    for (_, event) in read.log_before::<Event>(u64::MAX, MAX_EVENTS)? {
        if event.severity != Severity::Info || !timely(event.at) {
            continue;
        }
        if let Some(suspect) = suspects.index.get(&snapshot.canonical(&event.entity)) {
            changes.push(SuspectChange { suspect: *suspect, at: event.at, code: event.code, title: event.title });
        }
    }
    Ok(changes)
}

/// What has drifted, each column once. Answers that moved while nothing the model is given did are held against a version that is new.
pub(super) fn drifted(suspects: &Suspects, told: &Told<'_>, now: Timestamp) -> Vec<DriftedColumn> {
    let Some(Drifting { standing, report }) = told.drifting else { return Vec::new() };
    if report.state != DriftState::Drifted || now > standing.holds_until() {
        return Vec::new();
    }
    let moved = report.moved();
    let mut columns: BTreeMap<&str, f64> = BTreeMap::new();
    for line in &report.columns {
        let (Some(column), Ok(drift)) = (line.column.as_deref(), line.outcome.as_ref()) else { continue };
        if drift.drifted && moved.contains(&column) {
            let times = drift.value / drift.threshold;
            let times = if times.is_finite() { times.clamp(1.0, MAX_TIMES) } else { 1.0 };
            let known = columns.entry(column).or_insert(times);
            *known = known.max(times);
        }
    }
    let only_answers = columns.keys().all(|column| is_answer(column));
    let version = version_id(&report.model, &report.version);
    let of_version = suspects.index.get(&version).copied().filter(|_| only_answers);
    let column = |(column, value): (&str, f64)| DriftedColumn {
        suspect: of_version.unwrap_or(0),
        column: column.to_owned(),
        value,
        at: standing.since,
    };
    columns.into_iter().map(column).collect()
}
