//! The alert room: changes of faults, and what others tell, become alerts with an identity that outlives their changes of state.

mod metrics;
pub(crate) mod rules;
mod tables;
#[cfg(test)]
mod tests;
pub mod told;

pub use metrics::AlertMetrics;
pub use rules::fingerprint;

use crate::{
    map::topology::followed,
    room::{Progress, Room, RoomError},
    signal::FaultChange,
};
use std::sync::Arc;
use tables::{AlertSources, SourceAlert};
use tandem_domain::{
    Timestamp,
    alert::{Alert, AlertChange, AlertState, ToldAlert},
};
use tandem_store::{Store, WriteError, WriteTx};

/// The reader of fault changes.
pub(crate) const CURSOR: &str = "alert/faults";
/// The reader of alerts that others tell.
pub(crate) const TOLD_CURSOR: &str = "alert/told";
/// Changes taken in at once.
const CHANGES_PER_PASS: usize = 1_000;

/// The alert room.
pub struct AlertRoom {
    store: Store,
    metrics: Arc<AlertMetrics>,
}

impl AlertRoom {
    /// A room over a store.
    pub fn new(store: Store) -> Self {
        Self { store, metrics: Arc::default() }
    }

    /// Its counters.
    pub fn metrics(&self) -> Arc<AlertMetrics> {
        self.metrics.clone()
    }
}

/// Applies one change; whether an alert changed.
fn take(tx: &mut WriteTx<'_>, change: &FaultChange) -> Result<bool, WriteError> {
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
    let next = rules::apply(alert, &mut sources, change, &entity);
    if known_sources.as_ref() != Some(&sources) {
        tx.put(&sources)?;
        tx.put(&SourceAlert { source, fingerprint })?;
    }
    let Some(alert) = next else { return Ok(false) };
    tx.put(&alert)?;
    tx.append(&AlertChange { alert })?;
    Ok(true)
}

impl Room for AlertRoom {
    fn name(&self) -> &'static str {
        "alert"
    }

    async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let (faults, told, ended) = (self.faults().await?, self.told(now).await?, self.ended(now).await?);
        Ok(faults.and(told).and(ended))
    }
}

impl AlertRoom {
    /// Takes fault changes in.
    async fn faults(&mut self) -> Result<Progress, RoomError> {
        let found = {
            let read = self.store.read()?;
            read.log_after::<FaultChange>(read.cursor(CURSOR)?, CHANGES_PER_PASS)?
        };
        let Some((through, _)) = found.last() else { return Ok(Progress::default()) };
        let (through, count) = (*through, found.len());
        let changed = self
            .store
            .write(move |tx| {
                let mut changed = 0;
                for (_, change) in &found {
                    changed += u64::from(take(tx, change)?);
                }
                tx.set_cursor(CURSOR, through)?;
                Ok(changed)
            })
            .await?;
        self.metrics.faults.add(count as u64);
        self.metrics.changes.add(changed);
        Ok(Progress { worked: true, more: count == CHANGES_PER_PASS, wake_at: None })
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
