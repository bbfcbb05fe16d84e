//! Meanings as detectors see them: fault rules on canonical values, and how often learned state is saved. Pure.

use tandem_domain::meaning::{Condition, FaultRule, MeaningBody, Range};

/// States saved per second as long as none waits for longer than [`UNSAVED_MILLIS`] by it: most of what is written in a quiet
/// hour are states, and at some 500 bytes each in the file these are 3 GB a day.
const STATES_PER_SECOND: i64 = 64;
/// How long learned state may go unsaved, in milliseconds: the samples of so long are kept in the log, and read again after a crash.
const UNSAVED_MILLIS: i64 = 600_000;
/// States saved per second at most, however long they wait.
const MOST_STATES_PER_SECOND: i64 = 500;

/// A range of sent values as a range of canonical ones; the ends change places when the scale is negative.
fn canonical_range(range: Range, body: &MeaningBody) -> Range {
    let (low, high) = (range.low * body.scale + body.offset, range.high * body.scale + body.offset);
    if body.scale < 0.0 { Range { low: high, high: low } } else { Range { low, high } }
}

/// A meaning's fault rules on canonical values.
pub fn canonical_rules(body: &MeaningBody) -> Vec<FaultRule> {
    let convert = |rule: &FaultRule| FaultRule {
        condition: match rule.condition {
            Condition::Within(range) => Condition::Within(canonical_range(range, body)),
            Condition::ChangedTo(range) => Condition::ChangedTo(canonical_range(range, body)),
            rises @ Condition::Rises { .. } => rises,
        },
        resting: rule.resting.map(|value| value * body.scale + body.offset),
        ..rule.clone()
    };
    body.fault_rules.iter().map(convert).collect()
}

/// The canonical value of a sent one; NaN for whatever is not a finite number.
pub fn canonical_value(body: &MeaningBody, sent: f64) -> f64 {
    let value = body.canonical(sent);
    if value.is_finite() { value } else { f64::NAN }
}

/// How long learned state may go unsaved: longer where there is much of it, so that saving never takes over the disk.
pub fn snapshot_interval_millis(configured_seconds: u64, groups: usize) -> i64 {
    let at_rate = |rate: i64| groups as i64 * 1_000 / rate;
    let by_size = at_rate(STATES_PER_SECOND).min(UNSAVED_MILLIS).max(at_rate(MOST_STATES_PER_SECOND));
    (configured_seconds as i64 * 1_000).max(by_size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tandem_domain::{Severity, series::Labels};

    fn body(scale: f64, offset: f64, condition: Condition) -> MeaningBody {
        let rule = FaultRule {
            code: "c".into(),
            condition,
            severity: Severity::Warning,
            title: String::new(),
            advice: String::new(),
            resting: Some(3.0),
            rest_seconds: 0,
        };
        MeaningBody {
            name: "n".into(),
            unit: "1".into(),
            scale,
            offset,
            missing: vec![Range { low: 1e19, high: f64::INFINITY }],
            dimensions: Labels::default(),
            fault_rules: vec![rule],
        }
    }

    #[test]
    fn open_ends_stay_open_and_the_resting_value_moves_along() {
        let range = Range { low: f64::NEG_INFINITY, high: 10.0 };
        let rules = canonical_rules(&body(0.01, 1.0, Condition::Within(range)));
        assert_eq!(rules[0].condition, Condition::Within(Range { low: f64::NEG_INFINITY, high: 1.1 }));
        assert_eq!(rules[0].resting, Some(1.03));
        let rules = canonical_rules(&body(-2.0, 0.0, Condition::ChangedTo(range)));
        assert_eq!(rules[0].condition, Condition::ChangedTo(Range { low: -20.0, high: f64::INFINITY }));
    }

    #[test]
    fn missing_and_infinite_values_are_nan() {
        let body = body(1.0, 0.0, Condition::Rises { rest_seconds: 1 });
        assert!(canonical_value(&body, 9_223_372_036_854_775_794.0 * 2.0).is_nan());
        assert!(canonical_value(&body, f64::NEG_INFINITY).is_nan());
        assert_eq!(canonical_value(&body, 5.0), 5.0);
    }

    #[test]
    fn much_state_is_saved_less_often() {
        assert_eq!(snapshot_interval_millis(30, 1_000), 30_000);
        assert_eq!(snapshot_interval_millis(30, 16_000), 250_000);
        assert_eq!(snapshot_interval_millis(30, 100_000), UNSAVED_MILLIS);
        assert_eq!(snapshot_interval_millis(30, 1_000_000), 2_000_000);
    }

    proptest! {
        #[test]
        fn a_value_lies_in_the_canonical_range_exactly_when_it_lay_in_the_sent_one(
            low in -100..100_i32, width in 0..50_i32, value in -200..200_i32,
            scale in prop::sample::select(vec![-4.0, -1.0, -0.5, 0.25, 1.0, 2.0]), offset in -8..8_i32,
        ) {
            // Powers of two and small integers: exact in floating point.
            let range = Range { low: f64::from(low), high: f64::from(low + width) };
            let body = body(scale, f64::from(offset), Condition::Within(range));
            let Condition::Within(canonical) = canonical_rules(&body)[0].condition else { unreachable!() };
            let sent = f64::from(value);
            prop_assert_eq!(range.contains(sent), canonical.contains(body.canonical(sent)));
        }
    }
}
