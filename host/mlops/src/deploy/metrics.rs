//! What the deploy room counts.

use tandem_domain::count::{Count, Reading};

/// Counters of the deploy room.
#[derive(Debug, Default)]
pub(crate) struct DeployCounts {
    pub(super) calls: Count,
    pub(super) failed_calls: Count,
    pub(super) went_live: Count,
    pub(super) failed: Count,
    pub(super) superseded: Count,
    pub(super) live: Count,
    pub(super) under_way: Count,
}

impl DeployCounts {
    pub(crate) fn read(&self) -> Vec<Reading> {
        vec![
            ("tandem_deploy_calls_total", "Calls to deployment targets", self.calls.get()),
            ("tandem_deploy_failed_calls_total", "Calls to deployment targets that failed", self.failed_calls.get()),
            ("tandem_deploy_went_live_total", "Deployments that went live", self.went_live.get()),
            ("tandem_deploy_failed_total", "Deployments that failed or were given up", self.failed.get()),
            (
                "tandem_deploy_superseded_total",
                "Deployments whose place a newer one of their service took",
                self.superseded.get(),
            ),
            ("tandem_deploy_live", "Deployments that are live", self.live.get()),
            ("tandem_deploy_under_way", "Deployments asked for or being applied", self.under_way.get()),
        ]
    }
}
