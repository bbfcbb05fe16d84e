//! The MLOps half: Tandem's own forecasts, predictions and labels in, drift reports out, deployments applied and observed. Rooms exchange records
//! through the store and never call one another; `chain` lists them in order.

mod chain;
mod config;
pub mod deploy;
pub mod drift;
pub mod forecast;
mod metrics;
pub mod monitor;

pub use chain::{Mlops, MlopsPorts};
pub use config::MlopsConfig;
pub use metrics::MlopsMetrics;
