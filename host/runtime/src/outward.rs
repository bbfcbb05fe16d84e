//! Calls that read and send: on the async runtime, each on a fresh instance with the grants of the call. The guest yields at
//! every tick, and the deadline stands outside the call, so that a loop and a wait inside a host function are stopped alike.

use crate::{
    bindings::wit,
    convert::Check,
    grants,
    imports::HostState,
    instance::describe_break,
    plugin::{Plugin, Slot},
    runtime::Core,
};
use std::{
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_domain::{Failure, FailureCode};
use wasmtime::Store;

/// A call in progress: made of the store, and borrowing it.
type Calling<'s, T> = Pin<Box<dyn Future<Output = wasmtime::Result<Result<T, wit::Failure>>> + Send + 's>>;

/// Says that what a calling borrows from its surroundings outlives the store it calls on.
pub(crate) type Outlives<'a, 's> = PhantomData<&'s &'a ()>;

/// Calls a function of a fresh instance.
pub(crate) async fn call<'a, T: Send>(
    core: &Core,
    slot: &Slot,
    plugin: &Plugin,
    function: &'static str,
    target: &str,
    limit: Duration,
    calling: impl for<'s> FnOnce(&'s mut Store<HostState>, Outlives<'a, 's>) -> Calling<'s, T> + Send,
) -> Result<T, Failure> {
    let granted = grants::for_call(&plugin.description.capabilities, &plugin.granted, &plugin.operator, target)?;
    let state = HostState::io(plugin.context.clone(), granted, core.http.clone());
    let mut store = Store::new(&core.engine, state);
    store.limiter(|state| state.limiter());
    store.epoch_deadline_async_yield_and_update(1);
    store.set_epoch_deadline(1);
    let usage = &plugin.identity.usage;
    usage.count_instance();
    let began = Instant::now();
    let outcome = tokio::time::timeout(limit, calling(&mut store, PhantomData)).await;
    usage.count_call(began.elapsed());
    usage.uncount_instance();
    let denial = store.data_mut().take_denial();
    match outcome {
        Ok(Ok(Ok(answer))) => {
            slot.went_well(core.now());
            Ok(answer)
        }
        Ok(Ok(Err(failure))) => {
            usage.count_failure();
            // What the guest makes of a refusal is less than what the host knows of it.
            let check = Check { plugin: plugin.name(), function };
            let failure = match denial {
                Some(denial) => check.placed(denial),
                None => check.failure(failure),
            };
            slot.note_failure(&failure);
            slot.went_well(core.now());
            Err(failure)
        }
        Ok(Err(error)) => {
            let failure = describe_break(&plugin.identity, store.data(), function, limit, &error);
            slot.broke(plugin, &failure, core.now(), core.chance(), false);
            Err(failure)
        }
        Err(_) if store.data().waited() >= limit / 2 => {
            // Its target is slow, not the guest: other targets of the same plugin must not wait for this one.
            usage.count_timeout();
            let failure = waited_in_vain(plugin, function, limit, store.data().waited());
            slot.note_failure(&failure);
            slot.went_well(core.now());
            Err(failure)
        }
        Err(_) => {
            usage.count_timeout();
            let failure = timed_out(plugin, function, limit, &store.data().log_tail());
            slot.broke(plugin, &failure, core.now(), core.chance(), false);
            Err(failure)
        }
    }
}

fn waited_in_vain(plugin: &Plugin, function: &str, limit: Duration, waited: Duration) -> Failure {
    Failure::passing(
        FailureCode::Unreachable,
        format!(
            "plugin {}, {function}: not done after {:.1} s, of which it waited for an answer {:.1} s; the target is slow: see \
             whether it answers, or give it a longer timeout",
            plugin.name(),
            limit.as_secs_f64(),
            waited.as_secs_f64()
        ),
    )
}

fn timed_out(plugin: &Plugin, function: &str, limit: Duration, last_words: &str) -> Failure {
    let said = if last_words.is_empty() { String::new() } else { format!("; its last words: {last_words}") };
    Failure::passing(
        FailureCode::Unreachable,
        format!(
            "plugin {}, {function}: not done after {:.1} s and stopped{said}; see whether what it reads answers, or give it less at once",
            plugin.name(),
            limit.as_secs_f64()
        ),
    )
}

/// The plugin at work under a name, if it may be called now.
pub(crate) fn at_work(core: &Core, plugin: &str) -> Result<(Arc<Slot>, Arc<Plugin>), Failure> {
    let slot = core.slot(plugin)?;
    let plugin = slot.admitted(core.now())?;
    Ok((slot, plugin))
}
