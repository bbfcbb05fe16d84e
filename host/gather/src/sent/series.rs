//! What is known of series that senders send, by key: their numbers, their targets, and what is declared of their families.

use super::{
    body::{Body, Kept, Newcomer},
    commit::Met,
};
use crate::{exemplars::is_timely, limits};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeSet, HashMap};
use tandem_domain::{
    Timestamp,
    exemplar::Exemplar,
    histogram::NativeHistogram,
    series::{HistogramBatch, Labels, MetricType, SampleBatch, SeriesId},
    target::TargetKey,
};
use tandem_wire::{
    rejected::{Reason, Rejections},
    series_key::{KeyMap, SeriesKey},
};

/// Series known by key at the most: some 100 bytes each, and what is not known is looked up in the store.
const MAX_KNOWN_SERIES: usize = 4_000_000;
/// How often it is written down that a target still sends, in milliseconds: as often as a scrape would tell.
const TELL_EVERY_MILLIS: i64 = 15_000;
/// Families whose declared type is remembered; a large fleet has some ten thousand.
const MAX_FAMILIES: usize = 100_000;
/// Suffixes by which series of a family are named.
const FAMILY_SUFFIXES: [&str; 5] = ["_bucket", "_sum", "_count", "_total", "_info"];

/// What was met before.
#[derive(Default)]
pub(super) struct KnownSeries {
    ids: RwLock<KeyMap<(SeriesId, u32)>>,
    senders: Mutex<Senders>,
    families: Mutex<Families>,
}

/// Targets by number, and when each was last told.
#[derive(Default)]
struct Senders {
    numbers: HashMap<TargetKey, u32>,
    list: Vec<Sender>,
}

struct Sender {
    key: TargetKey,
    labels: Labels,
    told_at: Timestamp,
}

/// What senders declare of families, and the keys of series that came before their declaration.
#[derive(Default)]
struct Families {
    declared: HashMap<String, (MetricType, String)>,
    undeclared: HashMap<String, Vec<SeriesKey>>,
}

/// What is settled before the transaction.
#[derive(Default)]
pub(super) struct Settled {
    pub batch: SampleBatch,
    pub histograms: HistogramBatch,
    pub exemplars: Vec<(SeriesId, Exemplar)>,
    /// Samples of newcomers: index of the newcomer, moment, value.
    pub of_newcomers: Vec<(usize, Timestamp, f64)>,
    /// Histograms of newcomers.
    pub histograms_of_newcomers: Vec<(usize, Timestamp, NativeHistogram)>,
    /// Exemplars of newcomers.
    pub exemplars_of_newcomers: Vec<(usize, Exemplar)>,
    /// Exemplars of another time.
    pub untimely_exemplars: u64,
    pub senders: BTreeSet<u32>,
}

impl Settled {
    /// How much there is to be kept.
    pub(super) fn kept(&self) -> Kept {
        Kept {
            samples: (self.batch.len() + self.of_newcomers.len()) as u64,
            histograms: (self.histograms.len() + self.histograms_of_newcomers.len()) as u64,
            exemplars: (self.exemplars.len() + self.exemplars_of_newcomers.len()) as u64,
        }
    }
}

/// The moments that are taken.
struct Bounds {
    now: Timestamp,
    oldest: Timestamp,
    newest: Timestamp,
}

impl Bounds {
    fn around(now: Timestamp) -> Self {
        let (oldest, newest) =
            (now.plus_millis(-limits::MAX_COLLECTED_AGE_MILLIS), now.plus_millis(limits::MAX_FUTURE_MILLIS));
        Self { now, oldest, newest }
    }

    /// Whether a moment is taken; notes it where it is not.
    fn take(&self, at: Timestamp, rejections: &mut Rejections) -> bool {
        if at > self.newest {
            rejections.note(Reason::TooNew, 1, || {
                format!("a sample lies {} s in the future; set the sender's clock", at.millis_since(self.now) / 1000)
            });
        } else if at < self.oldest {
            rejections.note(Reason::TooOld, 1, || {
                format!("a sample is {} s old; at most a week is taken", self.now.millis_since(at) / 1000)
            });
        }
        self.oldest <= at && at <= self.newest
    }
}

