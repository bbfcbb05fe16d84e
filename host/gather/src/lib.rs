//! What comes in: scraped endpoints and collecting plugins, each on its own schedule, bodies of senders, StatsD and syslog. What a
//! target brought, its status and its cursor are committed together; a target that fails is a state of that target.

mod collect;
mod config;
mod declared;
mod exemplars;
mod intake;
mod lanes;
mod limits;
mod listen;
mod metrics;
mod push;
mod schedule;
pub mod scrape;
pub mod sent;
#[cfg(test)]
mod testing;
mod timing;

pub use config::{CollectConfig, check_targets};
pub use exemplars::ExemplarMetrics;
pub use intake::Recorded;
pub use listen::{ListenAddresses, ListenError, ListenMetrics, Listened, Listeners, StatsdConfig, SyslogConfig};
pub use metrics::GatherMetrics;
pub use push::Receiver;
pub use schedule::{Gather, GatherPorts};
pub use scrape::{ScrapeBoard, ScrapeConfig};
pub use tandem_domain::period::Period;
