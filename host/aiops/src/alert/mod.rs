//! The alert room: changes of faults, and what others tell, become alerts with an identity that outlives their changes of state.

mod away;
mod blamed;
mod config;
mod metrics;
pub(crate) mod rules;
mod tables;
#[cfg(test)]
mod tests;
pub mod told;

pub use config::AlertConfig;
pub use metrics::AlertMetrics;
pub use rules::fingerprint;

use crate::{
    map::topology::followed,
    room::{Progress, Room, RoomError},
    signal::FaultChange,
};
use blamed::Moves;
use std::sync::Arc;
use tables::{AlertSources, SourceAlert};
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertChange, AlertState, Fingerprint, HeldAlert, ToldAlert},
    objective::OBJECTIVES,
};
use tandem_store::{ReadError, ReadTx, Store, WriteError, WriteTx};

/// The reader of fault changes.
pub(crate) const CURSOR: &str = "alert/faults";
/// The reader of alerts that others tell.
pub(crate) const TOLD_CURSOR: &str = "alert/told";
/// Changes taken in at once.
const CHANGES_PER_PASS: usize = 1_000;
/// Held alerts looked at: as many as exporters of a data centre that goes dark.
const MAX_HELD: usize = 100_000;
/// Held alerts are looked at again so often, in milliseconds: whether others still answer is known with each scrape.
const LOOK_AGAIN_MILLIS: i64 = 15_000;

/// The alert room.
pub struct AlertRoom {
    store: Store,
    config: AlertConfig,
    metrics: Arc<AlertMetrics>,
}

impl AlertRoom {
    /// A room over a store.
    pub fn new(store: Store, config: AlertConfig) -> Self {
        Self { store, config, metrics: Arc::default() }
    }

    /// Its counters.
    pub fn metrics(&self) -> Arc<AlertMetrics> {
        self.metrics.clone()
    }
}

/// Whether somebody is told of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holding {
    /// Somebody has to know.
    Tell,
    /// Nobody yet: until when, and why.
    Held(Timestamp, String),
}

/// A change, and what is to be done about it where it says that somebody is away.
struct Judged {
    change: FaultChange,
    holding: Option<Holding>,
}

impl Judged {
    fn of(read: &ReadTx, change: FaultChange, now: Timestamp, config: &AlertConfig) -> Result<Self, ReadError> {
        if !change.active || !away::is_away(&change.code) {
            return Ok(Self { change, holding: None });
        }
        let services = away::services_of(read, &change.code, &change.entity, now)?;
        let holding = Some(away::judge(change.at, now, &services, config));
        Ok(Self { change, holding })
    }
}

/// Applies one change; whether an alert changed.
fn take(tx: &mut WriteTx<'_>, Judged { change, holding }: &Judged) -> Result<bool, WriteError> {
    let entity = followed(tx, change.entity.clone())?;
    let source = change.source_key();
    let by_identity = rules::fingerprint(&change.code, &entity, &change.telling);
    let known = tx.get::<SourceAlert>(&source)?.map(|record| record.fingerprint);
    let fingerprint = match known {
        // A fault that lasts stays the alert it is, though its entity may have got another id meanwhile.
        Some(known) if known != by_identity => {
            let sources = tx.get::<AlertSources>(&known.0)?;
            if sources.is_some_and(|sources| sources.active.contains(&source)) { known } else { by_identity }
        }
        _ => by_identity,
    };
    let alert = tx.get::<Alert>(&fingerprint.0)?;
    let known_sources = tx.get::<AlertSources>(&fingerprint.0)?;
    let mut sources =
        known_sources.clone().unwrap_or(AlertSources { fingerprint: fingerprint.clone(), active: vec![] });
    let fires = alert.as_ref().is_some_and(is_firing);
    let held = tx.get::<HeldAlert>(&fingerprint.0)?;
    // One that fires and was told is not taken back.
    let mild = match holding {
        Some(Holding::Held(until, why)) if !fires || held.is_some() => Some((*until, why)),
        _ => None,
    };
    let severity = if mild.is_some() { Severity::Info } else { change.severity };
    let next = rules::apply(alert, &mut sources, &FaultChange { severity, ..change.clone() }, &entity);
    hold(tx, &fingerprint, change, mild, held)?;
    if known_sources.as_ref() != Some(&sources) {
        tx.put(&sources)?;
        tx.put(&SourceAlert { source, fingerprint })?;
    }
    let Some(alert) = next else { return Ok(false) };
    tx.put(&alert)?;
    tx.append(&AlertChange { alert })?;
    Ok(true)
}

/// Notes that nobody is told of an alert, or that this is over.
fn hold(
    tx: &mut WriteTx<'_>,
    fingerprint: &Fingerprint,
    change: &FaultChange,
    mild: Option<(Timestamp, &String)>,
    held: Option<HeldAlert>,
) -> Result<(), WriteError> {
    match (mild, held) {
        (Some((until, why)), held) => {
            let since = held.as_ref().map_or(change.at, |held| held.since);
            let severity = held.as_ref().map_or(change.severity, |held| held.severity.max(change.severity));
            let until = held.as_ref().map_or(until, |held| held.until);
            tx.put(&HeldAlert { fingerprint: fingerprint.clone(), since, until, severity, why: why.clone() })
        }
        (None, Some(held)) if change.active => tx.remove::<HeldAlert>(&held.fingerprint.0),
        (None, _) => Ok(()),
    }
}

