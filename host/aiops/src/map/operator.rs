//! Relations from the config: written as soon as both ends are known, removed when the config no longer has them.

use super::{
    config::RelationConfig,
    topology::{self, OPERATOR},
};
use tandem_domain::{
    Timestamp,
    entity::{Entity, EntityAlias, EntityId},
    relation::Relation,
};
use tandem_store::{WriteError, WriteTx};

/// Schemes tried for a name that is neither an id nor a full key: what people call things.
const NAMING_SCHEMES: [&str; 7] = ["name", "hostname", "serial", "uuid", "ups", "model", "address"];

/// Most relations of the operator's that are looked through when the config changed.
const MAX_RELATIONS: usize = 1_000_000;

/// The entity that the operator names, if it is known.
fn entity_named(tx: &mut WriteTx<'_>, text: &str) -> Result<Option<EntityId>, WriteError> {
    let mut names = vec![text.to_owned()];
    if let Some((kind, value)) = text.split_once(':') {
        names.extend(NAMING_SCHEMES.iter().map(|scheme| format!("{kind}:{scheme}:{value}")));
    }
    let mut found = tx.get::<Entity>(&text.to_owned())?.map(|entity| entity.id);
    for name in names {
        if found.is_none() {
            found = tx.get::<EntityAlias>(&name)?.map(|alias| alias.entity);
        }
    }
    let Some(id) = found else { return Ok(None) };
    topology::followed(tx, id).map(Some)
}

/// Writes the relations whose ends are known; answers those that still wait.
pub fn write(
    tx: &mut WriteTx<'_>,
    relations: &[RelationConfig],
    now: Timestamp,
) -> Result<Vec<RelationConfig>, WriteError> {
    let mut waiting = Vec::new();
    let mut changed = false;
    for relation in relations {
        match (entity_named(tx, &relation.dependent)?, entity_named(tx, &relation.dependency)?) {
            (Some(dependent), Some(dependency)) => {
                changed |= topology::confirm(tx, &dependent, &dependency, relation.kind, OPERATOR, now)?;
            }
            _ => waiting.push(relation.clone()),
        }
    }
    if changed {
        topology::raise_revision(tx)?;
    }
    Ok(waiting)
}

/// Removes relations of the operator's that the config no longer has; to be called once at start.
pub fn forget_removed(tx: &mut WriteTx<'_>, relations: &[RelationConfig]) -> Result<(), WriteError> {
    let mut kept = Vec::new();
    for relation in relations {
        kept.push((entity_named(tx, &relation.dependent)?, entity_named(tx, &relation.dependency)?));
    }
    let mut changed = false;
    for relation in tx.scan::<Relation>(.., MAX_RELATIONS)?.into_iter().filter(|known| known.source == OPERATOR) {
        if !kept.contains(&(Some(relation.dependent.clone()), Some(relation.dependency.clone()))) {
            topology::forget(tx, &relation.dependent, &relation.dependency)?;
            changed = true;
        }
    }
    if changed {
        topology::raise_revision(tx)?;
    }
    Ok(())
}
