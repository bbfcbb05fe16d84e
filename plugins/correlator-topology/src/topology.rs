//! Walks on the dependency graph, fetched one entity at a time: what an entity needs, with the path there, and what needs it.
//!
//! The rules are those of the host (`host/domain/src/graph.rs`): a part needs what contains it, but going up to a container
//! does not lead down again to its other parts; what feeds a container feeds its parts (a GPU needs its host's power
//! supplies); and who runs on one part of a container by name does not need its other parts of that kind (a replica on GPU 0
//! that also names its host does not need GPU 1, also where a pod lies between), so that containers are opened when all names have been
//! followed. The tests of both read the same small topologies.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

/// Parts that the other parts of their container need.
const KIND_FEEDING_ALL: &str = "power-supply";
/// Entities followed from one start: far more than a path has, and a bound on a badly modelled hub.
const MAX_REACHED: usize = 1_000;

/// How one entity hangs on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Link {
    /// Runs on it.
    RunsOn,
    /// Contains it.
    Contains,
    /// Is contained in it: the step up.
    PartOf,
    /// Draws power from it.
    PoweredBy,
    /// Reaches the network through it.
    ConnectedTo,
    /// Lies on it.
    StoredOn,
    /// Depends on it in another way.
    DependsOn,
}

/// One relation: `dependent` needs `dependency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Who suffers.
    pub dependent: String,
    /// Who is needed.
    pub dependency: String,
    /// In what way; never [`Link::PartOf`].
    pub link: Link,
}

/// Where relations and names come from.
pub trait Graph {
    /// The relations of one entity, in both directions; empty when it is not known.
    fn edges_of(&self, id: &str) -> Vec<Edge>;
    /// Kind and name of an entity, when it is known.
    fn kind_and_name(&self, id: &str) -> Option<(String, String)>;
}

/// A graph that remembers during one call what it was told.
pub struct CachedGraph<'g> {
    graph: &'g dyn Graph,
    edges: RefCell<BTreeMap<String, Rc<Vec<Edge>>>>,
    names: RefCell<BTreeMap<String, (String, String)>>,
}

/// The step by which an entity was reached.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// The entity before it on the path.
    pub from: String,
    /// How that one hangs on it.
    pub link: Link,
}

/// All that an entity needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Needs {
    /// Every entity needed and the step by which it was reached first.
    pub steps: BTreeMap<String, Step>,
    /// Whether the entity has any relation at all.
    pub related: bool,
}

impl Needs {
    /// The path from `start` to one of the entities needed, both ends included, with the link into each but the first.
    pub fn path(&self, start: &str, end: &str) -> Vec<(String, Option<Link>)> {
        let mut path = Vec::new();
        let mut here = end;
        while here != start {
            let Some(step) = self.steps.get(here) else { return Vec::new() };
            path.push((here.to_owned(), Some(step.link)));
            here = &step.from;
        }
        path.push((start.to_owned(), None));
        path.reverse();
        path
    }

    /// Notes that an entity is needed; whether that is new.
    fn reach(&mut self, start: &str, here: &str, next: &str, link: Link) -> bool {
        if next == start || self.steps.contains_key(next) || self.steps.len() == MAX_REACHED {
            return false;
        }
        self.steps.insert(next.to_owned(), Step { from: here.to_owned(), link });
        true
    }

    /// Whether it needs another entity.
    pub fn contains(&self, other: &str) -> bool {
        self.steps.contains_key(other)
    }
}

/// The kind in an entity's id.
pub fn kind_of(id: &str) -> &str {
    id.split_once(':').map_or("", |(kind, _)| kind)
}

impl<'g> CachedGraph<'g> {
    /// Nothing fetched yet.
    pub fn new(graph: &'g dyn Graph) -> Self {
        Self { graph, edges: RefCell::default(), names: RefCell::default() }
    }

    /// What people call an entity; its id when it is not known.
    pub fn name_of(&self, id: &str) -> String {
        self.names
            .borrow_mut()
            .entry(id.to_owned())
            .or_insert_with(|| self.graph.kind_and_name(id).unwrap_or_else(|| (kind_of(id).to_owned(), id.to_owned())))
            .1
            .clone()
    }

    fn edges_of(&self, id: &str) -> Rc<Vec<Edge>> {
        if let Some(known) = self.edges.borrow().get(id) {
            return known.clone();
        }
        let mut edges = self.graph.edges_of(id);
        edges.sort_by(|a, b| (&a.dependent, &a.dependency, a.link).cmp(&(&b.dependent, &b.dependency, b.link)));
        let edges = Rc::new(edges);
        self.edges.borrow_mut().insert(id.to_owned(), edges.clone());
        edges
    }

