//! Payloads pushed to collectors.

use crate::{
    GatherMetrics, Recorded, collect,
    intake::{self, Known, Outcome},
    limits::SampleLimits,
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

/// The instance under which stands what is pushed to a plugin.
pub(crate) const PUSHED: &str = "push";

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

    /// Hands a payload to a collector and commits what it makes of it. That it refuses one is a state of the plugin's push
    /// target, and committed too.
    ///
    /// # Errors
    /// When there is no such collector, it refuses the payload, or the store cannot be written; nothing of the payload is kept
    /// then.
    pub async fn receive(&self, plugin: &str, payload: Payload) -> Result<Recorded, Failure> {
        if !self.collectors.collectors().iter().any(|live| live.name == plugin) {
            return Err(Failure::lasting(
                FailureCode::Misconfigured,
                format!("there is no live collector {plugin:?}; /api/v1/plugins lists the plugins"),
            ));
        }
        let known = self.known.lock().await.entry(plugin.to_owned()).or_default().clone();
        let mut known = known.lock().await;
        let now = self.clock.now();
        let received = self.collectors.receive(plugin, payload, now).await;
        let key = TargetKey { job: plugin.to_owned(), instance: PUSHED.into() };
        let info = TargetInfo { key, labels: Labels::default() };
        let visit = received.map(|collection| collect::visit(collection, plugin, &info, now));
        let refused = visit.as_ref().err().cloned();
        let status = intake::status_of(&self.store, intake::unvisited(info, Door::Push, Some(plugin.to_owned())));
        let duration_millis = u64::try_from(self.clock.now().millis_since(now)).unwrap_or(0);
        let outcome = Outcome { at: now, duration_millis, visit, told_up: false, limits: SampleLimits::COLLECTED };
        match intake::record(&self.store, &mut known, status, outcome).await {
            Ok((_, recorded, rejections)) => {
                self.metrics.rejected(&rejections);
                self.metrics.push(refused.is_none(), recorded.samples);
                refused.map_or(Ok(recorded), Err)
            }
            Err(error) => {
                self.metrics.push(false, 0);
                // Why the collector refused it says more than that this could not be written down.
                Err(refused.unwrap_or_else(|| Failure::passing(FailureCode::Unreachable, error.to_string())))
            }
        }
    }
}