impl KnownSeries {
    /// Whether a key was met.
    pub(super) fn has(&self, key: SeriesKey) -> bool {
        self.ids.read().contains_key(&key)
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
        let mut ids = self.ids.write();
        for key in families.undeclared.remove(family).into_iter().flatten() {
            ids.remove(&key);
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
        if families.undeclared.len() < MAX_FAMILIES {
            for name in names {
                families.undeclared.entry(name.to_owned()).or_default().push(newcomer.key);
            }
        }
    }

    /// Sorts a body by what is known of its series, and leaves out what is of another time.
    pub(super) fn settle(&self, body: &mut Body, now: Timestamp, rejections: &mut Rejections) -> Settled {
        let mut settled = Settled::default();
        settled.batch.series.reserve(body.at.len());
        settled.batch.at.reserve(body.at.len());
        settled.batch.value.reserve(body.at.len());
        let bounds = Bounds::around(now);
        let ids = self.ids.read();
        let mut last_sender = None;
        for row in &body.rows {
            let known = ids.get(&row.key).copied();
            let samples = body.at[row.samples.clone()].iter().zip(&body.value[row.samples.clone()]);
            for (at, value) in samples.filter(|(at, _)| bounds.take(**at, rejections)) {
                if let Some((id, sender)) = known {
                    settled.batch.push(id, *at, *value);
                    if last_sender != Some(sender) {
                        settled.senders.insert(sender);
                        last_sender = Some(sender);
                    }
                } else if let Some(place) = body.place(row.key) {
                    settled.of_newcomers.push((place, *at, *value));
                }
            }
        }
        for (key, at, histogram) in std::mem::take(&mut body.histograms) {
            if !bounds.take(at, rejections) {
                continue;
            }
            if let Some((id, sender)) = ids.get(&key) {
                settled.histograms.push(*id, at, histogram);
                settled.senders.insert(*sender);
            } else if let Some(place) = body.place(key) {
                settled.histograms_of_newcomers.push((place, at, histogram));
            }
        }
        for (key, exemplar) in std::mem::take(&mut body.exemplars) {
            if !is_timely(exemplar.at, now) {
                settled.untimely_exemplars += 1;
            } else if let Some((id, _)) = ids.get(&key) {
                settled.exemplars.push((*id, exemplar));
            } else if let Some(place) = body.place(key) {
                settled.exemplars_of_newcomers.push((place, exemplar));
            }
        }
        settled
    }

    /// Numbers of newcomers' targets.
    pub(super) fn numbered(&self, newcomers: &[Newcomer]) -> Vec<u32> {
        let mut senders = self.senders.lock();
        let number = |newcomer: &Newcomer| {
            let Senders { numbers, list } = &mut *senders;
            let number = *numbers.entry(newcomer.target.clone()).or_insert_with(|| {
                list.push(Sender { key: newcomer.target.clone(), labels: Labels::default(), told_at: Timestamp::MIN });
                (list.len() - 1) as u32
            });
            let sender = &mut list[number as usize];
            if !newcomer.target_labels.is_empty() && sender.labels != newcomer.target_labels {
                // What the mappers are shown of the target has changed.
                (sender.labels, sender.told_at) = (newcomer.target_labels.clone(), Timestamp::MIN);
            }
            number
        };
        newcomers.iter().map(number).collect()
    }

    /// The targets that are to be told again.
    pub(super) fn to_tell(&self, senders: &BTreeSet<u32>, now: Timestamp) -> Vec<(TargetKey, Labels)> {
        let mut known = self.senders.lock();
        let mut due = Vec::new();
        for number in senders {
            let sender = &mut known.list[*number as usize];
            if sender.told_at == Timestamp::MIN || now.millis_since(sender.told_at) >= TELL_EVERY_MILLIS {
                sender.told_at = now;
                due.push((sender.key.clone(), sender.labels.clone()));
            }
        }
        due
    }

    /// Keeps the numbers of those that were registered.
    pub(super) fn remember(&self, met: Vec<Met>) {
        let mut ids = self.ids.write();
        for Met { key, id, sender } in met {
            if let Ok(id) = id
                && ids.len() < MAX_KNOWN_SERIES
            {
                ids.insert(key, (id, sender));
            }
        }
    }
}
