//! Matching of entities: what is one thing, under which id, and that the order of the reports does not matter.

use super::identity::{IdentityChanges, Known, Resolver};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};
use tandem_domain::{
    Timestamp,
    entity::{Entity, EntityDraft, EntityId, IdentityKey, KeyStrength},
    series::Labels,
};

#[derive(Default)]
struct Memory {
    entities: BTreeMap<EntityId, Entity>,
    aliases: BTreeMap<String, EntityId>,
}

impl Known for Memory {
    type Error = Infallible;
    fn alias(&mut self, alias: &str) -> Result<Option<EntityId>, Infallible> {
        Ok(self.aliases.get(alias).cloned())
    }
    fn entity(&mut self, id: &EntityId) -> Result<Option<Entity>, Infallible> {
        Ok(self.entities.get(id).cloned())
    }
}

impl Memory {
    fn take(&mut self, drafts: &[EntityDraft]) -> (Vec<Option<EntityId>>, IdentityChanges) {
        let mut resolver = Resolver::new(self);
        let ids = drafts.iter().map(|draft| resolver.resolve(draft, Timestamp(1)).unwrap()).collect();
        let changes = resolver.finish();
        self.entities.extend(changes.entities.clone());
        self.aliases.extend(changes.aliases.clone());
        (ids, changes)
    }

    fn living(&self) -> BTreeSet<&str> {
        self.entities.values().filter(|e| e.merged_into.is_none()).map(|e| e.id.0.as_str()).collect()
    }
}

fn unique(scheme: &str, value: &str) -> IdentityKey {
    IdentityKey { scheme: scheme.into(), value: value.into(), strength: KeyStrength::Unique }
}

fn local(scheme: &str, value: &str) -> IdentityKey {
    IdentityKey { scheme: scheme.into(), value: value.into(), strength: KeyStrength::Local }
}

fn draft(kind: &str, name: &str, keys: &[IdentityKey]) -> EntityDraft {
    EntityDraft { kind: kind.into(), keys: keys.to_vec(), name: name.into(), attributes: Labels::default() }
}

#[test]
fn a_stronger_key_promotes_the_id_and_the_old_one_points_there() {
    let mut memory = Memory::default();
    memory.take(&[draft("host", "10.0.0.7", &[local("hostname", "node-1")])]);
    assert_eq!(memory.living(), BTreeSet::from(["host:node-1"]));
    let seen_together = draft("host", "node-1", &[unique("machine-id", "4c4c"), local("hostname", "node-1")]);
    let (ids, changes) = memory.take(&[seen_together]);
    assert_eq!(ids[0].as_ref().unwrap().0, "host:4c4c");
    assert_eq!(changes.merges, [(EntityId("host:node-1".into()), EntityId("host:4c4c".into()))]);
    assert_eq!(memory.entities[&EntityId("host:node-1".into())].merged_into, Some(EntityId("host:4c4c".into())));
    assert_eq!(memory.entities[&EntityId("host:4c4c".into())].name, "node-1");
    let (ids, changes) = memory.take(&[draft("host", "", &[local("hostname", "node-1")])]);
    assert_eq!(ids[0].as_ref().unwrap().0, "host:4c4c");
    assert_eq!(changes, IdentityChanges::default(), "an idle report writes nothing");
}

#[test]
fn a_name_that_only_repeats_a_key_gives_way_to_one_that_says_more_whoever_comes_last() {
    let by_uuid = draft("gpu", "GPU GPU-6f1c", &[unique("uuid", "GPU-6f1c")]);
    let by_place = draft("gpu", "GPU 0 on node-7", &[unique("uuid", "GPU-6f1c"), local("index", "node-7/0")]);
    for order in [[&by_uuid, &by_place, &by_uuid], [&by_place, &by_uuid, &by_place]] {
        let mut memory = Memory::default();
        for draft in order {
            memory.take(std::slice::from_ref(draft));
        }
        assert_eq!(memory.entities[&EntityId("gpu:GPU-6f1c".into())].name, "GPU 0 on node-7");
    }
}

