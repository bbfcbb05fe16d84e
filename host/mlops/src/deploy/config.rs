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
}

impl Default for DeployConfig {
    fn default() -> Self {
        Self { observe_applying_every_millis: 1_000, observe_live_every_millis: 30_000, give_up_after_failures: 8 }
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
        Ok(())
    }
}
