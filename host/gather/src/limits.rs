//! What a sample must keep to, to be taken in, whichever door it comes by; and the account of those that do not.

use std::{collections::BTreeMap, fmt::Write as _};
use tandem_domain::{Timestamp, series::SeriesDescription, target::TargetKey};
use tandem_store::SeriesRefusal;
use tandem_wire::rejected;

/// Labels of one series, when the operator does not say: three times what hosted services of this kind allow, since the
/// samples of kube-state-metrics carry the labels of users.
pub(crate) const MAX_LABELS_PER_SERIES: usize = 96;
/// Longest name of a label or a metric, in bytes, when the operator does not say: no exporter has a longer one on purpose.
pub(crate) const MAX_LABEL_NAME_BYTES: usize = 512;
/// Longest value of a label, in bytes, when the operator does not say: command lines and certificates' names fit; documents
/// do not belong into labels, since every label is kept in memory.
pub(crate) const MAX_LABEL_VALUE_BYTES: usize = 4_096;
/// How far in the future a sample may lie, in milliseconds. Beyond it the sender's clock is wrong, and the sample would stand
/// as the latest one until that time comes.
pub(crate) const MAX_FUTURE_MILLIS: i64 = 10 * 60_000;
/// How old a scraped sample may be, in milliseconds: an exporter that passes on what others measured (cloud metrics, batch
/// jobs) is minutes late; an hour is what Prometheus takes in too.
pub(crate) const MAX_SCRAPED_AGE_MILLIS: i64 = 3_600_000;
/// How old a collected or pushed sample may be, in milliseconds: a collector that reads on from its cursor after an outage
/// brings what it missed, up to a week.
pub(crate) const MAX_COLLECTED_AGE_MILLIS: i64 = 7 * 86_400_000;

/// Characters of a name that are told of it, since the name itself may be what is too long.
const MAX_TOLD_CHARS: usize = 60;

/// One sample on its way in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Whose it is, when not the visited target's.
    pub target: Option<TargetKey>,
    pub series: SeriesDescription,
    pub at: Timestamp,
    pub value: f64,
}

/// The bounds of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SampleLimits {
    pub labels: usize,
    pub label_name_bytes: usize,
    pub label_value_bytes: usize,
    pub age_millis: i64,
}

/// Why a sample is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    TooNew,
    TooOld,
    Labels,
}

/// What was rejected, by reason, with the first example of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Rejections {
    /// Lines that are no samples.
    pub lines: Tally,
    /// Samples of the future.
    pub too_new: Tally,
    /// Samples of long ago.
    pub too_old: Tally,
    /// Samples of series with too many or too long labels.
    pub labels: Tally,
    /// Samples of a series that came before on the same page.
    pub duplicates: Tally,
    /// Samples of new series of which no more are taken.
    pub series: BTreeMap<SeriesRefusal, Tally>,
}

/// The reason by which a refusal is counted, whichever door the series comes by.
pub(crate) fn reason_of(refusal: SeriesRefusal) -> rejected::Reason {
    match refusal {
        SeriesRefusal::Total(_) => rejected::Reason::TooManySeries,
        SeriesRefusal::Target(_) => rejected::Reason::TooManySeriesOfTarget,
        SeriesRefusal::Metric(_) => rejected::Reason::TooManySeriesOfMetric,
    }
}

/// How many, and the first of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub count: u64,
    pub first: String,
}

impl Tally {
    pub(crate) fn note(&mut self, example: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = example();
        }
        self.count += 1;
    }
}

impl Rejections {
    fn tally(&mut self, reason: Reason) -> &mut Tally {
        match reason {
            Reason::TooNew => &mut self.too_new,
            Reason::TooOld => &mut self.too_old,
            Reason::Labels => &mut self.labels,
        }
    }

    /// Notes a sample of a series that is refused.
    pub(crate) fn refuse(&mut self, refusal: SeriesRefusal, name: &str) {
        self.series.entry(refusal).or_default().note(|| shortened(name));
    }

    /// How many together.
    pub(crate) fn count(&self) -> u64 {
        let single = [&self.lines, &self.too_new, &self.too_old, &self.labels, &self.duplicates];
        single.into_iter().chain(self.series.values()).map(|tally| tally.count).sum()
    }

    /// For the target's state; none when nothing was rejected.
    pub(crate) fn told(&self) -> Option<String> {
        let mut told = String::new();
        for (tally, what, remedy) in [
            (&self.lines, "lines are not samples", "see the exporter's page"),
            (&self.too_new, "samples lie in the future", "set the sender's clock"),
            (&self.too_old, "samples are too old", "have the sender give them sooner, or without a time"),
            (&self.labels, "samples have labels beyond the limits", "see label_limit and its companions"),
            (&self.duplicates, "samples repeat a series of the page", "have the exporter give each series once"),
        ] {
            if tally.count > 0 {
                let separator = if told.is_empty() { "" } else { "; " };
                // Writing to a string cannot fail.
                let _ = write!(told, "{separator}{} {what}, the first: {} ({remedy})", tally.count, tally.first);
            }
        }
        for (refusal, tally) in &self.series {
            let separator = if told.is_empty() { "" } else { "; " };
            let (count, first) = (tally.count, &tally.first);
            let _ = write!(
                told,
                "{separator}{count} samples are of new series that are refused, the first: {first} ({refusal})"
            );
        }
        (!told.is_empty()).then_some(told)
    }
}

impl SampleLimits {
    /// For what a collector brings or makes of a payload.
    pub(crate) const COLLECTED: Self = Self {
        labels: MAX_LABELS_PER_SERIES,
        label_name_bytes: MAX_LABEL_NAME_BYTES,
        label_value_bytes: MAX_LABEL_VALUE_BYTES,
        age_millis: MAX_COLLECTED_AGE_MILLIS,
    };

