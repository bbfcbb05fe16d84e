//! When an objective is burning. Pure.
//!
//! Two windows each, as the Site Reliability Workbook has it ("Alerting on SLOs", multiwindow, multi-burn-rate): the long one says
//! that it matters, the short one that it still goes on. Against false alarms at low traffic a window speaks only when there
//! are enough bad ones, and when the share that they are of is above what is allowed even at the lower end of its confidence.

use tandem_domain::{
    Severity,
    objective::{BUDGET_DAYS, Counted, Indicator, Keeping, Objective},
};

/// Two windows that together say that a budget burns.
struct Pair {
    short_minutes: i64,
    long_minutes: i64,
    /// How many times too fast.
    factor: f64,
    /// And at least this share.
    least: f64,
    severity: Severity,
}

const fn pair(short_minutes: i64, long_minutes: i64, factor: f64, severity: Severity) -> Pair {
    Pair { short_minutes, long_minutes, factor, least: 0.0, severity }
}

/// The workbook's pairs: 2, 5, 10 and 10 % of the budget within the long window. Before them an outage: a quarter of all for minutes
/// is felt, however large the budget is, and a loose objective would let it last half an hour.
const PAIRS: [Pair; 5] = [
    Pair { short_minutes: 2, long_minutes: 5, factor: 3.0, least: 0.25, severity: Severity::Critical },
    pair(5, 60, 14.4, Severity::Critical),
    pair(30, 360, 6.0, Severity::Critical),
    pair(120, 1_440, 3.0, Severity::Warning),
    pair(360, 4_320, 1.0, Severity::Warning),
];

impl Pair {
    /// The share of bad from which on it speaks; a loose objective cannot be missed by more than everything.
    fn share(&self, objective: &Objective) -> f64 {
        (objective.allowed() * self.factor).max(self.least).min(0.9)
    }
}

/// The minutes that are counted, ascending.
pub const WINDOWS_MINUTES: [i64; 8] = [2, 5, 30, 60, 120, 360, 1_440, 4_320];

/// The longest of them.
pub const LONGEST_MINUTES: i64 = 4_320;

/// Standard deviations of the confidence: 95 % to each side.
const CONFIDENCE: f64 = 1.645;

/// Lower end of the share of `bad` among `total` (Wilson's score interval, JASA 22, 1927).
pub fn least_share(bad: f64, total: f64) -> f64 {
    if total <= 0.0 {
        return 0.0;
    }
    let (share, square) = ((bad / total).clamp(0.0, 1.0), CONFIDENCE * CONFIDENCE);
    let middle = share + square / (2.0 * total);
    let half = CONFIDENCE * (share * (1.0 - share) / total + square / (4.0 * total * total)).sqrt();
    ((middle - half) / (1.0 + square / total)).max(0.0)
}

/// How an objective stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Whether it is kept.
    pub keeping: Keeping,
    /// How bad it is, when it is not.
    pub severity: Option<Severity>,
    /// In one sentence.
    pub sentence: String,
}

fn found(counted: &[Counted], minutes: i64) -> Counted {
    counted.iter().copied().find(|one| one.minutes == minutes).unwrap_or(Counted { minutes, ..Counted::default() })
}

/// Whether the share of bad in a window is certainly above one.
fn is_above(share: f64, window: Counted, least_bad: f64) -> bool {
    // What nobody counted is taken for good: a service that is minutes old has not spent the budget of days.
    window.bad() >= least_bad && least_share(window.bad(), window.total_of_all_minutes()) >= share
}

/// Judges an objective by what was counted.
pub fn judge(objective: &Objective, counted: &[Counted], least_bad: f64) -> Judged {
    let burning = PAIRS.iter().find(|pair| {
        let share = pair.share(objective);
        // The short window may hold few: that it goes on is enough there.
        let goes_on = found(counted, pair.short_minutes).bad_share().is_some_and(|now| now >= share);
        goes_on && is_above(share, found(counted, pair.long_minutes), least_bad)
    });
    let lately = found(counted, 60);
    match burning {
        Some(pair) => Judged {
            keeping: Keeping::Burning,
            severity: Some(pair.severity),
            sentence: burning_sentence(objective, found(counted, pair.short_minutes)),
        },
        None if lately.total <= 0.0 => Judged {
            keeping: Keeping::Unknown,
            severity: None,
            sentence: format!("no {} in the last hour", things(objective)),
        },
        None => Judged { keeping: Keeping::Kept, severity: None, sentence: kept_sentence(objective, lately) },
    }
}

fn things(objective: &Objective) -> &'static str {
    match objective.indicator {
        Indicator::Availability | Indicator::Latency { .. } => "request was counted",
        Indicator::Quality => "label came",
    }
}

fn what(objective: &Objective, window: Counted) -> String {
    let (percent, total) = (100.0 * window.bad_share().unwrap_or(0.0), window.total);
    match objective.indicator {
        Indicator::Availability => format!("{percent:.2} % of {total:.0} requests failed"),
        Indicator::Latency { within_seconds } => {
            format!("{percent:.2} % of {total:.0} requests took longer than {within_seconds} s")
        }
        Indicator::Quality => format!("{percent:.2} % of {total:.0} predictions disagreed with their label"),
    }
}

