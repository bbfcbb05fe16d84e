//! Linear memory: every growth is asked of the plugin's limit and of the process's budget, and refused without a trap, so
//! that the guest's allocator meets it as any program meets a full machine.

use super::PluginContext;
use crate::{MemoryAccount, UsageCounters};
use std::sync::Arc;
use wasmtime::ResourceLimiter;

/// Entries of one table; interpreters hold some ten thousand functions.
const MAX_TABLE_ELEMENTS: usize = 100_000;

pub(crate) struct InstanceMemory {
    account: MemoryAccount,
    usage: Arc<UsageCounters>,
    limit_bytes: u64,
    bytes: u64,
    refusal: Option<String>,
}

impl InstanceMemory {
    pub(super) fn new(context: &PluginContext) -> Self {
        Self {
            account: context.budget.account(),
            usage: context.usage.clone(),
            limit_bytes: context.memory_limit_bytes,
            bytes: 0,
            refusal: None,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }
}

impl ResourceLimiter for InstanceMemory {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = (desired as u64).saturating_sub(current as u64);
        let after = self.bytes.saturating_add(more);
        if after > self.limit_bytes {
            self.refusal = Some(format!(
                "it was refused memory: {} MiB are more than the {} MiB it may have (memory = \"…\" in its table of tandem.toml)",
                after >> 20,
                self.limit_bytes >> 20
            ));
            return Ok(false);
        }
        if !self.account.grow(more) {
            self.refusal = Some(
                "it was refused memory: what all plugins together may have is spent (limits.plugin_memory)".into(),
            );
            return Ok(false);
        }
        self.usage.memory_grew(self.bytes, after);
        self.usage.note_peak(after);
        self.bytes = after;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ELEMENTS)
    }
}

impl Drop for InstanceMemory {
    fn drop(&mut self) {
        self.usage.memory_released(self.bytes);
    }
}
