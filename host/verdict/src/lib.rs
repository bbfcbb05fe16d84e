//! Joins the records of both halves into the two answers per service, and says how they hang together. It reads and asks
//! nobody.

mod history;
mod reading;
mod rules;

pub use history::{all_as_of, as_of, before, keep};
pub use reading::{VerdictError, verdicts};
