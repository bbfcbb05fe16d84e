//! Which reported things are one thing: matching of entity drafts with known entities by their keys. Pure; the store is
//! behind [`Known`].
//!
//! A shared unique key means the same entity. A shared local key means the same unless both have a unique key of one scheme
//! with different values: then something was exchanged (a disk behind `/dev/sda`), and the newest report owns the local key.
//! The id comes from the strongest key known; when a stronger one is seen, the entity moves to the new id and the old id
//! points there.

use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::{
    Timestamp,
    entity::{Entity, EntityAlias, EntityDraft, EntityId, IdentityKey, KeyStrength},
    series::Labels,
};

/// Longest key value, in bytes: a model name with its path is the longest that is seen in earnest.
const MAX_KEY_BYTES: usize = 512;

/// Most keys an entity can have; a guard against a mapper that makes a key of something that changes.
const MAX_KEYS_PER_ENTITY: usize = 64;

/// Most attributes an entity can have, for the same reason.
const MAX_ATTRIBUTES_PER_ENTITY: usize = 128;

/// The time of the last report is written anew only when it has moved by this much, so that idle collections write nothing.
const LAST_SEEN_STEP_MILLIS: i64 = 60_000;

/// Steps from a merged entity to the one it has become; more mean a circle.
const MAX_MERGE_STEPS: usize = 16;

/// Schemes from the firmest, so that the id does not depend on who reports first. Others follow by name.
const SCHEME_ORDER: [&str; 21] = [
    "machine-id",
    "uuid",
    "wwn",
    "mac",
    "dmi-uuid",
    "serial",
    "dmi-serial",
    "name",
    "hostname",
    "pod",
    "pci",
    "model",
    "device",
    "mount",
    "ups",
    "psu",
    "sensor",
    "port",
    "index",
    "instance",
    "address",
];

/// The entities known so far.
pub trait Known {
    /// Why a look-up failed.
    type Error;
    /// The entity a key leads to.
    ///
    /// # Errors
    /// When the store cannot be read; so for both.
    fn alias(&mut self, alias: &str) -> Result<Option<EntityId>, Self::Error>;
    /// The entity under an id.
    ///
    /// # Errors
    /// As [`Known::alias`].
    fn entity(&mut self, id: &EntityId) -> Result<Option<Entity>, Self::Error>;
}

/// What matching found out, to be written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IdentityChanges {
    /// Entities that are new or changed, the merged ones among them.
    pub entities: BTreeMap<EntityId, Entity>,
    /// Keys that lead to another entity than before.
    pub aliases: BTreeMap<String, EntityId>,
    /// Old id and new id, in the order of the merges.
    pub merges: Vec<(EntityId, EntityId)>,
}

/// Matches drafts one after another; later ones see what earlier ones brought.
pub struct Resolver<'k, K: Known> {
    known: &'k mut K,
    changes: IdentityChanges,
}

impl<'k, K: Known> Resolver<'k, K> {
    /// Nothing matched yet.
    pub fn new(known: &'k mut K) -> Self {
        Self { known, changes: IdentityChanges::default() }
    }

    /// What is to be written.
    pub fn finish(self) -> IdentityChanges {
        self.changes
    }

