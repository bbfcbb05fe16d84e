//! What the doors met before: series by key, the targets that send them, and what is declared of families. Memory is bounded: what
//! has not been sent for as long as it takes to meet so many others is forgotten, and looked up in the store when it comes again.

use super::body::Newcomer;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use std::{collections::HashMap, sync::Arc};
use tandem_domain::{
    Timestamp,
    series::{Labels, MetricType, SeriesId},
    target::TargetKey,
};
use tandem_wire::series_key::{KeyMap, SeriesKey};

/// Series of a generation: when there are as many, those of the one before are forgotten. Two generations of some 100 bytes a
/// series are as many series as the store takes by its default.
const MAX_GENERATION: usize = 2_000_000;
/// How often it is written down that a target still sends, in milliseconds: as often as a scrape would tell.
const TELL_EVERY_MILLIS: i64 = 15_000;
/// Targets at which those are forgotten that no known series has; a large fleet has some ten thousand.
const FORGET_SENDERS_AT: usize = 50_000;
/// Families whose declared type is remembered; a large fleet has some ten thousand.
const MAX_FAMILIES: usize = 100_000;
/// Series that are remembered because their family may still be declared: beyond it a type that is declared late is told of
/// those only that come after.
const MAX_UNDECLARED: usize = 1_000_000;
/// Suffixes by which series of a family are named.
const FAMILY_SUFFIXES: [&str; 5] = ["_bucket", "_sum", "_count", "_total", "_info"];

/// What was met before.
pub(super) struct KnownSeries {
    series: RwLock<Generations>,
    senders: Mutex<Senders>,
    families: Mutex<Families>,
    most: usize,
}

impl Default for KnownSeries {
    fn default() -> Self {
        Self::of(MAX_GENERATION)
    }
}

/// A series.
#[derive(Clone)]
pub(super) struct Known {
    pub id: SeriesId,
    /// Who sends it.
    pub sender: Arc<Sender>,
    /// Something was declared of its family since: it is to be met again.
    is_outdated: bool,
}

/// The series met lately, and those met before them.
#[derive(Default)]
pub(super) struct Generations {
    current: KeyMap<Known>,
    former: KeyMap<Known>,
}

impl Generations {
    /// A series that is not forgotten.
    pub(super) fn get(&self, key: SeriesKey) -> Option<&Known> {
        self.current.get(&key).or_else(|| self.former.get(&key))
    }

    /// Adds a series to those met lately. Answers those that are forgotten by it, to be dropped when nobody waits for that.
    #[must_use]
    fn insert(&mut self, key: SeriesKey, known: Known, most: usize) -> KeyMap<Known> {
        let mut forgotten = KeyMap::default();
        if self.current.len() >= most && !self.current.contains_key(&key) {
            forgotten = std::mem::replace(&mut self.former, std::mem::take(&mut self.current));
        }
        self.former.remove(&key);
        self.current.insert(key, known);
        forgotten
    }
}

/// A target that sends, and when that was told last.
pub(super) struct Sender {
    key: TargetKey,
    told: Mutex<(Labels, Timestamp)>,
}

/// Targets, those of known series and a few more.
struct Senders {
    by_key: HashMap<TargetKey, Arc<Sender>>,
    /// At how many they are looked through next.
    forget_at: usize,
    look_at_least_at: usize,
}

/// What senders declare of families, and the keys of series that came before their declaration.
#[derive(Default)]
struct Families {
    declared: HashMap<String, (MetricType, String)>,
    undeclared: HashMap<String, Vec<SeriesKey>>,
    waiting: usize,
}

impl KnownSeries {
    /// With room for so many series in each of two generations.
    pub(super) fn of(most: usize) -> Self {
        let forget_at = FORGET_SENDERS_AT.min(most);
        let senders = Senders { by_key: HashMap::new(), forget_at, look_at_least_at: forget_at };
        Self { series: RwLock::default(), senders: Mutex::new(senders), families: Mutex::default(), most }
    }

    /// Whether a key was met, and need not be met again. It counts as met lately from now on, so that it is not forgotten while
    /// the body that names it is under way.
    pub(super) fn has(&self, key: SeriesKey) -> bool {
        let series = self.series.read();
        if let Some(known) = series.current.get(&key) {
            return !known.is_outdated;
        }
        let is_former = series.former.contains_key(&key);
        drop(series);
        is_former && self.renew(key)
    }

    /// Brings a series of the former generation into the current one. Answers as [`Self::has`].
    fn renew(&self, key: SeriesKey) -> bool {
        let mut series = self.series.write();
        let Some(known) = series.get(key).cloned() else { return false };
        let is_outdated = known.is_outdated;
        let forgotten = series.insert(key, known, self.most);
        drop(series);
        drop(forgotten);
        !is_outdated
    }

