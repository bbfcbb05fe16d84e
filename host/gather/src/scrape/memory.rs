//! What is remembered of the series of one target between visits: by the text that the page writes for it, its number. So that
//! labels are decoded, merged and relabelled once for each series, and a visit costs one lookup a sample.

use super::target::Planned;
use crate::{
    declared::{Declared, KnownMetadata, News},
    exemplars::is_timely,
    limits::{Rejections, SampleLimits, Tally},
};
use std::collections::HashSet;
use tandem_domain::{
    Timestamp,
    exemplar::Exemplar,
    metadata::MetricMetadata,
    series::{Labels, SampleBatch, SeriesDescription, SeriesId},
    target::TargetKey,
};
use tandem_store::SeriesRefusal;
use tandem_wire::{
    exposition::{self, Exemplar as PageExemplar, Page, Sample as PageSample},
    relabel::{LabelMap, Relabeling},
    series_key::{KeyMap, KeySeed, SeriesKey},
};

/// Visits for which a series that is gone is still remembered: a target that fails or flickers comes back within them.
const REMEMBERED_VISITS: u32 = 20;

/// After how many visits a series that was refused is tried again: to make one out of its text costs more than to leave it out,
/// and a page that has too many has very many.
pub(super) const TRIED_AGAIN_AFTER_VISITS: u32 = 20;

/// What a text on the page stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// This series.
    Series(SeriesId),
    /// The newcomer of this number, which is being registered.
    Newcomer(u32),
    /// A series that the rules let go.
    Dropped,
    /// A series beyond the limits.
    Refused,
    /// A series of which no more were taken when it was last tried, in the visit of this number.
    Unadmitted(SeriesRefusal, u32),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    meaning: Meaning,
    /// The visit that saw it last.
    seen: u32,
    /// Whether its end is to be told when it is gone.
    tracked: bool,
    /// Whether it was written down and its end was not.
    alive: bool,
}

/// The memory of one target.
#[derive(Debug, Default)]
pub(super) struct SeriesMemory {
    entries: KeyMap<Entry>,
    visit: u32,
    declarations: u64,
    /// Over all that was declared when it was last looked at.
    texts: u64,
}

/// A series met for the first time, or again after what is declared of it has changed.
#[derive(Debug)]
pub(super) struct Newcomer {
    key: SeriesKey,
    pub target: TargetKey,
    pub series: SeriesDescription,
}

/// How the series of a target are made from those of its page.
pub(super) struct Making<'m> {
    pub planned: &'m Planned,
    pub relabeling: &'m Relabeling,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub track_timestamps: bool,
    pub limits: SampleLimits,
    pub seed: KeySeed,
    /// What is declared of metrics, by all targets.
    pub declared: &'m KnownMetadata,
    /// When the visit took place.
    pub now: Timestamp,
}

/// A page sorted into what can be written.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Samples of known series.
    pub batch: SampleBatch,
    pub newcomers: Vec<Newcomer>,
    /// Number of the newcomer, moment, value.
    pub of_newcomers: Vec<(u32, Timestamp, f64)>,
    /// Exemplars of known series.
    pub exemplars: Vec<(SeriesId, Exemplar)>,
    /// Exemplars of newcomers, by number.
    pub exemplars_of_newcomers: Vec<(u32, Exemplar)>,
    /// Exemplars of another time.
    pub untimely_exemplars: u64,
    /// What the page declares of metrics and was not known.
    pub declared: Vec<MetricMetadata>,
    pub scraped: u64,
    /// After relabelling.
    pub kept: u64,
    /// Series that were not remembered.
    pub added: u64,
    pub rejections: Rejections,
}

impl Sorted {
    /// Takes in a sample of which it is known what it stands for.
    fn take(&mut self, meaning: Meaning, sample: &PageSample<'_>, own_time: Option<Timestamp>, making: &Making<'_>) {
        let at = own_time.unwrap_or(making.now);
        match meaning {
            Meaning::Dropped => return,
            Meaning::Unadmitted(refusal, _) => {
                self.rejections.refuse(refusal, sample.series);
                return;
            }
            Meaning::Refused => {
                self.rejections.labels.note(|| sample.series.to_owned());
                return;
            }
            _ if own_time.is_some()
                && making.limits.refuses_time(at, making.now, sample.series, &mut self.rejections) =>
            {
                return;
            }
            Meaning::Series(id) => {
                self.batch.push(id, at, sample.value);
                self.exemplars.extend(exemplar(sample, making, &mut self.untimely_exemplars).map(|one| (id, one)));
            }
            Meaning::Newcomer(number) => {
                self.of_newcomers.push((number, at, sample.value));
                let exemplar = exemplar(sample, making, &mut self.untimely_exemplars);
                self.exemplars_of_newcomers.extend(exemplar.map(|one| (number, one)));
            }
        }
        self.kept += 1;
    }
}

