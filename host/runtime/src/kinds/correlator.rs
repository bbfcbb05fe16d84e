//! Correlators: one session, one instance.

use crate::{
    bindings::correlator::CorrelatorView,
    convert::{Check, correlation},
    imports::HostState,
    instance::{CallError, Instance},
    plugin::{Plugin, Prepared, Slot},
    runtime::{Core, Runtime},
};
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tandem_domain::{
    Failure, FailureCode,
    plugin::PluginKind,
    ports::{BoxFuture, CorrelationDelta, CorrelatorSession, Correlators, Grouping, LivePlugin, Query},
};
use wasmtime::component::ResourceAny;

/// Computing time of one update, beside the allowance per entry.
const DEADLINE: Duration = Duration::from_millis(500);

/// Added per alert, finding, change and word of a person: each may ask the graph and read series.
const DEADLINE_PER_ENTRY: Duration = Duration::from_millis(5);

/// An instance is replaced after so many updates, so that a guest that leaks does not leak for ever.
const MAX_CALLS_PER_INSTANCE: u32 = 4_096;

/// Largest state of a session.
const MAX_STATE_BYTES: usize = 64 << 20;

impl Correlators for Runtime {
    fn correlators(&self) -> Vec<LivePlugin> {
        self.core().listed(PluginKind::Correlator)
    }

    fn open<'a>(
        &'a self,
        plugin: &'a str,
        state: Option<Vec<u8>>,
    ) -> BoxFuture<'a, Result<Box<dyn CorrelatorSession>, Failure>> {
        Box::pin(async move {
            let core = self.core().clone();
            let slot = core.slot(plugin)?;
            let at_work = slot.admitted(core.now())?;
            let mut session = Session { core: core.clone(), slot, plugin: at_work, live: None };
            let session = core
                .on_worker(move || {
                    session.start(state.as_deref())?;
                    Ok::<_, Failure>(session)
                })
                .await??;
            Ok(Box::new(Handle { core, session: Arc::new(Mutex::new(session)) }) as Box<dyn CorrelatorSession>)
        })
    }
}

struct Handle {
    core: Arc<Core>,
    session: Arc<Mutex<Session>>,
}

impl CorrelatorSession for Handle {
    fn update<'a>(
        &'a mut self,
        delta: CorrelationDelta,
        query: Arc<dyn Query>,
    ) -> BoxFuture<'a, Result<Vec<Grouping>, Failure>> {
        let session = self.session.clone();
        Box::pin(async move { self.core.on_worker(move || session.lock().update(&delta, query)).await? })
    }

    fn snapshot<'a>(&'a mut self) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        let session = self.session.clone();
        Box::pin(async move { self.core.on_worker(move || session.lock().snapshot()).await? })
    }
}

struct Session {
    core: Arc<Core>,
    slot: Arc<Slot>,
    plugin: Arc<Plugin>,
    live: Option<Live>,
}

struct Live {
    instance: Instance<CorrelatorView>,
    session: ResourceAny,
}

impl Session {
    fn start(&mut self, state: Option<&[u8]>) -> Result<(), Failure> {
        match open(&self.core, &self.plugin, state) {
            Ok(live) => {
                self.live = Some(live);
                Ok(())
            }
            Err(error) => Err(self.lost(error)),
        }
    }

