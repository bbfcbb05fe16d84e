//! Asks targets for what should be served and observes what is. The host owns the state machine; the target only answers.

mod config;
mod metrics;
mod rules;

pub use config::DeployConfig;
pub(crate) use metrics::DeployCounts;

use rules::Next;
use std::sync::Arc;
use tandem_domain::{
    Failure, Record, Severity, Timestamp,
    deployment::{Deployment, DeploymentStatus, Revision, TargetObservation},
    entity::EntityId,
    event::Event,
    ports::DeploymentTargets,
    series::Labels,
};
use tandem_store::{Store, WriteError, WriteTx};

/// Deployments looked at in one pass, newest first.
const MAX_LOOKED_AT: usize = 1_000;
/// Calls to targets in one pass, so that a slow target does not hold the others for long.
const MAX_CALLS_PER_PASS: usize = 16;

/// Writes a request down; the room applies it.
///
/// # Errors
/// When the store cannot be written; nothing was asked of the target then.
pub async fn request(
    store: &Store,
    plugin: String,
    target: String,
    revision: Revision,
    now: Timestamp,
) -> Result<Deployment, WriteError> {
    store
        .write(move |tx| {
            let deployment = Deployment {
                id: tx.next_id(Deployment::TABLE)?,
                plugin,
                target,
                revision,
                status: DeploymentStatus::Requested,
                requested_at: now,
                changed_at: now,
                applied_at: None,
                revision_id: None,
                observed: None,
                observed_at: None,
                failure: None,
                failures_in_a_row: 0,
            };
            tx.put(&deployment)?;
            Ok(deployment)
        })
        .await
}

/// What became of a request to abort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aborting {
    /// There is no such deployment.
    Unknown,
    /// It stands where there is nothing to abort.
    TooLate(DeploymentStatus),
    /// It is aborted.
    Done(Box<Deployment>),
}

/// Aborts a deployment that is not live yet: it is not applied again, and the target is told to stop.
///
/// # Errors
/// When the store cannot be written.
pub async fn abort(
    store: &Store,
    targets: &dyn DeploymentTargets,
    id: u64,
    now: Timestamp,
) -> Result<Aborting, WriteError> {
    let aborting = store
        .write(move |tx| {
            let Some(mut deployment) = tx.get::<Deployment>(&id)? else { return Ok(Aborting::Unknown) };
            if !matches!(deployment.status, DeploymentStatus::Requested | DeploymentStatus::Applying) {
                return Ok(Aborting::TooLate(deployment.status));
            }
            deployment.status = DeploymentStatus::Aborted;
            deployment.changed_at = now;
            tx.put(&deployment)?;
            Ok(Aborting::Done(Box::new(deployment)))
        })
        .await?;
    if let Aborting::Done(deployment) = &aborting
        && let Err(failure) =
            targets.abort(&deployment.plugin, &deployment.target, now, &deployment.revision.service).await
    {
        tracing::warn!(deployment = id, "the target could not be told to stop: {failure}");
    }
    Ok(aborting)
}

/// The room.
pub struct DeployRoom {
    store: Store,
    targets: Arc<dyn DeploymentTargets>,
    config: DeployConfig,
    counts: Arc<DeployCounts>,
}

/// What a target answered.
enum Answer {
    Applied(Result<String, Failure>),
    Observed(Result<TargetObservation, Failure>),
}

impl Answer {
    fn is_failure(&self) -> bool {
        match self {
            Answer::Applied(answer) => answer.is_err(),
            Answer::Observed(answer) => answer.is_err(),
        }
    }
}

impl DeployRoom {
    /// The room at rest.
    pub fn new(store: Store, targets: Arc<dyn DeploymentTargets>, config: DeployConfig) -> Self {
        Self { store, targets, config, counts: Arc::default() }
    }

    pub(crate) fn counts(&self) -> Arc<DeployCounts> {
        self.counts.clone()
    }

