//! Which series are shown to a detector together, by its interests, without any configuration. Pure and incremental.

use super::{catalogue::MappedSeries, rules::canonical_rules};
use crate::select::fits_mapped;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use tandem_domain::{
    frame::{Group, GroupId, Member},
    plugin::{Interest, Scope},
    series::SeriesId,
};

/// Most series in one group; a larger bucket becomes several groups. Alignment and attribution cost grow with it.
const MAX_MEMBERS: usize = 256;
/// Peers of one alone are none.
const MIN_PEERS: usize = 2;

/// A group as it shall be watched.
#[derive(Debug, Clone)]
pub struct GroupPlan {
    /// The same across restarts, by series.
    pub key: String,
    /// Members in order.
    pub members: Vec<Arc<MappedSeries>>,
    /// A digest of everything about the members that decides how values are read and judged.
    pub definition: String,
    /// How much history it shall join with.
    pub history_seconds: u32,
    /// Whether rows must be aligned.
    pub aligned: bool,
}

impl GroupPlan {
    /// As the detector is told of it.
    pub fn group(&self, id: GroupId) -> Group {
        let member = |series: &Arc<MappedSeries>| {
            let meaning = &series.meaning;
            Member {
                name: meaning.body.name.clone(),
                unit: meaning.body.unit.clone(),
                metric_type: series.metric_type,
                entity: meaning.entity.clone(),
                dimensions: meaning.body.dimensions.clone(),
                fault_rules: canonical_rules(&meaning.body),
            }
        };
        Group { id, members: self.members.iter().map(member).collect() }
    }
}

/// What changed: groups that are new or different, and keys of groups that are no more.
#[derive(Debug, Default)]
pub struct GroupingChange {
    /// New, or with other members.
    pub wanted: Vec<GroupPlan>,
    /// No more.
    pub gone: Vec<String>,
}

#[derive(Debug, Default)]
struct Bucket {
    members: BTreeMap<SeriesId, Arc<MappedSeries>>,
    history_seconds: u32,
    scope: Option<Scope>,
    prefix: String,
    /// Keys of the groups it was made into.
    keys: Vec<String>,
}

/// The groups of one detector.
#[derive(Debug, Default)]
pub struct Grouping {
    interests: Vec<Interest>,
    buckets: HashMap<String, Bucket>,
    of_series: HashMap<SeriesId, Vec<String>>,
    dirty: BTreeSet<String>,
}

impl Grouping {
    /// Nothing grouped yet.
    pub fn new(interests: Vec<Interest>) -> Self {
        Self { interests, ..Self::default() }
    }

    /// Takes in the present meaning of a series; none when it has none any more.
    pub fn update(&mut self, id: SeriesId, series: Option<&Arc<MappedSeries>>) {
        for name in self.of_series.remove(&id).unwrap_or_default() {
            if let Some(bucket) = self.buckets.get_mut(&name) {
                bucket.members.remove(&id);
            }
            self.dirty.insert(name);
        }
        let Some(series) = series else { return };
        for (index, interest) in self.interests.iter().enumerate() {
            let meaning = &series.meaning;
            let body = &meaning.body;
            let kind = meaning.entity.kind();
            let has_rules = !body.fault_rules.is_empty();
            if !fits_mapped(&interest.selector, &body.name, kind, &body.dimensions, has_rules) {
                continue;
            }
            let name = match interest.scope {
                Scope::Series => format!("s/{}", id.0),
                Scope::Entity => format!("e{index}/{}", meaning.entity),
                Scope::Peers => format!("p{index}/{kind}/{}/{:?}", body.name, body.dimensions),
                Scope::Target => continue,
            };
            let bucket = self.buckets.entry(name.clone()).or_default();
            bucket.scope = Some(interest.scope);
            bucket.prefix = name.split('/').next().unwrap_or_default().to_owned();
            bucket.history_seconds = bucket.history_seconds.max(interest.history_seconds);
            bucket.members.insert(id, series.clone());
            let names = self.of_series.entry(id).or_default();
            if !names.contains(&name) {
                names.push(name.clone());
            }
            self.dirty.insert(name);
        }
    }

    /// Whether a series is in any group.
    pub fn has_series(&self, id: SeriesId) -> bool {
        self.of_series.contains_key(&id)
    }

    /// What changed since the last call.
    pub fn take_changes(&mut self) -> GroupingChange {
        let mut change = GroupingChange::default();
        for name in std::mem::take(&mut self.dirty) {
            let Some(bucket) = self.buckets.get_mut(&name) else { continue };
            let plans = bucket.plans();
            change.gone.append(&mut bucket.keys);
            bucket.keys = plans.iter().map(|plan| plan.key.clone()).collect();
            change.wanted.extend(plans);
            if bucket.members.is_empty() {
                self.buckets.remove(&name);
            }
        }
        // A group can move to another bucket as it is: its entity was found to be another one.
        let wanted: BTreeSet<&String> = change.wanted.iter().map(|plan| &plan.key).collect();
        change.gone.retain(|key| !wanted.contains(key));
        change
    }
}

impl Bucket {
    fn plans(&self) -> Vec<GroupPlan> {
        let members: Vec<Arc<MappedSeries>> = self.members.values().cloned().collect();
        match self.scope {
            Some(Scope::Peers) if members.len() < MIN_PEERS => Vec::new(),
            Some(Scope::Series) => members.into_iter().map(|one| self.plan(vec![one], false)).collect(),
            _ => members.chunks(MAX_MEMBERS).map(|part| self.plan(part.to_vec(), true)).collect(),
        }
    }

