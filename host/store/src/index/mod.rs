//! The registry of series in memory: who is who, and which series have which labels. It follows the file: built from it at
//! opening, and changed after each commit, so that nobody sees a series whose commit failed.
//!
//! A series is known here by its place, a small number that is given anew when the series is gone; outside it is known by
//! its [`SeriesId`], which never is.

mod matcher;
mod postings;
pub(crate) mod presence;
mod select;
mod statistics;
mod symbols;

pub use matcher::{LabelMatcher, LabelTest, Pattern};
pub(crate) use presence::{Kind, Presence};
pub use select::{LabelFilter, TimeRange};
pub use statistics::{IndexStatistics, TopEntry};

use crate::removal::Stretches;
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use postings::LabelValues;
use roaring::{RoaringBitmap, RoaringTreemap};
use std::hash::{BuildHasher, Hash, Hasher};
use symbols::{Symbol, Symbols};
use tandem_domain::{
    series::{Labels, MetricType, Series, SeriesDescription, SeriesId},
    target::TargetKey,
};

/// The label that is a series' metric.
pub const METRIC_NAME: &str = "__name__";
/// Labels of a target that its series have when they have none of that name of their own.
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

/// A series as the index holds it.
#[derive(Debug)]
struct Entry {
    id: SeriesId,
    target: u32,
    metric_type: MetricType,
    unit: Symbol,
    metric: Symbol,
    /// The series' own labels, in the order of their names' texts.
    labels: Box<[(Symbol, Symbol)]>,
}

/// A target with its series.
#[derive(Debug)]
struct Target {
    job: Symbol,
    instance: Symbol,
    series: RoaringBitmap,
}

/// Names that every index holds.
#[derive(Debug, Clone, Copy)]
struct WellKnown {
    metric: Symbol,
    target: [Symbol; 2],
    empty: Symbol,
}

/// The registry.
#[derive(Debug)]
pub(crate) struct LabelIndex {
    symbols: Symbols,
    known: WellKnown,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    places: HashMap<SeriesId, u32>,
    identities: HashTable<u32>,
    hasher: DefaultHashBuilder,
    targets: Vec<Option<Target>>,
    target_numbers: HashMap<(Symbol, Symbol), u32>,
    free_targets: Vec<u32>,
    names: HashMap<Symbol, LabelValues>,
    all: RoaringBitmap,
    floats: Presence,
    histograms: Presence,
    buried: HashMap<SeriesId, Stretches>,
    removed: RoaringTreemap,
}

impl Default for LabelIndex {
    fn default() -> Self {
        let mut symbols = Symbols::default();
        let known = WellKnown {
            metric: symbols.take(METRIC_NAME),
            target: TARGET_LABELS.map(|name| symbols.take(name)),
            empty: symbols.take(""),
        };
        Self {
            symbols,
            known,
            entries: Vec::new(),
            free: Vec::new(),
            places: HashMap::new(),
            identities: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            targets: Vec::new(),
            target_numbers: HashMap::new(),
            free_targets: Vec::new(),
            names: HashMap::new(),
            all: RoaringBitmap::new(),
            floats: Presence::default(),
            histograms: Presence::default(),
            buried: HashMap::new(),
            removed: RoaringTreemap::new(),
        }
    }
}

fn identity_hash(
    hasher: &DefaultHashBuilder,
    target: (Symbol, Symbol),
    metric: Symbol,
    labels: impl Iterator<Item = (Symbol, Symbol)>,
) -> u64 {
    let mut hash = hasher.build_hasher();
    (target, metric).hash(&mut hash);
    labels.for_each(|pair| pair.hash(&mut hash));
    hash.finish()
}

impl LabelIndex {
    /// How many series.
    pub(crate) fn len(&self) -> u64 {
        self.all.len()
    }

    /// Which series have something in which windows.
    pub(crate) fn presence(&self, kind: Kind) -> &Presence {
        match kind {
            Kind::Floats => &self.floats,
            Kind::Histograms => &self.histograms,
        }
    }

    pub(crate) fn presence_mut(&mut self, kind: Kind) -> &mut Presence {
        match kind {
            Kind::Floats => &mut self.floats,
            Kind::Histograms => &mut self.histograms,
        }
    }

    /// Sets the times whose samples of a series are deleted; none takes them away.
    pub(crate) fn bury(&mut self, id: SeriesId, stretches: Stretches) {
        if stretches == Stretches::default() {
            self.buried.remove(&id);
        } else {
            self.buried.insert(id, stretches);
        }
    }

    /// The times whose samples of a series are deleted.
    pub(crate) fn buried(&self, id: SeriesId) -> Option<&Stretches> {
        self.buried.get(&id)
    }

    /// All that is deleted.
    pub(crate) fn all_buried(&self) -> impl Iterator<Item = (SeriesId, &Stretches)> {
        self.buried.iter().map(|(id, stretches)| (*id, stretches))
    }

    /// Whether any series was removed since the server started.
    pub(crate) fn has_removed(&self) -> bool {
        !self.removed.is_empty()
    }

