//! The correlate room: alerts with one cause become one incident, with causes ranked by the correlator and findings as
//! evidence; incidents follow their alerts through resolution and return. Where no correlator is at work, each alert is its
//! own incident, and its story says so.

mod act;
mod config;
mod incidents;
mod metrics;
mod query;
mod rules;
mod session;
mod tables;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use rules::tests as fixtures;

pub use act::{ActError, PersonAction, act};
pub use config::CorrelateConfig;
pub use metrics::CorrelateMetrics;

use crate::room::{Progress, Room, RoomError};
use incidents::{Context, PASS_THROUGH};
use query::Topology;
use session::Session;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tandem_domain::{
    Timestamp,
    alert::{Alert, AlertChange},
    incident::{Incident, IncidentStatus},
    ports::{Correlators, Grouping},
};
use tandem_store::Store;

/// The reader that settles incidents.
pub(crate) const LIFECYCLE_CURSOR: &str = "correlate/lifecycle";
/// The reader that passes alerts through.
pub(crate) const PASS_CURSOR: &str = "correlate/pass-through";
/// Changes of alerts taken in at once.
const CHANGES_PER_PASS: usize = 500;
/// Incidents looked through at start for active ones.
const INCIDENTS_AT_START: usize = 100_000;

/// The correlate room.
pub struct CorrelateRoom {
    store: Store,
    correlators: Arc<dyn Correlators>,
    config: CorrelateConfig,
    metrics: Arc<CorrelateMetrics>,
    sessions: BTreeMap<String, Session>,
    topology: Arc<Topology>,
    /// Active incidents and when they are to be looked at without a change; none before the first pass.
    active: Option<BTreeMap<u64, Timestamp>>,
    /// Since when no correlator is live.
    alone_since: Option<Timestamp>,
}

impl CorrelateRoom {
    /// A room over a store.
    pub fn new(store: Store, correlators: Arc<dyn Correlators>, config: CorrelateConfig) -> Self {
        Self {
            store,
            correlators,
            config,
            metrics: Arc::default(),
            sessions: BTreeMap::new(),
            topology: Arc::default(),
            active: None,
            alone_since: None,
        }
    }

    /// Its counters.
    pub fn metrics(&self) -> Arc<CorrelateMetrics> {
        self.metrics.clone()
    }

    fn follow_live(&mut self, now: Timestamp) {
        let live = self.correlators.correlators();
        self.sessions.retain(|_, session| live.contains(session.plugin()));
        for plugin in &live {
            self.sessions.entry(plugin.name.clone()).or_insert_with(|| Session::new(plugin.clone()));
        }
        self.alone_since = if live.is_empty() { self.alone_since.or(Some(now)) } else { None };
    }

    async fn sessions(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let mut progress = Progress::default();
        let active: Vec<u64> = self.active.iter().flatten().map(|(id, _)| *id).collect();
        for session in self.sessions.values_mut() {
            let step = session.step(&self.store, self.correlators.as_ref(), &self.topology, &self.config, &active, now);
            let updated = step.await?;
            progress = progress.and(updated.progress);
            let due = updated.touched.into_iter().map(|id| (id, now));
            self.active.get_or_insert_default().extend(due);
        }
        let failing = self.sessions.values().filter(|session| session.failing.is_some()).count();
        self.metrics.failing.set(failing as u64);
        Ok(progress)
    }

    /// Since when and why alerts are passed through; none while a correlator is at work.
    fn want_of_correlator(&self) -> Option<(Timestamp, String)> {
        if let Some(since) = self.alone_since {
            return Some((since, "No correlator is live, so each alert is an incident of its own.".into()));
        }
        let failing: Vec<_> = self.sessions.values().map(|session| (session, session.failing.as_ref())).collect();
        let (session, (since, failure)) = failing.iter().find_map(|(session, failing)| Some((session, (*failing)?)))?;
        let all_fail = failing.iter().all(|(_, failing)| failing.is_some());
        let name = &session.plugin().name;
        let text = format!("The correlator {name} fails ({failure}), so each alert is an incident of its own.");
        all_fail.then_some((*since, text))
    }