    fn update(&mut self, delta: &CorrelationDelta, query: Arc<dyn Query>) -> Result<Vec<Grouping>, Failure> {
        const FUNCTION: &str = "correlator.session.update";
        self.follow_swap()?;
        let Some(live) = &mut self.live else { return Err(must_reopen(&self.plugin)) };
        let entries = delta.alerts.len() + delta.findings.len() + delta.changes.len() + delta.feedback.len();
        let limit = DEADLINE + DEADLINE_PER_ENTRY.saturating_mul(u32::try_from(entries).unwrap_or(u32::MAX));
        let shown = correlation::delta_out(delta);
        let session = live.session;
        live.instance.state_mut().set_query(Some(query));
        let outcome = live.instance.call(FUNCTION, limit, |store, exports| {
            exports.tandem_plugin_correlator().session().call_update(store, session, &shown)
        });
        live.instance.state_mut().set_query(None);
        let said = outcome.map_err(|error| self.lost(error))?;
        let check = Check { plugin: self.plugin.name(), function: FUNCTION };
        let groupings = correlation::groupings(check, said).inspect_err(|failure| {
            self.slot.usage().count_contract_breach();
            self.slot.note_failure(failure);
        })?;
        self.slot.went_well(self.core.now());
        if self.live.as_ref().is_some_and(|live| live.instance.is_worn(MAX_CALLS_PER_INSTANCE)) {
            self.slot.usage().count_recycled();
            self.move_to(self.plugin.clone())?;
        }
        Ok(groupings)
    }

    fn snapshot(&mut self) -> Result<Vec<u8>, Failure> {
        const FUNCTION: &str = "correlator.session.snapshot";
        let Some(live) = &mut self.live else { return Err(must_reopen(&self.plugin)) };
        let session = live.session;
        let outcome = live.instance.call(FUNCTION, DEADLINE, |store, exports| {
            exports.tandem_plugin_correlator().session().call_snapshot(store, session)
        });
        let state = outcome.map_err(|error| self.lost(error))?;
        if state.len() > MAX_STATE_BYTES {
            self.slot.usage().count_contract_breach();
            let check = Check { plugin: self.plugin.name(), function: FUNCTION };
            return Err(
                check.breach("state", format_args!("has {} bytes, at most {MAX_STATE_BYTES} are kept", state.len()))
            );
        }
        Ok(state)
    }

    /// Goes over to the version at work, with the state of the one before.
    fn follow_swap(&mut self) -> Result<(), Failure> {
        let current = self.slot.admitted(self.core.now())?;
        if current.live_digest == self.plugin.live_digest { Ok(()) } else { self.move_to(current) }
    }

    fn move_to(&mut self, plugin: Arc<Plugin>) -> Result<(), Failure> {
        let state = self.snapshot()?;
        self.live = None;
        self.plugin = plugin;
        self.start(Some(&state))
    }

    /// After a break the instance is gone, and the room opens the session again from the state it kept.
    fn lost(&mut self, error: CallError) -> Failure {
        match error {
            CallError::Answered(failure) => {
                self.slot.note_failure(&failure);
                failure
            }
            CallError::Broke(failure) => {
                self.live = None;
                self.slot.broke(&self.plugin, &failure, self.core.now(), self.core.chance(), false);
                failure
            }
        }
    }
}

fn must_reopen(plugin: &Plugin) -> Failure {
    Failure::passing(
        FailureCode::Unreachable,
        format!("plugin {}: its session was lost; open it again from its last state", plugin.name()),
    )
}

fn open(core: &Core, plugin: &Plugin, state: Option<&[u8]>) -> Result<Live, CallError> {
    let Prepared::Correlator(prepared) = &plugin.prepared else {
        return Err(CallError::Answered(core.wrong_kind(plugin, PluginKind::Correlator)));
    };
    let host = HostState::pure(plugin.context.clone());
    let mut instance = Instance::start(&core.engine, &plugin.identity, host, |store| prepared.instantiate(store))
        .map_err(CallError::Broke)?;
    let config = &plugin.config;
    let session = match state {
        Some(state) => instance.call("correlator.restore", DEADLINE, |store, exports| {
            exports.tandem_plugin_correlator().call_restore(store, config, state)
        })?,
        None => instance.call("correlator.open", DEADLINE, |store, exports| {
            exports.tandem_plugin_correlator().call_open(store, config)
        })?,
    };
    Ok(Live { instance, session })
}

/// Opens a session, as the loader's self-check: the plugin must take its configuration.
pub(crate) fn self_check(core: &Core, plugin: &Plugin) -> Result<(), Failure> {
    open(core, plugin, None).map(|_| ()).map_err(|error| error.failure().clone())
}
