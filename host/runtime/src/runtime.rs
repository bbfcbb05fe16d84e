//! The runtime as the server holds it: options, loading, unloading, the catalogue.

use crate::{
    budget::MemoryBudget,
    compiled::CompiledCache,
    engine::{Allocation, EngineError, EpochTicker, make_engine},
    imports::{self, HostState},
    load::{self, Loaded, PluginSettings, SettingsOf},
    plugin::{Plugin, Slot},
    workers::Workers,
};
use futures::StreamExt;
use parking_lot::{Mutex, RwLock};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    http::HttpClient,
    plugin::{PluginKind, PluginStatus},
    ports::{LivePlugin, PluginCatalogue},
    time::Clock,
};
use wasmtime::{Engine, component::Linker};

/// Threads for calls that may compute for half a minute.
const LONG_WORKERS: usize = 2;

/// What the server passes in.
pub struct RuntimeOptions {
    /// Where the compiled components are kept, under `cache/aot`.
    pub data_dir: PathBuf,
    /// For backoff and quarantine.
    pub clock: Arc<dyn Clock>,
    /// The one way out over HTTP.
    pub http: Arc<dyn HttpClient>,
    /// Linear memory of all guests together.
    pub memory_budget: Arc<MemoryBudget>,
    /// Threads for pure calls; by default one per processor.
    pub workers: Option<usize>,
    /// Instances that may live at once; everything in the pool follows from it.
    pub max_instances: u32,
    /// For the chance in backoff.
    pub seed: u64,
}

/// The runtime could not start.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Host functions could not be defined; a defect of this build.
    #[error("the host functions cannot be linked: {0}; this is a defect of this build, please report it")]
    Linking(String),
    /// No threads.
    #[error("the workers did not start: {0}; the machine allows too few threads, raise its limit")]
    Workers(#[from] std::io::Error),
}

/// A component to load.
pub struct PluginSource {
    /// Stands for the name until the plugin has said its own; the file's stem.
    pub name: String,
    /// `bundled`, or the file.
    pub origin: String,
    /// The component.
    pub bytes: Arc<[u8]>,
    /// Settings by name.
    pub settings: SettingsOf,
}

/// Loads and calls plugins; implements every plugin port. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    core: Arc<Core>,
}

/// What all kinds share.
pub(crate) struct Core {
    pub(crate) engine: Engine,
    pub(crate) linker_pure: Linker<HostState>,
    /// For the pure halves of kinds that do IO.
    pub(crate) linker_muted: Linker<HostState>,
    pub(crate) linker_io: Linker<HostState>,
    pub(crate) budget: Arc<MemoryBudget>,
    pub(crate) compiled: CompiledCache,
    pub(crate) workers: Workers,
    pub(crate) http: Arc<dyn HttpClient>,
    long_workers: Workers,
    allocation: Allocation,
    clock: Arc<dyn Clock>,
    chance: Mutex<ChaCha8Rng>,
    slots: RwLock<BTreeMap<String, Arc<Slot>>>,
    _ticker: EpochTicker,
}