impl Entry {
    /// Whether a series that was refused is to be tried again.
    fn is_due(&self, visit: u32) -> bool {
        matches!(self.meaning, Meaning::Unadmitted(_, at) if visit.wrapping_sub(at) >= TRIED_AGAIN_AFTER_VISITS)
    }
}

impl SeriesMemory {
    /// Begins a visit; whether one is sorted or not, all that is not seen in it has gone.
    pub(super) fn begin(&mut self) {
        self.visit = self.visit.wrapping_add(1);
    }

    /// Sorts a page.
    pub(super) fn sort(&mut self, page: &Page<'_>, making: &Making<'_>) -> Sorted {
        let mut sorted = Sorted { scraped: page.samples.len() as u64, ..Sorted::default() };
        if page.rejected > 0 {
            let first = page.rejections.first().map(|r| format!("line {}: {}", r.line, r.reason)).unwrap_or_default();
            sorted.rejections.lines = Tally { count: page.rejected as u64, first };
        }
        sorted.batch.series.reserve(page.samples.len());
        sorted.batch.at.reserve(page.samples.len());
        sorted.batch.value.reserve(page.samples.len());
        // What is declared of a family may have changed: every series is described anew then.
        let is_as_before = self.declarations == page.declarations();
        self.declarations = page.declarations();
        if self.texts != page.texts() {
            let news: Vec<News> = page.declared().map(|one| news(&one, making)).collect();
            // What came too soon is looked at again.
            self.texts = if news.contains(&News::TooSoon) { 0 } else { page.texts() };
            sorted.declared = news.into_iter().filter_map(News::kept).collect();
        }
        for sample in &page.samples {
            self.sort_one(page, sample, making, is_as_before, &mut sorted);
        }
        sorted
    }

    fn sort_one(
        &mut self,
        page: &Page<'_>,
        sample: &PageSample<'_>,
        making: &Making<'_>,
        is_as_before: bool,
        sorted: &mut Sorted,
    ) {
        let key = sample.key(making.seed);
        let own_time = sample.at.filter(|_| making.honor_timestamps);
        let tracked = own_time.is_none() || making.track_timestamps;
        let mut told = None;
        let known = self.entries.get_mut(&key);
        let meaning = match known {
            Some(entry) if entry.seen == self.visit => {
                if own_time.is_none()
                    && !matches!(entry.meaning, Meaning::Dropped | Meaning::Refused | Meaning::Unadmitted(..))
                {
                    sorted.rejections.duplicates.note(|| format!("line {}: {}", sample.line, sample.series));
                    return;
                }
                entry.meaning
            }
            Some(entry) if is_as_before && !entry.is_due(self.visit) => {
                (entry.seen, entry.tracked) = (self.visit, tracked);
                entry.meaning
            }
            earlier => {
                let (is_new, alive) = (earlier.is_none(), earlier.is_some_and(|entry| entry.alive));
                let meaning = match series(page, sample, making) {
                    Ok(Some((target, series))) => {
                        sorted.added += u64::from(is_new);
                        sorted.newcomers.push(Newcomer { key, target, series });
                        Meaning::Newcomer((sorted.newcomers.len() - 1) as u32)
                    }
                    Ok(None) => Meaning::Dropped,
                    Err(Unusable::Line(reason)) => {
                        sorted.rejections.lines.note(|| format!("line {}: {reason}", sample.line));
                        return;
                    }
                    Err(Unusable::Beyond(reason)) => {
                        told = Some(reason);
                        Meaning::Refused
                    }
                };
                self.entries.insert(key, Entry { meaning, seen: self.visit, tracked, alive });
                meaning
            }
        };
        if let (Meaning::Refused, Some(told)) = (meaning, told) {
            sorted.rejections.labels.note(|| told);
            return;
        }
        sorted.take(meaning, sample, own_time, making);
    }

