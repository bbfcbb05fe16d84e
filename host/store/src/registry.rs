//! Registering series, and finding them by their labels. What a commit changes of the registry is gathered beside it and
//! reaches the index in memory when the commit is durable.

mod doubtful;

pub(crate) use doubtful::Doubtful;

use crate::{
    ReadError, ReadTx, WriteError, WriteTx, envelope,
    index::{IndexStatistics, Kind, LabelFilter, LabelIndex, TimeRange, presence},
    leaves,
    limits::{Counts, SeriesRefusal},
    read::table_name,
    removal::{self, Stretches},
    series,
};
use parking_lot::RwLock;
use roaring::RoaringTreemap;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::Bound,
};
use tandem_domain::{
    LogRecord, Record,
    series::{Labels, MetricType, Series, SeriesDescription, SeriesId},
    target::TargetKey,
};

/// That series of a target were registered or described anew, in order; what the map room reads.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NewSeries {
    /// The first of them.
    pub series: SeriesId,
    /// Their target.
    pub target: TargetKey,
    /// How many there are of this target in one change.
    #[serde(default = "one")]
    pub count: u64,
}

fn one() -> u64 {
    1
}

impl LogRecord for NewSeries {
    const LOG: &'static str = "new_series";
    const VERSION: u16 = 1;
}

/// What one change, or all changes of a commit so far, did to the registry.
#[derive(Debug, Default)]
pub(crate) struct RegistryChanges {
    by_identity: HashMap<Vec<u8>, SeriesId>,
    /// Registered or described anew.
    series: BTreeMap<SeriesId, Series>,
    removed: HashSet<SeriesId>,
    revived: HashSet<SeriesId>,
    /// Times whose samples are deleted, whole for each series named.
    pub buried: BTreeMap<SeriesId, Stretches>,
    present: Vec<(Kind, i64, RoaringTreemap)>,
    dropped_windows: Vec<(Kind, i64)>,
    /// New or newly described series by target: the first, and how many.
    told: BTreeMap<TargetKey, (SeriesId, u64)>,
    added: Added,
}

/// How many series were registered.
#[derive(Debug, Default)]
struct Added {
    total: u64,
    by_target: HashMap<TargetKey, u64>,
    by_metric: HashMap<String, u64>,
}

impl Added {
    fn count(&mut self, series: &Series) {
        self.total += 1;
        *self.by_target.entry(series.target.clone()).or_default() += 1;
        *self.by_metric.entry(series.description.metric.clone()).or_default() += 1;
    }

    fn extend(&mut self, later: Self) {
        self.total += later.total;
        later.by_target.into_iter().for_each(|(target, count)| *self.by_target.entry(target).or_default() += count);
        later.by_metric.into_iter().for_each(|(metric, count)| *self.by_metric.entry(metric).or_default() += count);
    }
}

impl RegistryChanges {
    /// Joins what a later change did.
    pub(crate) fn extend(&mut self, later: Self) {
        later.removed.iter().for_each(|id| self.forget(*id));
        for id in &later.revived {
            self.removed.remove(id);
        }
        self.revived.extend(later.revived);
        self.buried.extend(later.buried);
        self.by_identity.extend(later.by_identity);
        self.series.extend(later.series);
        self.present.extend(later.present);
        self.added.extend(later.added);
        self.dropped_windows.extend(later.dropped_windows);
    }

    /// Notes that a series is removed.
    pub(crate) fn forget(&mut self, id: SeriesId) {
        if let Some(series) = self.series.remove(&id) {
            self.by_identity.remove(&identity(&series.target, &series.description));
        }
        self.revived.remove(&id);
        self.removed.insert(id);
    }

    /// Whether any series is removed.
    pub(crate) fn has_removed(&self) -> bool {
        !self.removed.is_empty()
    }

    /// Whether a series is removed, if anything became of it.
    pub(crate) fn is_removed(&self, id: SeriesId) -> Option<bool> {
        if self.removed.contains(&id) {
            return Some(true);
        }
        self.revived.contains(&id).then_some(false)
    }

    fn is_empty(&self) -> bool {
        self.series.is_empty()
            && self.removed.is_empty()
            && self.present.is_empty()
            && self.buried.is_empty()
            && self.dropped_windows.is_empty()
    }

    /// Brings the index to what was committed.
    pub(crate) fn reach(self, index: &RwLock<LabelIndex>) {
        if self.is_empty() {
            return;
        }
        let mut index = index.write();
        for id in &self.removed {
            index.remove(*id);
        }
        if !self.removed.is_empty() {
            index.note_removed(&self.removed.iter().map(|id| id.0).collect());
        }
        self.buried.into_iter().for_each(|(id, stretches)| index.bury(id, stretches));
        self.series.values().for_each(|series| index.insert(series));
        self.present.iter().for_each(|(kind, window, series)| index.presence_mut(*kind).add(*window, series));
        self.dropped_windows.iter().for_each(|(kind, window)| index.presence_mut(*kind).drop_window(*window));
    }
}