    /// Alerts that no correlator takes in become incidents of their own, after some patience.
    async fn pass_through(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let covered = self.sessions.values().map(Session::alerts_through).max().unwrap_or(0);
        let found = {
            let read = self.store.read()?;
            read.log_after::<AlertChange>(read.cursor(PASS_CURSOR)?, CHANGES_PER_PASS)?
        };
        let Some((through, _)) = found.last() else { return Ok(Progress::default()) };
        let through = *through;
        let more = found.len() == CHANGES_PER_PASS;
        let left: Vec<Alert> =
            found.into_iter().filter(|(sequence, _)| *sequence > covered).map(|(_, change)| change.alert).collect();
        let mut remark = None;
        if !left.is_empty() {
            let Some((since, text)) = self.want_of_correlator() else {
                // A correlator is at work and will take them in.
                return Ok(Progress::default());
            };
            let due = since.plus_millis(self.config.patience_seconds as i64 * 1_000);
            if now < due {
                return Ok(Progress { wake_at: Some(due), ..Progress::default() });
            }
            remark = Some(text);
        }
        let groupings: Vec<Grouping> = left.iter().filter(|alert| rules::opens(alert)).map(alone).collect();
        self.metrics.passed_through.add(groupings.len() as u64);
        let (topology, config) = (self.topology.clone(), self.config.clone());
        let context = Context { correlator: PASS_THROUGH.into(), topology, config, now, remark };
        let touched = self
            .store
            .write(move |tx| {
                let touched = incidents::take_groupings(tx, &context, &groupings)?;
                tx.set_cursor(PASS_CURSOR, through)?;
                Ok(touched)
            })
            .await?;
        self.active.get_or_insert_default().extend(touched.into_iter().map(|id| (id, now)));
        Ok(Progress { worked: true, more, wake_at: None })
    }

    /// Incidents follow their alerts.
    async fn lifecycle(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let found = {
            let read = self.store.read()?;
            read.log_after::<AlertChange>(read.cursor(LIFECYCLE_CURSOR)?, CHANGES_PER_PASS)?
        };
        let mut progress = Progress::default();
        if let Some((through, _)) = found.last() {
            let (through, config) = (*through, self.config.clone());
            progress.more = found.len() == CHANGES_PER_PASS;
            progress.worked = true;
            let touched = self
                .store
                .write(move |tx| {
                    let mut touched = BTreeSet::new();
                    for (_, change) in &found {
                        touched.extend(incidents::take_alert(tx, change, now, &config)?);
                    }
                    tx.set_cursor(LIFECYCLE_CURSOR, through)?;
                    Ok(touched)
                })
                .await?;
            self.active.get_or_insert_default().extend(touched.into_iter().map(|id| (id, now)));
        }
        Ok(progress.and(self.look_again(now).await?))
    }

    /// Looks at active incidents whose time has come.
    async fn look_again(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let mut progress = Progress::default();
        let active = self.active.get_or_insert_default();
        let due: Vec<u64> =
            active.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).take(CHANGES_PER_PASS).collect();
        if !due.is_empty() {
            let config = self.config.clone();
            let looked = self
                .store
                .write(move |tx| {
                    let mut looked = Vec::with_capacity(due.len());
                    for id in due {
                        let later = incidents::look_again(tx, id, now, &config)?;
                        let is_active = tx.get::<Incident>(&id)?.is_some_and(|incident| incident.status.is_active());
                        looked.push((id, is_active, later));
                    }
                    Ok(looked)
                })
                .await?;
            for (id, is_active, later) in looked {
                if is_active {
                    active.insert(id, later.unwrap_or(Timestamp::MAX));
                } else {
                    active.remove(&id);
                }
            }
        }
        self.metrics.active.set(active.len() as u64);
        if let Some(next) = active.values().min().filter(|next| **next < Timestamp::MAX) {
            progress.wake(*next);
        }
        Ok(progress)
    }
}

/// An alert as a grouping of its own.
fn alone(alert: &Alert) -> Grouping {
    Grouping {
        key: alert.fingerprint.0.clone(),
        title: alert.title.clone(),
        fingerprints: vec![alert.fingerprint.0.clone()],
        findings: Vec::new(),
        causes: Vec::new(),
        merged_into: None,
    }
}

impl Room for CorrelateRoom {
    fn name(&self) -> &'static str {
        "correlate"
    }

    async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        if self.active.is_none() {
            let known = self.store.read()?.scan_back::<Incident>(.., INCIDENTS_AT_START)?;
            let active = known.into_iter().filter(|incident| incident.status != IncidentStatus::Resolved);
            self.active = Some(active.map(|incident| (incident.id, now)).collect());
        }
        self.follow_live(now);
        self.topology = Topology::current(&self.topology, &self.store).await?;
        let progress = self.sessions(now).await?;
        let progress = progress.and(self.pass_through(now).await?);
        Ok(progress.and(self.lifecycle(now).await?))
    }
}