    /// The series that lived before and are gone, each once.
    pub(super) fn gone(&self) -> Vec<SeriesId> {
        let series = |entry: &Entry| match entry.meaning {
            Meaning::Series(id) if entry.alive => Some((id, entry.seen == self.visit)),
            _ => None,
        };
        let mut gone: Vec<SeriesId> =
            self.entries.values().filter_map(series).filter(|(_, here)| !here).map(|(id, _)| id).collect();
        if !gone.is_empty() {
            // Rules may have made one series of several on the page.
            let here: HashSet<SeriesId> =
                self.entries.values().filter_map(series).filter(|(_, here)| *here).map(|(id, _)| id).collect();
            gone.retain(|id| !here.contains(id));
            gone.sort_unstable();
            gone.dedup();
        }
        gone
    }

    /// The visit was written down: newcomers have their numbers, and what was gone has ended.
    pub(super) fn written(&mut self, newcomers: &[Newcomer], ids: &[Result<SeriesId, SeriesRefusal>]) {
        let visit = self.visit;
        for (newcomer, id) in newcomers.iter().zip(ids) {
            if let Some(entry) = self.entries.get_mut(&newcomer.key) {
                entry.meaning = match id {
                    Ok(id) => Meaning::Series(*id),
                    Err(refusal) => Meaning::Unadmitted(*refusal, visit),
                };
            }
        }
        self.entries.retain(|_, entry| {
            entry.alive = entry.tracked && entry.seen == visit && matches!(entry.meaning, Meaning::Series(_));
            entry.seen == visit || visit.wrapping_sub(entry.seen) < REMEMBERED_VISITS
        });
    }

    /// The visit was not written down: its newcomers are none, and what lived before still does.
    pub(super) fn not_written(&mut self) {
        // What it declares is looked at again.
        self.texts = 0;
        self.entries.retain(|_, entry| !matches!(entry.meaning, Meaning::Newcomer(_)));
    }
}

/// Whether what a page declares is news.
fn news(declared: &exposition::Declared<'_>, making: &Making<'_>) -> News {
    let exposition::Declared { family, metric_type, unit, help } = declared;
    making.declared.news(Declared { family, metric_type: *metric_type, unit, help }, making.now)
}

/// The exemplar of a sample; one that says no time stands at the visit.
fn exemplar(sample: &PageSample<'_>, making: &Making<'_>, untimely: &mut u64) -> Option<Exemplar> {
    let PageExemplar { labels, value, at } = sample.exemplar.as_deref()?;
    let exemplar =
        Exemplar { labels: labels.clone(), value: *value, at: at.unwrap_or(making.now), timed: at.is_some() };
    if !is_timely(exemplar.at, making.now) {
        *untimely += 1;
        return None;
    }
    Some(exemplar)
}

enum Unusable {
    /// The line is none.
    Line(String),
    /// The series is beyond the limits.
    Beyond(String),
}

/// The series that a sample belongs to and its target, or none when the rules let it go.
fn series(
    page: &Page<'_>,
    sample: &PageSample<'_>,
    making: &Making<'_>,
) -> Result<Option<(TargetKey, SeriesDescription)>, Unusable> {
    let described = page.describe(sample).map_err(|rejection| Unusable::Line(rejection.reason))?;
    let SeriesDescription { metric, metric_type, unit, labels } = described;
    let mut merged = merged(labels, &making.planned.labels, making.honor_labels);
    merged.set("__name__", &metric);
    if !making.relabeling.apply(&mut merged) {
        return Ok(None);
    }
    let metric = merged.get("__name__").to_owned();
    if metric.is_empty() {
        return Err(Unusable::Line("the rules leave it without a name".into()));
    }
    let target = TargetKey { job: merged.get("job").to_owned(), instance: merged.get("instance").to_owned() };
    merged.retain(|name| !["__name__", "job", "instance"].contains(&name));
    let series = SeriesDescription { metric, metric_type, unit, labels: merged.to_labels() };
    match making.limits.labels_beyond(&series) {
        Some(reason) => Err(Unusable::Beyond(reason)),
        None => Ok(Some((target, series))),
    }
}

/// The labels of a page's series together with those of its target. Where both have one, the page's counts when it is
/// honoured, and is kept as `exported_…` otherwise.
fn merged(of_page: Labels, of_target: &LabelMap, honor_labels: bool) -> LabelMap {
    let mut labels: LabelMap = of_page.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if honor_labels {
        of_target.iter().for_each(|(name, value)| labels.set_missing(name, value));
        return labels;
    }
    for (name, value) in of_target.iter() {
        let of_page = labels.get(name).to_owned();
        if !of_page.is_empty() {
            let mut exported = format!("exported_{name}");
            while !labels.get(&exported).is_empty() || !of_target.get(&exported).is_empty() {
                exported.insert_str(0, "exported_");
            }
            labels.set(&exported, &of_page);
        }
        labels.set(name, value);
    }
    labels
}
