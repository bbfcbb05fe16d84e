//! The fleets of the bundled stories, seen by the bundled mappers: every series has the meaning that a real exporter's would,
//! and the graph leads from each service to what may fail below it.

use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::Timestamp;
use tandem_sdk::{
    collector::Collector,
    mapper::{Mapping, Target},
    types::{Label, MetricType, Series},
};
use tandem_story::{Library, Play};

/// Series that identify or say nothing by themselves.
const WITHOUT_MEANING: [&str; 8] = [
    "node_uname_info",
    "node_dmi_info",
    "node_os_info",
    "node_network_info",
    "node_disk_info",
    "smartctl_device",
    "ipmi_bmc_info",
    "sysName",
];

fn label((name, value): (&str, &str)) -> Label {
    Label { name: name.into(), value: value.into() }
}

/// The graph: entities by any of their keys, and who depends on whom.
#[derive(Default)]
struct Graph {
    /// Key to the first key of its entity.
    named: BTreeMap<String, String>,
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// The entity of some keys, joined with those that share one.
    fn entity(&mut self, kind: &str, keys: &[String]) -> String {
        let keys: Vec<String> = keys.iter().map(|key| format!("{kind}:{key}")).collect();
        let known = keys.iter().find_map(|key| self.named.get(key).cloned());
        let name = known.unwrap_or_else(|| keys[0].clone());
        for key in keys {
            if let Some(other) = self.named.insert(key, name.clone()).filter(|other| *other != name) {
                self.named.values_mut().filter(|named| **named == other).for_each(|named| named.clone_from(&name));
                let needs = self.needs.remove(&other).unwrap_or_default();
                self.needs.entry(name.clone()).or_default().extend(needs);
                for needs in self.needs.values_mut() {
                    if needs.remove(&other) {
                        needs.insert(name.clone());
                    }
                }
            }
        }
        name
    }

    fn add(&mut self, mapping: &Mapping) {
        let names: Vec<String> = mapping
            .entities
            .iter()
            .map(|entity| {
                let keys: Vec<String> = entity.keys.iter().map(|key| format!("{}:{}", key.scheme, key.value)).collect();
                self.entity(&entity.kind, &keys)
            })
            .collect();
        for relation in &mapping.relations {
            let (above, below) = (&names[relation.dependent as usize], &names[relation.dependency as usize]);
            let (above, below) = (self.now(above), self.now(below));
            self.needs.entry(above).or_default().insert(below);
        }
    }

    /// The name of an entity after it was joined.
    fn now(&self, name: &str) -> String {
        self.named.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// All that an entity needs, however far below.
    fn below(&self, name: &str) -> BTreeSet<String> {
        let (mut seen, mut next) = (BTreeSet::new(), vec![name.to_owned()]);
        while let Some(one) = next.pop() {
            for needed in self.needs.get(&one).into_iter().flatten() {
                if seen.insert(needed.clone()) {
                    next.push(needed.clone());
                }
            }
        }
        seen
    }
}

/// What all mappers say of one target; and the series that none gave a meaning.
fn mapped(target: &Target, series: &[Series], graph: &mut Graph) -> Vec<String> {
    let answers = [
        collector_gpu::Gpu::interpret(target, series),
        collector_host::Host::interpret(target, series),
        collector_model::Model::interpret(target, series),
        collector_network::Network::interpret(target, series),
        collector_power::Power::interpret(target, series),
        collector_storage::Storage::interpret(target, series),
    ];
    let mut understood = BTreeSet::new();
    for answer in answers {
        let mapping = answer.unwrap_or_else(|failure| panic!("{}: {failure:?}", target.instance));
        understood.extend(mapping.meanings.iter().map(|meaning| meaning.series as usize));
        graph.add(&mapping);
    }
    let is_missing = |(number, one): &(usize, &Series)| {
        !understood.contains(number) && !WITHOUT_MEANING.contains(&one.metric.as_str())
    };
    series.iter().enumerate().filter(is_missing).map(|(_, one)| one.metric.clone()).collect()
}

fn look(name: &str) {
    let mut play = Play::new(&Library::bundled(), name, 1, Timestamp(1_764_000_000_000)).expect("a story");
    play.step().expect("a step");
    let (mut graph, mut missing) = (Graph::default(), BTreeSet::new());
    for (number, target) in play.targets().iter().enumerate() {
        let of_target = play.series().iter().filter(|series| series.target == number);
        let series: Vec<Series> = of_target
            .map(|series| Series {
                metric: series.metric.clone(),
                metric_type: MetricType::Gauge,
                unit: String::new(),
                labels: series.labels.iter().map(label).collect(),
            })
            .collect();
        let labels = target.labels.iter().map(label).collect();
        let target = Target { job: target.job.clone(), instance: target.instance.clone(), labels };
        missing
            .extend(mapped(&target, &series, &mut graph).into_iter().map(|metric| format!("{} {metric}", target.job)));
    }
    assert!(missing.is_empty(), "{name}: no mapper knows {missing:#?}");
    for relation in play.relations() {
        let ends = [&relation.dependent, &relation.dependency].map(|end| graph.named.get(end).cloned());
        let [Some(above), Some(below)] = ends else { panic!("{name}: an end of {relation:?} is no entity") };
        graph.needs.entry(above).or_default().insert(below);
    }
    for service in play.services() {
        let top = graph.named.get(&format!("service:name:{service}")).cloned();
        let below = graph.below(&top.unwrap_or_else(|| panic!("{name}: {service} is no entity")));
        let kinds: BTreeSet<&str> = below.iter().filter_map(|id| id.split(':').next()).collect();
        for kind in ["replica", "model", "gpu", "host", "disk", "interface", "chassis", "power-supply", "ups", "switch"]
        {
            assert!(kinds.contains(kind), "{name}: from {service} no way leads to a {kind}: {kinds:?}");
        }
    }
    for truth in play.truths().iter() {
        assert!(
            truth.entities.iter().any(|key| graph.named.contains_key(key)),
            "{name}: no mapper makes an entity of {:?}",
            truth.entities
        );
    }
}

#[test]
fn every_series_of_the_fleets_has_a_meaning_and_every_service_reaches_what_may_fail() {
    let library = Library::bundled();
    let stories = library.list().expect("stories");
    for about in stories.iter().filter(|about| !about.long) {
        look(&about.name);
    }
}
