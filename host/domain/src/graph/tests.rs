//! The path rules on small topologies, those that the bundled correlator is held to as well.

use super::*;
use crate::Timestamp;

fn id(text: &str) -> EntityId {
    EntityId(text.into())
}

fn relation(dependent: &str, dependency: &str, kind: RelationKind) -> Relation {
    Relation {
        dependent: id(dependent),
        dependency: id(dependency),
        kind,
        source: "test".into(),
        seen_at: Timestamp(0),
    }
}

fn kind(word: &str) -> RelationKind {
    use RelationKind::*;
    let all = [
        ("runs-on", RunsOn),
        ("contains", Contains),
        ("powered-by", PoweredBy),
        ("connected-to", ConnectedTo),
        ("stored-on", StoredOn),
        ("depends-on", DependsOn),
    ];
    all.iter().find(|(name, _)| *name == word).unwrap_or_else(|| panic!("no kind of relation: {word}")).1
}

#[test]
fn what_is_needed_is_what_the_correlator_says_too() {
    let (mut name, mut relations, mut asked) = ("", Vec::new(), 0);
    for line in include_str!("paths.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(next) = line.strip_prefix("topology ") {
            (name, relations) = (next, Vec::new());
        } else if let Some((start, all)) = line.strip_prefix("needs ").and_then(|rest| rest.split_once(": ")) {
            let graph = DependencyGraph::new(&relations);
            let paths = graph.dependencies_of(&id(start));
            let needed: BTreeSet<&str> = paths.iter().filter_map(|path| Some(path.last()?.0.as_str())).collect();
            assert_eq!(needed, all.split(' ').collect(), "{name}: what {start} needs");
            assert_eq!(graph.nearest_dependencies_of(&id(start), 2), paths[..paths.len().min(2)]);
            asked += 1;
        } else {
            let words: Vec<&str> = line.split(' ').collect();
            relations.push(relation(words[0], words[2], kind(words[1])));
        }
    }
    assert!(asked > 10, "the cases were read");
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
        .dependencies_of(&id("service:chat"))
        .iter()
        .map(|path| path.iter().map(|e| e.0.as_str()).collect::<Vec<_>>().join(">"))
        .collect();
    assert_eq!(reached, ["service:chat>gpu:0", "service:chat>gpu:0>host:a", "service:chat>gpu:0>host:a>ups:u"]);
}
