//! One loaded version of a plugin, and the place that keeps its name over versions, breaks and swaps.

use crate::{
    bindings::{collector, correlator, detector, drift, mapper, root_cause, target},
    grants::OperatorGrants,
    imports::{HostState, PluginContext},
    instance::{Identity, Instance},
    supervisor::{Consequence, Supervisor},
    usage::UsageCounters,
};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc};
use tandem_domain::{
    Failure, Timestamp,
    plugin::{Capability, Description, PluginKind, PluginState, PluginStatus},
    ports::LivePlugin,
};

/// Warm mappers kept at most; more are made when needed and dropped afterwards.
const MAX_WARM_MAPPERS: usize = 4;

/// What a kind's calls start from: imports resolved, exports found.
pub(crate) enum Prepared {
    /// Mapping is pure, collecting is not; so the two halves are linked apart.
    Collector {
        /// Linked with nothing behind it.
        mapper: mapper::MapperViewPre<HostState>,
        /// Linked with what was granted.
        collector: collector::CollectorViewPre<HostState>,
        /// Instances for the next mapping.
        warm: Mutex<Vec<Instance<mapper::MapperView>>>,
    },
    /// A detector.
    Detector(detector::DetectorViewPre<HostState>),
    /// A correlator.
    Correlator(correlator::CorrelatorViewPre<HostState>),
    /// One that ranks root causes.
    RootCause(root_cause::RootCauseViewPre<HostState>),
    /// A drift metric.
    DriftMetric(drift::DriftViewPre<HostState>),
    /// A deployment target.
    DeploymentTarget(target::TargetViewPre<HostState>),
}

/// One version of a plugin with one configuration.
pub(crate) struct Plugin {
    /// Name, counters, limits.
    pub(crate) identity: Arc<Identity>,
    /// Of which kind.
    pub(crate) kind: PluginKind,
    /// SHA-256 of the component.
    pub(crate) digest: String,
    /// SHA-256 of digest and configuration.
    pub(crate) live_digest: String,
    /// `bundled` or a path.
    pub(crate) origin: String,
    /// What it says of itself.
    pub(crate) description: Description,
    /// JSON, checked against its schema.
    pub(crate) config: String,
    /// Interfaces it imports.
    pub(crate) imports: Vec<String>,
    /// Asked for and granted.
    pub(crate) granted: Vec<Capability>,
    /// What the operator gives, for the grants of one call.
    pub(crate) operator: OperatorGrants,
    /// What every store of it is made from.
    pub(crate) context: PluginContext,
    /// Ready to be instantiated.
    pub(crate) prepared: Prepared,
}

impl Plugin {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.identity.name
    }

    /// As a room lists it.
    pub(crate) fn as_live(&self) -> LivePlugin {
        LivePlugin {
            name: self.name().to_owned(),
            digest: self.live_digest.clone(),
            version: self.description.version.clone(),
            interests: self.description.interests.clone(),
        }
    }

    /// Takes a warm mapper, if there is one.
    pub(crate) fn take_warm(&self) -> Option<Instance<mapper::MapperView>> {
        match &self.prepared {
            Prepared::Collector { warm, .. } => warm.lock().pop(),
            _ => None,
        }
    }

    /// Keeps a mapper for the next call.
    pub(crate) fn keep_warm(&self, instance: Instance<mapper::MapperView>) {
        if let Prepared::Collector { warm, .. } = &self.prepared {
            let mut warm = warm.lock();
            if warm.len() < MAX_WARM_MAPPERS {
                warm.push(instance);
            }
        }
    }
}

/// The place of a plugin, known by its name; lives as long as the server.
pub(crate) struct Slot {
    name: String,
    usage: Arc<UsageCounters>,
    inner: Mutex<SlotInner>,
}

struct SlotInner {
    supervisor: Supervisor,
    current: Option<Arc<Plugin>>,
    last_good: Option<Arc<Plugin>>,
    rejected: BTreeSet<String>,
    last_error: Option<Failure>,
    shown: Shown,
}

/// What the catalogue shows before (or without) a loaded version.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// Once known.
    pub(crate) kind: Option<PluginKind>,
    /// Of the component.
    pub(crate) digest: String,
    /// `bundled` or a path.
    pub(crate) origin: String,
    /// Once said.
    pub(crate) description: Option<Description>,
    /// Once read.
    pub(crate) imports: Vec<String>,
}

