//! Increments added up, so that what delta senders count can be stored beside what others count.

use crate::{
    limits::MAX_BUCKETS,
    rejected::{Reason, Rejection},
    series_key::SeriesKey,
};
use std::collections::HashMap;
use tandem_domain::{
    Timestamp,
    histogram::{NativeHistogram, SCHEMAS},
};

/// Series whose increments are added up; each takes some 100 bytes, those of exponential histograms some kilobytes.
pub const MAX_DELTA_SERIES: usize = 1_000_000;

/// Running totals by series. Held by the caller, who also decides how long a silent series is remembered.
#[derive(Debug)]
pub struct Accumulator {
    limit: usize,
    totals: HashMap<SeriesKey, (Timestamp, f64)>,
    histograms: HashMap<SeriesKey, (Timestamp, NativeHistogram)>,
}

impl Default for Accumulator {
    fn default() -> Self {
        Self::new(MAX_DELTA_SERIES)
    }
}

impl Accumulator {
    /// For at most so many series.
    pub fn new(limit: usize) -> Self {
        Self { limit, totals: HashMap::new(), histograms: HashMap::new() }
    }

    /// How many series are added up.
    pub fn len(&self) -> usize {
        self.totals.len() + self.histograms.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn room(&self, is_new: bool) -> Result<(), Rejection> {
        if is_new && self.len() >= self.limit {
            let text = format!("{} series of delta temporality are added up, and no more are", self.limit);
            return Err(Rejection { reason: Reason::TooMany, text });
        }
        Ok(())
    }

    /// Adds an increment; answers the total so far. A NaN (a stale marker) passes and leaves the total.
    ///
    /// # Errors
    /// When it is not later than the last one (it was added already, or came too late), or no room is left.
    pub fn add(&mut self, key: SeriesKey, at: Timestamp, increment: f64) -> Result<f64, Rejection> {
        if increment.is_nan() {
            return Ok(increment);
        }
        self.room(!self.totals.contains_key(&key))?;
        let (last, total) = self.totals.entry(key).or_insert((Timestamp::MIN, 0.0));
        later(*last, at)?;
        (*last, *total) = (at, *total + increment);
        Ok(*total)
    }

    /// As [`Accumulator::add`], of an exponential histogram.
    ///
    /// # Errors
    /// As there.
    pub fn add_histogram(
        &mut self,
        key: SeriesKey,
        at: Timestamp,
        increment: NativeHistogram,
    ) -> Result<NativeHistogram, Rejection> {
        if increment.sum.is_nan() && increment.count == 0.0 {
            return Ok(increment);
        }
        self.room(!self.histograms.contains_key(&key))?;
        let Some((last, total)) = self.histograms.get_mut(&key) else {
            self.histograms.insert(key, (at, increment.clone()));
            return Ok(increment);
        };
        later(*last, at)?;
        *total = total.plus(&increment);
        // Increments that lie elsewhere each time fill ever more buckets; joined ones keep the count.
        while total.buckets() > MAX_BUCKETS && total.schema > *SCHEMAS.start() {
            let coarser = total.schema - 1;
            *total = total.clone().coarsened(coarser);
        }
        *last = at;
        Ok(total.clone())
    }

    /// Forgets series whose last increment is before `moment`; answers how many. They begin anew, which reads as a restart.
    pub fn forget_before(&mut self, moment: Timestamp) -> usize {
        let before = self.len();
        self.totals.retain(|_, (last, _)| *last >= moment);
        self.histograms.retain(|_, (last, _)| *last >= moment);
        before - self.len()
    }
}

fn later(last: Timestamp, at: Timestamp) -> Result<(), Rejection> {
    if at > last {
        return Ok(());
    }
    let text = format!("an increment at {} ms is not later than the last one at {} ms", at.0, last.0);
    Err(Rejection { reason: Reason::OutOfOrder, text })
}
