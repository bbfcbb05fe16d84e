//! The rows of a body by what is known of their series.

use super::{
    body::{Body, Kept},
    known::{KnownSeries, Sender},
};
use crate::{exemplars::is_timely, limits};
use std::{collections::HashSet, sync::Arc};
use tandem_domain::{
    Timestamp,
    exemplar::Exemplar,
    histogram::NativeHistogram,
    series::{HistogramBatch, SampleBatch, SeriesId},
};
use tandem_wire::rejected::{Reason, Rejections};

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
    /// Samples and histograms of series that are neither known nor described in the body.
    pub forgotten: u64,
    /// Who sends the known ones.
    pub senders: Vec<Arc<Sender>>,
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

/// Sorts a body by what is known of its series, and leaves out what is of another time.
pub(super) fn settle(known: &KnownSeries, body: &mut Body, now: Timestamp, rejections: &mut Rejections) -> Settled {
    let mut settled = Settled::default();
    settled.batch.series.reserve(body.at.len());
    settled.batch.at.reserve(body.at.len());
    settled.batch.value.reserve(body.at.len());
    let bounds = Bounds::around(now);
    let series = known.read();
    let mut senders = Sending::default();
    for row in &body.rows {
        let found = series.get(row.key);
        let place = if found.is_none() { body.place(row.key) } else { None };
        let samples = body.at[row.samples.clone()].iter().zip(&body.value[row.samples.clone()]);
        for (at, value) in samples.filter(|(at, _)| bounds.take(**at, rejections)) {
            match (found, place) {
                (Some(known), _) => {
                    settled.batch.push(known.id, *at, *value);
                    senders.note(&known.sender);
                }
                (None, Some(place)) => settled.of_newcomers.push((place, *at, *value)),
                (None, None) => settled.forgotten += 1,
            }
        }
    }
    for (key, at, histogram) in std::mem::take(&mut body.histograms) {
        if !bounds.take(at, rejections) {
            continue;
        }
        if let Some(known) = series.get(key) {
            settled.histograms.push(known.id, at, histogram);
            senders.note(&known.sender);
        } else if let Some(place) = body.place(key) {
            settled.histograms_of_newcomers.push((place, at, histogram));
        } else {
            settled.forgotten += 1;
        }
    }
    for (key, exemplar) in std::mem::take(&mut body.exemplars) {
        if !is_timely(exemplar.at, now) {
            settled.untimely_exemplars += 1;
        } else if let Some(known) = series.get(key) {
            settled.exemplars.push((known.id, exemplar));
        } else if let Some(place) = body.place(key) {
            settled.exemplars_of_newcomers.push((place, exemplar));
        }
    }
    drop(series);
    settled.senders = senders.met;
    settled
}

/// The senders of a body's known series, each once.
#[derive(Default)]
struct Sending {
    met: Vec<Arc<Sender>>,
    places: HashSet<*const Sender>,
}

impl Sending {
    fn note(&mut self, sender: &Arc<Sender>) {
        // Series of one sender mostly follow one another.
        let is_last = self.met.last().is_some_and(|last| Arc::ptr_eq(last, sender));
        if !is_last && self.places.insert(Arc::as_ptr(sender)) {
            self.met.push(sender.clone());
        }
    }
}
