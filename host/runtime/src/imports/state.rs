//! What the host knows of one instance while it is called.

use super::{
    denial::Denials,
    http::OutboundHttp,
    log::{GuestLog, LogRate},
    memory::InstanceMemory,
    wasi,
};
use crate::{MemoryBudget, UsageCounters, grants::Grants};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tandem_domain::{Failure, http::HttpClient, ports::Query, series::SeriesId};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// What all instances of one plugin share.
#[derive(Debug, Clone)]
pub(crate) struct PluginContext {
    /// Its name, for messages.
    pub(crate) name: Arc<str>,
    /// Its counters.
    pub(crate) usage: Arc<UsageCounters>,
    /// How much of what they say reaches the log.
    pub(crate) log_rate: Arc<LogRate>,
    /// The budget of the process.
    pub(crate) budget: Arc<MemoryBudget>,
    /// The most linear memory one instance may have.
    pub(crate) memory_limit_bytes: u64,
    /// The folder of its assets, if it has one.
    pub(crate) assets: Option<PathBuf>,
}

/// The data of a store.
pub(crate) struct HostState {
    pub(super) context: PluginContext,
    pub(super) memory: InstanceMemory,
    pub(super) log: GuestLog,
    pub(super) grants: Grants,
    pub(super) query: Option<Arc<dyn Query>>,
    /// Series that `series-of` named during this call, by the number it gave them.
    pub(super) named_series: Vec<SeriesId>,
    denials: Denials,
    wasi: WasiCtx,
    http_context: WasiHttpCtx,
    http: OutboundHttp,
    table: ResourceTable,
}

impl HostState {
    /// For pure calls: no grants, frozen clocks, seeded chance.
    pub(crate) fn pure(context: PluginContext) -> Self {
        let log = GuestLog::new(context.name.clone(), context.log_rate.clone(), context.usage.clone());
        let wasi = wasi::pure(&log);
        let denials = Denials::new(log.clone(), context.usage.clone());
        Self::new(context, log, denials, wasi, Grants::default(), None)
    }

    /// For calls that read and send under grants.
    pub(crate) fn io(context: PluginContext, grants: Grants, http: Arc<dyn HttpClient>) -> Self {
        let log = GuestLog::new(context.name.clone(), context.log_rate.clone(), context.usage.clone());
        let denials = Denials::new(log.clone(), context.usage.clone());
        let wasi = wasi::io(&log, &grants, &denials);
        Self::new(context, log, denials, wasi, grants, Some(http))
    }

    fn new(
        context: PluginContext,
        log: GuestLog,
        denials: Denials,
        wasi: WasiCtx,
        grants: Grants,
        http: Option<Arc<dyn HttpClient>>,
    ) -> Self {
        Self {
            memory: InstanceMemory::new(&context),
            http: OutboundHttp::new(http, grants.http.clone(), grants.secrets.clone(), denials.clone()),
            denials,
            context,
            log,
            grants,
            query: None,
            named_series: Vec::new(),
            wasi,
            http_context: WasiHttpCtx::new(),
            table: ResourceTable::new(),
        }
    }

    /// What the guest has said lately: log lines at warning and above, what it wrote to standard error, its panic.
    pub(crate) fn log_tail(&self) -> String {
        self.log.tail()
    }

    /// Forgets what was said, so that an error shows only what belongs to its own call.
    pub(crate) fn clear_log(&self) {
        self.log.clear();
    }

    /// The records a correlator may ask for during the next call.
    pub(crate) fn set_query(&mut self, query: Option<Arc<dyn Query>>) {
        self.query = query;
        self.named_series.clear();
    }

    /// The last thing that was refused for want of a grant; taken by whoever reports it.
    pub(crate) fn take_denial(&mut self) -> Option<Failure> {
        self.denials.take()
    }

    /// How long this instance has waited for answers from outside.
    pub(crate) fn waited(&self) -> Duration {
        self.http.waiting.so_far()
    }

    /// Linear memory of this instance now.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory.bytes()
    }

    /// Why a growth of memory was refused, if one was since the instance was made.
    pub(crate) fn memory_refusal(&self) -> Option<&str> {
        self.memory.refusal()
    }

    /// For `Store::limiter`.
    pub(crate) fn limiter(&mut self) -> &mut dyn wasmtime::ResourceLimiter {
        &mut self.memory
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http_context, table: &mut self.table, hooks: &mut self.http }
    }
}

impl crate::bindings::wit::Host for HostState {}
