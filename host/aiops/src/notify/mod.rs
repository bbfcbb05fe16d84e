//! The notify room: each receiver is told when incidents open, come back and resolve, at least once, in order, and at its own
//! pace: every receiver has a cursor and a loop of its own, so that one that is dead holds up nobody else.

mod config;
mod metrics;
mod rules;
mod tables;
#[cfg(test)]
mod tests;

pub use config::ReceiverConfig;
pub use metrics::NotifyMetrics;
pub use rules::NotifiedEvent;
pub use tables::ReceiverState;

use crate::{
    map::topology::followed_by,
    room::{Progress, Room, RoomError, backoff_millis},
};
use rules::{MAX_ALERTS, MAX_ENTITIES, Notification};
use std::{sync::Arc, time::Duration};
use tandem_domain::{
    Failure, Timestamp,
    alert::Alert,
    http::{HttpClient, HttpGrant, HttpRequest},
    incident::{Incident, IncidentChange},
};
use tandem_store::{ReadError, ReadTx, Store};

/// Changes looked at in one pass; at most one of them is delivered.
const CHANGES_PER_PASS: usize = 100;
/// First wait before a delivery is tried again.
const RETRY_BASE_MILLIS: i64 = 1_000;
/// Longest such wait: a receiver that comes back hears of it within five minutes.
const RETRY_CAP_MILLIS: i64 = 300_000;
/// Tries of a delivery that the receiver refuses for good; a proxy in front of it may have answered while it restarted.
const TRIES_OF_REFUSED: u32 = 3;
/// Longest answer read; nothing in it is used.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// One receiver.
pub struct NotifyRoom {
    store: Store,
    http: Arc<dyn HttpClient>,
    name: String,
    config: ReceiverConfig,
    console_url: String,
    metrics: Arc<NotifyMetrics>,
    state: Option<ReceiverState>,
}

/// A notification that waits.
struct Waiting {
    sequence: u64,
    change: IncidentChange,
    body: Vec<u8>,
    idempotency_id: String,
}

impl NotifyRoom {
    /// A receiver over a store. `console_url` is where people look at incidents.
    pub fn new(
        store: Store,
        http: Arc<dyn HttpClient>,
        name: String,
        config: ReceiverConfig,
        console_url: String,
        metrics: Arc<NotifyMetrics>,
    ) -> Self {
        Self { store, http, name, config, console_url, metrics, state: None }
    }

    /// The receiver's state; a new receiver is not told of what happened before it was there.
    async fn load(&mut self) -> Result<ReceiverState, RoomError> {
        if let Some(state) = &self.state {
            return Ok(state.clone());
        }
        let state = self.store.read()?.get::<ReceiverState>(&self.name)?;
        let state = match state {
            Some(state) => state,
            None => {
                let through = self.store.read()?.log_end::<IncidentChange>()?;
                let state = ReceiverState {
                    name: self.name.clone(),
                    through,
                    failures: 0,
                    retry_at: None,
                    failure: None,
                    delivered_at: None,
                    delivered: 0,
                    given_up: 0,
                };
                self.keep(state.clone()).await?;
                state
            }
        };
        self.state = Some(state.clone());
        Ok(state)
    }

    async fn keep(&mut self, state: ReceiverState) -> Result<(), RoomError> {
        let kept = state.clone();
        self.store.write(move |tx| tx.put(&kept)).await?;
        self.state = Some(state);
        Ok(())
    }

    /// The next notification, and up to where nothing has to be told.
    fn next(&self, read: &ReadTx, through: u64) -> Result<(u64, Option<Waiting>, bool), ReadError> {
        let found = read.log_after::<IncidentChange>(through, CHANGES_PER_PASS)?;
        let more = found.len() == CHANGES_PER_PASS;
        let mut through = through;
        for (sequence, change) in found {
            if let Some(event) = rules::event_of(change.status)
                && let Some(incident) = read.get::<Incident>(&change.incident)?
                && incident.severity >= self.config.min_severity
            {
                let idempotency_id = format!("{}-{sequence}", incident.id);
                let body = self.body(read, &incident, event, &change, &idempotency_id)?;
                return Ok((through, Some(Waiting { sequence, change, body, idempotency_id }), true));
            }
            through = sequence;
        }
        Ok((through, None, more))
    }