    fn plan(&self, members: Vec<Arc<MappedSeries>>, aligned: bool) -> GroupPlan {
        let mut definition = Sha256::new();
        let mut identity = Sha256::new();
        for member in &members {
            identity.update(member.meaning.series.0.to_be_bytes());
            // The debug form tells infinities and NaN apart, which JSON does not.
            definition.update(format!("{:?}/{:?};", member.metric_type, member.meaning.body));
        }
        let key = match members.as_slice() {
            [only] if !aligned => format!("s/{}", only.meaning.series.0),
            _ => format!("{}/{}", self.prefix, hex::encode(&identity.finalize()[..16])),
        };
        let definition = hex::encode(&definition.finalize()[..16]);
        GroupPlan { key, members, definition, history_seconds: self.history_seconds, aligned }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tandem_domain::{
        entity::EntityId,
        meaning::{Meaning, MeaningBody},
        plugin::Selector,
        series::{Labels, MetricType},
    };

    fn series(id: u64, entity: &str, name: &str, scale: f64) -> Arc<MappedSeries> {
        let body = MeaningBody {
            name: name.into(),
            unit: "1".into(),
            scale,
            offset: 0.0,
            missing: vec![],
            dimensions: Labels::default(),
            fault_rules: vec![],
        };
        let meaning = Meaning {
            series: SeriesId(id),
            entity: EntityId(entity.into()),
            body,
            mapper: "m".into(),
            mapper_digest: "1".into(),
        };
        Arc::new(MappedSeries { metric_type: MetricType::Gauge, meaning })
    }

    fn interests() -> Vec<Interest> {
        [Scope::Series, Scope::Entity, Scope::Peers]
            .map(|scope| Interest { selector: Selector::default(), scope, history_seconds: 60 })
            .to_vec()
    }

    #[test]
    fn each_scope_makes_its_groups() {
        let mut grouping = Grouping::new(interests());
        for one in
            [series(1, "host:a", "cpu", 1.0), series(2, "host:a", "memory", 1.0), series(3, "host:b", "cpu", 1.0)]
        {
            grouping.update(one.meaning.series, Some(&one));
        }
        let change = grouping.take_changes();
        let shapes: BTreeSet<(String, Vec<u64>)> = change
            .wanted
            .iter()
            .map(|plan| (plan.key[..2].to_owned(), plan.members.iter().map(|m| m.meaning.series.0).collect()))
            .collect();
        let expected = [
            ("s/", vec![1]),
            ("s/", vec![2]),
            ("s/", vec![3]),
            ("e1", vec![1, 2]),
            ("e1", vec![3]),
            ("p2", vec![1, 3]),
        ];
        assert_eq!(shapes, expected.map(|(key, ids)| (key.to_owned(), ids)).into());
        assert!(change.gone.is_empty());
    }

    #[test]
    fn a_merge_of_entities_keeps_the_group_and_another_scale_redefines_it() {
        let mut grouping = Grouping::new(interests()[..2].to_vec());
        let before = series(1, "host:a", "cpu", 1.0);
        grouping.update(SeriesId(1), Some(&before));
        let first = grouping.take_changes().wanted;
        let moved = series(1, "host:4c4c", "cpu", 1.0);
        grouping.update(SeriesId(1), Some(&moved));
        let change = grouping.take_changes();
        assert_eq!(change.gone, Vec::<String>::new());
        let summary = |plans: &[GroupPlan]| {
            plans.iter().map(|plan| (plan.key.clone(), plan.definition.clone())).collect::<BTreeSet<_>>()
        };
        assert_eq!(summary(&change.wanted), summary(&first));
        grouping.update(SeriesId(1), Some(&series(1, "host:4c4c", "cpu", 2.0)));
        assert_ne!(summary(&grouping.take_changes().wanted), summary(&first));
        grouping.update(SeriesId(1), None);
        assert_eq!(grouping.take_changes().gone.len(), 2);
    }

    proptest! {
        #[test]
        fn in_steps_or_at_once_the_groups_are_the_same(
            steps in prop::collection::vec((0_u64..12, prop::option::of((0_u8..3, 0_u8..3)), any::<bool>()), 0..80),
        ) {
            let mut stepwise = Grouping::new(interests());
            let mut living: BTreeMap<String, String> = BTreeMap::new();
            let mut last: BTreeMap<u64, Option<Arc<MappedSeries>>> = BTreeMap::new();
            let mut take = |grouping: &mut Grouping| {
                let change = grouping.take_changes();
                for key in change.gone { living.remove(&key); }
                for plan in change.wanted { living.insert(plan.key, plan.definition); }
                living.clone()
            };
            for (id, state, pause) in steps {
                let one = state.map(|(entity, name)| series(id, &format!("host:{entity}"), &format!("n{name}"), 1.0));
                stepwise.update(SeriesId(id), one.as_ref());
                last.insert(id, one);
                if pause { take(&mut stepwise); }
            }
            let stepped = take(&mut stepwise);
            let mut at_once = Grouping::new(interests());
            for (id, one) in &last { at_once.update(SeriesId(*id), one.as_ref()); }
            let whole: BTreeMap<_, _> =
                at_once.take_changes().wanted.into_iter().map(|plan| (plan.key, plan.definition)).collect();
            prop_assert_eq!(stepped, whole);
        }
    }
}