    /// Drops what does not keep to the limits, and notes it.
    pub(crate) fn hold(&self, samples: &mut Vec<Sample>, now: Timestamp, rejections: &mut Rejections) {
        samples.retain(|sample| {
            let Some((reason, example)) = self.breach(sample, now) else { return true };
            rejections.tally(reason).note(|| example);
            false
        });
    }

    fn breach(&self, sample: &Sample, now: Timestamp) -> Option<(Reason, String)> {
        if let Some((reason, example)) = self.time_beyond(sample.at, now) {
            return Some((reason, format!("{} {example}", shortened(&sample.series.metric))));
        }
        self.labels_beyond(&sample.series).map(|example| (Reason::Labels, example))
    }

    fn time_beyond(&self, at: Timestamp, now: Timestamp) -> Option<(Reason, String)> {
        let ahead = at.millis_since(now);
        if ahead > MAX_FUTURE_MILLIS {
            return Some((Reason::TooNew, format!("by {} s", ahead / 1000)));
        }
        if ahead.saturating_neg() > self.age_millis {
            return Some((Reason::TooOld, format!("by {} s", ahead.saturating_neg() / 1000)));
        }
        None
    }

    /// Whether a sample is of another age, which is noted with the name of what it belongs to.
    pub(crate) fn refuses_time(&self, at: Timestamp, now: Timestamp, name: &str, rejections: &mut Rejections) -> bool {
        let Some((reason, example)) = self.time_beyond(at, now) else { return false };
        rejections.tally(reason).note(|| format!("{} {example}", shortened(name)));
        true
    }

    /// In which way a series is beyond the limits, if it is.
    pub(crate) fn labels_beyond(&self, series: &SeriesDescription) -> Option<String> {
        let (metric, labels) = (shortened(&series.metric), &series.labels);
        if labels.len() > self.labels {
            return Some(format!("{metric} has {} labels, and {} are taken", labels.len(), self.labels));
        }
        if series.metric.len() > self.label_name_bytes {
            return Some(format!("{metric} has a name longer than {} bytes", self.label_name_bytes));
        }
        labels.iter().find_map(|(name, value)| {
            let (what, limit) = match (name.len() > self.label_name_bytes, value.len() > self.label_value_bytes) {
                (true, _) => ("a label whose name", self.label_name_bytes),
                (false, true) => ("a label whose value", self.label_value_bytes),
                (false, false) => return None,
            };
            Some(format!("{metric} has {what} is longer than {limit} bytes: {}", shortened(name)))
        })
    }
}

/// The beginning of a name that may be too long to be told.
fn shortened(name: &str) -> String {
    let mut chars = name.chars();
    let told: String = chars.by_ref().take(MAX_TOLD_CHARS).collect();
    if chars.next().is_some() { told + "…" } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::series::{Labels, MetricType};

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn sample(metric: &str, ahead_millis: i64, labels: &[(&str, &str)]) -> Sample {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let series = SeriesDescription {
            metric: metric.into(),
            metric_type: MetricType::Gauge,
            unit: String::new(),
            labels: Labels::new(labels),
        };
        Sample { target: None, series, at: NOW.plus_millis(ahead_millis), value: 1.0 }
    }

    fn held(limits: SampleLimits, mut samples: Vec<Sample>) -> (Vec<String>, Rejections) {
        let mut rejections = Rejections::default();
        limits.hold(&mut samples, NOW, &mut rejections);
        (samples.into_iter().map(|sample| sample.series.metric).collect(), rejections)
    }

    #[test]
    fn samples_of_the_future_and_of_long_ago_are_rejected_by_name_and_count() {
        let limits = SampleLimits { age_millis: MAX_SCRAPED_AGE_MILLIS, ..SampleLimits::COLLECTED };
        let (kept, rejections) = held(
            limits,
            vec![
                sample("ahead", MAX_FUTURE_MILLIS, &[]),
                sample("late", -MAX_SCRAPED_AGE_MILLIS, &[]),
                sample("tomorrow", 86_400_000, &[]),
                sample("next_week", 7 * 86_400_000, &[]),
                sample("long_ago", -MAX_SCRAPED_AGE_MILLIS - 1_000, &[]),
            ],
        );
        assert_eq!(kept, ["ahead", "late"]);
        assert_eq!((rejections.too_new.count, rejections.too_old.count, rejections.count()), (2, 1, 3));
        let told = rejections.told().expect("told");
        assert!(told.starts_with("2 samples lie in the future, the first: tomorrow by 86400 s"), "{told}");
        assert!(told.contains("1 samples are too old, the first: long_ago by 3601 s"), "{told}");
        let moments = [Timestamp::MIN, Timestamp::MAX].map(|at| Sample { at, ..sample("edge", 0, &[]) });
        assert!(held(limits, moments.into()).0.is_empty(), "the ends of time do not wrap round");
    }

    #[test]
    fn labels_are_held_to_their_number_and_lengths() {
        let limits = SampleLimits { labels: 2, label_name_bytes: 4, label_value_bytes: 5, ..SampleLimits::COLLECTED };
        let (kept, rejections) = held(
            limits,
            vec![
                sample("good", 0, &[("a", "12345"), ("bcde", "1")]),
                sample("many", 0, &[("a", "1"), ("b", "1"), ("c", "1")]),
                sample("name", 0, &[("abcde", "1")]),
                sample("long", 0, &[("a", "123456")]),
                sample("metric", 0, &[]),
            ],
        );
        assert_eq!(kept, ["good"]);
        assert_eq!(rejections.labels.count, 4);
        assert_eq!(rejections.labels.first, "many has 3 labels, and 2 are taken");
        assert_eq!(Rejections::default().told(), None);
    }
}
