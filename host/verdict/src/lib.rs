//! Joins the records of both halves into the two answers per service, and says how they hang together. It reads and asks
//! nobody.

mod reading;
mod rules;

pub use reading::{VerdictError, verdicts};
