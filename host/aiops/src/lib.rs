//! The AIOps half: series get their meaning, detectors watch them, faults become alerts, alerts become incidents with ranked
//! causes, and people are told. The rooms exchange records through the store, never calls; [`chain`] names them in order.

pub mod alert;
pub mod chain;
pub mod config;
pub mod correlate;
pub mod detect;
pub mod map;
pub mod metrics;
pub mod notify;
pub mod objective;
pub mod retain;
pub mod room;
pub mod rule;
pub mod select;
pub mod signal;

pub use chain::{Chain, ChainConfig, ChainMetrics, Ports};
pub use config::AiopsConfig;
pub use correlate::{ActError, PersonAction, act};
pub use map::RelationConfig;
pub use notify::ReceiverConfig;
pub use objective::ServiceConfig;
pub use room::{Progress, RoomError};

#[cfg(test)]
mod testing;
