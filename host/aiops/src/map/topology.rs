//! Entities and relations as they are written: matching over the store, merges carried through, relations confirmed.

use super::{
    identity::{IdentityChanges, Known, Resolver},
    tables::RelationDependent,
};
use crate::signal::MeaningChange;
use std::ops::Range;
use tandem_domain::{
    Timestamp,
    entity::{Entity, EntityAlias, EntityId},
    meaning::{EntitySeries, Meaning},
    relation::{Relation, RelationKind},
    series::SeriesId,
    topology::{TopologyDraft, TopologyRevision},
};
use tandem_store::{ReadError, ReadTx, WriteError, WriteTx};

/// The source under which the operator's own relations are kept.
pub const OPERATOR: &str = "operator";

/// A relation's time of confirmation is written anew only when it has moved by this much.
const RELATION_SEEN_STEP_MILLIS: i64 = 60_000;

/// Most relations or series that one merge carries over; the rest keeps pointing at the old id, which points on.
const MAX_MOVED_PER_MERGE: usize = 100_000;

/// Keys of pairs that begin with `first`.
pub fn beginning_with(first: &str) -> Range<(String, String)> {
    (first.to_owned(), String::new())..(format!("{first}\0"), String::new())
}

/// Steps from a merged entity to the one it has become.
const MAX_MERGE_STEPS: usize = 16;

struct KnownInStore<'a, 't>(&'a mut WriteTx<'t>);

impl Known for KnownInStore<'_, '_> {
    type Error = WriteError;
    fn alias(&mut self, alias: &str) -> Result<Option<EntityId>, WriteError> {
        Ok(self.0.get::<EntityAlias>(&alias.to_owned())?.map(|alias| alias.entity))
    }
    fn entity(&mut self, id: &EntityId) -> Result<Option<Entity>, WriteError> {
        self.0.get::<Entity>(&id.0)
    }
}

/// What became of a reported topology.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WrittenTopology {
    /// The entity of each draft; none where a draft could not be used.
    pub entities: Vec<Option<EntityId>>,
    /// Relations reported, each once.
    pub relations: Vec<(EntityId, EntityId)>,
}

/// Matches the entities of a report with the known ones and writes them and their relations.
pub fn write(
    tx: &mut WriteTx<'_>,
    draft: &TopologyDraft,
    source: &str,
    now: Timestamp,
) -> Result<WrittenTopology, WriteError> {
    let mut known = KnownInStore(tx);
    let mut resolver = Resolver::new(&mut known);
    for entity in &draft.entities {
        resolver.resolve(entity, now)?;
    }
    // Again, since a later draft may have moved an earlier one to another id; nothing changes by it.
    let entities = draft.entities.iter().map(|entity| resolver.resolve(entity, now)).collect::<Result<Vec<_>, _>>()?;
    let changes = resolver.finish();
    let mut changed = write_identities(tx, changes)?;
    let mut relations = Vec::new();
    for relation in &draft.relations {
        let end = |index: u32| entities.get(index as usize).cloned().flatten();
        let (Some(dependent), Some(dependency)) = (end(relation.dependent), end(relation.dependency)) else { continue };
        changed |= confirm(tx, &dependent, &dependency, relation.kind, source, now)?;
        relations.push((dependent, dependency));
    }
    relations.sort();
    relations.dedup();
    if changed {
        raise_revision(tx)?;
    }
    Ok(WrittenTopology { entities, relations })
}

/// The entity that an entity has become.
pub fn followed(tx: &mut WriteTx<'_>, id: EntityId) -> Result<EntityId, WriteError> {
    let mut id = id;
    for _ in 0..MAX_MERGE_STEPS {
        match tx.get::<Entity>(&id.0)?.and_then(|entity| entity.merged_into) {
            Some(next) => id = next,
            None => break,
        }
    }
    Ok(id)
}

/// The entity under an id, or the one it has become.
pub fn followed_by(read: &ReadTx, id: &EntityId) -> Result<Option<Entity>, ReadError> {
    let mut id = id.clone();
    for _ in 0..MAX_MERGE_STEPS {
        match read.get::<Entity>(&id.0)? {
            Some(Entity { merged_into: Some(next), .. }) => id = next,
            found => return Ok(found),
        }
    }
    Ok(None)
}

