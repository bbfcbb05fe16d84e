//! Verdicts from one snapshot.

use crate::{
    rules::{Facts, judge},
    snapshot::Snapshot,
};
use tandem_domain::{Timestamp, entity::EntityId, verdict::Verdict};
use tandem_store::{ReadError, ReadTx};

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct VerdictError(#[from] ReadError);

impl From<VerdictError> for ReadError {
    fn from(error: VerdictError) -> Self {
        error.0
    }
}

/// The verdict of every service, or of one; by name.
///
/// # Errors
/// When the store cannot be read.
pub fn verdicts(read: &ReadTx, service: Option<&str>, at: Timestamp) -> Result<Vec<Verdict>, VerdictError> {
    let snapshot = Snapshot::load(read)?;
    let services = snapshot.services().into_iter().filter(|(name, _)| service.is_none_or(|wanted| wanted == name));
    Ok(services.map(|(name, id)| verdict_of(&snapshot, &name, &id, at)).collect())
}

/// The verdict of one service.
pub(crate) fn verdict_of(snapshot: &Snapshot, name: &str, id: &EntityId, at: Timestamp) -> Verdict {
    judge(&Facts::of(snapshot, name, &snapshot.paths(id), at))
}

#[cfg(test)]
mod tests;