    /// The series, to be looked up many at a time.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Generations> {
        self.series.read()
    }

    /// Keeps the number of a series that was registered.
    pub(super) fn remember(&self, met: impl IntoIterator<Item = (SeriesKey, SeriesId, Arc<Sender>)>) {
        let mut forgotten = Vec::new();
        let mut series = self.series.write();
        for (key, id, sender) in met {
            let old = series.insert(key, Known { id, sender, is_outdated: false }, self.most);
            if !old.is_empty() {
                forgotten.push(old);
            }
        }
        drop(series);
    }

    /// Notes what is declared of a family. Series that came before are met anew, so that they are described anew.
    pub(super) fn declare(&self, family: &str, metric_type: MetricType, unit: &str) {
        let mut families = self.families.lock();
        if families.declared.get(family).is_some_and(|(known, u)| *known == metric_type && u == unit)
            || (families.declared.len() >= MAX_FAMILIES && !families.declared.contains_key(family))
        {
            return;
        }
        families.declared.insert(family.to_owned(), (metric_type, unit.to_owned()));
        let keys = families.undeclared.remove(family).unwrap_or_default();
        families.waiting -= keys.len();
        let mut series = self.series.write();
        let Generations { current, former } = &mut *series;
        for key in keys {
            // It stays known until then: a body that is under way may hold its samples and nothing else of it.
            for known in current.get_mut(&key).into_iter().chain(former.get_mut(&key)) {
                known.is_outdated = true;
            }
        }
    }

    /// Gives a series the type and unit of its family; what has none is remembered for when it is declared.
    pub(super) fn typed(&self, newcomer: &mut Newcomer) {
        if newcomer.series.metric_type != MetricType::Unknown {
            return;
        }
        let metric = &newcomer.series.metric;
        let stems = FAMILY_SUFFIXES.iter().filter_map(|suffix| metric.strip_suffix(suffix));
        let names: Vec<&str> = [metric.as_str()].into_iter().chain(stems).collect();
        let mut families = self.families.lock();
        if let Some((metric_type, unit)) = names.iter().find_map(|name| families.declared.get(*name)) {
            (newcomer.series.metric_type, newcomer.series.unit) = (*metric_type, unit.clone());
            return;
        }
        if families.undeclared.len() < MAX_FAMILIES && families.waiting + names.len() <= MAX_UNDECLARED {
            families.waiting += names.len();
            for name in names {
                families.undeclared.entry(name.to_owned()).or_default().push(newcomer.key);
            }
        }
    }

    /// The senders of newcomers.
    pub(super) fn senders_of(&self, newcomers: &[Newcomer]) -> Vec<Arc<Sender>> {
        let mut senders = self.senders.lock();
        newcomers.iter().map(|newcomer| senders.of(newcomer)).collect()
    }
}

impl Senders {
    fn of(&mut self, newcomer: &Newcomer) -> Arc<Sender> {
        if self.by_key.len() >= self.forget_at {
            self.by_key.retain(|_, sender| Arc::strong_count(sender) > 1);
            // Where most are still there, looking through them again soon would not help.
            self.forget_at = self.look_at_least_at.max(self.by_key.len() * 2);
        }
        let fresh = || Sender { key: newcomer.target.clone(), told: Mutex::new((Labels::default(), Timestamp::MIN)) };
        let sender = self.by_key.entry(newcomer.target.clone()).or_insert_with(|| Arc::new(fresh())).clone();
        let mut told = sender.told.lock();
        if !newcomer.target_labels.is_empty() && told.0 != newcomer.target_labels {
            // What the mappers are shown of the target has changed.
            *told = (newcomer.target_labels.clone(), Timestamp::MIN);
        }
        drop(told);
        sender
    }
}

impl Sender {
    /// What is to be told of the target again, if it is time.
    pub(super) fn to_tell(&self, now: Timestamp) -> Option<(TargetKey, Labels)> {
        let mut told = self.told.lock();
        let is_due = told.1 == Timestamp::MIN || now.millis_since(told.1) >= TELL_EVERY_MILLIS;
        is_due.then(|| {
            told.1 = now;
            (self.key.clone(), told.0.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::series::SeriesDescription;

    fn newcomer(number: u64) -> Newcomer {
        let series = SeriesDescription {
            metric: "m".into(),
            metric_type: MetricType::Unknown,
            unit: String::new(),
            labels: Labels::default(),
        };
        let target = TargetKey { job: "j".into(), instance: format!("host-{number}") };
        Newcomer { key: key(number), target, target_labels: Labels::default(), series, registers: true }
    }

    fn key(number: u64) -> SeriesKey {
        SeriesKey(u128::from(number) * 0x9e37_79b9_7f4a_7c15)
    }

    fn meet(known: &KnownSeries, number: u64) {
        let sender = known.senders_of(&[newcomer(number)]).remove(0);
        known.remember([(key(number), SeriesId(number), sender)]);
    }

    #[test]
    fn what_is_not_sent_any_more_is_forgotten_and_what_is_sent_is_not() {
        let known = KnownSeries::of(100);
        for number in 0..10_000 {
            meet(&known, number);
            // One that goes on sending: every body asks.
            assert_eq!(known.has(key(7)), number >= 7);
        }
        let held = known.read().current.len() + known.read().former.len();
        assert!(held <= 200, "{held} series are held");
        assert!(known.has(key(7)) && known.has(key(9_999)) && !known.has(key(8)));
        let senders = known.senders.lock().by_key.len();
        assert!(senders <= 600, "{senders} senders are held for {held} series");
    }

    #[test]
    fn a_declared_series_is_met_again_and_stays_known_until_then() {
        let known = KnownSeries::of(100);
        let mut first = newcomer(1);
        known.typed(&mut first);
        meet(&known, 1);
        known.declare("m", MetricType::Gauge, "celsius");
        assert!(!known.has(key(1)), "it is to be described anew");
        assert_eq!(known.read().get(key(1)).map(|known| known.id), Some(SeriesId(1)), "its samples are not lost");
        let mut again = newcomer(1);
        known.typed(&mut again);
        assert_eq!((again.series.metric_type, again.series.unit.as_str()), (MetricType::Gauge, "celsius"));
        meet(&known, 1);
        assert!(known.has(key(1)));
        assert_eq!(known.families.lock().waiting, 0);
    }
}
