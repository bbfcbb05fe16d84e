//! Who may be to blame: the service, all that it needs, and the versions of its model that changed lately.

use crate::snapshot::Snapshot;
use std::collections::BTreeMap;
use tandem_domain::{
    cause::{Suspect, SuspectDependency},
    entity::EntityId,
    relation::RelationKind,
    series::Labels,
};

/// Suspects of a case, those that are nearest to the service first: a service of a hundred replicas has some 1,500 things below it.
const MAX_SUSPECTS: usize = 2_000;

/// The suspects of a case, and how they hang together. The service is the first.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    pub all: Vec<Suspect>,
    pub index: BTreeMap<EntityId, u32>,
    pub dependencies: Vec<SuspectDependency>,
    pub peers: Vec<Vec<u32>>,
}

impl Suspects {
    /// Everything that lies below a service. Beside what relations say, each step of the walk is a dependency: a part needs what
    /// contains it.
    pub(super) fn below(snapshot: &Snapshot, service: &EntityId) -> Self {
        let paths = snapshot.ground.graph.dependencies_of(service);
        let mut suspects = Self::default();
        suspects.add(service, snapshot);
        for path in paths.iter().take(MAX_SUSPECTS - 1) {
            if let Some(end) = path.last() {
                suspects.add(end, snapshot);
            }
        }
        let mut edges: BTreeMap<(u32, u32), RelationKind> = BTreeMap::new();
        for path in &paths {
            for step in path.windows(2) {
                if let (Some(above), Some(below)) = (suspects.index.get(&step[0]), suspects.index.get(&step[1])) {
                    edges.insert((*above, *below), RelationKind::DependsOn);
                }
            }
        }
        for relation in &snapshot.ground.relations {
            let ends = (suspects.index.get(&relation.dependent), suspects.index.get(&relation.dependency));
            if let (Some(dependent), Some(dependency)) = ends {
                edges.insert((*dependent, *dependency), relation.kind);
            }
        }
        let edge = |((dependent, dependency), kind)| SuspectDependency { dependent, dependency, kind };
        suspects.dependencies = edges.into_iter().map(edge).collect();
        suspects.peers = suspects.alike();
        suspects
    }

    fn add(&mut self, id: &EntityId, snapshot: &Snapshot) {
        let number = self.all.len() as u32;
        if self.index.contains_key(id) {
            return;
        }
        let known = snapshot.entity(id);
        let kind = known.map_or_else(|| id.kind().to_owned(), |entity| entity.kind.clone());
        let attributes = known.map(|entity| entity.attributes.clone()).unwrap_or_default();
        self.index.insert(id.clone(), number);
        self.all.push(Suspect { id: id.clone(), kind, attributes });
    }

    /// Adds a version of the service's model, on which the service depends, and so do the replicas and models that serve it: trouble
    /// of all of them may be the version's. Answers its index.
    pub(super) fn add_version(&mut self, model: &str, version: &str) -> u32 {
        let id = version_id(model, version);
        if let Some(known) = self.index.get(&id) {
            return *known;
        }
        let number = self.all.len() as u32;
        self.index.insert(id.clone(), number);
        self.all.push(Suspect { id, kind: "model-version".into(), attributes: Labels::default() });
        let serves = |one: &Suspect| match one.kind.as_str() {
            "replica" => true,
            // Which of several versions a replica serves, its model says.
            "model" => one.attributes.get("version").is_none_or(|serves| serves.is_empty() || serves == version),
            _ => false,
        };
        let serving = (0..).zip(&self.all).filter(|(_, one)| serves(one)).map(|(dependent, _)| dependent);
        let dependents: Vec<u32> = std::iter::once(0).chain(serving).collect();
        let kind = RelationKind::DependsOn;
        let edge = |dependent| SuspectDependency { dependent, dependency: number, kind };
        self.dependencies.extend(dependents.into_iter().map(edge));
        number
    }

    /// The replicas among the suspects, by the addresses of their servers.
    pub(super) fn replicas(&self, snapshot: &Snapshot) -> BTreeMap<String, u32> {
        let replicas = (0..).zip(&self.all).filter(|(_, suspect)| suspect.kind == "replica");
        let known = replicas.filter_map(|(number, suspect)| Some((number, snapshot.entity(&suspect.id)?)));
        let addresses = known.flat_map(|(number, entity)| {
            let keys = entity.keys.iter().filter(|key| key.scheme == "address");
            keys.map(move |key| (key.value.clone(), number))
        });
        addresses.collect()
    }

    /// Suspects of one kind, kind by kind: what all of them do is load.
    fn alike(&self) -> Vec<Vec<u32>> {
        let mut by_kind: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
        for (number, suspect) in self.all.iter().enumerate() {
            by_kind.entry(&suspect.kind).or_default().push(number as u32);
        }
        by_kind.into_values().filter(|group| group.len() > 1).collect()
    }
}

/// A version of a model as a suspect.
pub(crate) fn version_id(model: &str, version: &str) -> EntityId {
    EntityId(format!("model-version:{model}@{version}"))
}