/// What makes a series this one: target, metric and labels, each with its length before it so that nothing runs together.
fn identity(target: &TargetKey, description: &SeriesDescription) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    let mut add = |text: &str| {
        bytes.extend((text.len() as u32).to_be_bytes());
        bytes.extend(text.as_bytes());
    };
    add(&target.job);
    add(&target.instance);
    add(&description.metric);
    for (name, value) in description.labels.iter() {
        add(name);
        add(value);
    }
    bytes
}

/// Fills the index after opening.
pub(crate) fn load(read: &ReadTx, index: &RwLock<LabelIndex>) -> Result<(), ReadError> {
    let mut index = index.write();
    let name = table_name::<Series>();
    read.with_table(&name, |table| {
        leaves::each(&table, &name, |bytes| {
            index.insert(&envelope::unwrap(Series::TABLE, Series::VERSION, bytes)?);
            Ok(())
        })
    })?;
    for kind in Kind::ALL {
        for (key, bytes) in read.raw_range(kind.table(), &(Bound::Unbounded, Bound::Unbounded), usize::MAX, false)? {
            index.presence_mut(kind).set(presence::window_of_key(&key)?, presence::from_bytes(&bytes)?);
        }
    }
    removal::load(read, &mut index)
}

impl WriteTx<'_> {
    /// The number of a series, registering it when it is new, however many there are: for the host's own series. New ones are
    /// told in the log [`NewSeries`].
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn register_series(
        &mut self,
        target: &TargetKey,
        description: &SeriesDescription,
    ) -> Result<SeriesId, WriteError> {
        let identity = identity(target, description);
        match self.registered(&identity, target, description) {
            Some(id) => self.describe_anew(id, description).map(|()| id),
            None => self.register_new(identity, target, description),
        }
    }

    /// The number of a series, registering it when it is new and there may be one more: for what comes in by the doors. A
    /// refusal costs nothing else of the change.
    ///
    /// # Errors
    /// As [`WriteTx::get`].
    pub fn admit_series(
        &mut self,
        target: &TargetKey,
        description: &SeriesDescription,
    ) -> Result<Result<SeriesId, SeriesRefusal>, WriteError> {
        let identity = identity(target, description);
        if let Some(id) = self.registered(&identity, target, description) {
            return self.describe_anew(id, description).map(|()| Ok(id));
        }
        match self.context.limits.refuse(&self.counts(target, &description.metric)) {
            Some(refusal) => Ok(Err(refusal)),
            None => self.register_new(identity, target, description).map(Ok),
        }
    }

    /// How many series there would be after the commit, but for those that it removes.
    fn counts(&self, target: &TargetKey, metric: &str) -> Counts {
        let (own, earlier) = (&self.registry.added, &self.context.earlier.added);
        let of_target = |added: &Added| added.by_target.get(target).copied().unwrap_or(0);
        let of_metric = |added: &Added| added.by_metric.get(metric).copied().unwrap_or(0);
        let index = self.context.index.read();
        Counts {
            total: index.len() + own.total + earlier.total,
            of_target: index.count_of_target(target) + of_target(own) + of_target(earlier),
            of_metric: index.count_of_metric(metric) + of_metric(own) + of_metric(earlier),
        }
    }

    fn register_new(
        &mut self,
        identity: Vec<u8>,
        target: &TargetKey,
        description: &SeriesDescription,
    ) -> Result<SeriesId, WriteError> {
        let id = SeriesId(self.next_id("series")?);
        let series = Series { id, target: target.clone(), description: description.clone() };
        self.registry.by_identity.insert(identity, id);
        self.registry.added.count(&series);
        self.keep_series(series)?;
        Ok(id)
    }

    /// The number of a series by its identity: of this change, of those before it in the commit, or of the index.
    fn registered(&self, identity: &[u8], target: &TargetKey, description: &SeriesDescription) -> Option<SeriesId> {
        let found = self.registry.by_identity.get(identity).or_else(|| {
            let earlier = self.context.earlier.by_identity.get(identity);
            earlier.filter(|id| !self.registry.removed.contains(id))
        });
        found.copied().or_else(|| {
            let found = self.context.index.read().find(target, description);
            let of_commit = |id: SeriesId| self.registry.is_removed(id).or_else(|| self.context.earlier.is_removed(id));
            found.filter(|id| of_commit(*id) != Some(true))
        })
    }

    /// The number of a series, if it is registered.
    pub fn known_series(&self, target: &TargetKey, description: &SeriesDescription) -> Option<SeriesId> {
        self.registered(&identity(target, description), target, description)
    }

    /// The number of a series as it is registered now.
    pub(crate) fn registered_as(&self, series: &Series) -> Option<SeriesId> {
        self.known_series(&series.target, &series.description)
    }

    /// Registers a series again under the number that it had.
    pub(crate) fn bring_back(&mut self, series: Series) -> Result<(), WriteError> {
        self.registry.removed.remove(&series.id);
        self.registry.revived.insert(series.id);
        self.registry.by_identity.insert(identity(&series.target, &series.description), series.id);
        self.keep_series(series)
    }

    fn keep_series(&mut self, series: Series) -> Result<(), WriteError> {
        self.put(&series)?;
        let told = self.registry.told.entry(series.target.clone()).or_insert((series.id, 0));
        told.1 += 1;
        self.registry.series.insert(series.id, series);
        Ok(())
    }

    /// Type and unit are no part of a series' identity: a sender may declare them after the first samples. What is declared
    /// later counts, and the series is told as new again, so that mappers see it.
    fn describe_anew(&mut self, id: SeriesId, description: &SeriesDescription) -> Result<(), WriteError> {
        let (metric_type, unit) = (description.metric_type, description.unit.as_str());
        if metric_type == MetricType::Unknown {
            return Ok(());
        }
        let changed = self.registry.series.get(&id).or_else(|| self.context.earlier.series.get(&id));
        let same = match changed {
            Some(known) => (known.description.metric_type, known.description.unit.as_str()) == (metric_type, unit),
            None => self.context.index.read().is_described(id, metric_type, unit),
        };
        if same {
            return Ok(());
        }
        let Some(mut known) = self.get::<Series>(&id.0)? else { return Ok(()) };
        known.description = description.clone();
        self.keep_series(known)
    }

    /// Tells of the series that this change registered.
    pub(crate) fn tell_of_series(&mut self) -> Result<(), WriteError> {
        for (target, (series, count)) in std::mem::take(&mut self.registry.told) {
            self.append(&NewSeries { series, target, count })?;
        }
        Ok(())
    }

    /// Notes that series have something in a window; what is known already costs nothing.
    pub(crate) fn note_presence(&mut self, kind: Kind, window: i64, series: RoaringTreemap) -> Result<(), WriteError> {
        if self.context.index.read().presence(kind).has_all(window, &series) {
            return Ok(());
        }
        let key = presence::key(window);
        let known = self.raw_get(kind.table(), &key)?.map(|bytes| presence::from_bytes(&bytes)).transpose()?;
        let all = known.unwrap_or_default() | &series;
        self.raw_put(kind.table(), key, Some(presence::to_bytes(&all)));
        self.registry.present.push((kind, window, series));
        Ok(())
    }

    /// Forgets a window.
    pub(crate) fn drop_presence(&mut self, kind: Kind, window: i64) {
        self.raw_put(kind.table(), presence::key(window), None);
        self.registry.dropped_windows.push((kind, window));
    }
}

