//! From the rows of a body to series numbers: known ones by key, new ones registered in the transaction that keeps their
//! samples.

use super::SentReceiver;
use crate::{intake, limits};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tandem_domain::{
    Timestamp,
    histogram::NativeHistogram,
    metadata::MetricMetadata,
    series::{HistogramBatch, Labels, MetricType, SampleBatch, SeriesDescription, SeriesId, split_target},
    target::{Door, TargetInfo, TargetKey, TargetStatus},
};
use tandem_store::{SeriesRefusal, WriteError, WriteTx};
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

/// One series of a body with its samples.
pub(super) struct Row {
    pub key: SeriesKey,
    /// Which of the columns are its own.
    pub samples: std::ops::Range<usize>,
}

/// A series met for the first time.
pub(super) struct Newcomer {
    pub key: SeriesKey,
    pub target: TargetKey,
    /// What is known of the target beside its key.
    pub target_labels: Labels,
    pub series: SeriesDescription,
}

impl Newcomer {
    /// From a series with `job` and `instance` among its labels. Prometheus gives `up` the labels of the target and no others.
    pub(super) fn of(key: SeriesKey, series: SeriesDescription) -> Self {
        let (target, series) = split_target(series);
        let target_labels = if series.metric == "up" { series.labels.clone() } else { Labels::default() };
        Self { key, target, target_labels, series }
    }
}

/// A body ready to be committed.
#[derive(Default)]
pub(super) struct Body {
    pub rows: Vec<Row>,
    pub newcomers: Vec<Newcomer>,
    pub at: Vec<Timestamp>,
    pub value: Vec<f64>,
    /// Native histograms, each with its series.
    pub histograms: Vec<(SeriesKey, Timestamp, NativeHistogram)>,
    /// What is declared of metrics and was not known.
    pub metadata: Vec<MetricMetadata>,
    places: KeyMap<usize>,
}

impl Body {
    /// Columns whose rows come next.
    pub(super) fn of(at: Vec<Timestamp>, value: Vec<f64>) -> Self {
        Self { at, value, ..Self::default() }
    }

    /// Adds a row over the columns; `newcomer` is asked when its key was never met.
    pub(super) fn row(
        &mut self,
        known: &KnownSeries,
        key: SeriesKey,
        samples: std::ops::Range<usize>,
        newcomer: impl FnOnce() -> Newcomer,
    ) {
        self.rows.push(Row { key, samples });
        if !known.has(key) {
            self.meet(key, newcomer);
        }
    }

    /// Adds a native histogram; `newcomer` as for a row.
    pub(super) fn histogram(
        &mut self,
        known: &KnownSeries,
        key: SeriesKey,
        at: Timestamp,
        histogram: NativeHistogram,
        newcomer: impl FnOnce() -> Newcomer,
    ) {
        self.histograms.push((key, at, histogram));
        if !known.has(key) {
            self.meet(key, newcomer);
        }
    }

    /// Notes a series that was never met, once.
    pub(super) fn meet(&mut self, key: SeriesKey, newcomer: impl FnOnce() -> Newcomer) {
        if !self.places.contains_key(&key) {
            self.places.insert(key, self.newcomers.len());
            self.newcomers.push(newcomer());
        }
    }

    /// Adds one sample as a row of its own.
    pub(super) fn sample(
        &mut self,
        known: &KnownSeries,
        key: SeriesKey,
        at: Timestamp,
        value: f64,
        newcomer: impl FnOnce() -> Newcomer,
    ) {
        let place = self.at.len();
        self.at.push(at);
        self.value.push(value);
        self.row(known, key, place..place + 1, newcomer);
    }
}

/// How much of a body was kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Floats.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
}

/// What is settled before the transaction.
#[derive(Default)]
struct Settled {
    batch: SampleBatch,
    histograms: HistogramBatch,
    /// Samples of newcomers: index of the newcomer, moment, value.
    of_newcomers: Vec<(usize, Timestamp, f64)>,
    /// Histograms of newcomers.
    histograms_of_newcomers: Vec<(usize, Timestamp, NativeHistogram)>,
    senders: BTreeSet<u32>,
}

impl Settled {
    fn kept(&self) -> Kept {
        Kept {
            samples: (self.batch.len() + self.of_newcomers.len()) as u64,
            histograms: (self.histograms.len() + self.histograms_of_newcomers.len()) as u64,
        }
    }
}

/// What became of a newcomer.
struct Met {
    key: SeriesKey,
    id: Result<SeriesId, SeriesRefusal>,
    sender: u32,
}

/// Items lost for each reason why a series was refused.
#[derive(Default)]
struct Refused(BTreeMap<SeriesRefusal, Kept>);

