//! What is usual of the time that requests take and of the share that fails, and what lies outside. Pure.
//!
//! A time is held against the middle of its own past and against how far that past varied, in logarithms, since times multiply
//! rather than add. Median and median deviation (Huber, Robust Statistics, 1981) are not moved by the few bad minutes that
//! every past has; an upper quantile beside them takes in a past with two habits.

use super::super::rules::least_share;
use std::collections::VecDeque;

/// Requests whose mean is looked at together at the least; slots with fewer are taken together with those before.
const TOGETHER: f64 = 20.0;
/// With fewer nothing is said.
const LEAST_TOGETHER: f64 = 5.0;
/// Slots that are taken together at the most: two minutes.
const MOST_SLOTS_TOGETHER: usize = 8;
/// Means that a past must hold before anything is said: what twenty minutes of quarters of a minute have.
pub const LEAST_PAST: usize = 80;
/// The same of a service with little traffic, whose means take more slots together.
const LEAST_PAST_SPARSE: usize = 20;
/// Nothing is later than usual that is not at least so many times as late: nobody feels less.
pub const LEAST_RATIO: f64 = 1.25;
/// And it must be so many standard deviations of the past away.
const DEVIATIONS: f64 = 5.0;
/// From the median absolute deviation to the standard deviation of a normal distribution.
const TO_DEVIATION: f64 = 1.4826;
/// The part of the past's means that may lie above its upper quantile.
const UPPER: f64 = 0.95;
/// And it must be so many times the upper quantile.
const ABOVE_UPPER: f64 = 1.1;

/// A share of failures is none that anybody feels below this.
const LEAST_FAILING: f64 = 0.005;
/// And it must be so many times what was usual.
const TIMES_FAILING: f64 = 3.0;

/// What was counted in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sent {
    /// Requests.
    pub requests: f64,
    /// Those that failed.
    pub failed: f64,
    /// Requests whose time was taken.
    pub timed: f64,
    /// Seconds that these took together.
    pub seconds: f64,
}

impl Sent {
    /// The share of requests that failed; 0 of none.
    pub fn failed_share(&self) -> f64 {
        if self.requests > 0.0 { self.failed / self.requests } else { 0.0 }
    }

    /// The share of requests that certainly failed.
    pub fn least_failed_share(&self) -> f64 {
        least_share(self.failed, self.requests)
    }

    /// Both together.
    pub fn and(self, other: Sent) -> Sent {
        Sent {
            requests: self.requests + other.requests,
            failed: self.failed + other.failed,
            timed: self.timed + other.timed,
            seconds: self.seconds + other.seconds,
        }
    }
}

/// Means over requests that are taken together, oldest first.
pub fn means(past: &VecDeque<Sent>) -> Vec<f64> {
    let (mut means, mut together, mut slots) = (Vec::with_capacity(past.len()), Sent::default(), 0);
    for sent in past {
        together = together.and(*sent);
        slots += 1;
        if together.timed >= TOGETHER || slots == MOST_SLOTS_TOGETHER {
            if together.timed >= LEAST_TOGETHER && together.seconds > 0.0 {
                means.push(together.seconds / together.timed);
            }
            (together, slots) = (Sent::default(), 0);
        }
    }
    means
}

/// The mean of now: of the newest slot, with as many before it as it takes; none where there are too few requests.
pub fn mean_now<'s>(newest_first: impl Iterator<Item = &'s Sent>) -> Option<f64> {
    let mut together = Sent::default();
    for sent in newest_first.take(MOST_SLOTS_TOGETHER) {
        together = together.and(*sent);
        if together.timed >= TOGETHER {
            break;
        }
    }
    (together.timed >= LEAST_TOGETHER && together.seconds > 0.0).then(|| together.seconds / together.timed)
}

/// What times are expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// What was usual, in seconds.
    pub usual: f64,
    /// A mean above it is later than usual.
    pub bound: f64,
}

/// What a past lets expect; none where it is too short. `slots` is how many it spans.
pub fn expected(mut means: Vec<f64>, slots: usize) -> Option<Expected> {
    if slots < LEAST_PAST || means.len() < LEAST_PAST_SPARSE {
        return None;
    }
    let usual = quantile(&mut means, 0.5);
    let upper = quantile(&mut means, UPPER);
    let mut away: Vec<f64> = means.iter().map(|mean| (mean / usual).ln().abs()).collect();
    let deviation = TO_DEVIATION * quantile(&mut away, 0.5);
    let bound = (usual * LEAST_RATIO).max(usual * (DEVIATIONS * deviation).exp()).max(upper * ABOVE_UPPER);
    (usual > 0.0 && bound.is_finite()).then_some(Expected { usual, bound })
}

