//! Revisions for deployment targets, and what targets say of theirs.

use super::Check;
use crate::bindings::{target::exports::tandem::plugin::deployment_target as guest, wit};
use tandem_domain::{
    Failure, Timestamp,
    deployment::{Revision, RevisionPhase, RevisionState, TargetAbilities, TargetObservation},
};

/// Revisions of one service at one target.
const MAX_REVISIONS: usize = 1_000;
/// Endpoints of one service.
const MAX_ENDPOINTS: usize = 1_000;
/// The whole of the traffic, in basis points.
const ALL_BASIS_POINTS: u32 = 10_000;

/// For guests.
pub(crate) fn call_out(target: &str, config: &str, now: Timestamp) -> guest::Call {
    guest::Call { now: now.0, target: target.to_owned(), config: config.to_owned() }
}

/// For guests.
pub(crate) fn revision_out(revision: &Revision) -> guest::Revision {
    let label = |(name, value): &(String, String)| wit::Label { name: name.clone(), value: value.clone() };
    guest::Revision {
        service: revision.service.clone(),
        model: revision.model.clone(),
        version: revision.version.clone(),
        parameters: revision.parameters.iter().map(label).collect(),
    }
}

/// Checks what a target can do.
pub(crate) fn abilities(check: Check<'_>, said: guest::TargetAbilities) -> Result<TargetAbilities, Failure> {
    if said.weight_step_basis_points > ALL_BASIS_POINTS {
        return Err(check.breach("weight-step-basis-points", "is more than the whole traffic of 10,000"));
    }
    Ok(TargetAbilities {
        weighted: said.weighted,
        weight_step_basis_points: said.weight_step_basis_points,
        mirror: said.mirror,
        drain: said.drain,
        max_revisions: said.max_revisions,
    })
}

/// Checks an observation.
pub(crate) fn observation(check: Check<'_>, said: guest::Observation) -> Result<TargetObservation, Failure> {
    check.count("revisions", said.revisions.len(), MAX_REVISIONS)?;
    check.count("endpoints", said.endpoints.len(), MAX_ENDPOINTS)?;
    let endpoints =
        said.endpoints.into_iter().enumerate().map(|(i, text)| check.name(format_args!("endpoints[{i}]"), text));
    let revisions = said.revisions.into_iter().enumerate().map(|(i, revision)| {
        for (field, share) in [("desired", revision.desired_basis_points), ("observed", revision.observed_basis_points)]
        {
            if share > ALL_BASIS_POINTS {
                return Err(check.breach(
                    format_args!("revisions[{i}].{field}-basis-points"),
                    "is more than the whole traffic of 10,000",
                ));
            }
        }
        Ok(RevisionState {
            id: check.name(format_args!("revisions[{i}].id"), revision.id)?,
            model: check.name(format_args!("revisions[{i}].model"), revision.model)?,
            version: check.text(format_args!("revisions[{i}].version"), revision.version)?,
            phase: phase(revision.phase),
            ready_replicas: revision.ready_replicas,
            desired_basis_points: revision.desired_basis_points,
            observed_basis_points: revision.observed_basis_points,
            message: check.text(format_args!("revisions[{i}].message"), revision.message)?,
        })
    });
    Ok(TargetObservation {
        generation: said.generation,
        revisions: revisions.collect::<Result<_, Failure>>()?,
        endpoints: endpoints.collect::<Result<_, Failure>>()?,
    })
}

fn phase(phase: guest::Phase) -> RevisionPhase {
    match phase {
        guest::Phase::Pending => RevisionPhase::Pending,
        guest::Phase::Loading => RevisionPhase::Loading,
        guest::Phase::Ready => RevisionPhase::Ready,
        guest::Phase::Serving => RevisionPhase::Serving,
        guest::Phase::Failed => RevisionPhase::Failed,
        guest::Phase::Gone => RevisionPhase::Gone,
    }
}