    fn body(
        &self,
        read: &ReadTx,
        incident: &Incident,
        event: NotifiedEvent,
        change: &IncidentChange,
        idempotency_id: &str,
    ) -> Result<Vec<u8>, ReadError> {
        let (mut alerts, mut entities) = (Vec::new(), Vec::new());
        for fingerprint in incident.alerts.iter().take(MAX_ALERTS) {
            alerts.extend(read.get::<Alert>(&fingerprint.0)?);
        }
        for id in incident.entities.iter().take(MAX_ENTITIES) {
            entities.extend(followed_by(read, id)?);
        }
        let notification = Notification {
            event,
            status: change.status,
            idempotency_id,
            incident,
            alerts: &alerts,
            entities: &entities,
            console_url: &self.console_url,
        };
        Ok(rules::body(&notification).to_string().into_bytes())
    }

    async fn deliver(&self, waiting: &Waiting) -> Result<(), Failure> {
        let own = [("content-type", "application/json"), ("idempotency-key", waiting.idempotency_id.as_str())];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let given = self.config.headers.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec()));
        let request = HttpRequest {
            method: "POST".into(),
            url: self.config.url.clone(),
            headers: own.chain(given).collect(),
            body: waiting.body.clone(),
            timeout: Duration::from_secs(self.config.timeout_seconds),
            max_response_bytes: MAX_ANSWER_BYTES,
            follow_redirects: false,
        };
        let grant = HttpGrant { allow: self.config.authority().into_iter().collect(), ..HttpGrant::default() };
        rules::outcome_of(self.http.send(&grant, request).await?.status)
    }

    async fn fail(
        &mut self,
        state: ReceiverState,
        waiting: Waiting,
        failure: Failure,
        now: Timestamp,
    ) -> Result<Progress, RoomError> {
        self.metrics.failed.add(1);
        let failures = state.failures.saturating_add(1);
        let too_old = now.millis_since(waiting.change.at) > self.config.retry_hours as i64 * 3_600_000;
        if too_old || (!failure.retry && failures >= TRIES_OF_REFUSED) {
            tracing::error!(
                receiver = self.name,
                incident = waiting.change.incident,
                "a notification is given up: {failure}"
            );
            self.metrics.given_up.add(1);
            let given_up = state.given_up + 1;
            let state = ReceiverState {
                through: waiting.sequence,
                failures: 0,
                retry_at: None,
                failure: Some(failure),
                given_up,
                ..state
            };
            self.keep(state).await?;
            return Ok(Progress { worked: true, more: true, wake_at: None });
        }
        let retry_at = now.plus_millis(backoff_millis(failures, RETRY_BASE_MILLIS, RETRY_CAP_MILLIS));
        tracing::warn!(
            receiver = self.name,
            incident = waiting.change.incident,
            failures,
            "a notification failed: {failure}"
        );
        let state = ReceiverState { failures, retry_at: Some(retry_at), failure: Some(failure), ..state };
        self.keep(state).await?;
        Ok(Progress { worked: true, more: false, wake_at: Some(retry_at) })
    }
}

impl Room for NotifyRoom {
    fn name(&self) -> &'static str {
        "notify"
    }

    async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        let state = self.load().await?;
        if let Some(at) = state.retry_at.filter(|at| *at > now) {
            return Ok(Progress { wake_at: Some(at), ..Progress::default() });
        }
        let (through, waiting, more) = self.next(&self.store.read()?, state.through)?;
        let Some(waiting) = waiting else {
            if through > state.through {
                self.keep(ReceiverState { through, retry_at: None, ..state }).await?;
                return Ok(Progress { worked: true, more, wake_at: None });
            }
            return Ok(Progress::default());
        };
        match self.deliver(&waiting).await {
            Ok(()) => {
                self.metrics.delivered.add(1);
                let state = ReceiverState {
                    through: waiting.sequence,
                    failures: 0,
                    retry_at: None,
                    failure: None,
                    delivered_at: Some(now),
                    delivered: state.delivered + 1,
                    ..state
                };
                self.keep(state).await?;
                Ok(Progress { worked: true, more: true, wake_at: None })
            }
            Err(failure) => self.fail(state, waiting, failure, now).await,
        }
    }
}

/// How the receivers fare, for the API.
///
/// # Errors
/// When the store cannot be read.
pub fn receivers(store: &Store, limit: usize) -> Result<Vec<ReceiverState>, ReadError> {
    store.read()?.scan::<ReceiverState>(.., limit)
}
