//! Counters of what one plugin uses, kept over swaps and restarts of it. Written from worker threads, read by the catalogue.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tandem_domain::plugin::PluginUsage;

/// Counted since the server started.
#[derive(Debug, Default)]
pub struct UsageCounters {
    calls: AtomicU64,
    failures: AtomicU64,
    traps: AtomicU64,
    timeouts: AtomicU64,
    contract_breaches: AtomicU64,
    denials: AtomicU64,
    log_lines_left_out: AtomicU64,
    refused_loads: AtomicU64,
    busy_nanos: AtomicU64,
    memory_bytes: AtomicU64,
    memory_peak_bytes: AtomicU64,
    instances: AtomicU64,
    recycled: AtomicU64,
}

impl UsageCounters {
    /// A call that took so long.
    pub fn count_call(&self, took: Duration) {
        self.calls.fetch_add(1, Relaxed);
        self.busy_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// A call answered with a failure.
    pub fn count_failure(&self) {
        self.failures.fetch_add(1, Relaxed);
    }

    /// A call that trapped.
    pub fn count_trap(&self) {
        self.traps.fetch_add(1, Relaxed);
    }

    /// A call that ran out of time.
    pub fn count_timeout(&self) {
        self.timeouts.fetch_add(1, Relaxed);
    }

    /// An answer that did not keep the contract.
    pub fn count_contract_breach(&self) {
        self.contract_breaches.fetch_add(1, Relaxed);
    }

    /// A request refused for want of a grant.
    pub fn count_denial(&self) {
        self.denials.fetch_add(1, Relaxed);
    }

    /// A line that was not written to the log because the plugin had said too much.
    pub fn count_log_line_left_out(&self) {
        self.log_lines_left_out.fetch_add(1, Relaxed);
    }

    /// A component that was not let in.
    pub fn count_refused_load(&self) {
        self.refused_loads.fetch_add(1, Relaxed);
    }

    /// An instance that came to be.
    pub fn count_instance(&self) {
        self.instances.fetch_add(1, Relaxed);
    }

    /// An instance that is gone.
    pub fn uncount_instance(&self) {
        self.instances.fetch_sub(1, Relaxed);
    }

    /// An instance replaced because it had served long enough or grown too big.
    pub fn count_recycled(&self) {
        self.recycled.fetch_add(1, Relaxed);
    }

    /// Linear memory of one instance grew from `before` to `after` bytes.
    pub fn memory_grew(&self, before_bytes: u64, after_bytes: u64) {
        self.memory_bytes.fetch_add(after_bytes.saturating_sub(before_bytes), Relaxed);
    }

    /// One instance now has so many bytes in all its memories.
    pub fn note_peak(&self, instance_bytes: u64) {
        self.memory_peak_bytes.fetch_max(instance_bytes, Relaxed);
    }

    /// An instance that had so many bytes is gone.
    pub fn memory_released(&self, bytes: u64) {
        self.memory_bytes.fetch_sub(bytes, Relaxed);
    }

    /// As the catalogue shows it.
    pub fn read(&self) -> PluginUsage {
        PluginUsage {
            calls: self.calls.load(Relaxed),
            failures: self.failures.load(Relaxed),
            traps: self.traps.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            contract_breaches: self.contract_breaches.load(Relaxed),
            denials: self.denials.load(Relaxed),
            log_lines_left_out: self.log_lines_left_out.load(Relaxed),
            refused_loads: self.refused_loads.load(Relaxed),
            busy_nanos: self.busy_nanos.load(Relaxed),
            memory_bytes: self.memory_bytes.load(Relaxed),
            memory_peak_bytes: self.memory_peak_bytes.load(Relaxed),
            instances: self.instances.load(Relaxed),
            recycled: self.recycled.load(Relaxed),
        }
    }
}
