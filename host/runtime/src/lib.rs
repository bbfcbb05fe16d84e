//! Loads components, calls them under limits and grants, supervises and swaps them, and so implements the plugin ports of
//! the domain. Knows plugin kinds and no plugin.

mod bindings;
mod budget;
mod compiled;
mod convert;
mod engine;
mod folder;
mod grants;
mod imports;
mod instance;
mod kinds;
mod load;
mod outward;
mod plugin;
mod runtime;
mod secrets;
mod shape;
mod supervisor;
mod usage;
mod workers;

pub use budget::{MemoryAccount, MemoryBudget};
pub use engine::{Allocation, EngineError};
pub use folder::FolderWatch;
pub use grants::OperatorGrants;
pub use load::{PluginSettings, SettingsOf};
pub use runtime::{PluginSource, Runtime, RuntimeError, RuntimeOptions};
pub use secrets::Secrets;
pub use shape::ShapeError;
pub use usage::UsageCounters;