    /// The entity that a draft means; none when the draft has no kind or no usable key.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn resolve(&mut self, draft: &EntityDraft, now: Timestamp) -> Result<Option<EntityId>, K::Error> {
        let keys = usable_keys(&draft.keys);
        if keys.is_empty() || !is_kind(&draft.kind) {
            return Ok(None);
        }
        let (same, robbed) = self.matches(&draft.kind, &keys)?;
        for (id, key) in robbed {
            if let Some(mut entity) = self.entity(&id)? {
                entity.keys.retain(|known| known != &key);
                self.changes.entities.insert(id, entity);
            }
        }
        let mut all_keys = keys.clone();
        for entity in &same {
            all_keys.extend(entity.keys.iter().cloned());
        }
        let all_keys = usable_keys(&all_keys);
        let id = self.free_id(&draft.kind, &all_keys, &same)?;
        let merged = merged_entity(id.clone(), draft, &keys, all_keys, &same, now);
        for old in same.iter().filter(|old| old.id != id) {
            let moved = Entity { merged_into: Some(id.clone()), ..old.clone() };
            self.changes.entities.insert(old.id.clone(), moved);
            self.changes.merges.push((old.id.clone(), id.clone()));
        }
        for key in &merged.keys {
            let alias = EntityAlias::of(&merged.kind, key);
            if self.alias(&alias)?.as_ref() != Some(&id) {
                self.changes.aliases.insert(alias, id.clone());
            }
        }
        if self.entity(&id)?.is_none_or(|known| known != merged) {
            self.changes.entities.insert(id.clone(), merged);
        }
        Ok(Some(id))
    }

    /// Known entities that are the same, and local keys that other entities must give up.
    #[expect(clippy::type_complexity, reason = "two lists that belong together only here")]
    fn matches(
        &mut self,
        kind: &str,
        keys: &[IdentityKey],
    ) -> Result<(Vec<Entity>, Vec<(EntityId, IdentityKey)>), K::Error> {
        let mut same: Vec<Entity> = Vec::new();
        let mut robbed = Vec::new();
        // Keys come strongest first, so unique keys decide before local ones.
        for key in keys {
            let Some(id) = self.alias(&EntityAlias::of(kind, key))? else { continue };
            let Some(candidate) = self.entity(&id)? else { continue };
            if same.iter().any(|known| known.id == candidate.id) {
                continue;
            }
            let against_draft = key.strength == KeyStrength::Local && in_conflict(&candidate.keys, keys);
            if against_draft || same.iter().any(|known| in_conflict(&candidate.keys, &known.keys)) {
                robbed.push((candidate.id, key.clone()));
            } else {
                same.push(candidate);
            }
        }
        Ok((same, robbed))
    }

    /// The id by the strongest key that is free or belongs to one of those that are the same.
    fn free_id(&mut self, kind: &str, keys: &[IdentityKey], same: &[Entity]) -> Result<EntityId, K::Error> {
        let strongest = &keys[0];
        let plain = format!("{kind}:{}", strongest.value);
        let with_scheme = format!("{kind}:{}:{}", strongest.scheme, strongest.value);
        let numbered = (2_u64..).map(|number| format!("{with_scheme}#{number}"));
        for text in [plain, with_scheme.clone()].into_iter().chain(numbered) {
            let id = EntityId(text);
            if same.iter().any(|known| known.id == id) || self.stored(&id)?.is_none() {
                return Ok(id);
            }
        }
        unreachable!("numbers do not end")
    }

    fn alias(&mut self, alias: &str) -> Result<Option<EntityId>, K::Error> {
        match self.changes.aliases.get(alias) {
            Some(id) => Ok(Some(id.clone())),
            None => self.known.alias(alias),
        }
    }

    fn stored(&mut self, id: &EntityId) -> Result<Option<Entity>, K::Error> {
        match self.changes.entities.get(id) {
            Some(entity) => Ok(Some(entity.clone())),
            None => self.known.entity(id),
        }
    }

    /// The entity under an id, or the one it has become.
    fn entity(&mut self, id: &EntityId) -> Result<Option<Entity>, K::Error> {
        let mut id = id.clone();
        for _ in 0..MAX_MERGE_STEPS {
            match self.stored(&id)? {
                Some(Entity { merged_into: Some(next), .. }) => id = next,
                found => return Ok(found),
            }
        }
        Ok(None)
    }
}

