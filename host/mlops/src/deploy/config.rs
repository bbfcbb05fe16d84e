//! What the operator may say of deployments.

use serde::Deserialize;

/// How often targets are asked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeployConfig {
    /// Milliseconds between observations while a deployment is being applied.
    pub observe_applying_every_millis: i64,
    /// Milliseconds between observations of what is live.
    pub observe_live_every_millis: i64,
    /// Failures in a row after which a deployment has failed.
    pub give_up_after_failures: u32,
    /// Milliseconds that a target may take to load what it has accepted; then the deployment has failed.
    pub give_up_loading_after_millis: i64,
}

/// How long a target may load: a model of several hundred gigabytes comes over a ten-gigabit network within minutes, and over
/// a busy one within the hour.
const DEFAULT_LOADING_MILLIS: i64 = 3_600_000;
/// The shortest time to load, in milliseconds: below it, models are given up that are loading well.
const SHORTEST_LOADING_MILLIS: i64 = 10_000;

impl Default for DeployConfig {
    fn default() -> Self {
        Self {
            observe_applying_every_millis: 1_000,
            observe_live_every_millis: 30_000,
            give_up_after_failures: 8,
            give_up_loading_after_millis: DEFAULT_LOADING_MILLIS,
        }
    }
}

impl DeployConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.observe_applying_every_millis < 100 || self.observe_live_every_millis < 100 {
            return Err("deploy.observe_…_every_millis must be at least 100, so that a target is not flooded".into());
        }
        if self.give_up_after_failures == 0 {
            return Err("deploy.give_up_after_failures is 0; give at least 1".into());
        }
        if self.give_up_loading_after_millis < SHORTEST_LOADING_MILLIS {
            return Err(format!(
                "deploy.give_up_loading_after_millis is below {SHORTEST_LOADING_MILLIS}; models take longer to load"
            ));
        }
        Ok(())
    }
}
