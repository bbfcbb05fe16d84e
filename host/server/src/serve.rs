//! The whole server, wired in one straight line: store → runtime → plugins → rooms → API.

use crate::{
    SystemClock, bundled,
    config::{Config, ConfigError},
    descriptors,
    forwards::forwards,
    grants,
    metrics::OwnMetrics,
    rooms::Rooms,
    rules::{BadRuleFile, Reloaded, RuleFiles, SharedRuleFiles},
    running::Tasks,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tandem_aiops::{Chain, ChainConfig, Ports};
use tandem_api::{Access, ApiState, ExportPlaces, IngestBudget, Readiness, ServingMetrics};
use tandem_domain::{
    http::HttpClient,
    ports::{Collectors, PluginCatalogue},
    time::Clock,
};
use tandem_egress::EgressClient;
use tandem_gather::{
    CollectConfig, Gather, GatherMetrics, GatherPorts, ListenAddresses, ListenMetrics, Listeners, Receiver,
    sent::{SentMetrics, SentReceiver},
};
use tandem_mlops::{Mlops, MlopsPorts};
use tandem_query::SampleBudget;
use tandem_runtime::{FolderWatch, MemoryBudget, PluginSource, Runtime, RuntimeOptions};
use tandem_store::{LogRetention, Store};
use tandem_verdict::Verdicts;
use tokio::net::TcpListener;

/// How often the store is maintained.
const MAINTAIN_EVERY: Duration = Duration::from_secs(5);
/// Plugin instances that may live at once; wasmtime's pool is sized by it.
const MAX_PLUGIN_INSTANCES: u32 = 256;

/// What is different in tests.
pub struct ServerOptions {
    /// The configuration.
    pub config: Config,
    /// The store, when it is not to be opened in the data folder.
    pub store: Option<Store>,
    /// Components in place of the bundled ones.
    pub components: Option<Vec<(String, Vec<u8>)>>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl ServerOptions {
    /// The server as it is run.
    pub fn new(config: Config) -> Self {
        Self { config, store: None, components: None, clock: Arc::new(SystemClock) }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Rule files.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Rules(Vec<BadRuleFile>),
    /// The store.
    #[error(transparent)]
    Store(#[from] tandem_store::OpenError),
    /// The store, while starting.
    #[error(transparent)]
    Write(#[from] tandem_store::WriteError),
    /// The runtime.
    #[error(transparent)]
    Runtime(#[from] tandem_runtime::RuntimeError),
    /// The address.
    #[error("{address} cannot be listened on: {error}; stop what listens there, or give another address in `listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// An address of StatsD or syslog.
    #[error("{0}; stop what listens there, or give another address")]
    Listeners(#[from] tandem_gather::ListenError),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    listening: ListenAddresses,
    tasks: Tasks,
    store: Store,
    runtime: Runtime,
    rules: Arc<SharedRuleFiles>,
    _plugins: FolderWatch,
}

impl Server {
    /// Starts everything; answers when the server is ready.
    ///
    /// # Errors
    /// Says what is wrong and what to do; nothing is left running.
    pub async fn start(options: ServerOptions) -> Result<Self, StartError> {
        let (mut server, rooms) = Self::wire(options).await?;
        rooms.start(&mut server.tasks);
        Ok(server)
    }

    /// Starts everything but the rooms, which are given to the caller to be stepped by hand: for playing with a clock that
    /// does not go by itself.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_by_hand(options: ServerOptions) -> Result<(Self, Rooms), StartError> {
        Self::wire(options).await
    }

    async fn wire(options: ServerOptions) -> Result<(Self, Rooms), StartError> {
        let ServerOptions { config, store, components, clock } = options;
        // The address first: what is taken is known before anything is opened.
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| StartError::Listen { address: config.listen, error })?;
        let address = listener.local_addr().map_err(|error| StartError::Listen { address: config.listen, error })?;
        let (rules, rule_feed) = RuleFiles::open(config.rules.clone()).map_err(StartError::Rules)?;
        let store = match store {
            Some(store) => store,
            None => Store::open(&config.data, config.store.options(&config.limits))?,
        };
        let egress = Arc::new(EgressClient::default());
        let http: Arc<dyn HttpClient> = egress.clone();
        let budget = MemoryBudget::new(config.limits.plugin_memory.0);
        let runtime = Runtime::new(RuntimeOptions {
            data_dir: config.data.clone(),
            clock: clock.clone(),
            http: http.clone(),
            memory_budget: budget.clone(),
            workers: None,
            max_instances: MAX_PLUGIN_INSTANCES,
            seed: u64::from(std::process::id()),
        })?;
        let plugins = load_plugins(&runtime, &config, components).await?;

        let mut tasks = Tasks::new();
        let stop = tasks.stop_signal();
        let gather_metrics = Arc::new(GatherMetrics::default());
        let (sent_metrics, listen_metrics) = (Arc::new(SentMetrics::default()), Arc::new(ListenMetrics::default()));
        let logs = config.logs.retention();
        let sent = SentReceiver::new(store.clone(), clock.clone(), sent_metrics.clone());
        let sent = Arc::new(sent.with_label_limits(config.limits.label_limits()).keeping_logs(logs.age_millis));
        let (statsd, syslog) = (config.statsd.as_ref(), config.syslog.as_ref());
        let listeners = Listeners::bind(statsd, syslog, sent.clone(), clock.clone(), listen_metrics.clone()).await?;
        let listening = listeners.addresses();
        let forwards = Arc::new(forwards(&config, store.clone(), http.clone(), clock.clone())?);
        forwards.announce().await?;
        tasks.start("forward", forwards.clone().run(stop.clone()));
        let ports = GatherPorts {
            store: store.clone(),
            http: http.clone(),
            streams: egress,
            collectors: Arc::new(runtime.clone()),
            clock: clock.clone(),
            metrics: gather_metrics.clone(),
        };
        let collects = config.collect.clone().unwrap_or_else(|| local_collections(&runtime));
        for what in &config.left_out {
            tracing::warn!("not taken over from prometheus_config: {what}");
        }
        let mut gather = Gather::new(ports, &config.scrape, &collects);
        gather.announce().await?;
        let scraped = gather.board();
        tasks.start("gather", gather.run(stop.clone()));
        let queries = Arc::new(SampleBudget::new(config.limits.query_samples));
        let aiops = Chain::new(
            store.clone(),
            Ports {
                mappers: Arc::new(runtime.clone()),
                detectors: Arc::new(runtime.clone()),
                correlators: Arc::new(runtime.clone()),
                http,
            },
            ChainConfig {
                rooms: config.aiops.clone(),
                relations: config.relation.clone(),
                services: config.service.clone(),
                rules: config.rules.clone(),
                rule_feed,
                receivers: config.notify.clone(),
                console_url: format!("http://{address}"),
                queries: queries.clone(),
            },
        );
        let aiops_metrics = aiops.metrics();
        let mlops = Mlops::new(
            MlopsPorts {
                store: store.clone(),
                metrics: Arc::new(runtime.clone()),
                targets: Arc::new(runtime.clone()),
                clock: clock.clone(),
            },
            &config.mlops,
        );
        let mlops_metrics = mlops.metrics();
        let verdicts = Verdicts::new(store.clone(), Arc::new(runtime.clone()), clock.clone());
        let verdict_metrics = verdicts.metrics();
        let rooms = Rooms::new(aiops, mlops, verdicts, store.clone(), clock.clone());
        tasks.start("listeners", listeners.run(stop.clone()));
        tasks.start("maintain", maintain(store.clone(), logs, clock.clone(), stop.clone()));

        let rules = Arc::new(SharedRuleFiles::new(rules));
        let (readiness, serving) = (Arc::new(Readiness::default()), Arc::new(ServingMetrics::default()));
        let catalogue: Arc<dyn PluginCatalogue> = Arc::new(runtime.clone());
        let state = ApiState {
            receiver: Arc::new(Receiver::new(
                store.clone(),
                Arc::new(runtime.clone()),
                clock.clone(),
                gather_metrics.clone(),
            )),
            metrics: Arc::new(OwnMetrics {
                store: store.clone(),
                gather: gather_metrics,
                sent: sent_metrics,
                listen: listen_metrics,
                serving: serving.clone(),
                aiops: aiops_metrics,
                mlops: mlops_metrics,
                verdicts: verdict_metrics,
                forwards: forwards.clone(),
                queries: queries.clone(),
                catalogue: catalogue.clone(),
                budget,
            }),
            scraped,
            sent,
            ingest: IngestBudget::default(),
            queries,
            serving: serving.clone(),
            exports: ExportPlaces::default(),
            forwards,
            store: store.clone(),
            catalogue,
            targets: Arc::new(runtime.clone()),
            root_causes: Arc::new(runtime.clone()),
            rules: rules.clone(),
            clock,
            readiness: readiness.clone(),
        };
        let router = tandem_api::router(state, Access::for_listener(address));
        tasks.start("api", tandem_api::serve(listener, router, descriptors::connections(), serving, stop));
        readiness.set(true);
        Ok((Self { address, listening, tasks, store, runtime, rules, _plugins: plugins }, rooms))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for StatsD and syslog.
    pub fn listening(&self) -> ListenAddresses {
        self.listening
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its runtime.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Reads the rule files again; rules that did not change keep their state.
    pub fn reload_rules(&self) -> Reloaded {
        self.rules.reload()
    }

    /// Stops everything in the reverse order.
    pub async fn stop(self) {
        self.tasks.stop().await;
    }
}

/// The bundled plugins, then those of the data folder, which stand in for bundled ones of the same name.
async fn load_plugins(
    runtime: &Runtime,
    config: &Config,
    components: Option<Vec<(String, Vec<u8>)>>,
) -> Result<FolderWatch, StartError> {
    let folder = config.data.join("plugins");
    let settings = grants::settings(config, &folder, true)?;
    let source = |name: String, bytes: Arc<[u8]>| PluginSource {
        name,
        origin: bundled::ORIGIN.into(),
        bytes,
        settings: settings.clone(),
    };
    let sources: Vec<PluginSource> = match components {
        Some(components) => components.into_iter().map(|(name, bytes)| source(name, bytes.into())).collect(),
        None => bundled::COMPONENTS.iter().map(|(name, bytes)| source((*name).to_owned(), Arc::from(*bytes))).collect(),
    };
    // A plugin that fails is shown as failed and stops no other, and not the server.
    runtime.load_all(sources).await;
    Ok(runtime.watch_folder(folder.clone(), grants::settings(config, &folder, false)?).await)
}

/// Without any `[[collect]]`, every collector that was granted files reads this machine.
fn local_collections(runtime: &Runtime) -> Vec<CollectConfig> {
    let reads_files = |name: &str| {
        let statuses = runtime.statuses();
        statuses.iter().any(|status| status.name == name && status.granted.iter().any(|granted| granted.name == "file"))
    };
    let live = runtime.collectors().into_iter().map(|plugin| plugin.name);
    live.filter(|name| reads_files(name)).map(CollectConfig::this_machine).collect()
}

async fn maintain(
    store: Store,
    logs: LogRetention,
    clock: Arc<dyn Clock>,
    mut stop: tokio::sync::watch::Receiver<bool>,
) {
    let mut more = false;
    loop {
        let wait = if more { Duration::ZERO } else { MAINTAIN_EVERY };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = store.head_filled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        more = store.maintain(clock.now()).await.unwrap_or_else(|error| {
            tracing::error!("the store could not be maintained and will be tried again: {error}");
            false
        });
        if let Err(error) = store.maintain_logs(logs, clock.now()).await {
            tracing::error!("lines of logs could not be joined or dropped and will be tried again: {error}");
        }
    }
}
