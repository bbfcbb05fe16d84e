//! How each kind of plugin is called: the ports of the domain, implemented on the runtime.

mod collector;
pub(crate) mod correlator;
pub(crate) mod detector;
mod drift;
pub(crate) mod mapper;
pub(crate) mod root_cause;
mod target;

use crate::{
    instance::CallError,
    plugin::{Plugin, Slot},
    runtime::Core,
};
use tandem_domain::Failure;

/// Tells the supervisor how a run on an instance of its own went; answers it with a plain failure.
fn told<T>(core: &Core, slot: &Slot, plugin: &Plugin, outcome: Result<T, CallError>) -> Result<T, Failure> {
    match outcome {
        Ok(answer) => {
            slot.went_well(core.now());
            Ok(answer)
        }
        Err(CallError::Answered(failure)) => {
            slot.note_failure(&failure);
            Err(failure)
        }
        Err(CallError::Broke(failure)) => {
            slot.broke(plugin, &failure, core.now(), core.chance(), false);
            Err(failure)
        }
    }
}
