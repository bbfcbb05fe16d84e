//! What goes out again: samples forwarded by remote write to any Prometheus-compatible cluster, and exported as Parquet.
//!
//! The sample log of the store is the queue: each forward is a reader of it with a cursor of its own, which holds back
//! trimming and is moved on only when the receiver has said 2xx. So nothing is copied, a restart goes on where it stood, and a
//! receiver that is down costs no memory. A forward that has fallen behind the log goes on from the chunks, by time.
//!
//! What is sent is decided here; `egress` sends it, behind the port for HTTP.

mod answer;
mod arrivals;
mod catch_up;
mod config;
mod deliver;
mod export;
mod lane;
mod metadata;
mod outgoing;
mod request;
mod room;
mod round;
mod status;
mod tables;
#[cfg(test)]
mod tests;

pub use config::{BasicAuth, ForwardConfig, ProtocolChoice, check_forwards};
pub use export::{Chosen, Export, ExportError};
pub use room::{ForwardCertificates, ForwardPorts, Forwards, SecretReader};
pub use status::{ForwardState, ForwardStatus};
pub use tables::ForwardRecord;

/// The header by which a server knows bodies that it sent itself.
pub const FORWARDED_BY: &str = "x-tandem-forwarded-by";
