//! One correlator under way: its session, opened from its last state, fed with what changed.

use super::{
    config::CorrelateConfig,
    incidents::{self, Context},
    query::{StoreQuery, Topology},
    rules::is_change,
    tables::CorrelatorState,
};
use crate::{
    room::{Progress, RoomError, backoff_millis},
    signal::FindingChange,
};
use std::sync::Arc;
use tandem_domain::{
    Failure, Timestamp,
    alert::{Alert, AlertChange},
    event::Event,
    ports::{CorrelationDelta, CorrelatorSession, Correlators, LivePlugin},
};
use tandem_store::Store;

/// Records of each kind in one update.
const RECORDS_PER_UPDATE: usize = 500;
/// Firing alerts told to a session that starts afresh.
const MAX_ALERTS_AT_START: usize = 100_000;
/// Tries with the last state, where it seems to be the plugin that fails; then it starts without.
const TRIES_WITH_STATE: u32 = 5;
/// First wait before a session is opened again.
const RETRY_BASE_MILLIS: i64 = 1_000;
/// Longest such wait.
const RETRY_CAP_MILLIS: i64 = 300_000;

/// One correlator.
pub struct Session {
    plugin: LivePlugin,
    session: Option<Box<dyn CorrelatorSession>>,
    state: CorrelatorState,
    /// How far changes of alerts are in incidents that are written.
    taken_in: u64,
    /// Alerts to be told first: those that fire when a session starts without a state.
    first: Vec<Alert>,
    failures: u32,
    retry_at: Timestamp,
    /// Since when it fails, and why.
    pub failing: Option<(Timestamp, Failure)>,
}

/// What one update brought.
pub struct Updated {
    /// What is left to do.
    pub progress: Progress,
    /// Incidents that were touched.
    pub touched: Vec<u64>,
}

impl Session {
    /// Not open yet.
    pub fn new(plugin: LivePlugin) -> Self {
        let (name, digest) = (plugin.name.clone(), plugin.digest.clone());
        let state = CorrelatorState { plugin: name, digest, state: None, alerts: 0, findings: 0, events: 0 };
        Self {
            plugin,
            session: None,
            state,
            taken_in: 0,
            first: vec![],
            failures: 0,
            retry_at: Timestamp::MIN,
            failing: None,
        }
    }

    /// Which plugin, at which digest.
    pub fn plugin(&self) -> &LivePlugin {
        &self.plugin
    }

    /// How far changes of alerts are in incidents that are written.
    pub fn alerts_through(&self) -> u64 {
        self.taken_in
    }

    fn failed(&mut self, failure: Failure, now: Timestamp) -> Progress {
        self.session = None;
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.plus_millis(backoff_millis(self.failures, RETRY_BASE_MILLIS, RETRY_CAP_MILLIS));
        tracing::warn!(plugin = self.plugin.name, "the session is given up and will be opened again: {failure}");
        let since = self.failing.as_ref().map_or(now, |(since, _)| *since);
        self.failing = Some((since, failure));
        Progress { worked: true, more: false, wake_at: Some(self.retry_at) }
    }

    /// Opens the session from its last state; afresh when the state is refused.
    async fn open(
        &mut self,
        store: &Store,
        correlators: &dyn Correlators,
        active: &[u64],
    ) -> Result<Result<(), Failure>, RoomError> {
        let known = store.read()?.get::<CorrelatorState>(&self.plugin.name)?;
        if let Some(known) = known.filter(|known| known.state.is_some()) {
            match correlators.open(&self.plugin.name, known.state.clone()).await {
                Ok(session) => {
                    self.session = Some(session);
                    self.state = CorrelatorState { digest: self.plugin.digest.clone(), ..known };
                    self.taken_in = self.state.alerts;
                    self.first.clear();
                    return Ok(Ok(()));
                }
                Err(failure) if failure.retry && self.failures < TRIES_WITH_STATE => return Ok(Err(failure)),
                Err(failure) => tracing::warn!(plugin = self.plugin.name, "starts afresh: {failure}"),
            }
        }
        let session = match correlators.open(&self.plugin.name, None).await {
            Ok(session) => session,
            Err(failure) => return Ok(Err(failure)),
        };
        self.session = Some(session);
        {
            let read = store.read()?;
            let alerts = read.scan::<Alert>(.., MAX_ALERTS_AT_START)?;
            self.first = alerts.into_iter().filter(crate::alert::is_firing).collect();
            self.state.alerts = read.log_end::<AlertChange>()?;
            self.state.findings = read.log_end::<FindingChange>()?;
            self.state.events = read.log_end::<Event>()?;
        }
        if self.first.is_empty() {
            self.taken_in = self.state.alerts;
        }
        let (name, active) = (self.plugin.name.clone(), active.to_vec());
        store.write(move |tx| incidents::orphan(tx, &name, &active)).await?;
        Ok(Ok(()))
    }

