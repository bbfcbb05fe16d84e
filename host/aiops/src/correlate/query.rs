//! What correlators may ask: the graph from memory, everything else from one snapshot, all of it bounded.

use crate::{map::topology::followed_by, room::RoomError, room::reading};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    entity::{Entity, EntityId},
    graph::DependencyGraph,
    meaning::{EntitySeries, Meaning},
    ports::Query,
    relation::{Relation, RelationKind},
    series::{Points, SeriesId},
    topology::TopologyRevision,
};
use tandem_store::{ReadError, ReadTx, Store};

/// Deepest walk, as the contract says.
const MAX_DEPTH: u32 = 8;
/// Most relations answered, as the contract says.
const MAX_EDGES: usize = 10_000;
/// Most points answered, as the contract says.
const MAX_POINTS: usize = 10_000;
/// Most series of one entity answered: a host has some 2,000.
const MAX_SERIES: usize = 5_000;
/// Most relations kept in memory.
const MAX_RELATIONS: usize = 1_000_000;
/// Most services whose dependencies are followed.
const MAX_SERVICES: usize = 10_000;

/// The topology as of one revision.
#[derive(Debug, Default)]
pub struct Topology {
    /// Its revision; none before it was loaded.
    pub revision: Option<u64>,
    /// Who needs whom.
    pub graph: DependencyGraph,
    /// The services that need an entity, directly or not.
    pub services_on: HashMap<EntityId, BTreeSet<EntityId>>,
}

impl Topology {
    fn load(read: &ReadTx, revision: u64) -> Result<Self, ReadError> {
        let relations = read.scan::<Relation>(.., MAX_RELATIONS)?;
        let graph = DependencyGraph::new(&relations);
        let mut services_on: HashMap<EntityId, BTreeSet<EntityId>> = HashMap::new();
        let services = read.scan::<Entity>("service:".to_owned().."service;".to_owned(), MAX_SERVICES)?;
        for service in services.into_iter().filter(|service| service.merged_into.is_none()) {
            for path in graph.dependencies_of(&service.id) {
                if let Some(needed) = path.last() {
                    services_on.entry(needed.clone()).or_default().insert(service.id.clone());
                }
            }
        }
        Ok(Self { revision: Some(revision), graph, services_on })
    }

    /// The present topology: the given one when nothing changed.
    pub async fn current(known: &Arc<Topology>, store: &Store) -> Result<Arc<Topology>, RoomError> {
        let revision = store.read()?.get::<TopologyRevision>(&0)?.map_or(0, |known| known.revision);
        if known.revision == Some(revision) {
            return Ok(known.clone());
        }
        Ok(Arc::new(reading(store, move |read| Topology::load(read, revision)).await?))
    }
}

/// A correlator's view during one update.
pub struct StoreQuery {
    read: ReadTx,
    topology: Arc<Topology>,
}

impl StoreQuery {
    /// Pinned to the present.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(store: &Store, topology: Arc<Topology>) -> Result<Self, ReadError> {
        Ok(Self { read: store.read()?, topology })
    }
}

fn unreadable(error: ReadError) -> Failure {
    Failure::passing(FailureCode::Internal, error.to_string())
}

impl Query for StoreQuery {
    fn entity(&self, id: &EntityId) -> Result<Entity, Failure> {
        let unknown = || Failure::lasting(FailureCode::Unsupported, format!("no entity {id} is known"));
        followed_by(&self.read, id).map_err(unreadable)?.ok_or_else(unknown)
    }

    fn neighbours(&self, id: &EntityId, depth: u32) -> Result<Vec<(EntityId, EntityId, RelationKind)>, Failure> {
        let mut edges = self.topology.graph.neighbours(id, depth.min(MAX_DEPTH));
        edges.truncate(MAX_EDGES);
        Ok(edges)
    }

    fn series_of(&self, id: &EntityId) -> Result<Vec<Meaning>, Failure> {
        let range = (id.0.clone(), 0)..=(id.0.clone(), u64::MAX);
        let index = self.read.scan::<EntitySeries>(range, MAX_SERIES).map_err(unreadable)?;
        let meanings = index.iter().map(|entry| self.read.get::<Meaning>(&entry.series.0));
        let found = meanings.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        Ok(found.into_iter().flatten().collect())
    }

    fn read(&self, series: SeriesId, start: Timestamp, end: Timestamp, max_points: usize) -> Result<Points, Failure> {
        let meaning = self.read.get::<Meaning>(&series.0).map_err(unreadable)?;
        let unknown = || Failure::lasting(FailureCode::Unsupported, format!("no series {} has a meaning", series.0));
        let body = meaning.ok_or_else(unknown)?.body;
        let points = self.read.points(series, start, end).map_err(unreadable)?;
        let canonical =
            Points { value: points.value.iter().map(|sent| body.canonical(*sent)).collect(), at: points.at };
        Ok(thinned(canonical, max_points.min(MAX_POINTS)))
    }
}

/// At most so many points: each the last of its share of the moments, so that the newest is always among them.
fn thinned(points: Points, most: usize) -> Points {
    let count = points.at.len();
    if count <= most || most == 0 {
        return if most == 0 { Points::default() } else { points };
    }
    let kept: Vec<usize> = (1..=most).map(|share| share * count / most - 1).collect();
    Points {
        at: kept.iter().map(|index| points.at[*index]).collect(),
        value: kept.iter().map(|index| points.value[*index]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_newest_point_and_the_order() {
        let points = Points { at: (0..10).map(Timestamp).collect(), value: (0..10).map(f64::from).collect() };
        assert_eq!(thinned(points.clone(), 3).at, [2, 5, 9].map(Timestamp));
        assert_eq!(thinned(points.clone(), 10), points);
        assert_eq!(thinned(points, 0), Points::default());
    }
}
