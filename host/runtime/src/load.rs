//! From the bytes of a file to a plugin at work: whole and a component, of one kind, fitting; compiled or from the cache;
//! linked; tried on a canary without grants; its configuration checked; its self-check passed.

use crate::{
    bindings::{
        about::{AboutView, AboutViewPre},
        collector::CollectorViewPre,
        correlator::CorrelatorViewPre,
        detector::DetectorViewPre,
        drift::DriftViewPre,
        mapper::MapperViewPre,
        root_cause::RootCauseViewPre,
        target::TargetViewPre,
    },
    convert::{Check, about},
    grants::{OperatorGrants, granted},
    imports::{self, HostState, PluginContext},
    instance::{Identity, Instance},
    kinds,
    plugin::{Plugin, Prepared, Shown},
    runtime::Core,
    shape::{self, Shape},
    usage::UsageCounters,
};
use sha2::{Digest, Sha256};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tandem_domain::{
    Failure, FailureCode,
    plugin::{Description, PluginKind, PluginState},
};
use wasmtime::{
    Engine,
    component::{Component, InstancePre, Linker},
};

/// Memory of one instance of a compiled plugin, unless the operator says otherwise.
const DEFAULT_MEMORY_BYTES: u64 = 64 << 20;

/// Memory of one instance that carries an interpreter: Python starts with 40 MiB, JavaScript with 20.
const INTERPRETER_MEMORY_BYTES: u64 = 256 << 20;

/// Time for `about.describe`.
const DESCRIBE_DEADLINE: Duration = Duration::from_secs(1);

/// What the operator says about one plugin.
#[derive(Debug, Clone, Default)]
pub struct PluginSettings {
    /// Its configuration; `Null` counts as none.
    pub config: serde_json::Value,
    /// What it may have of what it asks for.
    pub grants: OperatorGrants,
    /// Linear memory of one instance, in bytes; by default 64 MiB, or 256 MiB where it carries an interpreter.
    pub memory_bytes: Option<u64>,
    /// Switched off.
    pub disabled: bool,
    /// The folder of its assets.
    pub assets: Option<PathBuf>,
}

/// Answers the settings of the plugin of a name; asked once it has said its name.
pub type SettingsOf = Arc<dyn Fn(&str) -> PluginSettings + Send + Sync>;

/// What loading came to.
#[allow(clippy::large_enum_variant, reason = "one value per load, moved once")]
pub(crate) enum Loaded {
    /// To be put to work.
    Ready(Arc<Plugin>),
    /// Fine, but switched off.
    Disabled {
        /// Its name.
        name: String,
        /// For the catalogue.
        shown: Shown,
    },
}

/// Loading failed.
#[derive(Debug)]
pub(crate) struct LoadFailure {
    /// Its name, or what is known in place of it.
    pub(crate) name: String,
    /// For the catalogue, as far as it came.
    pub(crate) shown: Shown,
    /// Why, and what to do.
    pub(crate) failure: Failure,
}

/// Loads one component. Blocking; `hint` stands for the name until the plugin has said its own.
pub(crate) fn load(
    core: &Core,
    hint: &str,
    origin: &str,
    bytes: &[u8],
    settings: &SettingsOf,
) -> Result<Loaded, Box<LoadFailure>> {
    let digest = hex::encode(Sha256::digest(bytes));
    let shown = Shown { digest: digest.clone(), origin: origin.to_owned(), ..Shown::default() };
    let mut loading = Loading { core, name: hint.to_owned(), shown };
    loading.step(PluginState::Loading);
    match loading.run(bytes, &digest, settings) {
        Ok(loaded) => Ok(loaded),
        Err(failure) => Err(Box::new(LoadFailure { name: loading.name, shown: loading.shown, failure })),
    }
}

struct Loading<'a> {
    core: &'a Core,
    name: String,
    shown: Shown,
}

