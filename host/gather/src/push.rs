//! Payloads pushed to collectors.

use crate::{
    GatherMetrics, Recorded, collect,
    intake::{self, Known, Outcome},
};
use std::{collections::HashMap, sync::Arc};
use tandem_domain::{
    Failure, FailureCode,
    ports::{Collectors, Payload},
    series::Labels,
    target::{Door, TargetInfo, TargetKey},
    time::Clock,
};
use tandem_store::Store;
use tokio::sync::Mutex;

/// Takes payloads in; one at a time per plugin.
pub struct Receiver {
    store: Store,
    collectors: Arc<dyn Collectors>,
    clock: Arc<dyn Clock>,
    metrics: Arc<GatherMetrics>,
    known: Mutex<HashMap<String, Arc<Mutex<Known>>>>,
}

impl Receiver {
    /// A receiver for all live collectors.
    pub fn new(
        store: Store,
        collectors: Arc<dyn Collectors>,
        clock: Arc<dyn Clock>,
        metrics: Arc<GatherMetrics>,
    ) -> Self {
        Self { store, collectors, clock, metrics, known: Mutex::default() }
    }

    /// Hands a payload to a collector and commits what it makes of it.
    ///
    /// # Errors
    /// When there is no such collector, it refuses the payload, or the store cannot be written; nothing is kept then.
    pub async fn receive(&self, plugin: &str, payload: Payload) -> Result<Recorded, Failure> {
        if !self.collectors.collectors().iter().any(|live| live.name == plugin) {
            return Err(Failure::lasting(
                FailureCode::Misconfigured,
                format!("there is no live collector {plugin:?}; /api/v1/plugins lists the plugins"),
            ));
        }
        self.metrics.push();
        let known = self.known.lock().await.entry(plugin.to_owned()).or_default().clone();
        let mut known = known.lock().await;
        let now = self.clock.now();
        let collection = self.collectors.receive(plugin, payload, now).await?;
        let key = TargetKey { job: plugin.to_owned(), instance: "push".into() };
        let info = TargetInfo { key, labels: Labels::default() };
        let visit = collect::visit(collection, plugin, &info, now);
        let status = intake::status_of(&self.store, intake::unvisited(info, Door::Push, Some(plugin.to_owned())));
        let took = self.clock.now().millis_since(now).max(0) as u64;
        let outcome = Outcome { at: now, duration_millis: took, visit: Ok(visit), told_up: false };
        let recorded = intake::record(&self.store, &mut known, status, outcome).await;
        recorded
            .map(|(_, recorded)| recorded)
            .map_err(|error| Failure::passing(FailureCode::Unreachable, error.to_string()))
    }
}