/// Counts a change of the topology.
pub fn raise_revision(tx: &mut WriteTx<'_>) -> Result<(), WriteError> {
    let revision = tx.get::<TopologyRevision>(&0)?.map_or(0, |known| known.revision) + 1;
    tx.put(&TopologyRevision { revision })
}

/// Writes a relation or confirms it; whether the graph changed by it.
pub fn confirm(
    tx: &mut WriteTx<'_>,
    dependent: &EntityId,
    dependency: &EntityId,
    kind: RelationKind,
    source: &str,
    now: Timestamp,
) -> Result<bool, WriteError> {
    if dependent == dependency {
        return Ok(false);
    }
    let known = tx.get::<Relation>(&(dependent.0.clone(), dependency.0.clone()))?;
    if let Some(known) = &known {
        let fresh = known.kind == kind && now.millis_since(known.seen_at) < RELATION_SEEN_STEP_MILLIS;
        if fresh || (known.source == OPERATOR && source != OPERATOR) {
            return Ok(false);
        }
    }
    let relation = Relation {
        dependent: dependent.clone(),
        dependency: dependency.clone(),
        kind,
        source: source.into(),
        seen_at: now,
    };
    put_relation(tx, &relation)?;
    Ok(known.is_none_or(|known| known.kind != kind))
}

fn put_relation(tx: &mut WriteTx<'_>, relation: &Relation) -> Result<(), WriteError> {
    tx.put(relation)?;
    let (dependency, dependent) = (relation.dependency.clone(), relation.dependent.clone());
    tx.put(&RelationDependent { dependency, dependent })
}

/// Removes a relation.
pub fn forget(tx: &mut WriteTx<'_>, dependent: &EntityId, dependency: &EntityId) -> Result<(), WriteError> {
    tx.remove::<Relation>(&(dependent.0.clone(), dependency.0.clone()))?;
    tx.remove::<RelationDependent>(&(dependency.0.clone(), dependent.0.clone()))
}

/// Whether the graph or a name on it changed.
fn write_identities(tx: &mut WriteTx<'_>, changes: IdentityChanges) -> Result<bool, WriteError> {
    let mut changed = !changes.merges.is_empty();
    for entity in changes.entities.values() {
        let known = tx.get::<Entity>(&entity.id.0)?;
        changed |= known.is_none_or(|known| (&known.name, &known.attributes) != (&entity.name, &entity.attributes));
        tx.put(entity)?;
    }
    for (alias, entity) in changes.aliases {
        tx.put(&EntityAlias { alias, entity })?;
    }
    for (old, new) in &changes.merges {
        move_series(tx, old, new)?;
        move_relations(tx, old, new)?;
    }
    Ok(changed)
}

fn move_series(tx: &mut WriteTx<'_>, old: &EntityId, new: &EntityId) -> Result<(), WriteError> {
    let range = (old.0.clone(), 0)..=(old.0.clone(), u64::MAX);
    let mut moved: Vec<SeriesId> = Vec::new();
    for index in tx.scan::<EntitySeries>(range, MAX_MOVED_PER_MERGE)? {
        if let Some(meaning) = tx.get::<Meaning>(&index.series.0)? {
            tx.put(&Meaning { entity: new.clone(), ..meaning })?;
            moved.push(index.series);
        }
        tx.remove::<EntitySeries>(&(old.0.clone(), index.series.0))?;
        tx.put(&EntitySeries { entity: new.clone(), series: index.series })?;
    }
    if !moved.is_empty() {
        tx.append(&MeaningChange { series: moved })?;
    }
    Ok(())
}

fn move_relations(tx: &mut WriteTx<'_>, old: &EntityId, new: &EntityId) -> Result<(), WriteError> {
    let mut found = tx.scan::<Relation>(beginning_with(&old.0), MAX_MOVED_PER_MERGE)?;
    for turned in tx.scan::<RelationDependent>(beginning_with(&old.0), MAX_MOVED_PER_MERGE)? {
        found.extend(tx.get::<Relation>(&(turned.dependent.0, turned.dependency.0))?);
    }
    for relation in found {
        forget(tx, &relation.dependent, &relation.dependency)?;
        let renamed = |id: &EntityId| if id == old { new.clone() } else { id.clone() };
        let (dependent, dependency) = (renamed(&relation.dependent), renamed(&relation.dependency));
        if dependent != dependency {
            put_relation(tx, &Relation { dependent, dependency, ..relation })?;
        }
    }
    Ok(())
}