    fn delta(&mut self, store: &Store, now: Timestamp) -> Result<(CorrelationDelta, CorrelatorState, bool), RoomError> {
        let read = store.read()?;
        let mut next = self.state.clone();
        let alerts = read.log_after::<AlertChange>(next.alerts, RECORDS_PER_UPDATE)?;
        let findings = read.log_after::<FindingChange>(next.findings, RECORDS_PER_UPDATE)?;
        let events = read.log_after::<Event>(next.events, RECORDS_PER_UPDATE)?;
        let more = [alerts.len(), findings.len(), events.len()].contains(&RECORDS_PER_UPDATE);
        next.alerts = alerts.last().map_or(next.alerts, |(sequence, _)| *sequence);
        next.findings = findings.last().map_or(next.findings, |(sequence, _)| *sequence);
        next.events = events.last().map_or(next.events, |(sequence, _)| *sequence);
        let first = self.first.iter().cloned();
        let delta = CorrelationDelta {
            now,
            alerts: first.chain(alerts.into_iter().map(|(_, change)| change.alert)).collect(),
            findings: findings.into_iter().map(|(_, change)| change.finding).collect(),
            changes: events.into_iter().map(|(_, event)| event).filter(|event| is_change(&event.code)).collect(),
            feedback: Vec::new(),
        };
        Ok((delta, next, more))
    }

    /// Feeds what changed, and writes the incidents that come of it with the session's state.
    ///
    /// # Errors
    /// When the store fails. A failing correlator is noted, and opened again later.
    pub async fn step(
        &mut self,
        store: &Store,
        correlators: &dyn Correlators,
        topology: &Arc<Topology>,
        config: &CorrelateConfig,
        active: &[u64],
        now: Timestamp,
    ) -> Result<Updated, RoomError> {
        let updated = |progress| Updated { progress, touched: Vec::new() };
        if self.session.is_none() {
            if now < self.retry_at {
                return Ok(updated(Progress { wake_at: Some(self.retry_at), ..Progress::default() }));
            }
            if let Err(failure) = self.open(store, correlators, active).await? {
                return Ok(updated(self.failed(failure, now)));
            }
        }
        let (delta, next, more) = self.delta(store, now)?;
        if delta.alerts.is_empty() && delta.findings.is_empty() && delta.changes.is_empty() {
            // Events that are no changes are passed over without asking; the state saved next says so.
            self.state = next;
            return Ok(updated(Progress { more, ..Progress::default() }));
        }
        let Some(session) = &mut self.session else { return Ok(updated(Progress::default())) };
        let query = Arc::new(StoreQuery::new(store, topology.clone())?);
        let answered = match session.update(delta, query).await {
            Ok(groupings) => session.snapshot().await.map(|state| (groupings, state)),
            Err(failure) => Err(failure),
        };
        let (groupings, state) = match answered {
            Ok(answered) => answered,
            Err(failure) => return Ok(updated(self.failed(failure, now))),
        };
        let next = CorrelatorState { state: Some(state), ..next };
        let context = Context {
            correlator: self.plugin.name.clone(),
            topology: topology.clone(),
            config: config.clone(),
            now,
            remark: None,
        };
        let saved = next.clone();
        let written = store
            .write(move |tx| {
                let touched = incidents::take_groupings(tx, &context, &groupings)?;
                tx.put(&saved)?;
                Ok(touched)
            })
            .await;
        let touched = match written {
            Ok(touched) => touched,
            Err(error) => {
                // The session is ahead of what is written: it goes back to its last state.
                self.session = None;
                return Err(error.into());
            }
        };
        self.taken_in = next.alerts;
        self.state = next;
        self.first.clear();
        self.failures = 0;
        self.failing = None;
        Ok(Updated { progress: Progress { worked: true, more, wake_at: None }, touched })
    }
}
