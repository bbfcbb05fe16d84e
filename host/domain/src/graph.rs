//! Path rules on the dependency graph.

use crate::{
    entity::EntityId,
    relation::{Relation, RelationKind},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The kind of the parts that the other parts of their container need: a GPU needs its host's power supplies.
const KIND_FEEDING_ALL: &str = "power-supply";

/// One step of a walk.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// To what is needed.
    Down(RelationKind),
    /// To what contains it.
    Up,
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

    /// Everything that `start` needs, with the path of entities that leads there (both ends included): first what is reached by
    /// names, nearest first, then what containers on the way hold beside it.
    ///
    /// A part also needs what contains it (a GPU its host), but going up to a container does not lead down again to its
    /// other parts: a neighbour GPU's fault is not this one's. What feeds a container does feed its parts, so power supplies
    /// are needed on the way up too. Who runs on one part of a container by name does not need the container's other parts
    /// of that kind: a replica on GPU 0 that also names its host does not need GPU 1, however long the way to the name is (a pod
    /// between them). So containers are opened when all names have been followed. The bundled correlator walks by the
    /// same rules in the same order; `graph/paths.txt` holds both to them.
    pub fn dependencies_of(&self, start: &EntityId) -> Vec<Vec<EntityId>> {
        self.nearest_dependencies_of(start, usize::MAX)
    }

    /// The first so many of [`Self::dependencies_of`].
    pub fn nearest_dependencies_of(&self, start: &EntityId, most: usize) -> Vec<Vec<EntityId>> {
        // By entity: whether it was reached as a part of something in its container.
        let mut reached = BTreeMap::from([(start.clone(), false)]);
        let mut queue = VecDeque::from([(vec![start.clone()], false)]);
        let mut closed: Vec<(Vec<EntityId>, &EntityId)> = Vec::new();
        let mut paths: Vec<Vec<EntityId>> = Vec::new();
        loop {
            while let Some((path, came_up)) = queue.pop_front() {
                let Some(here) = path.last() else { continue };
                for (next, kind) in self.steps_from(here) {
                    match kind {
                        Step::Down(RelationKind::Contains) if came_up && next.kind() != KIND_FEEDING_ALL => continue,
                        Step::Down(RelationKind::Contains) => {
                            closed.push((path.clone(), next));
                            continue;
                        }
                        Step::Down(_) | Step::Up => {}
                    }
                    if reached.contains_key(next) {
                        continue;
                    }
                    if paths.len() == most {
                        return paths;
                    }
                    reached.insert(next.clone(), false);
                    let longer = longer(&path, next);
                    paths.push(longer.clone());
                    queue.push_back((longer, matches!(kind, Step::Up)));
                }
            }
            if closed.is_empty() {
                return paths;
            }
            for (path, part) in std::mem::take(&mut closed) {
                let is_named = path.last().is_some_and(|here| self.kinds_named(here, &reached).contains(part.kind()));
                if is_named || reached.contains_key(part) {
                    continue;
                }
                if paths.len() == most {
                    return paths;
                }
                reached.insert(part.clone(), true);
                let longer = longer(&path, part);
                paths.push(longer.clone());
                queue.push_back((longer, false));
            }
        }
    }

    /// The steps from an entity, in the order of its relations: to what it needs, and up to what contains it.
    fn steps_from(&self, here: &EntityId) -> Vec<(&EntityId, Step)> {
        let needs = self.needs.get(here).into_iter().flatten();
        let down = needs.map(|(next, kind)| ((here, next), (next, Step::Down(*kind))));
        let needed_by = self.needed_by.get(here).into_iter().flatten();
        let containers = needed_by.filter(|(_, kind)| **kind == RelationKind::Contains);
        let up = containers.map(|(container, _)| ((container, here), (container, Step::Up)));
        let mut steps: Vec<_> = down.chain(up).collect();
        steps.sort_by_key(|(relation, _)| *relation);
        steps.into_iter().map(|(_, step)| step).collect()
    }

    /// What contains an entity.
    pub fn containers_of(&self, part: &EntityId) -> impl Iterator<Item = &EntityId> {
        let needed_by = self.needed_by.get(part).into_iter().flatten();
        needed_by.filter(|(_, kind)| **kind == RelationKind::Contains).map(|(container, _)| container)
    }

    /// Kinds of the parts of a container that were reached by their own names and not through a container.
    fn kinds_named(&self, container: &EntityId, reached: &BTreeMap<EntityId, bool>) -> BTreeSet<&str> {
        let parts = self.needs.get(container).into_iter().flatten();
        let named = parts.filter(|(part, kind)| {
            **kind == RelationKind::Contains && reached.get(*part).is_some_and(|as_part| !as_part)
        });
        named.map(|(part, _)| part.kind()).collect()
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

fn longer(path: &[EntityId], next: &EntityId) -> Vec<EntityId> {
    path.iter().chain([next]).cloned().collect()
}

#[cfg(test)]
mod tests;
