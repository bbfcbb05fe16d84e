//! What comes in without being asked over HTTP: scraped endpoints and collecting plugins, each on its own schedule. What a
//! target brought, its status and its cursor are committed together; a target that fails is a state of that target.

mod collect;
mod config;
mod intake;
mod limits;
mod metrics;
mod period;
mod push;
mod schedule;
mod scrape;
pub mod sent;

pub use config::{CollectConfig, ScrapeConfig, check_targets};
pub use intake::Recorded;
pub use metrics::GatherMetrics;
pub use period::Period;
pub use push::Receiver;
pub use schedule::{Gather, GatherPorts};