/// The value below which a part of all lies; 0 of nothing.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let place = ((values.len() - 1) as f64 * part).round() as usize;
    *values.select_nth_unstable_by(place, f64::total_cmp).1
}

/// The share of failures from which on a service fails more than usual, given what failed in its past.
pub fn failing_bound(past: Sent) -> f64 {
    (past.failed_share() * TIMES_FAILING).max(LEAST_FAILING)
}

/// Whether more than a share of requests is certainly bad, of at least so many.
pub fn is_certain(bad: f64, total: f64, share: f64, least_bad: f64) -> bool {
    bad >= least_bad && least_share(bad, total) >= share
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(timed: f64, mean: f64) -> Sent {
        Sent { requests: timed, failed: 0.0, timed, seconds: timed * mean }
    }

    #[test]
    fn a_calm_past_expects_a_quarter_more_at_the_most_and_a_wild_one_more() {
        let calm: Vec<f64> = (0..200).map(|i| 0.020 + 0.0002 * f64::from(i % 5)).collect();
        let expected_calm = expected(calm, 200).expect("enough");
        assert!((expected_calm.bound / expected_calm.usual - LEAST_RATIO).abs() < 1e-9, "{expected_calm:?}");
        let wild: Vec<f64> = (0..200).map(|i| 0.010 * 2f64.powi(i % 4)).collect();
        let expected_wild = expected(wild, 200).expect("enough");
        assert!(expected_wild.bound > 0.08, "eight times was usual: {expected_wild:?}");
        assert_eq!(expected(vec![0.02; 79], 79), None, "twenty minutes are wanted");
    }

    #[test]
    fn a_few_bad_minutes_in_the_past_do_not_move_what_is_usual() {
        let mut past = vec![0.020; 200];
        past[50..58].fill(0.2);
        let expected = expected(past, 200).expect("enough");
        assert_eq!((expected.usual, expected.bound), (0.020, 0.025));
    }

    #[test]
    fn requests_that_come_seldom_are_taken_together() {
        let busy: VecDeque<Sent> = std::iter::repeat_n(slot(30.0, 0.1), 10).collect();
        assert_eq!(means(&busy).len(), 10);
        let quiet: VecDeque<Sent> = std::iter::repeat_n(slot(3.0, 0.1), 21).collect();
        assert_eq!(means(&quiet).len(), 3);
        let silent: VecDeque<Sent> = std::iter::repeat_n(slot(0.5, 0.1), 80).collect();
        assert_eq!(means(&silent), Vec::<f64>::new(), "four in two minutes say nothing");
        assert_eq!(mean_now(silent.iter()), None);
        assert!(mean_now(quiet.iter()).is_some_and(|mean| (mean - 0.1).abs() < 1e-12));
    }

    #[test]
    fn failures_are_held_against_half_a_percent_and_against_what_was_usual() {
        let past = |failed| Sent { requests: 10_000.0, failed, timed: 0.0, seconds: 0.0 };
        assert_eq!(failing_bound(past(2.0)), LEAST_FAILING);
        assert_eq!(failing_bound(past(100.0)), 0.03);
        assert!(is_certain(60.0, 3_000.0, 0.005, 10.0));
        assert!(!is_certain(5.0, 20.0, 0.005, 10.0), "five failures say little");
    }

    proptest! {
        #[test]
        fn the_bound_lies_above_the_usual_and_scales_with_the_unit(
            past in prop::collection::vec(1e-4_f64..1e2, 80..300), unit in 1e-3_f64..1e3
        ) {
            let slots = past.len();
            let scaled = expected(past.iter().map(|mean| mean * unit).collect(), slots).expect("enough");
            let expected = expected(past, slots).expect("enough");
            prop_assert!(expected.bound >= expected.usual * LEAST_RATIO * (1.0 - 1e-9));
            prop_assert!((scaled.bound / (expected.bound * unit) - 1.0).abs() < 1e-6);
        }
    }
}
