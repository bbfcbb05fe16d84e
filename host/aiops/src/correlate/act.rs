//! What people do with incidents.

use super::{incidents::alerts_of, rules};
use serde::{Deserialize, Serialize};
use tandem_domain::{
    Timestamp,
    incident::{Incident, IncidentAction, IncidentChange, TimelineEntry, TransitionError},
};
use tandem_store::{Store, WriteError};

/// What a person can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonAction {
    /// Takes it.
    Acknowledge,
    /// Says that it is over.
    Resolve,
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// There is no such incident.
    #[error("there is no incident {0}")]
    Unknown(u64),
    /// The incident's status does not allow it.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The store.
    #[error(transparent)]
    Store(#[from] WriteError),
}

/// Acknowledges or resolves an incident in the name of a person; answers it as it stands afterwards.
///
/// # Errors
/// When there is no such incident, its status does not allow the action, or the store cannot be written.
pub async fn act(
    store: &Store,
    id: u64,
    action: PersonAction,
    actor: &str,
    now: Timestamp,
) -> Result<Incident, ActError> {
    let actor = actor.to_owned();
    store
        .write(move |tx| {
            let Some(mut incident) = tx.get::<Incident>(&id)? else { return Ok(Err(ActError::Unknown(id))) };
            let (step, verb) = match action {
                PersonAction::Acknowledge => (IncidentAction::Acknowledge, "Acknowledged"),
                PersonAction::Resolve => (IncidentAction::Resolve, "Resolved"),
            };
            if let Err(error) = incident.status.apply(step) {
                return Ok(Err(ActError::Transition(error)));
            }
            let firing = alerts_of(tx, &incident)?.iter().filter(|alert| crate::alert::is_firing(alert)).count();
            let text = match (action, firing) {
                (PersonAction::Resolve, 1..) => format!("{verb} while {firing} of its alerts still fire."),
                _ => format!("{verb}."),
            };
            rules::act(&mut incident, step, TimelineEntry { at: now, actor, text }, now);
            tx.put(&incident)?;
            tx.append(&IncidentChange { incident: id, status: incident.status, at: now })?;
            Ok(Ok(incident))
        })
        .await?
}