    /// Whether a series was removed since the server started, and is not back.
    pub(crate) fn is_removed(&self, id: SeriesId) -> bool {
        self.removed.contains(id.0)
    }

    /// Notes series that were removed; none of those that were has something in a window any more.
    pub(crate) fn note_removed(&mut self, ids: &RoaringTreemap) {
        self.removed |= ids;
        self.floats.forget(&self.removed);
        self.histograms.forget(&self.removed);
    }

    /// Whether a series is registered.
    pub(crate) fn has(&self, id: SeriesId) -> bool {
        self.places.contains_key(&id)
    }

    fn entry(&self, place: u32) -> Option<&Entry> {
        self.entries.get(place as usize)?.as_ref()
    }

    fn entry_of(&self, id: SeriesId) -> Option<&Entry> {
        self.entry(*self.places.get(&id)?)
    }

    fn target(&self, number: u32) -> Option<&Target> {
        self.targets.get(number as usize)?.as_ref()
    }

    /// The number of a series by what makes it this one: target, metric and labels.
    pub(crate) fn find(&self, target: &TargetKey, description: &SeriesDescription) -> Option<SeriesId> {
        let symbol = |text: &str| self.symbols.find(text);
        let whose = (symbol(&target.job)?, symbol(&target.instance)?);
        let metric = symbol(&description.metric)?;
        let mut pairs = Vec::with_capacity(description.labels.len());
        for (name, value) in description.labels.iter() {
            pairs.push((symbol(name)?, symbol(value)?));
        }
        let number = *self.target_numbers.get(&whose)?;
        let hash = identity_hash(&self.hasher, whose, metric, pairs.iter().copied());
        let is_it = |place: &u32| {
            self.entry(*place)
                .is_some_and(|entry| entry.target == number && entry.metric == metric && *entry.labels == *pairs)
        };
        let place = self.identities.find(hash, is_it)?;
        self.entry(*place).map(|entry| entry.id)
    }

    /// Whether type and unit of a series are these.
    pub(crate) fn is_described(&self, id: SeriesId, metric_type: MetricType, unit: &str) -> bool {
        self.entry_of(id).is_some_and(|entry| entry.metric_type == metric_type && self.symbols.text(entry.unit) == unit)
    }

    /// How many series a target has.
    pub(crate) fn count_of_target(&self, target: &TargetKey) -> u64 {
        self.target_named(target).map_or(0, |target| target.series.len())
    }

    /// How many series a metric has.
    pub(crate) fn count_of_metric(&self, metric: &str) -> u64 {
        let values = self.names.get(&self.known.metric);
        let posting = values.zip(self.symbols.find(metric)).and_then(|(values, value)| values.posting(value));
        posting.map_or(0, postings::Posting::len)
    }

    fn target_named(&self, target: &TargetKey) -> Option<&Target> {
        let whose = (self.symbols.find(&target.job)?, self.symbols.find(&target.instance)?);
        self.target(*self.target_numbers.get(&whose)?)
    }

    /// The series of a target, by number.
    pub(crate) fn of_target(&self, target: &TargetKey) -> Vec<Series> {
        let places = self.target_named(target).map(|target| &target.series);
        let entries = places.into_iter().flatten().filter_map(|place| self.entry(place));
        let mut found: Vec<Series> = entries.filter_map(|entry| self.series(entry)).collect();
        found.sort_unstable_by_key(|series| series.id);
        found
    }

    /// A series of each metric, in no order.
    pub(crate) fn one_of_each_metric(&self) -> Vec<SeriesDescription> {
        let metrics = self.names.get(&self.known.metric).into_iter().flat_map(LabelValues::iter);
        let entries = metrics.filter_map(|(_, posting)| self.entry(posting.first()?));
        entries.filter_map(|entry| self.series(entry)).map(|series| series.description).collect()
    }

    fn series(&self, entry: &Entry) -> Option<Series> {
        let text = |symbol: Symbol| self.symbols.text(symbol).to_owned();
        let target = self.target(entry.target)?;
        Some(Series {
            id: entry.id,
            target: TargetKey { job: text(target.job), instance: text(target.instance) },
            description: SeriesDescription {
                metric: text(entry.metric),
                metric_type: entry.metric_type,
                unit: text(entry.unit),
                labels: entry.labels.iter().map(|(name, value)| (text(*name), text(*value))).collect(),
            },
        })
    }

    /// The labels by which a series is found: its metric, its own labels, and its target's `job` and `instance` where it has
    /// none of its own. Empty ones are none.
    fn visible<'i>(&'i self, entry: &'i Entry) -> impl Iterator<Item = (Symbol, Symbol)> + 'i {
        let own = entry.labels.iter().copied().filter(|(name, _)| *name != self.known.metric);
        let target = self.target(entry.target).map(|target| [target.job, target.instance]);
        let of_target = target.into_iter().flat_map(|values| self.known.target.into_iter().zip(values));
        let of_target = of_target.filter(|(name, _)| !entry.labels.iter().any(|(own, _)| own == name));
        let all = [(self.known.metric, entry.metric)].into_iter().chain(own).chain(of_target);
        all.filter(|(_, value)| *value != self.known.empty)
    }