/// Whether a text can be the kind of an entity: lower case with dashes.
pub fn is_kind(kind: &str) -> bool {
    !kind.is_empty()
        && kind.len() <= 64
        && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn order(key: &IdentityKey) -> (bool, usize, &str, &str) {
    let place = SCHEME_ORDER.iter().position(|scheme| *scheme == key.scheme).unwrap_or(SCHEME_ORDER.len());
    (key.strength == KeyStrength::Local, place, &key.scheme, &key.value)
}

/// Keys that can be used, each once, strongest first.
fn usable_keys(keys: &[IdentityKey]) -> Vec<IdentityKey> {
    let mut usable: Vec<IdentityKey> = keys
        .iter()
        .filter(|key| !key.scheme.is_empty() && !key.value.trim().is_empty() && key.value.len() <= MAX_KEY_BYTES)
        .map(|key| IdentityKey { value: key.value.trim().to_owned(), ..key.clone() })
        .collect();
    usable.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut seen = BTreeSet::new();
    // One that is unique for some reporter and local for another stays unique: unique ones come first.
    usable.retain(|key| seen.insert((key.scheme.clone(), key.value.clone())));
    usable.truncate(MAX_KEYS_PER_ENTITY);
    usable
}

/// Whether both have unique keys of one scheme and none in common there.
fn in_conflict(a: &[IdentityKey], b: &[IdentityKey]) -> bool {
    let unique = |keys: &[IdentityKey]| {
        let mut by_scheme: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for key in keys.iter().filter(|key| key.strength == KeyStrength::Unique) {
            by_scheme.entry(key.scheme.clone()).or_default().insert(key.value.clone());
        }
        by_scheme
    };
    let (a, b) = (unique(a), unique(b));
    a.iter().any(|(scheme, values)| b.get(scheme).is_some_and(|others| values.is_disjoint(others)))
}

/// Whether a name only repeats a key that is unique in the world: "GPU 0 on node-7" tells people more than a UUID.
fn repeats_key(name: &str, keys: &[IdentityKey]) -> bool {
    keys.iter().any(|key| key.strength == KeyStrength::Unique && name.contains(&key.value))
}

fn merged_entity(
    id: EntityId,
    draft: &EntityDraft,
    draft_keys: &[IdentityKey],
    keys: Vec<IdentityKey>,
    same: &[Entity],
    now: Timestamp,
) -> Entity {
    // Whoever knows the strongest key also knows the best name.
    let draft_is_strongest = draft_keys.first() == keys.first();
    let strongest_known = same.iter().find(|entity| entity.keys.first() == keys.first()).or(same.first());
    let known_name = strongest_known.map(|entity| entity.name.as_str()).unwrap_or_default();
    let name = match (draft.name.as_str(), known_name) {
        ("", "") => id.identity().to_owned(),
        ("", known) => known.to_owned(),
        (new, "") => new.to_owned(),
        (new, known) => match (repeats_key(new, &keys), repeats_key(known, &keys)) {
            (true, false) => known.to_owned(),
            (false, true) => new.to_owned(),
            _ if draft_is_strongest => new.to_owned(),
            _ => known.to_owned(),
        },
    };
    let attributes = draft.attributes.iter().chain(same.iter().flat_map(|entity| entity.attributes.iter()));
    let attributes = Labels::new(attributes.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let attributes = attributes.iter().take(MAX_ATTRIBUTES_PER_ENTITY).map(|(n, v)| (n.to_owned(), v.to_owned()));
    let first_seen_at = same.iter().map(|entity| entity.first_seen_at).min().unwrap_or(now).min(now);
    let last_seen_at = same.iter().map(|entity| entity.last_seen_at).max();
    let last_seen_at = match last_seen_at {
        Some(seen) if same.len() == 1 && now.millis_since(seen) < LAST_SEEN_STEP_MILLIS => seen,
        Some(seen) => seen.max(now),
        None => now,
    };
    Entity {
        kind: draft.kind.clone(),
        name,
        keys,
        attributes: attributes.collect(),
        first_seen_at,
        last_seen_at,
        merged_into: None,
        id,
    }
}
