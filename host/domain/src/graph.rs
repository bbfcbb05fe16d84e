//! Path rules on the dependency graph.

use crate::{
    entity::EntityId,
    relation::{Relation, RelationKind},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Why an entity is on a path: reached by needing it, or by being a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reached {
    Needed,
    AsContainer,
}

/// The dependency graph, built from relations.
#[derive(Debug, Clone, Default)]
pub struct DependencyGraph {
    needs: BTreeMap<EntityId, BTreeMap<EntityId, RelationKind>>,
    needed_by: BTreeMap<EntityId, BTreeMap<EntityId, RelationKind>>,
}

impl DependencyGraph {
    /// Builds the graph.
    pub fn new<'a>(relations: impl IntoIterator<Item = &'a Relation>) -> Self {
        let mut graph = Self::default();
        for relation in relations {
            graph
                .needs
                .entry(relation.dependent.clone())
                .or_default()
                .insert(relation.dependency.clone(), relation.kind);
            graph
                .needed_by
                .entry(relation.dependency.clone())
                .or_default()
                .insert(relation.dependent.clone(), relation.kind);
        }
        graph
    }

    /// Everything that `start` needs, nearest first, with the path of entities that leads there (both ends included).
    ///
    /// A part also needs what contains it (a GPU its host), but going up to a container does not lead down again to its
    /// other parts: a neighbour GPU's fault is not this one's.
    pub fn dependencies_of(&self, start: &EntityId) -> Vec<Vec<EntityId>> {
        let mut seen = BTreeSet::from([start.clone()]);
        let mut queue = VecDeque::from([(vec![start.clone()], Reached::Needed)]);
        let mut paths = Vec::new();
        while let Some((path, reached)) = queue.pop_front() {
            let Some(here) = path.last().cloned() else { continue };
            let mut step = |next: &EntityId, how: Reached| {
                if seen.insert(next.clone()) {
                    let mut longer = path.clone();
                    longer.push(next.clone());
                    paths.push(longer.clone());
                    queue.push_back((longer, how));
                }
            };
            for (next, kind) in self.needs.get(&here).into_iter().flatten() {
                if *kind != RelationKind::Contains || reached == Reached::Needed {
                    step(next, Reached::Needed);
                }
            }
            for (container, kind) in self.needed_by.get(&here).into_iter().flatten() {
                if *kind == RelationKind::Contains {
                    step(container, Reached::AsContainer);
                }
            }
        }
        paths
    }

    /// All relations within `depth` steps of an entity, in both directions, as (dependent, dependency, kind).
    pub fn neighbours(&self, start: &EntityId, depth: u32) -> Vec<(EntityId, EntityId, RelationKind)> {
        let mut seen = BTreeSet::from([start.clone()]);
        let mut ring = vec![start.clone()];
        let mut edges = BTreeSet::new();
        for _ in 0..depth {
            let mut next_ring = Vec::new();
            for here in &ring {
                for (other, kind) in self.needs.get(here).into_iter().flatten() {
                    edges.insert((here.clone(), other.clone(), *kind));
                    if seen.insert(other.clone()) {
                        next_ring.push(other.clone());
                    }
                }
                for (other, kind) in self.needed_by.get(here).into_iter().flatten() {
                    edges.insert((other.clone(), here.clone(), *kind));
                    if seen.insert(other.clone()) {
                        next_ring.push(other.clone());
                    }
                }
            }
            ring = next_ring;
        }
        edges.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn relation(dependent: &str, dependency: &str, kind: RelationKind) -> Relation {
        Relation {
            dependent: EntityId(dependent.into()),
            dependency: EntityId(dependency.into()),
            kind,
            source: "test".into(),
            seen_at: Timestamp(0),
        }
    }

    #[test]
    fn a_service_needs_its_gpu_the_host_around_it_and_the_ups_but_not_the_other_gpu() {
        let relations = [
            relation("service:chat", "gpu:0", RelationKind::RunsOn),
            relation("host:a", "gpu:0", RelationKind::Contains),
            relation("host:a", "gpu:1", RelationKind::Contains),
            relation("host:a", "ups:u", RelationKind::PoweredBy),
        ];
        let graph = DependencyGraph::new(&relations);
        let reached: Vec<String> = graph
            .dependencies_of(&EntityId("service:chat".into()))
            .iter()
            .map(|path| path.iter().map(|e| e.0.as_str()).collect::<Vec<_>>().join(">"))
            .collect();
        assert_eq!(reached, ["service:chat>gpu:0", "service:chat>gpu:0>host:a", "service:chat>gpu:0>host:a>ups:u"]);
    }
}
