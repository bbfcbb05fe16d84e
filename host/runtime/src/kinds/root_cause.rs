//! Root causes: each case in an instance of its own, so that nothing of one case can colour the answer to the next.

use crate::{
    bindings::root_cause::{RootCauseView, exports::tandem::plugin::root_cause as guest},
    convert::{Check, cause},
    imports::HostState,
    instance::{CallError, Instance},
    plugin::{Plugin, Prepared, Slot},
    runtime::{Core, Runtime},
};
use std::time::Duration;
use tandem_domain::{
    Failure,
    cause::{Case, Ranking},
    plugin::PluginKind,
    ports::{BoxFuture, LivePlugin, RootCauses},
};

/// Computing time of one case, beside the allowance per value.
const DEADLINE: Duration = Duration::from_secs(2);

/// Added per value of a signal; an interpreted plugin needs some 2 µs for each look at one, and looks a few times.
const DEADLINE_PER_VALUE: Duration = Duration::from_micros(10);

const FUNCTION: &str = "root-cause.rank";

impl RootCauses for Runtime {
    fn root_causes(&self) -> Vec<LivePlugin> {
        self.core().listed(PluginKind::RootCause)
    }

    fn rank<'a>(&'a self, plugin: &'a str, case: &'a Case) -> BoxFuture<'a, Result<Ranking, Failure>> {
        Box::pin(async move {
            let core = self.core().clone();
            let slot = core.slot(plugin)?;
            let at_work = slot.admitted(core.now())?;
            let shown = cause::case_out(Check { plugin, function: FUNCTION }, case)?;
            let job = {
                let core = core.clone();
                move || super::told(&core, &slot, &at_work, rank(&core, &slot, &at_work, &shown))
            };
            // Large cases may take an interpreted plugin seconds, and detectors must not wait for them.
            core.on_long_worker(job).await?
        })
    }
}

fn rank(core: &Core, slot: &Slot, plugin: &Plugin, case: &guest::Case) -> Result<Ranking, CallError> {
    let Prepared::RootCause(prepared) = &plugin.prepared else {
        return Err(CallError::Answered(core.wrong_kind(plugin, PluginKind::RootCause)));
    };
    let host = HostState::pure(plugin.context.clone());
    let mut instance: Instance<RootCauseView> =
        Instance::start(&core.engine, &plugin.identity, host, |store| prepared.instantiate(store))
            .map_err(CallError::Broke)?;
    let values: usize = case.frames.iter().map(|frame| frame.value.len()).sum();
    let limit = DEADLINE + DEADLINE_PER_VALUE.saturating_mul(u32::try_from(values).unwrap_or(u32::MAX));
    let config = &plugin.config;
    let said = instance
        .call(FUNCTION, limit, |store, exports| exports.tandem_plugin_root_cause().call_rank(store, config, case))?;
    cause::ranking(Check { plugin: plugin.name(), function: FUNCTION }, said, case).map_err(|failure| {
        slot.usage().count_contract_breach();
        CallError::Answered(failure)
    })
}

/// Asks about nothing, as the loader's self-check: the plugin must take its configuration, and an empty case is no failure.
pub(crate) fn self_check(core: &Core, plugin: &Plugin) -> Result<(), Failure> {
    let check = Check { plugin: plugin.name(), function: FUNCTION };
    let nothing = cause::case_out(check, &Case::default())?;
    let slot = core.slot_or_new(plugin.name());
    rank(core, &slot, plugin, &nothing).map(|_| ()).map_err(|error| error.failure().clone())
}
