//! The account of what was not taken in: each reason with its count, and the first examples in words.

use crate::limits::MAX_TOLD_REJECTIONS;
use std::collections::BTreeMap;

/// Longest example, in characters, since what is rejected may be rejected for its length.
const MAX_EXAMPLE_CHARS: usize = 200;

/// Why an item was not taken in. A closed set, so that it can label a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It is not of its format.
    Malformed,
    /// The series has no name.
    NoName,
    /// More labels than the limit.
    TooManyLabels,
    /// A metric's or label's name is empty or longer than the limit.
    BadName,
    /// A label's value is longer than the limit, or all labels are together.
    LabelsTooLong,
    /// A label is given twice.
    DuplicateLabel,
    /// A reference leads to nothing.
    BadReference,
    /// A histogram contradicts itself or has more buckets than the limit.
    BadHistogram,
    /// More items than the limit in one body.
    TooMany,
    /// The format knows it, and it cannot be kept here.
    Unsupported,
    /// Its moment cannot be written down.
    BadTime,
    /// An increment without what it adds to, or older than that.
    OutOfOrder,
    /// There are as many series as there may be.
    TooManySeries,
    /// Its target has as many series as it may.
    TooManySeriesOfTarget,
    /// Its metric has as many series as it may.
    TooManySeriesOfMetric,
    /// It lies further in the future than clocks differ.
    TooNew,
    /// It lies further in the past than is taken.
    TooOld,
    /// It lies further behind the newest sample of its series than is taken.
    TooLate,
}

impl Reason {
    /// A stable name, for counters and machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoName => "no_name",
            Self::TooManyLabels => "too_many_labels",
            Self::BadName => "bad_name",
            Self::LabelsTooLong => "labels_too_long",
            Self::DuplicateLabel => "duplicate_label",
            Self::BadReference => "bad_reference",
            Self::BadHistogram => "bad_histogram",
            Self::TooMany => "too_many",
            Self::Unsupported => "unsupported",
            Self::BadTime => "bad_time",
            Self::OutOfOrder => "out_of_order",
            Self::TooManySeries => "too_many_series",
            Self::TooManySeriesOfTarget => "too_many_series_of_target",
            Self::TooManySeriesOfMetric => "too_many_series_of_metric",
            Self::TooNew => "too_new",
            Self::TooOld => "too_old",
            Self::TooLate => "too_late",
        }
    }
}

/// One reason, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Of which kind.
    pub reason: Reason,
    /// What and why, for people.
    pub text: String,
}

/// What was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rejections {
    counts: BTreeMap<Reason, u64>,
    told: Vec<Rejection>,
}

impl Rejections {
    /// Counts `items` that were lost for one reason; `text` is made only while examples are still kept.
    pub fn note(&mut self, reason: Reason, items: u64, text: impl FnOnce() -> String) {
        *self.counts.entry(reason).or_default() += items;
        if self.told.len() < MAX_TOLD_REJECTIONS {
            let text = shortened(&text(), MAX_EXAMPLE_CHARS);
            self.told.push(Rejection { reason, text });
        }
    }

    /// Counts a rejection that already has its words.
    pub fn add(&mut self, rejection: Rejection, items: u64) {
        self.note(rejection.reason, items, || rejection.text);
    }

    /// Items lost for each reason.
    pub fn counts(&self) -> impl Iterator<Item = (Reason, u64)> {
        self.counts.iter().map(|(reason, count)| (*reason, *count))
    }

    /// Items lost for any reason.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The first of them in words.
    pub fn told(&self) -> &[Rejection] {
        &self.told
    }

    /// Whether nothing was rejected.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// One sentence for the sender; none when nothing was rejected.
    pub fn sentence(&self) -> Option<String> {
        let first = self.told.first()?;
        let counts: Vec<String> = self.counts().map(|(reason, count)| format!("{} {count}", reason.name())).collect();
        Some(format!("{} rejected ({}); the first: {}", self.total(), counts.join(", "), first.text))
    }
}

/// The beginning of a text that may be too long to be told.
pub(crate) fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
