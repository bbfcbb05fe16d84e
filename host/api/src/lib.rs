//! The HTTP face of Tandem: routes with their own shapes, one error map, access, and the server-rendered overview. It holds
//! no rules: every answer is read from the store or asked of a room.

mod access;
mod console;
mod error;
mod ingest;
mod observe;
mod paging;
mod reload;
mod routes;
mod serving;
mod state;
mod time;
mod turns;

pub use access::{Access, Permission, Principal};
pub use ingest::IngestBudget;
pub use observe::MetricsPage;
pub use reload::{ReloadedRules, RuleSource};
pub use routes::{ExportPlaces, openapi, router};
pub use serving::{MAX_CONNECTIONS, ServingMetrics, serve};
pub use state::{ApiState, Readiness};
