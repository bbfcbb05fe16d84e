//! The state machine of a deployment: pure, told what the target answered.

use super::DeployConfig;
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    deployment::{Deployment, DeploymentStatus, RevisionPhase, TargetObservation},
};

/// The longest wait between tries, in milliseconds.
const LONGEST_WAIT_MILLIS: i64 = 60_000;

/// What to do with a deployment now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Apply,
    Observe,
    Wait,
}

/// Waits double with each failure in a row.
fn wait_millis(base: i64, failures: u32) -> i64 {
    base.saturating_mul(1i64 << failures.min(16)).min(LONGEST_WAIT_MILLIS.max(base))
}

pub(super) fn next(deployment: &Deployment, now: Timestamp, config: &DeployConfig) -> Next {
    let applying = config.observe_applying_every_millis;
    let (next, base) = match deployment.status {
        DeploymentStatus::Requested => (Next::Apply, applying),
        DeploymentStatus::Applying => (Next::Observe, applying),
        DeploymentStatus::Live => (Next::Observe, config.observe_live_every_millis),
        _ => return Next::Wait,
    };
    let last = match deployment.status {
        DeploymentStatus::Requested if deployment.failures_in_a_row == 0 => return next,
        DeploymentStatus::Requested => deployment.changed_at,
        _ => deployment.observed_at.unwrap_or(deployment.changed_at),
    };
    if now.millis_since(last) >= wait_millis(base, deployment.failures_in_a_row) { next } else { Next::Wait }
}

fn failed(mut deployment: Deployment, failure: Failure, now: Timestamp, config: &DeployConfig) -> Deployment {
    deployment.failures_in_a_row += 1;
    let lasting = !failure.retry || deployment.failures_in_a_row >= config.give_up_after_failures;
    // What is live stays live as long as only the observing fails: the target may be out of reach and serving well.
    if lasting && deployment.status != DeploymentStatus::Live {
        deployment.status = DeploymentStatus::Failed;
    }
    deployment.failure = Some(failure);
    deployment.changed_at = now;
    deployment
}

pub(super) fn applied(
    mut deployment: Deployment,
    answer: Result<String, Failure>,
    now: Timestamp,
    config: &DeployConfig,
) -> Deployment {
    match answer {
        Ok(revision_id) => {
            deployment.revision_id = Some(revision_id);
            deployment.status = DeploymentStatus::Applying;
            deployment.failure = None;
            deployment.failures_in_a_row = 0;
            deployment.changed_at = now;
            deployment.applied_at = Some(now);
            deployment
        }
        Err(failure) => failed(deployment, failure, now, config),
    }
}

pub(super) fn observed(
    mut deployment: Deployment,
    answer: Result<TargetObservation, Failure>,
    now: Timestamp,
    config: &DeployConfig,
) -> Deployment {
    deployment.observed_at = Some(now);
    let observation = match answer {
        Ok(observation) => observation,
        Err(failure) => return failed(deployment, failure, now, config),
    };
    let mine =
        observation.revisions.iter().find(|revision| Some(&revision.id) == deployment.revision_id.as_ref()).cloned();
    deployment.observed = Some(observation);
    deployment.failures_in_a_row = 0;
    deployment.failure = None;
    let before = deployment.status;
    let said = mine.as_ref().map(|revision| revision.phase);
    match mine {
        Some(revision) => match revision.phase {
            RevisionPhase::Ready | RevisionPhase::Serving => deployment.status = DeploymentStatus::Live,
            RevisionPhase::Failed => {
                deployment.status = DeploymentStatus::Failed;
                deployment.failure =
                    Some(Failure::lasting(FailureCode::Refused, format!("the target says: {}", revision.message)));
            }
            RevisionPhase::Gone if before == DeploymentStatus::Live => {
                deployment.status = DeploymentStatus::Failed;
                deployment.failure =
                    Some(Failure::lasting(FailureCode::Unreachable, "the target no longer has the revision"));
            }
            RevisionPhase::Pending | RevisionPhase::Loading | RevisionPhase::Gone => {}
        },
        None if before == DeploymentStatus::Live => {
            deployment.status = DeploymentStatus::Failed;
            deployment.failure =
                Some(Failure::lasting(FailureCode::Unreachable, "the target does not know the revision any more"));
        }
        None => {}
    }
    if deployment.status == DeploymentStatus::Applying
        && let Some(failure) = loaded_too_long(&deployment, said, now, config)
    {
        deployment.status = DeploymentStatus::Failed;
        deployment.failure = Some(failure);
    }
    if deployment.status != before {
        deployment.changed_at = now;
    }
    deployment
}

/// Why a deployment is given up whose target goes on loading it.
fn loaded_too_long(
    deployment: &Deployment,
    said: Option<RevisionPhase>,
    now: Timestamp,
    config: &DeployConfig,
) -> Option<Failure> {
    let loading_millis = now.millis_since(deployment.applied_at.unwrap_or(deployment.requested_at));
    if loading_millis < config.give_up_loading_after_millis {
        return None;
    }
    let said = match said {
        Some(RevisionPhase::Pending) => "says `pending`",
        Some(RevisionPhase::Loading) => "says `loading`",
        _ => "does not know the revision",
    };
    Some(Failure::lasting(
        FailureCode::Unreachable,
        format!(
            "the target still {said} {} s after it accepted the revision, and the deployment is given up; see the target's \
             own log, or raise mlops.deploy.give_up_loading_after_millis ({})",
            loading_millis / 1000,
            config.give_up_loading_after_millis
        ),
    ))
}

/// Whether one deployment stands below another: asked for earlier, for the same service at the same target.
fn is_older(earlier: &Deployment, later: &Deployment) -> bool {
    earlier.id < later.id
        && earlier.revision.service == later.revision.service
        && (&earlier.plugin, &earlier.target) == (&later.plugin, &later.target)
}

/// Whether a deployment gives way to one that went live: it was asked for earlier, and is live or on its way there. One that
/// is on its way must not arrive later and take the newer one's place.
pub(super) fn is_superseded_by(earlier: &Deployment, live: &Deployment) -> bool {
    use DeploymentStatus::{Applying, Live, Requested};
    is_older(earlier, live) && matches!(earlier.status, Requested | Applying | Live)
}

/// Whether a deployment that becomes ready comes too late, because a newer one is live already.
pub(super) fn comes_too_late(ready: &Deployment, other: &Deployment) -> bool {
    is_older(ready, other) && other.status == DeploymentStatus::Live
}