impl Runtime {
    /// Starts engine, ticker and workers.
    ///
    /// # Errors
    /// When the machine gives no threads or the engine does not start on it.
    pub fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let (engine, allocation) = make_engine(options.max_instances)?;
        let linking = |error: wasmtime::Error| RuntimeError::Linking(format!("{error:#}"));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let core = Core {
            linker_pure: imports::linker_pure(&engine).map_err(linking)?,
            linker_muted: load::linker_muted(&engine).map_err(linking)?,
            linker_io: imports::linker_io(&engine).map_err(linking)?,
            budget: options.memory_budget,
            compiled: CompiledCache::new(&options.data_dir),
            workers: Workers::start("tandem-guest", options.workers.unwrap_or(processors))?,
            long_workers: Workers::start("tandem-drift", LONG_WORKERS.min(processors))?,
            http: options.http,
            allocation,
            clock: options.clock,
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(options.seed)),
            slots: RwLock::new(BTreeMap::new()),
            _ticker: EpochTicker::start(&engine)?,
            engine,
        };
        Ok(Self { core: Arc::new(core) })
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// How instances are allocated, for `doctor`.
    pub fn allocation(&self) -> Allocation {
        self.core.allocation
    }

    /// Loads one component and puts it to work, in place of one of the same name. Answers its name.
    ///
    /// # Errors
    /// Why it is no plugin or does not work; the catalogue shows the same. A version at work stays at work.
    pub async fn load_bytes(
        &self,
        name: &str,
        origin: &str,
        bytes: impl Into<Arc<[u8]>>,
        settings: PluginSettings,
    ) -> Result<String, Failure> {
        self.load_source(PluginSource {
            name: name.to_owned(),
            origin: origin.to_owned(),
            bytes: bytes.into(),
            settings: Arc::new(move |_| settings.clone()),
        })
        .await
    }

    /// Loads components side by side and puts them to work in their order, so that a later one stands in for an earlier
    /// one of the same name. One that fails is shown in the catalogue and stops no other. Answers in the same order.
    pub async fn load_all(&self, sources: Vec<PluginSource>) -> Vec<Result<String, Failure>> {
        let side_by_side = self.core.workers.count();
        futures::stream::iter(sources.into_iter().map(|source| self.prepare(source)))
            .buffered(side_by_side)
            .map(|prepared| self.put_to_work(prepared))
            .collect()
            .await
    }

    /// As `load_bytes`, with settings by name.
    ///
    /// # Errors
    /// As there.
    pub async fn load_source(&self, source: PluginSource) -> Result<String, Failure> {
        let prepared = self.prepare(source).await;
        self.put_to_work(prepared)
    }

    async fn prepare(&self, source: PluginSource) -> Result<Loaded, Box<load::LoadFailure>> {
        let core = self.core.clone();
        let (name, origin) = (source.name.clone(), source.origin.clone());
        let loading = tokio::task::spawn_blocking(move || {
            load::load(&core, &source.name, &source.origin, &source.bytes, &source.settings)
        });
        loading.await.unwrap_or_else(|error| {
            Err(Box::new(load::LoadFailure {
                failure: Failure::lasting(
                    FailureCode::Internal,
                    format!(
                        "plugin {name} ({origin}): the host failed while it loaded it: {error}; please report this"
                    ),
                ),
                shown: crate::plugin::Shown { origin, ..Default::default() },
                name,
            }))
        })
    }

    fn put_to_work(&self, prepared: Result<Loaded, Box<load::LoadFailure>>) -> Result<String, Failure> {
        match prepared {
            Ok(Loaded::Ready(plugin)) => {
                let name = plugin.name().to_owned();
                tracing::info!(plugin = %name, version = %plugin.description.version, digest = %plugin.digest, origin = %plugin.origin, "plugin at work");
                self.core.slot_or_new(&name).install(plugin);
                Ok(name)
            }
            Ok(Loaded::Disabled { name, shown }) => {
                self.core.slot_or_new(&name).disable(shown);
                Ok(name)
            }
            Err(failed) => {
                tracing::warn!(plugin = %failed.name, failure = %failed.failure.message, "a plugin could not be loaded");
                let slot = self.core.slot_or_new(&failed.name);
                slot.load_failed(failed.shown, failed.failure.clone(), self.core.now());
                Err(failed.failure)
            }
        }
    }

    /// Takes a plugin out. Calls under way come to their end.
    pub fn unload(&self, name: &str) -> bool {
        self.core.slots.write().remove(name).is_some()
    }

    /// Takes out what came from a file; a bundled plugin it stood in for goes back to work.
    pub(crate) fn unload_origin(&self, origin: &str) {
        self.core.slots.write().retain(|_, slot| slot.remove_origin(origin));
    }

    /// Whether this content was tried under a name and found bad.
    pub(crate) fn was_rejected(&self, digest: &str) -> bool {
        self.core.slots.read().values().any(|slot| slot.rejected(digest))
    }
}

impl Core {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A number in 0..1 for jitter.
    pub(crate) fn chance(&self) -> f64 {
        // 53 random bits make every double of the grid equally likely.
        (self.chance.lock().next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn slot(&self, name: &str) -> Result<Arc<Slot>, Failure> {
        let slots = self.slots.read();
        slots.get(name).cloned().ok_or_else(|| {
            let known = slots.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            Failure::lasting(
                FailureCode::Misconfigured,
                format!("there is no plugin `{name}`; there are: {}", if known.is_empty() { "none" } else { &known }),
            )
        })
    }

    pub(crate) fn slot_or_new(&self, name: &str) -> Arc<Slot> {
        if let Some(slot) = self.slots.read().get(name) {
            return slot.clone();
        }
        self.slots.write().entry(name.to_owned()).or_insert_with(|| Arc::new(Slot::new(name.to_owned()))).clone()
    }

    /// Drops the place that stood for a plugin until it said its name.
    pub(crate) fn drop_empty_slot(&self, name: &str) {
        let mut slots = self.slots.write();
        if slots.get(name).is_some_and(|slot| !slot.is_filled()) {
            slots.remove(name);
        }
    }

    pub(crate) fn listed(&self, kind: PluginKind) -> Vec<LivePlugin> {
        self.slots.read().values().filter_map(|slot| slot.listed(kind)).collect()
    }

    pub(crate) fn wrong_kind(&self, plugin: &Plugin, wanted: PluginKind) -> Failure {
        Failure::lasting(
            FailureCode::Misconfigured,
            format!(
                "plugin {} is a {}, and a {} is needed here; name another plugin",
                plugin.name(),
                plugin.kind.as_str(),
                wanted.as_str()
            ),
        )
    }

    /// Runs a pure call on a worker.
    pub(crate) async fn on_worker<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        self.workers.run(job).await.map_err(|error| Failure::passing(FailureCode::Internal, error.to_string()))
    }

    /// Runs a call that may take long on workers of its own.
    pub(crate) async fn on_long_worker<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        self.long_workers.run(job).await.map_err(|error| Failure::passing(FailureCode::Internal, error.to_string()))
    }
}

impl PluginCatalogue for Runtime {
    fn statuses(&self) -> Vec<PluginStatus> {
        self.core.slots.read().values().map(|slot| slot.status()).collect()
    }
}