impl Loading<'_> {
    fn step(&self, state: PluginState) {
        self.core.slot_or_new(&self.name).show_step(state, self.shown.clone());
    }

    fn run(&mut self, bytes: &[u8], digest: &str, settings: &SettingsOf) -> Result<Loaded, Failure> {
        let shape = shape::read_shape(bytes).map_err(|error| self.unfit(error))?;
        self.shown.kind = Some(shape.kind);
        self.shown.imports.clone_from(&shape.imports);
        let (component, _) = self
            .core
            .compiled
            .component(&self.core.engine, digest, bytes)
            .map_err(|error| self.unfit(format!("the component does not compile: {}", chain(&error))))?;
        let pure = self.link(
            if shape::does_io(shape.kind) { &self.core.linker_muted } else { &self.core.linker_pure },
            &component,
        )?;
        self.step(PluginState::Canary);
        let description = self.describe(&pure, &shape)?;
        self.take_name(&description);
        let settings = settings(&self.name);
        if settings.disabled {
            return Ok(Loaded::Disabled { name: self.name.clone(), shown: self.shown.clone() });
        }
        let config = self.checked_config(&description, &settings.config)?;
        let memory_limit_bytes = memory_limit(&shape, &settings);
        let slot = self.core.slot_or_new(&self.name);
        let identity = Arc::new(Identity { name: self.name.clone(), usage: slot.usage().clone(), memory_limit_bytes });
        let plugin = Arc::new(Plugin {
            kind: shape.kind,
            digest: digest.to_owned(),
            live_digest: hex::encode(Sha256::new().chain_update(digest).chain_update(&config).finalize()),
            origin: self.shown.origin.clone(),
            granted: granted(&description.capabilities, &settings.grants),
            operator: settings.grants,
            context: self.context(&identity, settings.assets),
            prepared: self.prepare(&shape, &component, pure)?,
            imports: shape.imports,
            description,
            config,
            identity,
        });
        self.self_check(&plugin)?;
        Ok(Loaded::Ready(plugin))
    }

    fn unfit(&self, why: impl std::fmt::Display) -> Failure {
        Failure::lasting(FailureCode::Malformed, format!("plugin {} ({}): {why}", self.name, self.shown.origin))
    }

    fn context(&self, identity: &Identity, assets: Option<PathBuf>) -> PluginContext {
        PluginContext {
            name: identity.name.as_str().into(),
            usage: identity.usage.clone(),
            log_rate: Arc::default(),
            budget: self.core.budget.clone(),
            memory_limit_bytes: identity.memory_limit_bytes,
            assets,
        }
    }

    fn link(&self, linker: &Linker<HostState>, component: &Component) -> Result<InstancePre<HostState>, Failure> {
        linker.instantiate_pre(component).map_err(|error| self.does_not_link(&error))
    }

    fn does_not_link(&self, error: &wasmtime::Error) -> Failure {
        self.unfit(format!(
            "an import is not what this server offers: {}; build it against the `wit` folder of this server",
            chain(error)
        ))
    }

    fn has_not(&self, error: &wasmtime::Error) -> Failure {
        self.unfit(format!(
            "an export is missing or has another shape than the contract: {}; build it against the `wit` folder of this server",
            chain(error)
        ))
    }

    /// Asks a canary instance, with nothing behind its imports, twice: the answer must not vary.
    fn describe(&self, pure: &InstancePre<HostState>, shape: &Shape) -> Result<Description, Failure> {
        const FUNCTION: &str = "about.describe";
        let prepared: AboutViewPre<HostState> =
            AboutViewPre::new(pure.clone()).map_err(|error| self.has_not(&error))?;
        // The name is not known yet, so what the canary uses is counted for nobody.
        let identity = Arc::new(Identity {
            name: self.name.clone(),
            usage: Arc::new(UsageCounters::default()),
            memory_limit_bytes: memory_limit(shape, &PluginSettings::default()),
        });
        let state = HostState::pure(self.context(&identity, None));
        let mut canary: Instance<AboutView> =
            Instance::start(&self.core.engine, &identity, state, |store| prepared.instantiate(store))?;
        let mut ask = || {
            canary
                .call_plain(FUNCTION, DESCRIBE_DEADLINE, |store, exports| {
                    exports.tandem_plugin_about().call_describe(store)
                })
                .map_err(|error| error.failure().clone())
                .and_then(|said| about::description(Check { plugin: &self.name, function: FUNCTION }, said))
        };
        let first = ask()?;
        if ask()? != first {
            return Err(
                Check { plugin: &self.name, function: FUNCTION }.breach("the answer", "varies from call to call")
            );
        }
        Ok(first)
    }

    /// From here on the plugin goes by the name it says.
    fn take_name(&mut self, description: &Description) {
        if self.name != description.name {
            self.core.drop_empty_slot(&self.name);
            self.name.clone_from(&description.name);
        }
        self.shown.description = Some(description.clone());
        self.step(PluginState::Canary);
    }

    fn checked_config(&self, description: &Description, config: &serde_json::Value) -> Result<String, Failure> {
        let misconfigured = |why: String| {
            Failure::lasting(
                FailureCode::Misconfigured,
                format!("plugin {}: {why}; mend `config` in [plugins.{}] of tandem.toml", self.name, self.name),
            )
        };
        let empty = serde_json::Value::Object(serde_json::Map::new());
        let config = if config.is_null() { &empty } else { config };
        if description.config_schema.trim().is_empty() {
            return if *config == empty {
                Ok("{}".into())
            } else {
                Err(misconfigured("it takes no configuration, but one is given".into()))
            };
        }
        let schema: serde_json::Value = serde_json::from_str(&description.config_schema)
            .map_err(|error| self.unfit(format!("its config schema is not JSON: {error}")))?;
        let validator = jsonschema::validator_for(&schema)
            .map_err(|error| self.unfit(format!("its config schema is not a JSON Schema: {error}")))?;
        let errors: Vec<String> = validator
            .iter_errors(config)
            .take(8)
            .map(|error| {
                let place = error.instance_path().to_string();
                if place.is_empty() { error.to_string() } else { format!("{place}: {error}") }
            })
            .collect();
        if errors.is_empty() { Ok(config.to_string()) } else { Err(misconfigured(errors.join("; "))) }
    }

    fn prepare(&self, shape: &Shape, component: &Component, pure: InstancePre<HostState>) -> Result<Prepared, Failure> {
        let io = || self.link(&self.core.linker_io, component);
        Ok(match shape.kind {
            PluginKind::Collector => Prepared::Collector {
                mapper: MapperViewPre::new(pure).map_err(|error| self.has_not(&error))?,
                collector: CollectorViewPre::new(io()?).map_err(|error| self.has_not(&error))?,
                warm: parking_lot::Mutex::new(Vec::new()),
            },
            PluginKind::Detector => {
                Prepared::Detector(DetectorViewPre::new(pure).map_err(|error| self.has_not(&error))?)
            }
            PluginKind::Correlator => {
                Prepared::Correlator(CorrelatorViewPre::new(pure).map_err(|error| self.has_not(&error))?)
            }
            PluginKind::RootCause => {
                Prepared::RootCause(RootCauseViewPre::new(pure).map_err(|error| self.has_not(&error))?)
            }
            PluginKind::DriftMetric => {
                Prepared::DriftMetric(DriftViewPre::new(pure).map_err(|error| self.has_not(&error))?)
            }
            PluginKind::DeploymentTarget => {
                Prepared::DeploymentTarget(TargetViewPre::new(io()?).map_err(|error| self.has_not(&error))?)
            }
        })
    }

    /// A first call that must not break, and that shows the plugin its configuration where opening takes one.
    fn self_check(&self, plugin: &Arc<Plugin>) -> Result<(), Failure> {
        match plugin.kind {
            PluginKind::Collector => kinds::mapper::self_check(self.core, plugin),
            PluginKind::Detector => kinds::detector::self_check(self.core, plugin),
            PluginKind::Correlator => kinds::correlator::self_check(self.core, plugin),
            PluginKind::RootCause => kinds::root_cause::self_check(self.core, plugin),
            // Both take their configuration with each call, beside data that a check does not have.
            PluginKind::DriftMetric | PluginKind::DeploymentTarget => Ok(()),
        }
    }
}

/// The pure linker with what kinds that do IO import beside it, so that their pure halves (mapping, describing) can be
/// linked at all: files trap, and a request finds no client behind it.
pub(crate) fn linker_muted(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = imports::linker_pure(engine)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_sync(&mut linker)?;
    let mut files = linker.instance("tandem:plugin/files@1.0.0")?;
    for function in ["read", "names", "link", "space"] {
        files.func_new(function, move |_, _, _, _| {
            Err(wasmtime::Error::msg(format!("files.{function} is for `collect`; mapping and describing are pure")))
        })?;
    }
    Ok(linker)
}

fn memory_limit(shape: &Shape, settings: &PluginSettings) -> u64 {
    let default = if shape.carries_interpreter { INTERPRETER_MEMORY_BYTES } else { DEFAULT_MEMORY_BYTES };
    settings.memory_bytes.unwrap_or(default)
}

/// An error with its causes, in one line.
fn chain(error: &wasmtime::Error) -> String {
    let mut text = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    text.truncate(text.floor_char_boundary(1_000));
    text.replace('\n', " ")
}