    /// Applies what was requested and observes what was applied, as far as it is time.
    ///
    /// # Errors
    /// When the store cannot be read or written; the same calls are made again, which changes nothing at the target.
    pub async fn step(&mut self, now: Timestamp) -> Result<(), WriteError> {
        let deployments = self.store.read()?.scan_back::<Deployment>(.., MAX_LOOKED_AT)?;
        let standing = |statuses: &[DeploymentStatus]| {
            deployments.iter().filter(|deployment| statuses.contains(&deployment.status)).count() as u64
        };
        self.counts.live.set(standing(&[DeploymentStatus::Live]));
        self.counts.under_way.set(standing(&[DeploymentStatus::Requested, DeploymentStatus::Applying]));
        let due = deployments.into_iter().map(|deployment| (rules::next(&deployment, now, &self.config), deployment));
        for (next, deployment) in due.filter(|(next, _)| *next != Next::Wait).take(MAX_CALLS_PER_PASS) {
            let (plugin, target, revision) = (&deployment.plugin, &deployment.target, &deployment.revision);
            let answer = match next {
                Next::Apply => {
                    let key = format!("tandem-{}", deployment.id);
                    Answer::Applied(self.targets.apply(plugin, target, now, revision, &key).await)
                }
                Next::Observe => Answer::Observed(self.targets.observe(plugin, target, now, &revision.service).await),
                Next::Wait => continue,
            };
            self.note(deployment, answer, now).await?;
        }
        Ok(())
    }

    async fn note(&self, deployment: Deployment, answer: Answer, now: Timestamp) -> Result<(), WriteError> {
        let config = self.config.clone();
        self.counts.calls.add(1);
        self.counts.failed_calls.add(u64::from(answer.is_failure()));
        let changed = self
            .store
            .write(move |tx| {
                // It may have been aborted while the target was asked.
                let Some(current) = tx.get::<Deployment>(&deployment.id)?.filter(|c| c.status == deployment.status)
                else {
                    return Ok(Vec::new());
                };
                let after = match answer {
                    Answer::Applied(answer) => rules::applied(current, answer, now, &config),
                    Answer::Observed(answer) => rules::observed(current, answer, now, &config),
                };
                if after.status == deployment.status {
                    tx.put(&after)?;
                    return Ok(Vec::new());
                }
                let changed =
                    if after.status == DeploymentStatus::Live { settle(tx, after, now)? } else { vec![after] };
                for deployment in &changed {
                    tx.append(&told(deployment, now))?;
                    tx.put(deployment)?;
                }
                Ok(changed.into_iter().map(|deployment| deployment.status).collect())
            })
            .await?;
        for status in changed {
            match status {
                DeploymentStatus::Live => self.counts.went_live.add(1),
                DeploymentStatus::Failed => self.counts.failed.add(1),
                DeploymentStatus::Superseded => self.counts.superseded.add(1),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What changes when a deployment becomes ready: it and all that give way to it; or it alone, when a newer one is live
/// already. What is superseded is not retired at its target: other services may use the model, and the Open Inference
/// Protocol can only unload all versions of a model, the live one included.
fn settle(tx: &mut WriteTx<'_>, mut ready: Deployment, now: Timestamp) -> Result<Vec<Deployment>, WriteError> {
    let others = tx.scan::<Deployment>(.., usize::MAX)?;
    if others.iter().any(|other| rules::comes_too_late(&ready, other)) {
        ready.status = DeploymentStatus::Superseded;
        return Ok(vec![ready]);
    }
    let mut changed: Vec<Deployment> =
        others.into_iter().filter(|other| rules::is_superseded_by(other, &ready)).collect();
    for earlier in &mut changed {
        earlier.status = DeploymentStatus::Superseded;
        earlier.changed_at = now;
    }
    changed.push(ready);
    Ok(changed)
}

/// A change of a deployment as an event of its service: what root cause looks for just before trouble.
fn told(deployment: &Deployment, now: Timestamp) -> Event {
    let Revision { service, model, version, .. } = &deployment.revision;
    let (word, severity) = match deployment.status {
        DeploymentStatus::Failed => ("failed", Severity::Warning),
        DeploymentStatus::Live => ("live", Severity::Info),
        DeploymentStatus::Superseded => ("superseded", Severity::Info),
        _ => ("applied", Severity::Info),
    };
    Event {
        at: now,
        entity: EntityId(format!("service:{service}")),
        code: format!("deployment.{word}"),
        severity,
        title: format!("{model} version {version} of {service}: {word}"),
        attributes: Labels::new([
            ("deployment".to_owned(), deployment.id.to_string()),
            ("target".to_owned(), deployment.target.clone()),
        ]),
        source: deployment.plugin.clone(),
    }
}

#[cfg(test)]
mod tests;
