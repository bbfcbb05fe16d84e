//! What one series usually does, and how far a value is from that.
//!
//! The band reaches from the median m − B₁ to m + B₂, and the score of a value is its distance from m divided by the
//! half-width on its side. A half-width is the largest of
//! - k × 1.4826 × MAD: k standard deviations where the values are normal (Hampel, "The influence curve and its role in
//!   robust estimation", JASA 69, 1974; 1.4826 = 1 / Φ⁻¹(3/4));
//! - a quarter more than the distance to the rarest values of the window, and to the ends of the range that several earlier
//!   blocks reached, so that bursts which keep coming back are usual;
//! - k / 2 steps of the series' own resolution, so that a reading that flips between neighbouring values is usual;
//! - the smallest deviation that the operator cares for, absolute and relative to the median.
//!
//! An odd value goes into the window once in a run, and held to a few band widths (winsorised); a run that lasts is a new
//! level, and from then on its values go in as they are.

use crate::{
    usual_range::UsualRange,
    window::{Centre, Window},
};

/// Makes the MAD of normal values their standard deviation: 1 / Φ⁻¹(3/4).
const NORMAL_CONSISTENCY: f64 = 1.482_602_218_505_602;
/// So many values make the tail of the window on either side: bursts are usual once they have come that often, and two or
/// three lone spikes do not widen the band.
const TAIL_POINTS: usize = 4;
/// How much further than the tail a value has to lie to be odd.
const TAIL_GAIN: f64 = 1.25;
/// An odd value enters the window at no more than this many half-widths of the band from the median.
const WINSOR_BANDS: f64 = 4.0;
/// The band holds k / 2 steps of the resolution on either side.
const RESOLUTION_SHARE: f64 = 0.5;
/// Distances below this share of the value are rounding of binary fractions and not the resolution of a sensor.
const ROUNDING_SHARE: f64 = 1e-9;
/// From here on not every whole number has its own double, so that being whole means nothing.
const LARGEST_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Which deviations are odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Values above the band.
    Above,
    /// Values below the band.
    Below,
    /// Both.
    #[default]
    Both,
}

/// How a series is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuning {
    /// Half-width of the band in standard deviations.
    pub k: f64,
    /// Points in the window.
    pub window_points: usize,
    /// Points before the first score.
    pub warm_up_points: usize,
    /// Odd points in a row after which they are the new level.
    pub relearn_points: u32,
    /// See [`Direction`].
    pub direction: Direction,
    /// The band is never narrower than this, in the unit of the series.
    pub min_absolute_deviation: f64,
    /// The band is never narrower than this share of the median.
    pub min_relative_deviation: f64,
}

/// The answer for one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// 1 and more is odd; 0 while warming.
    pub score: f64,
    /// The lower end of the band.
    pub low: f64,
    /// The upper end of the band.
    pub high: f64,
    /// Whether too little is known yet.
    pub warming: bool,
}

/// The half-widths of the band.
#[derive(Debug, Clone, Copy)]
struct Band {
    below: f64,
    above: f64,
}

/// The larger of two, of which the second may be NaN and then does not count. In a sandbox `f64::max` and `f64::min` are
/// calls, and cost a fifth of the time of a point.
#[inline]
pub(crate) fn larger(known: f64, other: f64) -> f64 {
    if other > known { other } else { known }
}

/// The smaller of two, of which the second may be NaN and then does not count.
#[inline]
pub(crate) fn smaller(known: f64, other: f64) -> f64 {
    if other < known { other } else { known }
}

/// A deviation in half-widths; 0 on the other side, and where there is no scale: of a series that was 0 all along, with no
/// resolution known, nothing can be said from one value.
#[inline]
fn ratio(deviation: f64, half_width: f64) -> f64 {
    if deviation > 0.0 && half_width > 0.0 { smaller(f64::MAX, deviation / half_width) } else { 0.0 }
}

/// What one series usually does.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// Empty as long as the series shows one single value: most series of a machine never change.
    pub(crate) window: Window,
    /// That single value, and how often it was seen.
    pub(crate) flat: f64,
    pub(crate) flat_points: usize,
    /// The smallest step between different values so far; infinite before two were seen.
    pub(crate) step: f64,
    /// What it visits again and again.
    pub(crate) range: UsualRange,
    /// Odd values in a row, up to now.
    pub(crate) odd_run: u32,
}

impl Baseline {
    /// Knows nothing yet.
    pub fn new(tuning: &Tuning) -> Self {
        Self {
            window: Window::new(tuning.window_points),
            flat: 0.0,
            flat_points: 0,
            step: f64::INFINITY,
            range: UsualRange::default(),
            odd_run: 0,
        }
    }

