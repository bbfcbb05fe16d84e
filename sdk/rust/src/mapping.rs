//! Puts a mapper's answer together: entities once each, relations among them, meanings of series.

use crate::{
    mapper::{Condition, FaultRule, Mapping, Meaning, Range},
    types::{Entity, IdentityKey, KeyStrength, Label, Relation, RelationKind, Series, Severity},
};
use std::collections::{HashMap, HashSet};

/// A key that names one thing in the world.
pub fn unique(scheme: &str, value: impl Into<String>) -> IdentityKey {
    IdentityKey { scheme: scheme.into(), value: value.into(), strength: KeyStrength::Unique }
}

/// A key that names one thing where it was seen.
pub fn local(scheme: &str, value: impl Into<String>) -> IdentityKey {
    IdentityKey { scheme: scheme.into(), value: value.into(), strength: KeyStrength::Local }
}

/// The value of a label of a series, unless it is absent or empty.
pub fn label_of<'s>(series: &'s Series, name: &str) -> Option<&'s str> {
    value_of(&series.labels, name)
}

/// The value of a label in a list, unless it is absent or empty.
pub fn value_of<'s>(labels: &'s [Label], name: &str) -> Option<&'s str> {
    labels.iter().find(|label| label.name == name).map(|label| label.value.as_str()).filter(|value| !value.is_empty())
}