#[test]
fn an_exchanged_disk_is_another_disk_and_owns_the_device_path() {
    let mut memory = Memory::default();
    memory.take(&[draft("disk", "", &[unique("serial", "M/1"), local("device", "node-1/sda")])]);
    memory.take(&[draft("disk", "", &[unique("serial", "M/2"), local("device", "node-1/sda")])]);
    assert_eq!(memory.living(), BTreeSet::from(["disk:M/1", "disk:M/2"]));
    let (ids, _) = memory.take(&[draft("disk", "", &[local("device", "node-1/sda")])]);
    assert_eq!(ids[0].as_ref().unwrap().0, "disk:M/2");
}

#[test]
fn one_report_that_has_both_keys_makes_two_entities_one() {
    let mut memory = Memory::default();
    memory.take(&[
        draft("disk", "", &[unique("wwn", "0x5000")]),
        draft("disk", "", &[local("device", "node-1/sda")]),
        draft("disk", "", &[unique("wwn", "0x5000"), local("device", "node-1/sda")]),
    ]);
    assert_eq!(memory.living(), BTreeSet::from(["disk:0x5000"]));
}

#[test]
fn equal_values_under_different_schemes_are_different_things() {
    let mut memory = Memory::default();
    memory.take(&[draft("ups", "", &[local("name", "a")]), draft("ups", "", &[local("ups", "a")])]);
    assert_eq!(memory.living(), BTreeSet::from(["ups:a", "ups:ups:a"]));
}

#[test]
fn what_has_no_usable_key_or_kind_is_nothing() {
    let mut memory = Memory::default();
    let drafts = [
        draft("host", "x", &[]),
        draft("host", "x", &[local("hostname", "  ")]),
        draft("Host", "x", &[local("hostname", "x")]),
        draft("host", "x", &[local("hostname", &"x".repeat(600))]),
    ];
    assert_eq!(memory.take(&drafts).0, [None, None, None, None]);
    assert!(memory.entities.is_empty());
}

/// A thing as it really is: two unique keys and two local ones, which no other thing has.
fn whole(number: usize) -> [IdentityKey; 4] {
    [
        unique("uuid", &format!("u{number}")),
        unique("serial", &format!("s{number}")),
        local("hostname", &format!("h{number}")),
        local("address", &format!("a{number}")),
    ]
}

proptest! {
    #[test]
    fn the_order_of_the_reports_does_not_matter(
        sightings in prop::collection::vec((0_usize..4, 1_u8..16), 1..24),
        order in any::<u64>(),
        cut in 0_usize..24,
    ) {
        let drafts: Vec<EntityDraft> = sightings
            .iter()
            .map(|(thing, mask)| {
                let keys: Vec<_> = whole(*thing).into_iter().enumerate()
                    .filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, key)| key).collect();
                draft("host", "", &keys)
            })
            .collect();
        let mut one = Memory::default();
        one.take(&drafts);
        let mut shuffled = drafts.clone();
        let mut state = order | 1;
        for last in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(last, (state >> 33) as usize % (last + 1));
        }
        let mut other = Memory::default();
        let cut = cut.min(shuffled.len());
        other.take(&shuffled[..cut]);
        other.take(&shuffled[cut..]);
        prop_assert_eq!(one.living(), other.living());
        for (alias, id) in &one.aliases {
            prop_assert_eq!(other.aliases.get(alias), Some(id), "{}", alias);
        }
        // Every key leads to a living entity that lists it, and no two things share an entity.
        for entity in one.entities.values().filter(|e| e.merged_into.is_none()) {
            let things: BTreeSet<&str> = entity.keys.iter().map(|key| &key.value[1..]).collect();
            prop_assert_eq!(things.len(), 1);
        }
        for id in one.aliases.values() {
            prop_assert!(one.living().contains(id.0.as_str()));
        }
    }
}
