//! Verdicts from one snapshot.

use crate::{
    rules::{Facts, judge},
    snapshot::Snapshot,
};
use tandem_domain::{Timestamp, entity::EntityId, meaning::EntitySeries, series::Series, verdict::Verdict};
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
    services.map(|(name, id)| verdict_of(read, &snapshot, &name, &id, at)).collect()
}

fn verdict_of(
    read: &ReadTx,
    snapshot: &Snapshot,
    name: &str,
    id: &EntityId,
    at: Timestamp,
) -> Result<Verdict, VerdictError> {
    let paths = snapshot.paths(id);
    let verdict = judge(&Facts::of(snapshot, name, &paths, at));
    Ok(Verdict { demonstration: demonstration(read, &paths)?, ..verdict })
}

/// Telemetry that is made up carries this label, with the story's name.
const DEMONSTRATION_LABEL: &str = "demo";
/// The nearest entities that are looked at for it: the service, and some of its replicas.
const LOOKED_AT: usize = 4;

/// The story that is played, when the first series of the service or of what is nearest to it is a made-up one.
fn demonstration(read: &ReadTx, paths: &[Vec<EntityId>]) -> Result<Option<String>, ReadError> {
    for entity in paths.iter().take(LOOKED_AT).filter_map(|path| path.last()) {
        let range = (entity.0.clone(), 0)..=(entity.0.clone(), u64::MAX);
        let Some(first) = read.scan::<EntitySeries>(range, 1)?.pop() else { continue };
        let series = read.get::<Series>(&first.series.0)?;
        let story = series.and_then(|one| one.description.labels.get(DEMONSTRATION_LABEL).map(str::to_owned));
        if story.is_some() {
            return Ok(story);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
