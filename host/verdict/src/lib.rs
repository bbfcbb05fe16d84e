//! Joins the records of both halves into the two answers per service, and says how they hang together. For services in trouble a
//! room asks a plugin who is to blame; everything else reads and asks nobody.

pub mod ask;
mod chain;
mod ground;
mod history;
mod reading;
mod rules;
mod snapshot;
mod unseen;

pub use ask::{AskMetrics, AskRoom, Asking};
pub use chain::Verdicts;
pub use history::{all_as_of, as_of, before, keep};
pub use reading::{VerdictError, verdicts};
pub use unseen::{Gap, GapKind, MAX_EXAMPLES, unseen};