    /// Everything that `start` needs within some steps: what is reached by names first, then what containers on the way hold.
    pub fn needs_of(&self, start: &str, max_hops: u32) -> Needs {
        let mut needs = Needs { steps: BTreeMap::new(), related: !self.edges_of(start).is_empty() };
        let mut queue = VecDeque::from([(start.to_owned(), false, 0)]);
        let mut closed: Vec<(Edge, u32)> = Vec::new();
        loop {
            while let Some((here, came_up, hops)) = queue.pop_front() {
                if hops == max_hops {
                    continue;
                }
                for edge in self.edges_of(&here).iter() {
                    let (next, link, up) = match (edge.dependent == here, edge.link) {
                        (true, Link::Contains) if came_up && kind_of(&edge.dependency) != KIND_FEEDING_ALL => continue,
                        (true, Link::Contains) => {
                            closed.push((edge.clone(), hops));
                            continue;
                        }
                        (true, link) => (&edge.dependency, link, false),
                        (false, Link::Contains) => (&edge.dependent, Link::PartOf, true),
                        (false, _) => continue,
                    };
                    if needs.reach(start, &here, next, link) {
                        queue.push_back((next.clone(), up, hops + 1));
                    }
                }
            }
            if closed.is_empty() {
                return needs;
            }
            for (Edge { dependent, dependency, link }, hops) in std::mem::take(&mut closed) {
                let used =
                    used_kinds(&dependent, &self.edges_of(&dependent), &needs.steps).contains(kind_of(&dependency));
                if !used && needs.reach(start, &dependent, &dependency, link) {
                    queue.push_back((dependency, false, hops + 1));
                }
            }
        }
    }

    /// The entities of a kind that need `end` within some steps, by id.
    pub fn dependents_of_kind(&self, end: &str, kind: &str, max_hops: u32) -> BTreeSet<String> {
        // Backwards over (entity, came up): the two ways to have reached an entity, see `needs_of`.
        let mut seen = BTreeSet::from([(end.to_owned(), false), (end.to_owned(), true)]);
        let mut queue: VecDeque<_> = seen.iter().cloned().map(|state| (state, 0)).collect();
        let mut found = BTreeSet::new();
        while let Some(((here, came_up), hops)) = queue.pop_front() {
            if hops == max_hops || seen.len() >= 2 * MAX_REACHED {
                continue;
            }
            for edge in self.edges_of(&here).iter() {
                let before: &[(&String, bool)] = match (came_up, edge.link, edge.dependency == here) {
                    // Reached from below: only its parts step up to it.
                    (true, Link::Contains, false) => &[(&edge.dependency, false), (&edge.dependency, true)],
                    (false, Link::Contains, true) if kind_of(&here) == KIND_FEEDING_ALL => {
                        &[(&edge.dependent, false), (&edge.dependent, true)]
                    }
                    (false, Link::Contains, true) => &[(&edge.dependent, false)],
                    (false, link, true) if link != Link::Contains => {
                        &[(&edge.dependent, false), (&edge.dependent, true)]
                    }
                    _ => continue,
                };
                for (id, up) in before {
                    let state = ((*id).clone(), *up);
                    if seen.insert(state.clone()) {
                        // A walk starts as needed, never as come up.
                        if !up && kind_of(id) == kind && *id != end {
                            found.insert((*id).clone());
                        }
                        queue.push_back((state, hops + 1));
                    }
                }
            }
        }
        // The walk back does not know which part a dependent named; the walk there does.
        found.retain(|candidate| self.needs_of(candidate, max_hops).contains(end));
        found
    }
}

/// Kinds of the parts of a container that were reached by their own names and not through the container.
fn used_kinds(container: &str, edges: &[Edge], steps: &BTreeMap<String, Step>) -> BTreeSet<String> {
    edges
        .iter()
        .filter(|edge| edge.link == Link::Contains && edge.dependent == container)
        .filter(|edge| steps.get(&edge.dependency).is_some_and(|step| step.link != Link::Contains))
        .map(|edge| kind_of(&edge.dependency).to_owned())
        .collect()
}

#[cfg(test)]
pub(crate) mod fixture {
    //! A graph given by hand.
    use super::*;

    /// Edges by the entities at their ends; every entity is called by the identity in its id.
    #[derive(Default)]
    pub struct Fixture {
        edges: BTreeMap<String, Vec<Edge>>,
    }