    /// Judges a finite value against what came before, then learns from it. `resolution` is what is known of the steps of
    /// the series beside what its values show; 0 for nothing.
    #[inline(always)]
    pub fn judge(&mut self, tuning: &Tuning, value: f64, resolution: f64) -> Judgement {
        if self.window.is_empty() && (self.flat_points == 0 || self.flat == value) {
            return self.stay_flat(tuning, value, resolution);
        }
        let (centre, points) = match self.window.centre() {
            Some(centre) => (centre, self.window.len()),
            None => (Centre { median: self.flat, mad: 0.0 }, self.flat_points),
        };
        let band = self.band(tuning, centre, resolution);
        let (median, warming) = (centre.median, points < tuning.warm_up_points);
        // On which side it lies is as likely one as the other, so both are chosen from without a branch.
        let up = value >= median;
        let (deviation, half_width) = if up { (value - median, band.above) } else { (median - value, band.below) };
        let ratio = ratio(deviation, half_width);
        let odd = !warming && ratio >= 1.0;
        self.learn(tuning, value, odd, median, band);
        let counts = match tuning.direction {
            Direction::Above => up,
            Direction::Below => !up,
            Direction::Both => true,
        };
        let counted = if counts { ratio } else { 0.0 };
        Judgement {
            score: if warming { 0.0 } else { counted },
            low: median - band.below,
            high: median + band.above,
            warming,
        }
    }

    #[inline(never)]
    fn stay_flat(&mut self, tuning: &Tuning, value: f64, resolution: f64) -> Judgement {
        let warming = self.flat_points < tuning.warm_up_points;
        self.flat = value;
        self.flat_points = (self.flat_points + 1).min(tuning.window_points);
        self.odd_run = 0;
        let band = self.band(tuning, Centre { median: value, mad: 0.0 }, resolution);
        self.range.take(value);
        Judgement { score: 0.0, low: value - band.below, high: value + band.above, warming }
    }

    #[inline(always)]
    fn band(&self, tuning: &Tuning, centre: Centre, resolution: f64) -> Band {
        let step = if self.step.is_finite() { larger(self.step, resolution) } else { resolution };
        let mut symmetric = tuning.min_absolute_deviation;
        symmetric = larger(symmetric, tuning.min_relative_deviation * centre.median.abs());
        symmetric = larger(symmetric, tuning.k * RESOLUTION_SHARE * step);
        symmetric = larger(symmetric, tuning.k * NORMAL_CONSISTENCY * centre.mad);
        let (mut low, mut high) = self.range.bounds();
        let points = self.window.len();
        if points >= 2 * TAIL_POINTS {
            low = smaller(low, self.window.ranked(TAIL_POINTS - 1));
            high = larger(high, self.window.ranked(points - TAIL_POINTS));
        }
        Band {
            below: smaller(f64::MAX, larger(symmetric, TAIL_GAIN * (centre.median - low))),
            above: smaller(f64::MAX, larger(symmetric, TAIL_GAIN * (high - centre.median))),
        }
    }

    #[inline(always)]
    fn learn(&mut self, tuning: &Tuning, value: f64, odd: bool, median: f64, band: Band) {
        self.range.take(value);
        self.odd_run = if odd { self.odd_run.saturating_add(1) } else { 0 };
        let taken = if !odd || self.odd_run >= tuning.relearn_points {
            value
        } else if self.odd_run == 1 {
            value.clamp(median - WINSOR_BANDS * band.below, median + WINSOR_BANDS * band.above)
        } else {
            return;
        };
        self.take(tuning, taken);
    }

    #[inline(always)]
    fn take(&mut self, tuning: &Tuning, value: f64) {
        if self.flat_points > 0 {
            self.unroll_flat(tuning);
        }
        let rank = self.window.push(value);
        let gap = self.window.neighbour_gap(rank, value);
        if gap < self.step && gap > ROUNDING_SHARE * value.abs() {
            self.step = gap;
        }
        if self.window.is_full() && self.window.is_flat() {
            self.window.clear();
            self.flat = value;
            self.flat_points = tuning.window_points;
        }
    }

    /// The single value of a flat series fills the window, because another one came.
    #[cold]
    fn unroll_flat(&mut self, tuning: &Tuning) {
        for _ in 0..self.flat_points.min(tuning.window_points) {
            self.window.push(self.flat);
        }
        self.flat_points = 0;
    }
}

/// The resolution of a reading that was whole numbers all along: 1, else 0.
pub fn whole_step(all_whole: bool) -> f64 {
    if all_whole { 1.0 } else { 0.0 }
}