impl Slot {
    /// An empty place.
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            usage: Arc::new(UsageCounters::default()),
            inner: Mutex::new(SlotInner {
                supervisor: Supervisor::loading(),
                current: None,
                last_good: None,
                rejected: BTreeSet::new(),
                last_error: None,
                shown: Shown::default(),
            }),
        }
    }

    /// The plugin's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its counters.
    pub(crate) fn usage(&self) -> &Arc<UsageCounters> {
        &self.usage
    }

    /// The version at work, when calls are admitted.
    pub(crate) fn admitted(&self, now: Timestamp) -> Result<Arc<Plugin>, Failure> {
        let mut inner = self.inner.lock();
        inner.supervisor.admit(&self.name, now)?;
        inner.current.clone().ok_or_else(|| {
            let why = inner.last_error.as_ref().map_or("it has not been loaded", |failure| failure.message.as_str());
            Failure::passing(
                tandem_domain::FailureCode::Unreachable,
                format!("plugin {} is not loaded: {why}", self.name),
            )
        })
    }

    /// Whether there is a version in place, whatever its state.
    pub(crate) fn is_filled(&self) -> bool {
        self.inner.lock().current.is_some()
    }

    /// As a room lists it; none when it is switched off, quarantined or of another kind. A plugin that waits is listed, so
    /// that rooms do not drop what they know of it.
    pub(crate) fn listed(&self, kind: PluginKind) -> Option<LivePlugin> {
        let inner = self.inner.lock();
        let at_work = matches!(inner.supervisor.state(), PluginState::Live | PluginState::Backoff { .. });
        inner.current.as_ref().filter(|plugin| at_work && plugin.kind == kind).map(|plugin| plugin.as_live())
    }

    /// Shows a step of loading. A version at work stays at work meanwhile.
    pub(crate) fn show_step(&self, state: PluginState, shown: Shown) {
        let mut inner = self.inner.lock();
        if inner.current.is_none() {
            inner.supervisor.enter(state);
            inner.shown = shown;
        }
    }

    /// Puts a new version to work; the one before stays as the one to go back to.
    pub(crate) fn install(&self, plugin: Arc<Plugin>) {
        let mut inner = self.inner.lock();
        inner.rejected.remove(&plugin.digest);
        let replaced = inner.current.replace(plugin);
        let was_good = matches!(inner.supervisor.state(), PluginState::Live | PluginState::Backoff { .. });
        if was_good && let Some(replaced) = replaced {
            inner.last_good = Some(replaced);
        }
        inner.last_error = None;
        inner.supervisor.enter(PluginState::Live);
    }

    /// Switches it off by configuration.
    pub(crate) fn disable(&self, shown: Shown) {
        let mut inner = self.inner.lock();
        inner.current = None;
        inner.shown = shown;
        inner.supervisor.enter(PluginState::Disabled);
    }

    /// A version could not be loaded. One that is at work stays; without one the plugin is quarantined with the reason.
    pub(crate) fn load_failed(&self, shown: Shown, failure: Failure, now: Timestamp) {
        self.usage.count_refused_load();
        let mut inner = self.inner.lock();
        if inner.current.is_none() {
            inner.shown = shown;
            inner.supervisor.quarantine(failure.message.clone(), now);
        }
        inner.last_error = Some(failure);
    }

    /// Takes out what came from `origin`. The version before it goes on when it came from elsewhere (a bundled plugin that
    /// the file stood in for); answers whether anything is left.
    pub(crate) fn remove_origin(&self, origin: &str) -> bool {
        let mut inner = self.inner.lock();
        if inner.last_good.as_ref().is_some_and(|plugin| plugin.origin == origin) {
            inner.last_good = None;
        }
        if inner.current.as_ref().is_some_and(|plugin| plugin.origin == origin) {
            inner.current = inner.last_good.take();
            if inner.current.is_some() {
                inner.supervisor.enter(PluginState::Live);
                inner.last_error = None;
            }
        } else if inner.current.is_none() && inner.shown.origin != origin {
            return true;
        }
        inner.current.is_some()
    }

    /// Whether a version with this digest was tried and found bad.
    pub(crate) fn rejected(&self, digest: &str) -> bool {
        self.inner.lock().rejected.contains(digest)
    }

    /// A call went well.
    pub(crate) fn went_well(&self, now: Timestamp) {
        self.inner.lock().supervisor.went_well(now);
    }

    /// A call was answered with a failure or broke the contract: shown, nothing more.
    pub(crate) fn note_failure(&self, failure: &Failure) {
        self.inner.lock().last_error = Some(failure.clone());
    }

    /// A call of `plugin` trapped or ran out of time. `repaired` says that its kind goes on without a wait.
    pub(crate) fn broke(&self, plugin: &Plugin, failure: &Failure, now: Timestamp, chance: f64, repaired: bool) {
        let mut inner = self.inner.lock();
        if inner.current.as_ref().is_none_or(|current| current.live_digest != plugin.live_digest) {
            // An old version that ends its last calls says nothing about the one at work.
            return;
        }
        inner.last_error = Some(failure.clone());
        let consequence = if repaired {
            inner.supervisor.broke_and_was_repaired(now, &failure.message)
        } else {
            inner.supervisor.broke(now, &failure.message, chance)
        };
        tracing::warn!(plugin = %self.name, ?consequence, failure = %failure.message, "a plugin broke");
        if consequence == Consequence::Quarantined {
            inner.rejected.insert(plugin.digest.clone());
            if let Some(good) = inner.last_good.take() {
                tracing::warn!(plugin = %self.name, from = %plugin.digest, to = %good.digest, "going back to the last good version");
                inner.current = Some(good);
                inner.supervisor.enter(PluginState::Live);
            }
        }
    }

    /// For the catalogue.
    pub(crate) fn status(&self) -> PluginStatus {
        let inner = self.inner.lock();
        let shown = inner.current.as_ref().map_or_else(
            || inner.shown.clone(),
            |plugin| Shown {
                kind: Some(plugin.kind),
                digest: plugin.digest.clone(),
                origin: plugin.origin.clone(),
                description: Some(plugin.description.clone()),
                imports: plugin.imports.clone(),
            },
        );
        PluginStatus {
            name: self.name.clone(),
            kind: shown.kind,
            digest: shown.digest,
            origin: shown.origin,
            description: shown.description,
            imports: shown.imports,
            granted: inner.current.as_ref().map(|plugin| plugin.granted.clone()).unwrap_or_default(),
            state: inner.supervisor.state().clone(),
            last_error: inner.last_error.clone(),
            usage: self.usage.read(),
        }
    }
}
