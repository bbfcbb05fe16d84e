//! Loads components, calls them under limits and grants, supervises and swaps them, and so implements the plugin ports of
//! the domain. Knows plugin kinds and no plugin.

mod bindings;
mod budget;
mod compiled;
mod engine;
mod shape;
mod supervisor;
mod usage;
mod workers;

pub use budget::{MemoryAccount, MemoryBudget};
pub use engine::{Allocation, EngineError};
pub use shape::ShapeError;
pub use usage::UsageCounters;