/// Whether a value is a whole number, and small enough for that to mean something.
#[inline]
pub fn is_whole(value: f64) -> bool {
    value.abs() < LARGEST_EXACT_INTEGER && value.trunc() == value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuning() -> Tuning {
        Tuning {
            k: 6.0,
            window_points: 128,
            warm_up_points: 32,
            relearn_points: 60,
            direction: Direction::Both,
            min_absolute_deviation: 0.0,
            min_relative_deviation: 0.0,
        }
    }

    /// Noise without a random source: the fractional parts of multiples of the golden ratio, centred.
    fn noise(index: usize) -> f64 {
        (index as f64 * 0.618_033_988_749_894_9).fract() - 0.5
    }

    fn scores(tuning: &Tuning, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut baseline = Baseline::new(tuning);
        values.into_iter().map(|value| baseline.judge(tuning, value, 0.0).score).collect()
    }

    #[test]
    fn a_spike_is_odd_and_does_not_move_the_band() {
        let tuning = tuning();
        let mut baseline = Baseline::new(&tuning);
        for index in 0..100 {
            assert!(baseline.judge(&tuning, 10.0 + noise(index), 0.0).score < 1.0);
        }
        let before = baseline.judge(&tuning, 10.0, 0.0);
        let spike = baseline.judge(&tuning, 1e6, 0.0);
        assert!(spike.score > 1_000.0, "{spike:?}");
        let after = baseline.judge(&tuning, 10.0, 0.0);
        assert!((after.high - before.high).abs() < 0.2, "{before:?} {after:?}");
    }

    #[test]
    fn nothing_is_scored_while_warming() {
        let tuning = tuning();
        let mut baseline = Baseline::new(&tuning);
        for index in 0..40 {
            let value = if index == 31 { 1e9 } else { noise(index) };
            let judged = baseline.judge(&tuning, value, 0.0);
            assert_eq!(judged.warming, index < 32, "at {index}");
            assert!(judged.score < 1.0);
        }
    }

    #[test]
    fn a_lasting_level_shift_is_odd_at_first_and_then_learned() {
        let tuning = tuning();
        let scores = scores(&tuning, (0..400).map(|i| if i < 150 { noise(i) } else { 50.0 + noise(i) }));
        assert!(scores[150..200].iter().all(|score| *score >= 1.0));
        assert!(scores[240..].iter().all(|score| *score < 1.0));
    }

    #[test]
    fn a_quantised_reading_that_flips_is_not_odd_and_a_jump_is() {
        let tuning = tuning();
        let mut values: Vec<f64> = (0..200).map(|i| if i % 9 == 0 { 41.0 } else { 40.0 }).collect();
        values.extend([42.0, 38.0, 60.0]);
        let scores = scores(&tuning, values);
        assert!(scores[..202].iter().all(|score| *score < 1.0));
        assert!(scores[202] >= 1.0);
    }

    #[test]
    fn the_first_change_of_a_whole_number_is_held_to_its_resolution() {
        let tuning = tuning();
        for (changed, odd) in [(1.0, false), (2.0, false), (40.0, true)] {
            let mut baseline = Baseline::new(&tuning);
            for _ in 0..100 {
                baseline.judge(&tuning, 0.0, 1.0);
            }
            assert!(baseline.window.is_empty(), "a constant needs no window");
            assert_eq!(baseline.judge(&tuning, changed, 1.0).score >= 1.0, odd, "{changed}");
        }
    }

    #[test]
    fn the_smallest_deviation_holds() {
        let tight = Tuning { min_relative_deviation: 0.05, ..tuning() };
        let mut values: Vec<f64> = (0..100).map(|i| 100.0 + noise(i) * 0.01).collect();
        values.push(104.9);
        values.push(106.0);
        let scores = scores(&tight, values);
        assert!(scores[100] < 1.0 && scores[101] >= 1.0);
    }

    #[test]
    fn only_the_wanted_direction_counts() {
        let above = Tuning { direction: Direction::Above, ..tuning() };
        let below = Tuning { direction: Direction::Below, ..tuning() };
        let values = |odd: f64| (0..100).map(noise).chain([odd]).collect::<Vec<_>>();
        assert!(scores(&above, values(9.0))[100] >= 1.0);
        assert_eq!(scores(&above, values(-9.0))[100], 0.0);
        assert!(scores(&below, values(-9.0))[100] >= 1.0);
        assert_eq!(scores(&below, values(9.0))[100], 0.0);
    }

    #[test]
    fn bursts_that_keep_coming_back_become_usual() {
        let tuning = tuning();
        let scores = scores(&tuning, (0..1200).map(|i| if i % 20 == 19 { 30.0 } else { noise(i) }));
        assert!(scores[39] >= 1.0);
        assert!(scores[600..].iter().all(|score| *score < 1.0));
    }

    #[test]
    fn a_series_that_comes_to_rest_gives_its_window_back() {
        let tuning = tuning();
        let mut baseline = Baseline::new(&tuning);
        for index in 0..400 {
            baseline.judge(&tuning, if index < 50 { noise(index) } else { 0.25 }, 0.0);
        }
        assert!(baseline.window.is_empty());
        assert_eq!(baseline.flat, 0.25);
    }
}
