//! How much a value changed over a range: `rate`, `increase`, `delta`, `irate` and `idelta`. Formulas as in Prometheus'
//! documentation of its functions.

use super::{
    notes::{Note, Notes},
    window::{HistogramAt, Window},
};
use crate::value::Datum;
use tandem_domain::histogram::{HistogramSum, NativeHistogram, ResetHint};

/// A gap of more than this many average distances is taken for the series having begun or ended there.
const GAP_FACTOR: f64 = 1.1;

/// What kind of change is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    /// Of a counter, which restarts from zero.
    pub is_counter: bool,
    /// By the second.
    pub is_rate: bool,
}

pub(super) fn seconds(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1000.0
}

impl Change {
    /// The change, drawn out to the ends of the range where samples come near them.
    pub(super) fn extrapolated(self, window: &Window<'_>, notes: &mut Notes) -> Option<Datum> {
        if window.is_mixed() {
            notes.add(Note::MixedFloatsAndHistograms);
            return None;
        }
        let (at, value) = (window.at, window.value);
        if let [first, .., last] = window.histograms {
            let mut change = self.of_histograms(window.histograms, notes)?;
            let factor = self.factor(window, (first.0, last.0), window.histograms.len(), first.1.count, change.count());
            change.scale(factor);
            return Some(change.finish().into());
        }
        let ([first_at, .., last_at], [first, .., last]) = (at, value) else { return None };
        let mut change = last - first;
        if self.is_counter {
            let mut before = *first;
            for value in value {
                if *value < before {
                    change += before;
                }
                before = *value;
            }
        }
        let factor = self.factor(window, (*first_at, *last_at), at.len(), *first, change);
        Some(Datum::Float(change * factor))
    }

    /// By what the change between the first and the last sample is multiplied.
    fn factor(
        self,
        window: &Window<'_>,
        (first_at, last_at): (i64, i64),
        count: usize,
        first: f64,
        change: f64,
    ) -> f64 {
        let mut to_start = seconds(window.start, first_at);
        let mut to_end = seconds(last_at, window.end);
        let sampled = seconds(first_at, last_at);
        let average = sampled / (count - 1) as f64;
        if to_start >= average * GAP_FACTOR {
            to_start = average / 2.0;
        }
        // A counter was never below zero, so that it is not drawn out beyond where it was zero.
        if self.is_counter && change > 0.0 && first >= 0.0 {
            let to_zero = sampled * (first / change);
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= average * GAP_FACTOR {
            to_end = average / 2.0;
        }
        let factor = (sampled + to_start + to_end) / sampled;
        if self.is_rate { factor / seconds(window.start, window.end) } else { factor }
    }

    /// The change between the first and the last histogram, with what was counted before each restart.
    fn of_histograms(self, histograms: &[HistogramAt], notes: &mut Notes) -> Option<HistogramSum> {
        let [(_, first), (_, second), ..] = histograms else { return None };
        let last = &histograms[histograms.len() - 1].1;
        let is_gauge = |histogram: &NativeHistogram| histogram.reset == ResetHint::Gauge;
        if self.is_counter && (is_gauge(first) || is_gauge(last)) {
            notes.add(Note::NotACounter);
        }
        // After a restart right behind it, the first says nothing, whatever its buckets.
        let skips_first = self.is_counter && second.is_reset_since(first);
        let start = if skips_first { second } else { first };
        if last.is_custom() != start.is_custom() {
            notes.add(Note::MixedSchemas);
            return None;
        }
        let mut schema = last.schema.min(start.schema);
        if self.is_counter {
            for (_, histogram) in &histograms[1..histograms.len() - 1] {
                if is_gauge(histogram) {
                    notes.add(Note::NotACounter);
                }
                schema = schema.min(histogram.schema);
                if histogram.is_custom() != start.is_custom() {
                    *notes = Notes::default();
                    notes.add(Note::MixedSchemas);
                    return None;
                }
            }
        }
        let mut change = HistogramSum::of(last);
        change.coarsen(schema);
        let mut add = |change: &mut HistogramSum, other: &NativeHistogram, factor: f64| {
            let was_reconciled = change.is_reconciled();
            if change.add(other, factor).is_err() {
                *notes = Notes::default();
                notes.add(Note::MixedSchemas);
                return None;
            }
            if change.is_reconciled() && !was_reconciled {
                notes.add(if factor < 0.0 { Note::ReconciledSubtraction } else { Note::ReconciledAddition });
            }
            Some(())
        };
        if !skips_first {
            add(&mut change, first, -1.0)?;
        }
        if self.is_counter {
            for pair in histograms.windows(2).skip(usize::from(skips_first)) {
                if pair[1].1.is_reset_since(&pair[0].1) {
                    add(&mut change, &pair[0].1, 1.0)?;
                }
            }
        } else if !is_gauge(first) || !is_gauge(last) {
            notes.add(Note::NotAGauge);
        }
        change.set_reset(ResetHint::Gauge);
        Some(change)
    }

    /// The change between the last two samples.
    pub(super) fn instantaneous(self, window: &Window<'_>, notes: &mut Notes) -> Option<Datum> {
        let mut last: Vec<(i64, Option<f64>, Option<&NativeHistogram>)> = Vec::with_capacity(4);
        let floats = window.at.len().saturating_sub(2)..;
        last.extend(window.at[floats.clone()].iter().zip(&window.value[floats]).map(|(at, v)| (*at, Some(*v), None)));
        let histograms = window.histograms.len().saturating_sub(2)..;
        last.extend(window.histograms[histograms].iter().map(|(at, one)| (*at, None, Some(one.as_ref()))));
        last.sort_by_key(|(at, ..)| *at);
        let [.., before, now] = last.as_slice() else { return None };
        let elapsed = seconds(before.0, now.0);
        if elapsed == 0.0 {
            return None;
        }
        match (before, now) {
            ((_, Some(before), _), (_, Some(now), _)) => {
                let is_reset = self.is_rate && now < before;
                let change = if is_reset { *now } else { now - before };
                Some(Datum::Float(if self.is_rate { change / elapsed } else { change }))
            }
            ((_, _, Some(before)), (_, _, Some(now))) => self.between(before, now, elapsed, notes),
            _ => {
                notes.add(Note::MixedFloatsAndHistograms);
                None
            }
        }
    }

    fn between(
        self,
        before: &NativeHistogram,
        now: &NativeHistogram,
        elapsed: f64,
        notes: &mut Notes,
    ) -> Option<Datum> {
        let gauges = [before, now].iter().filter(|one| one.reset == ResetHint::Gauge).count();
        if self.is_rate && gauges > 0 {
            notes.add(Note::NotACounter);
        }
        if !self.is_rate && gauges < 2 {
            notes.add(Note::NotAGauge);
        }
        let mut change = HistogramSum::of(now);
        if !self.is_rate || !now.is_reset_since(before) {
            if change.add(before, -1.0).is_err() {
                notes.add(Note::MixedSchemas);
                return None;
            }
            if change.is_reconciled() {
                notes.add(Note::ReconciledSubtraction);
            }
        }
        change.set_reset(ResetHint::Gauge);
        if self.is_rate {
            change.scale(1.0 / elapsed);
        }
        Some(change.finish().into())
    }
}