impl Refused {
    /// Notes the refusals, and answers how much was kept of `kept` then.
    fn told(self, mut kept: Kept, rejections: &mut Rejections) -> Kept {
        for (refusal, lost) in self.0 {
            let reason = match refusal {
                SeriesRefusal::Total(_) => Reason::TooManySeries,
                SeriesRefusal::Target(_) => Reason::TooManySeriesOfTarget,
                SeriesRefusal::Metric(_) => Reason::TooManySeriesOfMetric,
            };
            rejections.note(reason, lost.samples + lost.histograms, || format!("a new series is refused: {refusal}"));
            kept.samples -= lost.samples;
            kept.histograms -= lost.histograms;
        }
        kept
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
    fn typed(&self, newcomer: &mut Newcomer) {
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

    fn settle(&self, body: &mut Body, now: Timestamp, rejections: &mut Rejections) -> Settled {
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
                } else if let Some(place) = body.places.get(&row.key) {
                    settled.of_newcomers.push((*place, *at, *value));
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
            } else if let Some(place) = body.places.get(&key) {
                settled.histograms_of_newcomers.push((*place, at, histogram));
            }
        }
        settled
    }

    /// Numbers of newcomers' targets.
    fn numbered(&self, newcomers: &[Newcomer]) -> Vec<u32> {
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
    fn to_tell(&self, senders: &BTreeSet<u32>, now: Timestamp) -> Vec<(TargetKey, Labels)> {
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
    fn remember(&self, met: Vec<Met>) {
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

/// The status of a target that sends, on top of what was known of it.
fn told(
    tx: &mut WriteTx<'_>,
    target: TargetKey,
    labels: Labels,
    door: Door,
    now: Timestamp,
) -> Result<Option<TargetStatus>, WriteError> {
    let key = (target.job.clone(), target.instance.clone());
    let earlier = tx.get::<TargetStatus>(&key)?;
    // A target that is scraped or collected tells of itself.
    if earlier.as_ref().is_some_and(|status| matches!(status.door, Door::Scrape | Door::Collect)) {
        return Ok(None);
    }
    let known = earlier.as_ref().map(|status| status.info.labels.clone()).unwrap_or_default();
    let info = TargetInfo { key: target, labels: if labels.is_empty() { known } else { labels } };
    let mut status = intake::unvisited(info, door, None);
    (status.last_attempt_at, status.last_success_at) = (Some(now), Some(now));
    Ok(Some(status))
}

impl SentReceiver {
    /// Commits a body: its newcomers, its samples, and that its targets send. Answers how much was kept.
    pub(super) async fn commit(
        &self,
        door: Door,
        mut body: Body,
        rejections: &mut Rejections,
    ) -> Result<Kept, WriteError> {
        let now = self.clock.now();
        body.newcomers.iter_mut().for_each(|newcomer| self.known.typed(newcomer));
        let numbers = self.known.numbered(&body.newcomers);
        let mut settled = self.known.settle(&mut body, now, rejections);
        settled.senders.extend(numbers.iter().copied());
        let kept = settled.kept();
        if kept == Kept::default() && body.newcomers.is_empty() && body.metadata.is_empty() {
            return Ok(kept);
        }
        let tell = self.known.to_tell(&settled.senders, now);
        let newcomers = body.newcomers;
        let (declared, metadata) = (body.metadata.clone(), body.metadata);
        let (met, refused, appended) = self
            .store
            .write(move |tx| {
                let mut met = Vec::with_capacity(newcomers.len());
                // Targets first, so that whoever sees a new series finds what is known of its target.
                for (target, labels) in tell {
                    if let Some(status) = told(tx, target, labels, door, now)? {
                        tx.put(&status)?;
                    }
                }
                declared.iter().try_for_each(|one| tx.put(one))?;
                for (newcomer, sender) in newcomers.iter().zip(numbers) {
                    let id = tx.admit_series(&newcomer.target, &newcomer.series)?;
                    met.push(Met { key: newcomer.key, id, sender });
                }
                let Settled { mut batch, mut histograms, of_newcomers, histograms_of_newcomers, .. } = settled;
                let mut refused = Refused::default();
                for (place, at, value) in of_newcomers {
                    match met[place].id {
                        Ok(id) => batch.push(id, at, value),
                        Err(refusal) => refused.0.entry(refusal).or_default().samples += 1,
                    }
                }
                for (place, at, histogram) in histograms_of_newcomers {
                    match met[place].id {
                        Ok(id) => histograms.push(id, at, histogram),
                        Err(refusal) => refused.0.entry(refusal).or_default().histograms += 1,
                    }
                }
                let appended = tx.append_samples(&batch)?;
                tx.append_histograms(&histograms)?;
                Ok((met, refused, appended))
            })
            .await?;
        self.known.remember(met);
        self.metadata.remember(metadata);
        let kept = refused.told(kept, rejections);
        if appended.too_late > 0 {
            let told = || "a sample lies too far behind the newest one of its series".to_owned();
            rejections.note(Reason::TooLate, appended.too_late, told);
        }
        let kept = Kept { samples: kept.samples - appended.too_late, ..kept };
        self.metrics.taken(door, kept.samples + kept.histograms, appended.duplicates, rejections);
        Ok(kept)
    }
}
