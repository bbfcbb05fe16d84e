//! Ranks root causes: robust deviation of each suspect's signals against its own past and its peers, weighed along the
//! dependency graph with faults, changes and drift. See `README.md` for method and limits.

mod answer;
mod blame;
mod certain;
mod config;
mod cover;
mod demand;
mod deviation;
mod driven;
mod family;
mod gone;
mod heat;
mod onset;
mod telling;
mod whole;

pub use config::Config;

use tandem_sdk::{
    about::Description,
    root_cause::{Case, Ranking, RootCause},
    types::Failure,
};

/// The plugin.
pub struct Graph;

impl RootCause for Graph {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "root-cause-graph".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Ranks root causes by robust deviation along the dependency graph, with faults, changes and drift."
                    .into(),
            config_schema: config::SCHEMA.into(),
            interests: vec![],
            capabilities: vec![],
        }
    }

    fn rank(config: &Config, case: &Case) -> Result<Ranking, Failure> {
        config.check()?;
        Ok(answer::rank(config, case))
    }
}

tandem_sdk::root_cause!(Graph);

#[cfg(test)]
mod tests;