    /// The labels of a series as queries see them.
    pub(crate) fn labels_of(&self, id: SeriesId) -> Option<Labels> {
        let entry = self.entry_of(id)?;
        let text = |symbol: Symbol| self.symbols.text(symbol).to_owned();
        Some(self.visible(entry).map(|(name, value)| (text(name), text(value))).collect())
    }

    /// Takes in a series, or what is declared of one that is known.
    pub(crate) fn insert(&mut self, series: &Series) {
        if let Some(place) = self.places.get(&series.id).copied() {
            self.describe_anew(place, &series.description);
            return;
        }
        self.removed.remove(series.id.0);
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            (self.entries.len() - 1) as u32
        });
        let target = self.take_target(&series.target, place);
        let description = &series.description;
        let symbols = &mut self.symbols;
        let entry = Entry {
            id: series.id,
            target,
            metric_type: description.metric_type,
            unit: symbols.take(&description.unit),
            metric: symbols.take(&description.metric),
            labels: description.labels.iter().map(|(name, value)| (symbols.take(name), symbols.take(value))).collect(),
        };
        self.places.insert(series.id, place);
        self.all.insert(place);
        for (name, value) in self.visible(&entry).collect::<Vec<_>>() {
            self.names.entry(name).or_default().add(value, place);
        }
        self.entries[place as usize] = Some(entry);
        let Self { identities, entries, targets, hasher, .. } = self;
        let hash_of = |place: &u32| hash_in(entries, targets, hasher, *place);
        identities.insert_unique(hash_of(&place), place, hash_of);
    }

    /// The number of a target, one more series noted.
    fn take_target(&mut self, target: &TargetKey, place: u32) -> u32 {
        let find = |text: &str| self.symbols.find(text);
        let known = find(&target.job).zip(find(&target.instance)).and_then(|pair| self.target_numbers.get(&pair));
        if let Some(number) = known.copied() {
            if let Some(target) = &mut self.targets[number as usize] {
                target.series.insert(place);
            }
            return number;
        }
        let (job, instance) = (self.symbols.take(&target.job), self.symbols.take(&target.instance));
        let number = self.free_targets.pop().unwrap_or_else(|| {
            self.targets.push(None);
            (self.targets.len() - 1) as u32
        });
        self.targets[number as usize] = Some(Target { job, instance, series: [place].into_iter().collect() });
        self.target_numbers.insert((job, instance), number);
        number
    }

    fn give_back_target(&mut self, number: u32, place: u32) {
        let Some(target) = &mut self.targets[number as usize] else { return };
        target.series.remove(place);
        if target.series.is_empty() {
            let (job, instance) = (target.job, target.instance);
            self.targets[number as usize] = None;
            self.free_targets.push(number);
            self.target_numbers.remove(&(job, instance));
            self.symbols.give_back(job);
            self.symbols.give_back(instance);
        }
    }

    fn describe_anew(&mut self, place: u32, description: &SeriesDescription) {
        let unit = self.symbols.take(&description.unit);
        let Some(entry) = &mut self.entries[place as usize] else { return };
        entry.metric_type = description.metric_type;
        let before = std::mem::replace(&mut entry.unit, unit);
        self.symbols.give_back(before);
    }

    /// Forgets a series; its place and the texts that only it used are given anew.
    pub(crate) fn remove(&mut self, id: SeriesId) {
        let Some(place) = self.places.remove(&id) else { return };
        let hash = hash_in(&self.entries, &self.targets, &self.hasher, place);
        if let Ok(found) = self.identities.find_entry(hash, |other| *other == place) {
            found.remove();
        }
        let Some(entry) = self.entries[place as usize].take() else { return };
        self.all.remove(place);
        for (name, value) in self.visible(&entry).collect::<Vec<_>>() {
            if let Some(values) = self.names.get_mut(&name) {
                values.remove(value, place);
                if values.is_empty() {
                    self.names.remove(&name);
                }
            }
        }
        self.give_back_target(entry.target, place);
        let pairs = entry.labels.iter().flat_map(|(name, value)| [*name, *value]);
        for symbol in pairs.chain([entry.metric, entry.unit]) {
            self.symbols.give_back(symbol);
        }
        self.free.push(place);
    }
}

fn hash_in(entries: &[Option<Entry>], targets: &[Option<Target>], hasher: &DefaultHashBuilder, place: u32) -> u64 {
    let Some(entry) = entries.get(place as usize).and_then(Option::as_ref) else { return 0 };
    let target = targets.get(entry.target as usize).and_then(Option::as_ref);
    let whose = target.map_or((entry.metric, entry.metric), |target| (target.job, target.instance));
    identity_hash(hasher, whose, entry.metric, entry.labels.iter().copied())
}

#[cfg(test)]
mod tests;
