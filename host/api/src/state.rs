//! What handlers are given. Each takes what it needs; the server holds the rest.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tandem_domain::{
    ports::{DeploymentTargets, PluginCatalogue, RootCauses},
    time::Clock,
};
use tandem_store::Store;

/// Whether the server has everything it needs to do its work.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// Says so.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether it is so.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The parts that routes read from and ask.
#[derive(Clone)]
pub struct ApiState {
    /// The records.
    pub store: Store,
    /// The plugins and how they fare.
    pub catalogue: Arc<dyn PluginCatalogue>,
    /// The live deployment targets.
    pub targets: Arc<dyn DeploymentTargets>,
    /// Those that rank root causes.
    pub root_causes: Arc<dyn RootCauses>,
    /// Takes pushed payloads.
    pub receiver: Arc<tandem_gather::Receiver>,
    /// What is scraped, and how it goes.
    pub scraped: Arc<tandem_gather::ScrapeBoard>,
    /// Takes bodies of senders.
    pub sent: Arc<tandem_gather::sent::SentReceiver>,
    /// Memory for bodies under way.
    pub ingest: crate::IngestBudget,
    /// Samples that all queries may hold together.
    pub queries: Arc<tandem_query::SampleBudget>,
    /// Counts connections and answers.
    pub serving: Arc<crate::ServingMetrics>,
    /// Places for exports.
    pub exports: crate::ExportPlaces,
    /// Where samples are forwarded, and how that goes.
    pub forwards: Arc<tandem_forward::Forwards>,
    /// The rule files.
    pub rules: Arc<dyn crate::RuleSource>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Whether the server is ready.
    pub readiness: Arc<Readiness>,
    /// Renders own metrics.
    pub metrics: Arc<dyn crate::MetricsPage>,
}
