//! Mappers: stateless pure calls on warm instances.

use crate::{
    bindings::mapper::MapperView,
    convert::{Check, mapping},
    imports::HostState,
    instance::{CallError, Instance},
    plugin::{Plugin, Prepared, Slot},
    runtime::{Core, Runtime},
};
use std::{sync::Arc, time::Duration};
use tandem_domain::{
    Failure,
    meaning::Mapping,
    plugin::PluginKind,
    ports::{BoxFuture, LivePlugin, Mappers},
    series::SeriesDescription,
    target::TargetInfo,
};

/// Computing time of one mapping, beside the allowance per series.
const DEADLINE: Duration = Duration::from_secs(1);

/// Added per series shown; an interpreted mapper needs some 20 µs.
const DEADLINE_PER_SERIES: Duration = Duration::from_micros(200);

/// An instance is replaced after so many mappings, because a guest that leaks must not leak for ever (warm instances that
/// grew to 6 GB stayed at 280 MB when replaced every 512 calls: wippyai issue 369).
const MAX_CALLS_PER_INSTANCE: u32 = 512;

const FUNCTION: &str = "mapper.interpret";

impl Mappers for Runtime {
    fn mappers(&self) -> Vec<LivePlugin> {
        self.core().listed(PluginKind::Collector)
    }

    fn interpret<'a>(
        &'a self,
        plugin: &'a str,
        target: &'a TargetInfo,
        series: &'a [SeriesDescription],
    ) -> BoxFuture<'a, Result<Mapping, Failure>> {
        Box::pin(async move {
            let core = self.core().clone();
            let slot = core.slot(plugin)?;
            let at_work = slot.admitted(core.now())?;
            let (target, series) = (target.clone(), series.to_vec());
            let job = {
                let core = core.clone();
                move || interpret(&core, &slot, &at_work, &target, &series)
            };
            core.on_worker(job).await?
        })
    }
}

/// Runs on a worker. An instance that served before and breaks now gets a fresh one's second opinion.
fn interpret(
    core: &Core,
    slot: &Slot,
    plugin: &Plugin,
    target: &TargetInfo,
    series: &[SeriesDescription],
) -> Result<Mapping, Failure> {
    let mut broken = None;
    if let Some(warm) = plugin.take_warm() {
        match interpret_with(warm, slot, plugin, target, series) {
            Ok(mapping) => {
                slot.went_well(core.now());
                return Ok(mapping);
            }
            Err(CallError::Answered(failure)) => return Err(noted(slot, failure)),
            Err(CallError::Broke(failure)) => broken = Some(failure),
        }
    }
    let outcome = start(core, plugin)
        .map_err(CallError::Broke)
        .and_then(|fresh| interpret_with(fresh, slot, plugin, target, series));
    if let Some(failure) = broken {
        let repaired = !matches!(outcome, Err(CallError::Broke(_)));
        if repaired {
            slot.broke(plugin, &failure, core.now(), core.chance(), true);
        }
    }
    match outcome {
        Ok(mapping) => {
            slot.went_well(core.now());
            Ok(mapping)
        }
        Err(CallError::Answered(failure)) => Err(noted(slot, failure)),
        Err(CallError::Broke(failure)) => {
            slot.broke(plugin, &failure, core.now(), core.chance(), false);
            Err(failure)
        }
    }
}

fn noted(slot: &Slot, failure: Failure) -> Failure {
    slot.note_failure(&failure);
    failure
}

/// Makes an instance with nothing behind its imports.
pub(crate) fn start(core: &Core, plugin: &Plugin) -> Result<Instance<MapperView>, Failure> {
    let Prepared::Collector { mapper, .. } = &plugin.prepared else {
        return Err(core.wrong_kind(plugin, PluginKind::Collector));
    };
    let state = HostState::pure(plugin.context.clone());
    Instance::start(&core.engine, &plugin.identity, state, |store| mapper.instantiate(store))
}

fn interpret_with(
    mut instance: Instance<MapperView>,
    slot: &Slot,
    plugin: &Plugin,
    target: &TargetInfo,
    series: &[SeriesDescription],
) -> Result<Mapping, CallError> {
    let shown: Vec<_> = series.iter().map(mapping::series_out).collect();
    let target = mapping::target_out(target);
    let limit = DEADLINE + DEADLINE_PER_SERIES.saturating_mul(u32::try_from(series.len()).unwrap_or(u32::MAX));
    let outcome = instance
        .call(FUNCTION, limit, |store, exports| exports.tandem_plugin_mapper().call_interpret(store, &target, &shown));
    let said = match outcome {
        Err(error @ CallError::Broke(_)) => return Err(error),
        other => {
            if instance.is_worn(MAX_CALLS_PER_INSTANCE) {
                slot.usage().count_recycled();
            } else {
                plugin.keep_warm(instance);
            }
            other?
        }
    };
    let check = Check { plugin: plugin.name(), function: FUNCTION };
    mapping::mapping(check, said, series.len()).map_err(|failure| {
        slot.usage().count_contract_breach();
        CallError::Answered(failure)
    })
}

/// Tries a mapper on nothing, as the loader's self-check: it must not break.
pub(crate) fn self_check(core: &Core, plugin: &Arc<Plugin>) -> Result<(), Failure> {
    let mut instance = start(core, plugin)?;
    let target =
        crate::bindings::wit_meaning::Target { job: "self-check".into(), instance: String::new(), labels: Vec::new() };
    match instance
        .call(FUNCTION, DEADLINE, |store, exports| exports.tandem_plugin_mapper().call_interpret(store, &target, &[]))
    {
        Err(CallError::Broke(failure)) => Err(failure),
        Ok(_) | Err(CallError::Answered(_)) => {
            plugin.keep_warm(instance);
            Ok(())
        }
    }
}
