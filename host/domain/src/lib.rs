//! The nouns of Tandem, their state machines and pure rules, and the ports through which rooms reach plugins and the
//! network. Nothing here does IO, reads a clock, or knows a foreign library beyond serde and thiserror.

pub mod alert;
pub mod cause;
pub mod collected;
pub mod count;
pub mod deletion;
pub mod deployment;
pub mod destination;
pub mod drift;
pub mod entity;
pub mod event;
pub mod exemplar;
pub mod failure;
pub mod finding;
pub mod frame;
pub mod graph;
pub mod histogram;
pub mod http;
pub mod incident;
pub mod log;
pub mod meaning;
pub mod metadata;
pub mod objective;
pub mod period;
pub mod plugin;
pub mod ports;
pub mod prediction;
pub mod record;
pub mod relation;
pub mod request;
pub mod rule;
pub mod secret;
pub mod series;
pub mod severity;
pub mod target;
pub mod time;
pub mod topology;
pub mod verdict;

pub use failure::{Failure, FailureCode};
pub use record::{LogRecord, Record};
pub use severity::Severity;
pub use time::Timestamp;
