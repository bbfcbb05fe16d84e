//! What guests may call, one file per interface, and the two linkers: `pure`, in which time stands still, chance is seeded
//! and nothing lies behind WASI, and `io`, in which the grants of the call decide.

mod assets;
mod denial;
mod files;
mod http;
mod log;
mod memory;
mod query;
mod state;
mod wasi;

pub(crate) use log::GuestLog;
pub(crate) use state::{HostState, PluginContext};

use crate::bindings::{wit_assets, wit_files, wit_log, wit_query};
use wasmtime::{
    Engine,
    component::{HasSelf, Linker},
};

/// The linker of pure calls: sync, frozen, alone.
pub(crate) fn linker_pure(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    wasi::trap_on_sleep(&mut linker)?;
    wit_log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    wit_assets::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    wit_query::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}

/// The linker of calls that read and send: async, held to the grants.
pub(crate) fn linker_io(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wit_log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    wit_files::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
    Ok(linker)
}
