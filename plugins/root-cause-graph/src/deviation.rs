//! How far a signal left its course after the onset, in spreads of its own before it, and in which direction.

/// Fewest values before the onset to speak of a course.
pub(crate) const MIN_BEFORE: usize = 8;
/// From so many values on, the last part before the onset is not learned from: detectors report late, and what they call
/// "before" holds the beginning of the fault.
const GUARD_FROM: usize = 40;
/// Share of the time before the onset that is learned from then.
const LEARNED_SHARE: f64 = 0.75;
/// Share of the values after the onset that must be as far out as the score says; one stray value among many is none.
const STANDING_SHARE: f64 = 0.05;
/// The interquartile range of a normal distribution in standard deviations.
const IQR_IN_SIGMA: f64 = 1.349;
/// The 99th percentile of a normal distribution in standard deviations.
const P99_IN_SIGMA: f64 = 2.326;
/// Less than this share of its level is no change of a signal, however still it was.
const MIN_RELATIVE_SPREAD: f64 = 0.01;
/// A signal that was there less often than this is told for being there as much as for its value, and counts that much less.
const USUAL_PRESENCE: f64 = 0.25;
/// What counts for a signal that stood at one value and left it: it has no spread to measure by. It counts up to three times
/// as much the longer it stays away.
const FROM_NOTHING: f64 = 10.0;
const STAYS_AWAY: f64 = 2.0;
/// Away for a smaller share of the time than this it counts that much less: of hundreds of counters that stand still, there is always
/// one that has just moved twice.
const OFTEN_AWAY: f64 = 0.2;
/// Beyond it "far" says nothing more.
pub(crate) const MAX_SCORE: f64 = 1_000_000.0;

/// The course of a signal before the onset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Course {
    middle: f64,
    /// One standard deviation upwards, of a normal distribution with this spread and this tail.
    up: f64,
    down: f64,
    /// 1 for a signal that was there most of the time, less for a rare one.
    presence: f64,
}

/// A quantile of sorted values, interpolated.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * part
}

pub(crate) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

impl Course {
    /// Learns from the values before the onset; nothing where they are too few. Median and quartiles bear a quarter of
    /// strays; the 99th percentiles beside them keep a signal that spikes every hour from being told for its next spike.
    pub(crate) fn learn(before: &[f64], least_spread: f64) -> Option<Self> {
        let learned =
            if before.len() >= GUARD_FROM { &before[..(before.len() as f64 * LEARNED_SHARE) as usize] } else { before };
        Self::of(learned).map(|course| course.at_least(least_spread))
    }

    /// Learns from all of these values.
    pub(crate) fn of(learned: &[f64]) -> Option<Self> {
        let values = sorted(learned.iter().copied());
        if values.len() < MIN_BEFORE {
            return None;
        }
        let middle = quantile(&values, 0.5);
        let spread = (quantile(&values, 0.75) - quantile(&values, 0.25)) / IQR_IN_SIGMA;
        let least = spread.max(middle.abs() * MIN_RELATIVE_SPREAD);
        let up = least.max((quantile(&values, 0.99) - middle) / P99_IN_SIGMA);
        let down = least.max((middle - quantile(&values, 0.01)) / P99_IN_SIGMA);
        let presence = (values.len() as f64 / learned.len() as f64 / USUAL_PRESENCE).min(1.0);
        // Values at the end of what a number can hold have no spread that is one.
        [middle, up, down].iter().all(|value| value.is_finite()).then_some(Self { middle, up, down, presence })
    }

    /// The same with a spread of so much at the least.
    fn at_least(self, spread: f64) -> Self {
        Self { up: self.up.max(spread), down: self.down.max(spread), ..self }
    }

    /// How far a value is from the course, with its direction as sign; 0 for a missing one.
    pub(crate) fn distance(&self, value: f64) -> f64 {
        let away = value - self.middle;
        let spread = if away > 0.0 { self.up } else { self.down };
        if !away.is_finite() || away == 0.0 {
            0.0
        } else if spread == 0.0 {
            FROM_NOTHING.copysign(away) * self.presence
        } else {
            (away / spread).clamp(-MAX_SCORE, MAX_SCORE) * self.presence
        }
    }
}

/// What a signal did after the onset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Deviation {
    /// Distance upwards that at least one value in twenty reaches; 0 or more.
    pub(crate) up: f64,
    /// The same downwards.
    pub(crate) down: f64,
    /// Distance in the middle of the time after the onset, with its sign.
    pub(crate) standing: f64,
    /// Its level in the middle of the time after, in times of what it was; 1 where it was nothing or less.
    pub(crate) times: f64,
    /// Distances moment by moment.
    pub(crate) profile: Vec<f64>,
}

