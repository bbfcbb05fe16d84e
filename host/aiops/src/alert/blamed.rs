//! What several services feel of one cause is one incident. What users feel is held until the verdict has said what is to blame, or
//! for a minute; and what a verdict blames is an alert of its own, on the entity that is blamed. Services that feel the same cause all
//! need that entity, and so the correlator puts their alerts together as it does with any fault. Where the verdict is in doubt the
//! alert is mere information.

use super::{Holding, rules, tables::BlamedAlert};
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertChange, AlertState, Fingerprint},
    entity::{Entity, EntityId},
    series::Labels,
    verdict::{BLAMES, Blame},
};
use tandem_store::{ReadError, ReadTx, WriteError, WriteTx};

/// The code of an alert on what is blamed.
const CODE: &str = "verdict.blamed";
/// The verdict is waited for so long, in milliseconds: it is asked within seconds, and is asked again twice in this time.
const PATIENCE_MILLIS: i64 = 60_000;
/// So many services that name the same, each asked by itself, are as good as one that is sure.
const AGREEING: usize = 2;
/// Services in trouble at once that are looked at, and entities that are blamed.
const MAX_BLAMES: usize = 10_000;

/// Whether what users of a service feel is told now, given whether the verdict has said something of it to stand by.
pub(super) fn judge(since: Timestamp, now: Timestamp, settled: bool) -> Holding {
    let until = since.plus_millis(PATIENCE_MILLIS);
    if until <= now || settled {
        return Holding::Tell;
    }
    let seconds = PATIENCE_MILLIS / 1_000;
    let why =
        format!("the verdict is asked for the cause, so that each is told once; it is told {seconds} s after it began");
    Holding::Held(until, why)
}

/// Whether the verdict has said something to stand by of the service that an objective's alert is about: it is sure, or what it names
/// has an alert because others name it too.
pub(super) fn is_settled(read: &ReadTx, labels: &Labels) -> Result<bool, ReadError> {
    let Some(service) = labels.get("service") else { return Ok(false) };
    let Some(blame) = read.get::<Blame>(&service.to_owned())? else { return Ok(false) };
    let mut has_alert = false;
    for entity in blame.entity.iter().chain(&blame.within) {
        has_alert |= read.get::<BlamedAlert>(&entity.0)?.is_some_and(|alert| !alert.doubtful);
    }
    Ok(blame.settled || has_alert)
}

/// The wholes of which services name different parts, or one a part and another the whole: none of them sees all of its parts, and
/// that they agree on it is no chance.
fn in_common(blames: &[Blame]) -> BTreeSet<EntityId> {
    let mut named: BTreeMap<&EntityId, (BTreeSet<&EntityId>, BTreeSet<&str>)> = BTreeMap::new();
    for (blame, entity) in blames.iter().filter_map(|blame| Some((blame, blame.entity.as_ref()?))) {
        for whole in blame.within.iter().chain([entity]) {
            let (parts, services) = named.entry(whole).or_default();
            parts.insert(entity);
            services.insert(&blame.service);
        }
    }
    let agree =
        |(parts, services): &(BTreeSet<&EntityId>, BTreeSet<&str>)| parts.len() > 1 && services.len() >= AGREEING;
    named.into_iter().filter(|(_, found)| agree(found)).map(|(whole, _)| whole.clone()).collect()
}

/// Who blames an entity, and why.
#[derive(Debug, Default)]
struct Blamed {
    services: BTreeSet<String>,
    sentence: String,
    certain: bool,
}

impl Blamed {
    fn is_doubtful(&self) -> bool {
        !self.certain && self.services.len() < AGREEING
    }
}

/// What has to change so that exactly those entities have an alert that are blamed.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Newly blamed, or with more or less doubt than before.
    blamed: BTreeMap<EntityId, Blamed>,
    /// Blamed no longer.
    cleared: Vec<BlamedAlert>,
}

