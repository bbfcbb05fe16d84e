//! The samples of a range before a step.

use crate::{SelectedSeries, language::tree::Extent};
use std::sync::Arc;
use tandem_domain::{histogram::NativeHistogram, series::Labels};

/// A moment with a histogram.
pub(super) type HistogramAt = (i64, Arc<NativeHistogram>);

/// A series with its samples, stale markers left out.
pub(super) struct RangeSeries {
    pub labels: Labels,
    pub drops_name: bool,
    pub at: Vec<i64>,
    pub value: Vec<f64>,
    pub histograms: Vec<HistogramAt>,
}

impl From<SelectedSeries> for RangeSeries {
    fn from(series: SelectedSeries) -> Self {
        let SelectedSeries { labels, at, value, histograms } = series;
        Self { labels, drops_name: false, at, value, histograms }
    }
}

/// Series with their samples, and the range before each step that counts.
pub(super) struct Windows {
    pub series: Vec<RangeSeries>,
    /// End of the range at each step.
    pub ends: Vec<i64>,
    /// Length of the range.
    pub millis: i64,
    /// Whether samples around the range count too: the series then have those of the lookback around it.
    pub extent: Extent,
    /// How far around.
    pub lookback: i64,
}

/// One range of one series: samples after `start` up to `end`.
pub(super) struct Window<'w> {
    pub start: i64,
    pub end: i64,
    pub at: &'w [i64],
    pub value: &'w [f64],
    pub histograms: &'w [HistogramAt],
}

impl Window<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.at.is_empty() && self.histograms.is_empty()
    }

    /// Whether it has floats and histograms.
    pub(super) fn is_mixed(&self) -> bool {
        !self.at.is_empty() && !self.histograms.is_empty()
    }
}

/// Where the window before stood, so that the next is found near it: ends mostly rise.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cursor {
    from: usize,
    to: usize,
    histograms_from: usize,
    histograms_to: usize,
}

/// How many of the ascending are at most `moment`, looked for from a guess on.
fn count_through(len: usize, at: impl Fn(usize) -> i64, moment: i64, guess: usize) -> usize {
    let mut place = guess.min(len);
    while place > 0 && at(place - 1) > moment {
        place -= 1;
    }
    let mut stride = 1;
    // Twice as far each time, and then back by halves: near steps cost one look, far ones few.
    while place < len && at(place) <= moment {
        let next = place + stride;
        if next < len && at(next) <= moment {
            place = next;
            stride *= 2;
        } else {
            stride = (stride / 2).max(1);
            if stride == 1 {
                place += 1;
            }
        }
    }
    place
}

impl Windows {
    /// The range of a series at a step.
    pub(super) fn window<'w>(&self, series: &'w RangeSeries, step: usize, cursor: &mut Cursor) -> Window<'w> {
        let end = self.ends[step];
        let start = end - self.millis;
        let (first, last) = match self.extent {
            Extent::Plain => (start, end),
            Extent::Anchored => (start - self.lookback, end),
            Extent::Smoothed => (start - self.lookback, end + self.lookback),
        };
        let floats = |place: usize| series.at[place];
        cursor.from = count_through(series.at.len(), floats, first, cursor.from);
        cursor.to = count_through(series.at.len(), floats, last, cursor.to.max(cursor.from));
        if !series.histograms.is_empty() {
            let moments = |place: usize| series.histograms[place].0;
            let len = series.histograms.len();
            cursor.histograms_from = count_through(len, moments, first, cursor.histograms_from);
            let guess = cursor.histograms_to.max(cursor.histograms_from);
            cursor.histograms_to = count_through(len, moments, last, guess);
        }
        Window {
            start,
            end,
            at: &series.at[cursor.from..cursor.to],
            value: &series.value[cursor.from..cursor.to],
            histograms: &series.histograms[cursor.histograms_from..cursor.histograms_to],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_from_any_guess_finds_the_same() {
        let at: Vec<i64> = (0..50).map(|i| i * 10).collect();
        for moment in -5..510 {
            let wanted = at.partition_point(|one| *one <= moment);
            for guess in 0..60 {
                assert_eq!(count_through(at.len(), |i| at[i], moment, guess), wanted, "{moment} from {guess}");
            }
        }
    }
}