fn burning_sentence(objective: &Objective, short: Counted) -> String {
    let share = short.bad_share().unwrap_or(0.0);
    let days = BUDGET_DAYS as f64 * objective.allowed() / share.max(f64::MIN_POSITIVE);
    let left = if days >= 2.0 { format!("{days:.0} days") } else { format!("{:.1} hours", days * 24.0) };
    format!(
        "{} in the last {} minutes; the objective allows {:.3} %, and its {BUDGET_DAYS} days' worth is gone in {left}",
        what(objective, short),
        short.minutes,
        100.0 * objective.allowed(),
    )
}

fn kept_sentence(objective: &Objective, lately: Counted) -> String {
    format!("{} in the last hour; the objective allows {:.3} %", what(objective, lately), 100.0 * objective.allowed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STRICT: Objective = Objective { indicator: Indicator::Availability, target: 0.999 };

    /// The same share of bad over all windows at so many requests a minute.
    fn steady(per_minute: f64, bad_share: f64, minutes: i64) -> Vec<Counted> {
        let of = |window: i64| {
            let (counted, total) = (window.min(minutes), per_minute * window.min(minutes) as f64);
            let covered = counted as f64 / window as f64;
            Counted { minutes: window, covered, good: total * (1.0 - bad_share), total }
        };
        WINDOWS_MINUTES.iter().map(|window| of(*window)).collect()
    }

    #[test]
    fn the_intervals_lower_end_is_that_of_the_books() {
        // 10 of 100 at 90 % two-sided confidence.
        assert!((least_share(10.0, 100.0) - 0.0607).abs() < 0.001, "{}", least_share(10.0, 100.0));
        assert_eq!(least_share(0.0, 100.0), 0.0);
        assert_eq!(least_share(3.0, 0.0), 0.0);
    }

    #[test]
    fn a_service_that_fails_a_lot_burns_at_once_and_one_that_fails_a_little_in_days() {
        let judged = judge(&STRICT, &steady(100.0, 0.3, 5), 10.0);
        assert_eq!(judge(&STRICT, &steady(100.0, 0.002, 60), 10.0).keeping, Keeping::Kept, "an hour is no three days");
        assert_eq!((judged.keeping, judged.severity), (Keeping::Burning, Some(Severity::Critical)));
        assert!(judged.sentence.contains("30.00 % of 200 requests failed"), "{}", judged.sentence);
        let slow = judge(&STRICT, &steady(100.0, 0.002, 4_320), 10.0);
        assert_eq!((slow.keeping, slow.severity), (Keeping::Burning, Some(Severity::Warning)));
        assert_eq!(judge(&STRICT, &steady(100.0, 0.0005, 4_320), 10.0).keeping, Keeping::Kept);
    }

    #[test]
    fn one_failure_among_a_handful_says_nothing() {
        assert_eq!(judge(&STRICT, &steady(0.2, 0.5, 10), 10.0).keeping, Keeping::Kept);
        assert_eq!(judge(&STRICT, &steady(0.0, 0.0, 60), 10.0).keeping, Keeping::Unknown);
    }

    #[test]
    fn what_is_over_is_over_though_the_hour_still_remembers_it() {
        let mut counted = steady(100.0, 0.3, 60);
        for window in counted.iter_mut().filter(|window| window.minutes <= 5) {
            window.good = window.total;
        }
        // The half hour before it goes on in the slower pair, since its short window still holds failures.
        let calm: Vec<Counted> =
            counted.iter().copied().filter(|window| [2, 5, 60].contains(&window.minutes)).collect();
        assert_eq!(judge(&STRICT, &calm, 10.0).keeping, Keeping::Kept);
    }

    #[test]
    fn a_loose_objective_can_be_missed_too() {
        let loose = Objective { indicator: Indicator::Quality, target: 0.8 };
        assert_eq!(judge(&loose, &steady(10.0, 0.95, 60), 10.0).keeping, Keeping::Burning);
        assert_eq!(judge(&loose, &steady(10.0, 0.15, 60), 10.0).keeping, Keeping::Kept);
    }

    proptest! {
        #[test]
        fn more_bad_is_never_better(per_minute in 0.1_f64..1e4, share in 0.0_f64..1.0, more in 0.0_f64..1.0) {
            let worse = share + (1.0 - share) * more;
            let burns = |share| judge(&STRICT, &steady(per_minute, share, 4_320), 10.0).keeping == Keeping::Burning;
            prop_assert!(!burns(share) || burns(worse));
        }
        #[test]
        fn the_lower_end_lies_below_the_share(bad in 0.0_f64..1e5, more in 0.0_f64..1e6) {
            let total = bad + more;
            let least = least_share(bad, total);
            prop_assert!(least >= 0.0 && (total == 0.0 || least <= bad / total + 1e-12));
        }
    }
}
