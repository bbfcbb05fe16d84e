//! Loads components, calls them under limits and grants, supervises and swaps them, and so implements the plugin ports of
//! the domain. Knows plugin kinds and no plugin.

mod bindings;
mod budget;
mod usage;

pub use budget::{MemoryAccount, MemoryBudget};
pub use usage::UsageCounters;
