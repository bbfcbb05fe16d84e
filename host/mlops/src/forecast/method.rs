//! The forecaster itself, pure: the last value, and a robust trend that is believed for a while. Its band is what it would
//! have missed by on the course that it sees, and its score how often that band would have held the truth.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tandem_domain::{Timestamp, meaning::Range};

/// What is forecast; each as a share of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Quantity {
    /// How full a filesystem is.
    Disk,
    /// How much of the memory is taken.
    Memory,
    /// How busy a network interface is in one direction.
    Network,
}

/// How far ahead, in seconds: two that come due within the first two minutes, so that accuracy is known by then; the longest
/// is the time a person needs to react.
pub(super) const HORIZONS_SECONDS: [u64; 5] = [30, 60, 120, 300, 900];
/// Fewer values show no course, in points.
pub(super) const LEAST_POINTS: usize = 2;
/// Values that a trend is taken over: five minutes at the usual 15 s.
const TREND_POINTS: usize = 20;
/// For how long a trend may be believed, in seconds; one of them is chosen by fitting. The first is: not at all.
const TREND_SECONDS: [f64; 4] = [0.0, 60.0, 300.0, 1_800.0];
/// Share of truths that a band is to hold.
pub(super) const COVERAGE: f64 = 0.9;
/// Fewer errors say little of how large they get.
const LEAST_ERRORS: usize = 8;
/// A band is at least so wide to each side, as a share of the whole: nobody asks for a thousandth of a disk.
const LEAST_HALF_WIDTH: f64 = 0.001;
/// A band that no error supports yet is at least so wide to each side.
const LEAST_UNTRIED_HALF_WIDTH: f64 = 0.01;
/// Steps of a random walk within which nine of ten lie, in mean absolute steps, rounded up: 1.645 · √(π/2).
const NINE_OF_TEN_STEPS: f64 = 2.1;
/// Two values with more between them than this many usual steps have a gap between them.
const GAP_STEPS: i64 = 4;
/// How much a band widens that has missed; see [`moved`].
const WIDENING: f64 = 0.2;
/// Bounds of the factor of a band.
const FACTORS: (f64, f64) = (0.5, 8.0);

/// Finite values of one signal, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Course {
    pub at: Vec<Timestamp>,
    pub value: Vec<f64>,
}

/// A value ahead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ahead {
    pub value: f64,
    pub band: Range,
    /// How likely the band holds the truth, by what was seen so far; none as long as that is too little.
    pub score: Option<f64>,
}

impl Course {
    /// Seconds between two values, the median.
    pub(super) fn step_seconds(&self) -> f64 {
        let mut steps: Vec<f64> = self.at.windows(2).map(|pair| seconds(pair[0], pair[1])).collect();
        median(&mut steps).unwrap_or(0.0)
    }

    /// The value at a moment, between two values that are not too far apart.
    pub(super) fn value_at(&self, at: Timestamp) -> Option<f64> {
        let after = self.at.partition_point(|one| *one < at);
        let later = *self.at.get(after)?;
        if later == at {
            return self.value.get(after).copied();
        }
        let earlier = *self.at.get(after.checked_sub(1)?)?;
        let gap = later.millis_since(earlier);
        let usual = (self.step_seconds() * 1_000.0) as i64;
        if gap <= 0 || gap > GAP_STEPS * usual.max(1_000) {
            return None;
        }
        let share = at.millis_since(earlier) as f64 / gap as f64;
        Some(self.value[after - 1] + share * (self.value[after] - self.value[after - 1]))
    }

    /// Change per second over the values before `end`: the median of the slopes between all pairs (Theil and Sen), which a
    /// few odd values do not turn.
    fn slope(&self, end: usize) -> f64 {
        let start = end.saturating_sub(TREND_POINTS);
        let mut slopes = Vec::new();
        for later in start..end {
            for earlier in start..later {
                let between = seconds(self.at[earlier], self.at[later]);
                if between > 0.0 {
                    slopes.push((self.value[later] - self.value[earlier]) / between);
                }
            }
        }
        median(&mut slopes).unwrap_or(0.0)
    }

    /// What the forecaster would have missed by at a horizon, had it been asked at each value.
    fn errors(&self, slopes: &[f64], trend_seconds: f64, horizon: f64) -> Vec<f64> {
        let ahead = |index: usize| {
            let due = self.at[index].plus_millis((horizon * 1_000.0) as i64);
            let was = self.value_at(due)?;
            Some((was - self.value[index] - slopes[index] * believed(trend_seconds, horizon)).abs())
        };
        (LEAST_POINTS - 1..self.at.len()).filter_map(ahead).collect()
    }

