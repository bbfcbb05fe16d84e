//! The detect room: every mapped series is watched by every detector that wishes to see it, without any configuration. Out
//! come findings (stretches of odd points) and changes of faults. What detectors learned survives a crash exactly.

mod align;
mod catalogue;
mod config;
mod driver;
mod grouping;
mod metrics;
mod outputs;
mod persist;
mod rules;
mod tables;
#[cfg(test)]
mod tests;
mod tracker;
mod watched;

pub use config::DetectConfig;
pub use metrics::{DetectMetrics, DetectorMetrics};
pub use tables::DetectorFailure;

use crate::room::{Progress, Room, RoomError};
use catalogue::Catalogue;
use driver::Driver;
use futures::future::join_all;
use std::{collections::BTreeMap, sync::Arc};
use tandem_domain::{
    Timestamp,
    ports::{Detectors, LivePlugin},
};
use tandem_store::{ReadError, Store};

/// Samples are kept this long for a detector that is not live; then it must learn what it missed from history.
const PATIENCE_MILLIS: i64 = 3_600_000;

/// One detector and since when it is not live.
struct Slot {
    driver: Driver,
    missing_since: Option<Timestamp>,
}

/// The detect room.
pub struct DetectRoom {
    store: Store,
    detectors: Arc<dyn Detectors>,
    config: DetectConfig,
    catalogue: Catalogue,
    slots: BTreeMap<String, Slot>,
    metrics: Arc<DetectMetrics>,
}

impl DetectRoom {
    /// A room over a store.
    pub fn new(store: Store, detectors: Arc<dyn Detectors>, config: DetectConfig) -> Self {
        let (catalogue, slots) = (Catalogue::default(), BTreeMap::new());
        Self { store, detectors, config, catalogue, slots, metrics: Arc::default() }
    }

    /// Its counters.
    pub fn metrics(&self) -> Arc<DetectMetrics> {
        self.metrics.clone()
    }

    fn driver(&self, plugin: LivePlugin) -> Driver {
        let metrics = self.metrics.of(&plugin.name);
        Driver::new(self.store.clone(), self.detectors.clone(), plugin, self.config.clone(), metrics)
    }

    /// A driver for each live detector; one that was swapped is opened anew from what was saved.
    async fn follow_live(&mut self, now: Timestamp) {
        let live: BTreeMap<String, LivePlugin> =
            self.detectors.detectors().into_iter().map(|plugin| (plugin.name.clone(), plugin)).collect();
        for plugin in live.values() {
            match self.slots.get_mut(&plugin.name) {
                Some(slot) if slot.driver.plugin() == plugin => slot.missing_since = None,
                _ => {
                    let slot = Slot { driver: self.driver(plugin.clone()), missing_since: None };
                    self.slots.insert(plugin.name.clone(), slot);
                }
            }
        }
        for (_, slot) in self.slots.iter_mut().filter(|(name, _)| !live.contains_key(*name)) {
            if slot.missing_since.is_none() {
                // It misses what changes meanwhile: when it is back, it is opened from what was saved.
                slot.driver.suspend().await;
            }
            let since = *slot.missing_since.get_or_insert(now);
            if now.millis_since(since) > PATIENCE_MILLIS {
                if let Err(error) = slot.driver.release().await {
                    tracing::warn!(plugin = slot.driver.plugin().name, "its samples could not be let go: {error}");
                }
                slot.missing_since = Some(Timestamp::MAX);
            }
        }
        self.slots.retain(|_, slot| slot.missing_since != Some(Timestamp::MAX));
    }
}

impl Room for DetectRoom {
    fn name(&self) -> &'static str {
        "detect"
    }

    async fn step(&mut self, now: Timestamp) -> Result<Progress, RoomError> {
        self.follow_live(now).await;
        let refreshed = self.catalogue.refresh(&self.store).await?;
        let mut progress = Progress { worked: !refreshed.changed.is_empty(), more: refreshed.more, wake_at: None };
        let catalogue = &self.catalogue;
        let living = self.slots.values_mut().filter(|slot| slot.missing_since.is_none());
        let steps = join_all(living.map(|slot| slot.driver.step(catalogue, &refreshed.changed, now))).await;
        for step in steps {
            progress = progress.and(step?);
        }
        Ok(progress)
    }

    async fn close(&mut self) {
        join_all(self.slots.values_mut().map(|slot| slot.driver.close())).await;
    }
}

/// Groups and detectors that fail, for the API.
///
/// # Errors
/// When the store cannot be read.
pub fn failures(store: &Store, limit: usize) -> Result<Vec<DetectorFailure>, ReadError> {
    store.read()?.scan::<DetectorFailure>(.., limit)
}