/// Looks at a held alert again: it is over, goes on being held, or is told now. Whether the alert changed.
fn look_again(tx: &mut WriteTx<'_>, held: &HeldAlert, holding: &Holding, now: Timestamp) -> Result<bool, WriteError> {
    let key = &held.fingerprint.0;
    let Some(alert) = tx.get::<Alert>(key)?.filter(is_firing) else {
        tx.remove::<HeldAlert>(key)?;
        return Ok(false);
    };
    match holding {
        Holding::Held(_, why) if *why == held.why => Ok(false),
        Holding::Held(_, why) => tx.put(&HeldAlert { why: why.clone(), ..held.clone() }).map(|()| false),
        Holding::Tell => {
            tx.remove::<HeldAlert>(key)?;
            let alert = Alert { severity: held.severity, changed_at: now.max(alert.changed_at), ..alert };
            tx.put(&alert)?;
            tx.append(&AlertChange { alert })?;
            Ok(true)
        }
    }
}

impl Room for AlertRoom {
    fn name(&self) -> &'static str {
        "alert"
    }

    async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let (faults, told, ended) = (self.faults(now).await?, self.told(now).await?, self.ended(now).await?);
        // What is blamed is told before what is felt of it.
        let blamed = self.blamed(now).await?;
        Ok(faults.and(told).and(ended).and(blamed).and(self.held(now).await?))
    }
}

impl AlertRoom {
    /// Takes fault changes in.
    async fn faults(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let (found, through) = {
            let read = self.store.read()?;
            let found = read.log_after::<FaultChange>(read.cursor(CURSOR)?, CHANGES_PER_PASS)?;
            let Some((through, _)) = found.last() else { return Ok(Progress::default()) };
            let through = *through;
            let judged = found.into_iter().map(|(_, change)| Judged::of(&read, change, now, &self.config));
            (judged.collect::<Result<Vec<Judged>, ReadError>>()?, through)
        };
        let count = found.len();
        let changed = self
            .store
            .write(move |tx| {
                let mut changed = 0;
                for judged in &found {
                    changed += u64::from(take(tx, judged)?);
                }
                tx.set_cursor(CURSOR, through)?;
                Ok(changed)
            })
            .await?;
        self.metrics.faults.add(count as u64);
        self.metrics.changes.add(changed);
        Ok(Progress { worked: true, more: count == CHANGES_PER_PASS, wake_at: None })
    }

    /// Looks at those of which nobody is told yet.
    async fn held(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let looked = {
            let read = self.store.read()?;
            let mut looked = Vec::new();
            for held in read.scan::<HeldAlert>(.., MAX_HELD)? {
                let holding = match read.get::<Alert>(&held.fingerprint.0)?.filter(is_firing) {
                    Some(alert) if alert.source == OBJECTIVES => {
                        blamed::judge(held.since, now, blamed::is_settled(&read, &alert.labels)?)
                    }
                    Some(alert) => {
                        let services = away::services_of(&read, &alert.code, &alert.entity, now)?;
                        away::judge(held.since, now, &services, &self.config)
                    }
                    None => Holding::Tell,
                };
                looked.push((held, holding));
            }
            looked
        };
        self.metrics.held.set(looked.len() as u64);
        let next = looked.iter().map(|(held, _)| held.until.min(now.plus_millis(LOOK_AGAIN_MILLIS))).min();
        let stays =
            |(held, holding): &(HeldAlert, Holding)| matches!(holding, Holding::Held(_, why) if *why == held.why);
        if looked.iter().all(stays) {
            return Ok(Progress { wake_at: next, ..Progress::default() });
        }
        let changed = self
            .store
            .write(move |tx| {
                let mut changed = 0;
                for (held, holding) in &looked {
                    changed += u64::from(look_again(tx, held, holding, now)?);
                }
                Ok(changed)
            })
            .await?;
        self.metrics.changes.add(changed);
        Ok(Progress { worked: true, more: false, wake_at: next })
    }

    /// Takes in what others tell.
    async fn told(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let found = {
            let read = self.store.read()?;
            read.log_after::<ToldAlert>(read.cursor(TOLD_CURSOR)?, CHANGES_PER_PASS)?
        };
        let Some((through, _)) = found.last() else { return Ok(Progress::default()) };
        let (through, count) = (*through, found.len());
        let changed = self
            .store
            .write(move |tx| {
                let mut changed = 0;
                for (_, alert) in &found {
                    changed += u64::from(told::take(tx, alert, now)?);
                }
                tx.set_cursor(TOLD_CURSOR, through)?;
                Ok(changed)
            })
            .await?;
        self.metrics.told.add(count as u64);
        self.metrics.changes.add(changed);
        Ok(Progress { worked: true, more: count == CHANGES_PER_PASS, wake_at: None })
    }

    /// Lets what the verdict blames have an alert, and ends those of what it no longer does.
    async fn blamed(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let moves = Moves::find(&self.store.read()?)?;
        if moves.is_empty() {
            return Ok(Progress::default());
        }
        let changed = self.store.write(move |tx| moves.write(tx, now)).await?;
        self.metrics.changes.add(changed);
        Ok(Progress { worked: true, ..Progress::default() })
    }

    /// Ends what others told and did not tell again in time.
    async fn ended(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let (over, next) = told::overdue(&self.store.read()?, now)?;
        if over.is_empty() {
            return Ok(Progress { wake_at: next, ..Progress::default() });
        }
        let changed = self
            .store
            .write(move |tx| {
                let mut changed = 0;
                for told in &over {
                    changed += u64::from(told::expire(tx, told)?);
                }
                Ok(changed)
            })
            .await?;
        self.metrics.changes.add(changed);
        Ok(Progress { worked: true, more: true, wake_at: next })
    }
}

/// Whether an alert is one that may open an incident now.
pub(crate) fn is_firing(alert: &Alert) -> bool {
    alert.state == AlertState::Firing
}
