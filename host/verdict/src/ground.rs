//! Entities and relations as verdicts need them. They change seldom and are many, so that they are kept in memory as long as the
//! topology stays what it was.

use std::{collections::BTreeMap, sync::Arc};
use tandem_domain::{
    entity::{Entity, EntityId},
    graph::DependencyGraph,
    relation::Relation,
    topology::TopologyRevision,
};
use tandem_store::{ReadError, ReadTx};

/// Relations looked at; beyond it paths may be cut short.
const MAX_RELATIONS: usize = 500_000;
/// Entities looked at.
const MAX_ENTITIES: usize = 200_000;
/// How many merges are followed.
const MAX_MERGE_STEPS: usize = 16;

/// Entities and relations. Ids are those after all merges.
pub(crate) struct Ground {
    /// Of the topology; none where nobody counts its changes yet.
    revision: Option<u64>,
    pub entities: BTreeMap<EntityId, Entity>,
    canonical: BTreeMap<EntityId, EntityId>,
    pub relations: Vec<Relation>,
    pub graph: DependencyGraph,
    pub names: BTreeMap<EntityId, String>,
}

impl Ground {
    /// The present one: the known one when nothing changed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn current(read: &ReadTx, known: Option<&Arc<Ground>>) -> Result<Arc<Self>, ReadError> {
        let revision = read.get::<TopologyRevision>(&0)?.map(|known| known.revision);
        match known.filter(|known| revision.is_some() && known.revision == revision) {
            Some(known) => Ok(known.clone()),
            None => Ok(Arc::new(Self::load(read, revision)?)),
        }
    }

    fn load(read: &ReadTx, revision: Option<u64>) -> Result<Self, ReadError> {
        let entities = read.scan::<Entity>(.., MAX_ENTITIES)?;
        let merged = entities.iter().filter_map(|entity| Some((entity.id.clone(), entity.merged_into.clone()?)));
        let canonical: BTreeMap<EntityId, EntityId> = merged.collect();
        let names = entities.iter().map(|entity| (entity.id.clone(), entity.name.clone())).collect();
        let entities = entities.into_iter().map(|entity| (entity.id.clone(), entity)).collect();
        let (relations, graph) = (Vec::new(), DependencyGraph::default());
        let mut ground = Self { revision, entities, canonical, relations, graph, names };
        let relations = read.scan::<Relation>(.., MAX_RELATIONS)?.into_iter().map(|relation| Relation {
            dependent: ground.canonical(&relation.dependent),
            dependency: ground.canonical(&relation.dependency),
            ..relation
        });
        ground.relations = relations.collect();
        ground.graph = DependencyGraph::new(&ground.relations);
        Ok(ground)
    }

    /// The id after all merges.
    pub(crate) fn canonical(&self, id: &EntityId) -> EntityId {
        let mut id = id;
        for _ in 0..MAX_MERGE_STEPS {
            match self.canonical.get(id) {
                Some(next) => id = next,
                None => break,
            }
        }
        id.clone()
    }
}
