//! PromQL over any source of series: the language of Prometheus 3, whose range selectors are open on the left. Pure: time and
//! data are passed in, and a query is held to limits and can be called off.
//!
//! An expression is evaluated for all steps of a query together: each part answers columns with a value or none per step, so
//! that a series is selected, matched and grouped once, however many steps there are.

mod annotation;
mod budget;
mod engine;
mod error;
mod eval;
mod grid;
mod labels;
mod language;
mod limits;
mod number;
mod source;
mod store_source;
mod value;

pub use annotation::Annotations;
pub use budget::{BudgetUse, DEFAULT_SHARED_SAMPLES, SampleBudget, SampleShare};
pub use engine::{Answer, Engine, Outcome, canonical, formatted, selector, selectors};
pub use error::{ErrorKind, QueryError};
pub use grid::Grid;
pub use labels::METRIC_NAME;
pub use limits::QueryLimits;
pub use number::number_text;
pub use promql_parser::label::{MatchOp, Matcher};
pub use source::{SelectedSeries, SeriesSource, SourceError, matches};
pub use store_source::{StoreSource, label_filter};
pub use value::{Datum, Sample, SampleSeries};

/// The bits of the NaN by which Prometheus marks the end of a series.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;