impl Moves {
    /// Compares what is blamed with the alerts that are there.
    pub(super) fn find(read: &ReadTx) -> Result<Self, ReadError> {
        let blames: Vec<Blame> =
            read.scan::<Blame>(.., MAX_BLAMES)?.into_iter().filter(|one| one.entity.is_some()).collect();
        let wholes = in_common(&blames);
        let mut moves = Self::default();
        for Blame { service, entity, within, sentence, settled, .. } in blames {
            let Some(entity) = entity else { continue };
            let whole = within.into_iter().chain([entity.clone()]).find(|whole| wholes.contains(whole));
            let blamed = moves.blamed.entry(whole.unwrap_or(entity)).or_default();
            blamed.services.insert(service);
            blamed.certain |= settled;
            if blamed.sentence.is_empty() {
                blamed.sentence = sentence;
            }
        }
        for known in read.scan::<BlamedAlert>(.., MAX_BLAMES)? {
            match moves.blamed.get(&known.entity).map(Blamed::is_doubtful) {
                None => moves.cleared.push(known),
                Some(doubtful) if doubtful == known.doubtful => drop(moves.blamed.remove(&known.entity)),
                Some(_) => {}
            }
        }
        Ok(moves)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blamed.is_empty() && self.cleared.is_empty()
    }

    /// Writes them; how many alerts changed.
    pub(super) fn write(self, tx: &mut WriteTx<'_>, now: Timestamp) -> Result<u64, WriteError> {
        let count = (self.blamed.len() + self.cleared.len()) as u64;
        for BlamedAlert { entity, fingerprint, .. } in self.cleared {
            tx.remove::<BlamedAlert>(&entity.0)?;
            if let Some(alert) = tx.get::<Alert>(&fingerprint.0)?.filter(super::is_firing) {
                let at = now.max(alert.started_at);
                put(tx, Alert { state: AlertState::Resolved, ended_at: Some(at), changed_at: at, ..alert })?;
            }
        }
        for (entity, blamed) in self.blamed {
            let fingerprint = rules::fingerprint(CODE, &entity, &Labels::default());
            let known = tx.get::<Alert>(&fingerprint.0)?;
            let name = tx.get::<Entity>(&entity.0)?.map_or_else(|| entity.0.clone(), |entity| entity.name);
            let doubtful = blamed.is_doubtful();
            let alert = alert(&entity, &name, blamed, &fingerprint, now);
            let lasts = known.as_ref().filter(|known| super::is_firing(known)).map(|known| known.started_at);
            let times_fired = known.map_or(0, |known| known.times_fired) + u64::from(lasts.is_none());
            put(tx, Alert { started_at: lasts.unwrap_or(now), times_fired, ..alert })?;
            tx.put(&BlamedAlert { entity, fingerprint, doubtful })?;
        }
        Ok(count)
    }
}

/// The alert on an entity that is blamed. In doubt it is information: it names who may be to blame to those who are told of what is
/// felt, and opens and joins nothing by itself.
fn alert(entity: &EntityId, name: &str, blamed: Blamed, fingerprint: &Fingerprint, now: Timestamp) -> Alert {
    let doubtful = blamed.is_doubtful();
    let services: Vec<String> = blamed.services.into_iter().collect();
    let services = services.join(", ");
    let (severity, title) = match doubtful {
        true => (Severity::Info, format!("Users of {services} may wait because of it")),
        false => (Severity::Warning, format!("Users of {services} wait because of it")),
    };
    Alert {
        fingerprint: fingerprint.clone(),
        state: AlertState::Firing,
        code: CODE.into(),
        severity,
        title,
        advice: format!("Look at {name}: {}", blamed.sentence),
        entity: entity.clone(),
        labels: Labels::default(),
        started_at: now,
        ended_at: None,
        changed_at: now,
        times_fired: 0,
        source: BLAMES.into(),
    }
}

fn put(tx: &mut WriteTx<'_>, alert: Alert) -> Result<(), WriteError> {
    tx.put(&alert)?;
    tx.append(&AlertChange { alert }).map(drop)
}
