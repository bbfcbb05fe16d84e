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

/// The verdict of every service, or of one; by name.
///
/// # Errors
/// When the store cannot be read.
pub fn verdicts(read: &ReadTx, service: Option<&str>, at: Timestamp) -> Result<Vec<Verdict>, VerdictError> {
    let snapshot = Snapshot::load(read, None)?;
    let services = snapshot.services().into_iter().filter(|(name, _)| service.is_none_or(|wanted| wanted == name));
    let judged = services.map(|(name, id)| {
        let paths = snapshot.paths(&id);
        verdict_of(read, &Facts::of(&snapshot, &name, &paths, at))
    });
    Ok(judged.collect::<Result<_, ReadError>>()?)
}

/// The verdict of one service.
pub(crate) fn verdict_of(read: &ReadTx, facts: &Facts<'_>) -> Result<Verdict, ReadError> {
    Ok(Verdict { demonstration: demonstration(read, facts.paths)?, ..judge(facts) })
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