impl ReadTx {
    /// The number of a series of a target, if it is registered.
    ///
    /// # Errors
    /// None at present; a result like its siblings'.
    pub fn series_id(
        &self,
        target: &TargetKey,
        description: &SeriesDescription,
    ) -> Result<Option<SeriesId>, ReadError> {
        Ok(self.index.read().find(target, description))
    }

    /// All series of a target, by number.
    ///
    /// # Errors
    /// None at present; a result like its siblings'.
    pub fn series_of_target(&self, target: &TargetKey) -> Result<Vec<Series>, ReadError> {
        Ok(self.index.read().of_target(target))
    }

    /// The numbers of the series that a filter finds, rising.
    pub fn select_series(&self, filter: &LabelFilter) -> Vec<SeriesId> {
        self.index.read().select(filter, &|id, range| self.has_recent(id, range))
    }

    /// All labels of a series: its metric as `__name__`, its own, and its target's `job` and `instance` where it has none of
    /// its own. None when it is not registered any more.
    pub fn series_labels(&self, id: SeriesId) -> Option<Labels> {
        self.index.read().labels_of(id)
    }

    /// How some series of each metric is described, in no order.
    pub fn one_series_of_each_metric(&self) -> Vec<SeriesDescription> {
        self.index.read().one_of_each_metric()
    }

    /// The names of the labels of the series that a filter finds, sorted.
    pub fn label_names(&self, filter: &LabelFilter) -> Vec<String> {
        self.index.read().label_names(filter, &|id, range| self.has_recent(id, range))
    }

    /// The values that a label has in the series that a filter finds, sorted.
    pub fn label_values(&self, name: &str, filter: &LabelFilter) -> Vec<String> {
        self.index.read().label_values(name, filter, &|id, range| self.has_recent(id, range))
    }

    /// Which metrics, labels and targets are the largest, at most `most` of each.
    pub fn series_statistics(&self, most: usize) -> IndexStatistics {
        self.index.read().statistics(most)
    }

    /// Whether a series has samples in a range that are in no block yet.
    fn has_recent(&self, id: SeriesId, (start, end): TimeRange) -> bool {
        series::has_recent(&self.head, id, start, end)
    }
}