    fn slopes(&self) -> Vec<f64> {
        (0..self.at.len()).map(|index| self.slope(index + 1)).collect()
    }

    /// Which way it goes: by its trend, where that led further than a walk without one would.
    pub(super) fn direction(&self) -> &'static str {
        let points = self.at.len().min(TREND_POINTS);
        let Some((first, last)) =
            self.at.len().checked_sub(points).and_then(|from| self.at.get(from)).zip(self.at.last())
        else {
            return "steady";
        };
        let rise = self.slope(self.at.len()) * seconds(*first, *last);
        let walk = (2.0 * self.mean_step() * (points as f64).sqrt()).max(LEAST_HALF_WIDTH);
        match rise {
            rise if rise > walk => "rising",
            rise if rise < -walk => "falling",
            _ => "steady",
        }
    }

    fn mean_step(&self) -> f64 {
        let steps = self.value.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        steps.sum::<f64>() / self.value.len().saturating_sub(1).max(1) as f64
    }

    /// The values ahead, one by horizon; `factors` widen the bands.
    pub(super) fn ahead(&self, trend_seconds: f64, most: f64, factors: &[f64]) -> Vec<Ahead> {
        let Some(last) = self.value.last() else { return Vec::new() };
        let slopes = self.slopes();
        let slope = slopes.last().copied().unwrap_or(0.0);
        let at_horizon = |(horizon, factor): (&u64, &f64)| {
            let horizon = *horizon as f64;
            let value = (last + slope * believed(trend_seconds, horizon)).clamp(0.0, most);
            let mut errors = self.errors(&slopes, trend_seconds, horizon);
            errors.sort_by(f64::total_cmp);
            let tried = errors.len() >= LEAST_ERRORS;
            let half = if tried {
                let place = ((errors.len() as f64 * COVERAGE).ceil() as usize).clamp(1, errors.len());
                (errors[place - 1] * factor).max(LEAST_HALF_WIDTH)
            } else {
                let steps = (horizon / self.step_seconds().max(1.0)).max(1.0);
                (NINE_OF_TEN_STEPS * self.mean_step() * steps.sqrt() * factor).max(LEAST_UNTRIED_HALF_WIDTH)
            };
            let held = errors.iter().filter(|error| **error <= half).count();
            // Laplace's rule of succession.
            let score = tried.then(|| (held as f64 + 1.0) / (errors.len() as f64 + 2.0));
            let band = Range { low: (value - half).max(0.0), high: (value + half).min(most) };
            Ahead { value, band, score }
        };
        HORIZONS_SECONDS.iter().zip(factors).map(at_horizon).collect()
    }
}

/// For how many seconds' worth a trend counts at a horizon: it fades by `e` in `trend_seconds`.
fn believed(trend_seconds: f64, horizon: f64) -> f64 {
    if trend_seconds <= 0.0 { 0.0 } else { trend_seconds * (1.0 - (-horizon / trend_seconds).exp()) }
}

/// The factor of a band after it held the truth or missed it: adaptive conformal inference in logarithms (Gibbs and Candès
/// 2021), at rest where a share of [`COVERAGE`] is held.
pub(super) fn moved(factor: f64, held: bool) -> f64 {
    let step = if held { -WIDENING * (1.0 - COVERAGE) } else { WIDENING * COVERAGE };
    (factor * step.exp()).clamp(FACTORS.0, FACTORS.1)
}

/// For how long a trend is best believed, by quantity: what missed least over all horizons on these courses. A course that is
/// too short to tell believes in none.
pub(super) fn fit(courses: &[(Quantity, Course)]) -> BTreeMap<Quantity, f64> {
    let mut fitted = BTreeMap::new();
    for (quantity, _) in courses {
        if fitted.contains_key(quantity) {
            continue;
        }
        let slopes: Vec<(&Course, Vec<f64>)> =
            courses.iter().filter(|(of, _)| of == quantity).map(|(_, course)| (course, course.slopes())).collect();
        let missed = |trend: f64| -> f64 {
            let of_course = |(course, slopes): &(&Course, Vec<f64>)| -> f64 {
                let of_horizon = |horizon: &u64| {
                    let errors = course.errors(slopes, trend, *horizon as f64);
                    // By the square root of the horizon, so that the farthest does not decide alone.
                    errors.iter().sum::<f64>() / errors.len().max(1) as f64 / (*horizon as f64).sqrt()
                };
                HORIZONS_SECONDS.iter().map(of_horizon).sum()
            };
            slopes.iter().map(of_course).sum()
        };
        let best = TREND_SECONDS.iter().map(|trend| (missed(*trend), *trend)).min_by(|a, b| a.0.total_cmp(&b.0));
        fitted.insert(*quantity, best.map_or(0.0, |(_, trend)| trend));
    }
    fitted
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.millis_since(from) as f64 / 1_000.0
}

fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(values: impl IntoIterator<Item = f64>) -> Course {
        let value: Vec<f64> = values.into_iter().collect();
        Course { at: (0..value.len() as i64).map(|index| Timestamp(index * 15_000)).collect(), value }
    }

    const PLAIN: [f64; HORIZONS_SECONDS.len()] = [1.0; HORIZONS_SECONDS.len()];

    #[test]
    fn a_trend_is_believed_where_it_was_true_and_a_walk_is_not() {
        let filling = course((0..240).map(|index| 0.3 + 0.001 * f64::from(index)));
        let trends = fit(&[(Quantity::Disk, filling.clone())]);
        assert_eq!(trends[&Quantity::Disk], 1_800.0);
        let ahead = filling.ahead(trends[&Quantity::Disk], 1.0, &PLAIN);
        // 30 s are two steps.
        assert!((ahead[0].value - (0.539 + 0.002)).abs() < 1e-3, "{:?}", ahead[0]);
        assert!(ahead[0].band.contains(0.541) && ahead[0].score > Some(0.9), "{:?}", ahead[0]);
        assert_eq!((filling.direction(), course([0.5; 30]).direction()), ("rising", "steady"));
        let to_and_fro = course((0..240).map(|index| if index % 2 == 0 { 0.4 } else { 0.5 }));
        let ahead = to_and_fro.ahead(fit(&[(Quantity::Memory, to_and_fro.clone())])[&Quantity::Memory], 1.0, &PLAIN);
        assert!(ahead[1].band.low < 0.5 && ahead[1].band.high >= 0.5, "{:?}", ahead[1]);
    }

    #[test]
    fn a_short_course_is_forecast_with_a_wide_band_and_no_confidence() {
        let two = course([0.50, 0.51]);
        let ahead = two.ahead(0.0, 1.0, &PLAIN);
        assert_eq!((ahead.len(), ahead[0].value, ahead[0].score), (5, 0.51, None));
        assert_eq!(two.direction(), "steady", "two values show no trend");
        assert!(ahead[4].band.high - ahead[4].band.low > ahead[0].band.high - ahead[0].band.low);
        assert_eq!(Course::default().ahead(0.0, 1.0, &PLAIN), []);
    }

    #[test]
    fn values_never_leave_the_whole() {
        let full = course((0..60).map(|index| 0.94 + 0.001 * f64::from(index)));
        for ahead in full.ahead(1_800.0, 1.0, &PLAIN) {
            assert!(ahead.value <= 1.0 && ahead.band.high <= 1.0 && ahead.band.low >= 0.0, "{ahead:?}");
        }
    }

    #[test]
    fn a_value_between_two_is_known_and_one_in_a_gap_is_not() {
        let mut course = course([0.1, 0.2, 0.3, 0.4, 0.5]);
        assert!((course.value_at(Timestamp(22_500)).expect("known") - 0.25).abs() < 1e-12);
        assert_eq!(course.value_at(Timestamp(60_000)), Some(0.5));
        assert_eq!(course.value_at(Timestamp(60_001)), None, "nothing came since");
        course.at[4] = Timestamp(600_000);
        assert_eq!(course.value_at(Timestamp(300_000)), None, "nobody looked");
    }

    #[test]
    fn bands_come_to_hold_nine_of_ten() {
        // Truths spread evenly over 0 to 10, and a band of the factor: it comes to rest at 9.
        let (mut factor, mut held) = (1.0, 0);
        for index in 0..5_000_u64 {
            let truth = (index.wrapping_mul(7_919) % 1_000) as f64 / 100.0 * 0.8;
            let holds = truth <= factor;
            held += u64::from(holds && index >= 1_000);
            factor = moved(factor, holds);
        }
        let share = held as f64 / 4_000.0;
        assert!((share - COVERAGE).abs() < 0.02, "{share}");
        assert_eq!(moved(8.0, false), 8.0, "and they do not grow without end");
    }
}