    impl Fixture {
        /// From triples of dependent, link, dependency.
        pub fn new(edges: &[(&str, Link, &str)]) -> Self {
            let mut fixture = Self::default();
            for &(dependent, link, dependency) in edges {
                let edge = Edge { dependent: dependent.into(), dependency: dependency.into(), link };
                for end in [dependent, dependency] {
                    fixture.edges.entry(end.into()).or_default().push(edge.clone());
                }
            }
            fixture
        }
    }

    impl Graph for Fixture {
        fn edges_of(&self, id: &str) -> Vec<Edge> {
            self.edges.get(id).cloned().unwrap_or_default()
        }

        fn kind_and_name(&self, id: &str) -> Option<(String, String)> {
            id.split_once(':').map(|(kind, name)| (kind.into(), name.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{fixture::Fixture, *};

    const RACK: &[(&str, Link, &str)] = &[
        ("service:chat", Link::DependsOn, "replica:1"),
        ("replica:1", Link::RunsOn, "gpu:0"),
        ("replica:1", Link::RunsOn, "host:a"),
        ("service:rag", Link::RunsOn, "gpu:1"),
        ("host:a", Link::Contains, "gpu:0"),
        ("host:a", Link::Contains, "gpu:1"),
        ("host:a", Link::Contains, "disk:x"),
        ("host:a", Link::PoweredBy, "ups:u"),
        ("host:b", Link::PoweredBy, "ups:u"),
    ];

    fn needs(start: &str) -> Vec<String> {
        CachedGraph::new(&Fixture::new(RACK)).needs_of(start, 8).steps.into_keys().collect()
    }

    #[test]
    fn what_is_needed_is_what_the_host_says_too() {
        let links = [
            ("runs-on", Link::RunsOn),
            ("contains", Link::Contains),
            ("powered-by", Link::PoweredBy),
            ("connected-to", Link::ConnectedTo),
            ("stored-on", Link::StoredOn),
            ("depends-on", Link::DependsOn),
        ];
        let cases = include_str!("../../../host/domain/src/graph/paths.txt");
        let (mut name, mut edges, mut asked) = ("", Vec::new(), 0);
        for line in cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(next) = line.strip_prefix("topology ") {
                (name, edges) = (next, Vec::new());
            } else if let Some((start, all)) = line.strip_prefix("needs ").and_then(|rest| rest.split_once(": ")) {
                let needed = CachedGraph::new(&Fixture::new(&edges)).needs_of(start, 8).steps;
                let needed: BTreeSet<&str> = needed.keys().map(String::as_str).collect();
                assert_eq!(needed, all.split(' ').collect(), "{name}: what {start} needs");
                asked += 1;
            } else {
                let words: Vec<&str> = line.split(' ').collect();
                let link = links.iter().find(|(word, _)| *word == words[1]).expect("a kind of relation").1;
                edges.push((words[0], link, words[2]));
            }
        }
        assert!(asked > 10, "the cases were read");
    }

    #[test]
    fn a_path_goes_up_to_the_container_and_not_down_to_its_other_parts() {
        assert_eq!(needs("gpu:0"), ["host:a", "ups:u"]);
        assert_eq!(needs("service:rag"), ["gpu:1", "host:a", "ups:u"]);
    }

    #[test]
    fn who_names_one_gpu_of_a_host_does_not_need_the_other() {
        assert_eq!(needs("replica:1"), ["disk:x", "gpu:0", "host:a", "ups:u"]);
        assert_eq!(needs("host:b"), ["ups:u"]);
    }

    #[test]
    fn the_path_is_told_with_its_links() {
        let fixture = Fixture::new(RACK);
        let graph = CachedGraph::new(&fixture);
        let path = graph.needs_of("service:rag", 8).path("service:rag", "ups:u");
        let told: Vec<_> = path.iter().map(|(id, link)| (id.as_str(), *link)).collect();
        assert_eq!(
            told,
            [
                ("service:rag", None),
                ("gpu:1", Some(Link::RunsOn)),
                ("host:a", Some(Link::PartOf)),
                ("ups:u", Some(Link::PoweredBy))
            ]
        );
    }

    #[test]
    fn dependents_are_those_whose_path_leads_there() {
        let fixture = Fixture::new(RACK);
        let graph = CachedGraph::new(&fixture);
        let services = |end: &str| graph.dependents_of_kind(end, "service", 8).into_iter().collect::<Vec<_>>();
        assert_eq!(services("ups:u"), ["service:chat", "service:rag"]);
        assert_eq!(services("gpu:1"), ["service:rag"]);
        assert_eq!(services("disk:x"), ["service:chat"]);
    }
}