/// The host part of `host:port`, of an URL, or of a bare name; brackets of IPv6 are dropped.
pub fn host_of(instance: &str) -> &str {
    let rest = instance.split_once("://").map_or(instance, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    if let Some(inner) = authority.strip_prefix('[') {
        return inner.split(']').next().unwrap_or(inner);
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether a host name or address means "the machine itself", and so tells nothing of which machine it is.
pub fn is_loopback(host: &str) -> bool {
    host.is_empty()
        || host == "localhost"
        || host == "::1"
        || host.starts_with("127.")
        || host == "0.0.0.0"
        || host == "::"
}

/// A fault while the value, as sent, lies in a range.
pub fn fault_within(
    code: &str,
    low: f64,
    high: f64,
    severity: Severity,
    title: impl Into<String>,
    advice: &str,
) -> FaultRule {
    FaultRule {
        code: code.into(),
        condition: Condition::Within(Range { low, high }),
        severity,
        title: title.into(),
        advice: advice.into(),
        resting: None,
        rest_seconds: 0,
    }
}

/// A fault each time a counter rises, over after `rest_seconds` without a rise.
pub fn fault_rises(
    code: &str,
    rest_seconds: u32,
    severity: Severity,
    title: impl Into<String>,
    advice: &str,
) -> FaultRule {
    FaultRule {
        code: code.into(),
        condition: Condition::Rises(rest_seconds),
        severity,
        title: title.into(),
        advice: advice.into(),
        resting: None,
        rest_seconds: 0,
    }
}

/// The canonical name and unit of a series, before it is bound to series and entity.
#[derive(Debug, Clone)]
pub struct Canonical {
    name: String,
    unit: String,
    scale: f64,
    offset: f64,
    missing: Vec<Range>,
    dimensions: Vec<Label>,
    fault_rules: Vec<FaultRule>,
}

/// A series that is sent in its canonical unit already.
pub fn canonical(name: &str, unit: &str) -> Canonical {
    Canonical {
        name: name.into(),
        unit: unit.into(),
        scale: 1.0,
        offset: 0.0,
        missing: Vec::new(),
        dimensions: Vec::new(),
        fault_rules: Vec::new(),
    }
}

impl Canonical {
    /// Canonical value = sent value × scale.
    pub fn scaled(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// Adds to the scaled value.
    pub fn shifted(mut self, offset: f64) -> Self {
        self.offset = offset;
        self
    }

    /// Sent values from `low` to `high` mean "no value".
    pub fn missing(mut self, low: f64, high: f64) -> Self {
        self.missing.push(Range { low, high });
        self
    }

    /// Tells members of one entity and name apart.
    pub fn dimension(mut self, name: &str, value: impl Into<String>) -> Self {
        self.dimensions.push(Label { name: name.into(), value: value.into() });
        self
    }

    /// A fault it can tell of.
    pub fn fault(mut self, rule: FaultRule) -> Self {
        self.fault_rules.push(rule);
        self
    }

    /// Several faults it can tell of.
    pub fn faults(mut self, rules: impl IntoIterator<Item = FaultRule>) -> Self {
        self.fault_rules.extend(rules);
        self
    }
}

/// Collects a mapping; entities are known by their first key, and later mentions add keys and attributes.
#[derive(Debug, Default)]
pub struct MappingBuilder {
    entities: Vec<Entity>,
    by_first_key: HashMap<(String, String, String), u32>,
    relations: Vec<Relation>,
    related: HashSet<(u32, u32)>,
    meanings: Vec<Meaning>,
}

/// Longest name or key that is passed on, in bytes; the host refuses an answer with one above 512 whole.
const LONGEST_NAME_BYTES: usize = 500;

/// A text that can be a name: no control characters, not empty, not endless.
fn plain(text: &str, instead: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(LONGEST_NAME_BYTES));
    for sign in text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }) {
        if plain.len() + sign.len_utf8() > LONGEST_NAME_BYTES {
            break;
        }
        plain.push(sign);
    }
    let trimmed = plain.trim();
    if trimmed.is_empty() { instead.to_owned() } else { trimmed.to_owned() }
}

impl MappingBuilder {
    /// The index of an entity, added when it is new. `keys` must not be empty; strongest first.
    ///
    /// Label values may hold anything; control characters in keys and names become spaces, and an empty name the kind.
    pub fn entity(&mut self, kind: &str, mut keys: Vec<IdentityKey>, name: impl Into<String>) -> u32 {
        for key in &mut keys {
            key.value = plain(&key.value, "?");
        }
        let first =
            keys.first().map(|key| (kind.to_owned(), key.scheme.clone(), key.value.clone())).unwrap_or_default();
        if let Some(&index) = self.by_first_key.get(&first) {
            let known = &mut self.entities[index as usize].keys;
            for key in keys {
                if !known.iter().any(|k| k.scheme == key.scheme && k.value == key.value) {
                    known.push(key);
                }
            }
            return index;
        }
        let index = self.entities.len() as u32;
        self.by_first_key.insert(first, index);
        let name = plain(&name.into(), kind);
        self.entities.push(Entity { kind: kind.into(), keys, name, attributes: Vec::new() });
        index
    }

    /// Sets an attribute; an empty value is left out.
    pub fn attribute(&mut self, entity: u32, name: &str, value: &str) {
        let attributes = &mut self.entities[entity as usize].attributes;
        if !value.is_empty() && !attributes.iter().any(|known| known.name == name) {
            attributes.push(Label { name: name.into(), value: value.into() });
        }
    }

    /// `dependent` needs `dependency`; said once each.
    pub fn relation(&mut self, dependent: u32, dependency: u32, kind: RelationKind) {
        if dependent != dependency && self.related.insert((dependent, dependency)) {
            self.relations.push(Relation { dependent, dependency, kind });
        }
    }

    /// Gives a series of the list shown its meaning.
    pub fn meaning(&mut self, series: usize, entity: u32, canonical: Canonical) {
        self.meanings.push(Meaning {
            series: series as u32,
            entity,
            name: canonical.name,
            unit: canonical.unit,
            scale: canonical.scale,
            offset: canonical.offset,
            missing: canonical.missing,
            dimensions: canonical.dimensions,
            fault_rules: canonical.fault_rules,
        });
    }

    /// The answer.
    pub fn finish(self) -> Mapping {
        Mapping { entities: self.entities, relations: self.relations, meanings: self.meanings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_part_is_found_in_every_way_of_writing_an_address() {
        assert_eq!(host_of("gpu-node-1:9400"), "gpu-node-1");
        assert_eq!(host_of("http://10.0.0.7:9400/metrics"), "10.0.0.7");
        assert_eq!(host_of("[fe80::1]:9100"), "fe80::1");
        assert_eq!(host_of("node-1"), "node-1");
        assert_eq!(host_of("https://bmc/redfish/v1"), "bmc");
    }

    #[test]
    fn crooked_label_values_become_names_that_the_host_takes() {
        let mut builder = MappingBuilder::default();
        builder.entity("sensor", vec![local("sensor", "a/\u{1b}[0mtemp\n")], "");
        let entity = &builder.finish().entities[0];
        assert_eq!((entity.name.as_str(), entity.keys[0].value.as_str()), ("sensor", "a/ [0mtemp"));
    }

    #[test]
    fn an_entity_is_added_once_and_gathers_its_keys() {
        let mut builder = MappingBuilder::default();
        let first = builder.entity("gpu", vec![unique("uuid", "GPU-1")], "GPU 0");
        let second = builder.entity("gpu", vec![unique("uuid", "GPU-1"), local("index", "a/0")], "GPU 0");
        assert_eq!(first, second);
        assert_eq!(builder.finish().entities[0].keys.len(), 2);
    }
}