impl Deviation {
    /// Nothing where there is nothing to compare. No spread is taken for less than `least_spread`, in the signal's own unit.
    pub(crate) fn of(before: &[f64], after: &[f64], least_spread: f64) -> Option<Self> {
        let course = Course::learn(before, least_spread)?;
        let profile: Vec<f64> = after.iter().map(|value| course.distance(*value)).collect();
        let there = sorted(after.iter().zip(&profile).filter(|(value, _)| value.is_finite()).map(|(_, d)| *d));
        if there.is_empty() {
            return None;
        }
        let few = ((there.len() as f64 * STANDING_SHARE).ceil() as usize).clamp(1, there.len());
        let longer = |away: usize| {
            let share = away as f64 / there.len() as f64;
            (1.0 + STAYS_AWAY * share) * (share / OFTEN_AWAY).min(1.0)
        };
        let (mut up, mut down) = (there[there.len() - few].max(0.0), (-there[few - 1]).max(0.0));
        if course.up == 0.0 {
            up *= longer(there.iter().filter(|distance| **distance > 0.0).count());
        }
        if course.down == 0.0 {
            down *= longer(there.iter().filter(|distance| **distance < 0.0).count());
        }
        let level = quantile(&sorted(after.iter().copied()), 0.5);
        let times = if course.middle > 0.0 { level / course.middle } else { 1.0 };
        Some(Self { up, down, standing: quantile(&there, 0.5), times, profile })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A level with noise of a twentieth of it, the same in every run.
    fn noisy(level: f64, count: usize) -> Vec<f64> {
        (0..count).map(|i| level * (1.0 + 0.05 * (((i * 7_919) % 101) as f64 / 50.0 - 1.0))).collect()
    }

    fn of(before: &[f64], after: &[f64]) -> Deviation {
        Deviation::of(before, after, 0.0).expect("enough values")
    }

    #[test]
    fn units_do_not_matter_and_directions_do() {
        let (before, after) = (noisy(3.0, 200), noisy(6.0, 40));
        let (small, large) = (of(&before, &after), {
            let scaled = |values: &[f64]| values.iter().map(|value| value * 1e9).collect::<Vec<_>>();
            of(&scaled(&before), &scaled(&after))
        });
        assert!((small.up - large.up).abs() < 1e-6 && small.up > 20.0, "{} {}", small.up, large.up);
        assert_eq!(small.down, 0.0);
        let fallen = of(&after, &before);
        assert!(fallen.down > 10.0 && fallen.up == 0.0 && fallen.standing < -10.0, "{fallen:?}");
    }

    #[test]
    fn a_quarter_of_strays_before_the_onset_changes_little() {
        let clean = noisy(3.0, 300);
        let mut late = clean.clone();
        late[240..].copy_from_slice(&noisy(30.0, 60));
        let after = noisy(30.0, 100);
        let (clean, late) = (of(&clean, &after).up, of(&late, &after).up);
        assert!((clean / late - 1.0).abs() < 0.1, "{clean} {late}");
    }

    #[test]
    fn a_signal_that_always_spikes_is_not_told_for_its_next_spike() {
        let spiking = |count: usize| -> Vec<f64> {
            noisy(1.0, count)
                .iter()
                .enumerate()
                .map(|(i, value)| if i % 20 == 0 { value * 10.0 } else { *value })
                .collect()
        };
        assert!(of(&spiking(400), &spiking(40)).up < 3.0);
        assert!(of(&noisy(1.0, 400), &spiking(40)).up > 50.0);
    }

    #[test]
    fn one_stray_value_among_many_is_none() {
        let mut after = noisy(1.0, 100);
        after[50] = 1_000.0;
        assert!(of(&noisy(1.0, 100), &after).up < 3.0);
    }

    #[test]
    fn a_still_signal_is_measured_by_its_level_and_one_at_nothing_by_how_long_it_moves() {
        let still = of(&[100.0; 60], &[101.0; 20]);
        assert!((still.up - 1.0).abs() < 1e-9, "{still:?}");
        let mut after = [0.0; 20];
        assert_eq!(of(&[0.0; 60], &after).up, 0.0);
        after[3] = 1.0;
        let once = of(&[0.0; 60], &after).up;
        after[..5].fill(1.0);
        let often = of(&[0.0; 60], &after).up;
        let always = of(&[0.0; 60], &[1e-9; 20]).up;
        assert!(once < 3.0 && often > FROM_NOTHING && often < always, "{once} {often} {always}");
        assert_eq!(always, 3.0 * FROM_NOTHING);
    }

    #[test]
    fn a_rare_signal_counts_less_and_gaps_count_nothing() {
        let gappy = |step: usize| -> Vec<f64> {
            noisy(1.0, 400).iter().enumerate().map(|(i, value)| if i % step == 0 { *value } else { f64::NAN }).collect()
        };
        let (usual, rare) = (of(&gappy(2), &noisy(2.0, 20)).up, of(&gappy(20), &noisy(2.0, 20)).up);
        assert!(rare < usual * 0.4, "{rare} {usual}");
        assert_eq!(Deviation::of(&noisy(1.0, 7), &noisy(2.0, 20), 0.0), None);
        assert_eq!(Deviation::of(&noisy(1.0, 50), &[f64::NAN; 5], 0.0), None);
        assert_eq!(Deviation::of(&[f64::MAX, f64::MIN].repeat(20), &[0.0; 5], 0.0), None);
    }
}
