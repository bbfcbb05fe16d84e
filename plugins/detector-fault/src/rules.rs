//! When a fault rule is on: one small state machine per rule, fed with the points of one series.

use tandem_sdk::mapper::{Condition, FaultRule, Range};

/// Milliseconds in a second: moments are milliseconds, rests are seconds.
const MILLIS_PER_SECOND: i64 = 1_000;

/// What a rule remembers between points.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RuleState {
    /// The last value seen; none before the first.
    pub seen: Option<f64>,
    /// Whether the fault is on.
    pub active: bool,
    /// Whether the begin of the fault was told and its end was not.
    pub reported: bool,
    /// The moment of the last change (`changed-to`) or rise (`rises`).
    pub last_event_ms: i64,
}

impl RuleState {
    /// Takes one point. A missing value changes nothing.
    pub fn step(&mut self, rule: &FaultRule, at_ms: i64, value: f64) {
        if value.is_nan() {
            return;
        }
        match &rule.condition {
            Condition::Within(range) => self.active = contains(range, value),
            Condition::ChangedTo(range) => self.changed_to(rule, range, at_ms, value),
            Condition::Rises(rest_seconds) => self.rises(*rest_seconds, at_ms, value),
        }
        self.seen = Some(value);
    }

    /// Whether the begin or end of the fault has to be told now: each is told exactly once.
    pub fn report(&mut self, switched_off: bool) -> Option<bool> {
        let wanted = self.active && !switched_off;
        (wanted != self.reported).then(|| {
            self.reported = wanted;
            wanted
        })
    }

    /// Forgets a fault that history alone would keep on for ever: with neither a resting value nor a rest time only a
    /// person ends it, and that person may have done so already.
    pub fn settle_after_history(&mut self, rule: &FaultRule) {
        let endless = rule.resting.is_none() && rule.rest_seconds == 0;
        if matches!(rule.condition, Condition::ChangedTo(_)) && endless && !self.reported {
            self.active = false;
        }
    }

    fn changed_to(&mut self, rule: &FaultRule, range: &Range, at_ms: i64, value: f64) {
        let changed = match self.seen {
            Some(last) => last != value,
            // Without a declared resting value nothing tells a first value from one that has stood there for weeks.
            None => rule.resting.is_some_and(|resting| resting != value),
        };
        if rule.resting == Some(value) {
            self.active = false;
        } else if changed && contains(range, value) {
            self.active = true;
            self.last_event_ms = at_ms;
        } else if self.active && rule.rest_seconds > 0 && rested(self.last_event_ms, at_ms, rule.rest_seconds) {
            self.active = false;
        }
    }

    fn rises(&mut self, rest_seconds: u32, at_ms: i64, value: f64) {
        // A counter that fell was reset and counts from 0 again: what it shows now has happened since.
        let risen = self.seen.is_some_and(|last| value > last || (value < last && value > 0.0));
        if risen {
            self.active = true;
            self.last_event_ms = at_ms;
        } else if self.active && rested(self.last_event_ms, at_ms, rest_seconds) {
            self.active = false;
        }
    }
}

fn contains(range: &Range, value: f64) -> bool {
    range.low <= value && value <= range.high
}

fn rested(since_ms: i64, at_ms: i64, rest_seconds: u32) -> bool {
    at_ms.saturating_sub(since_ms) >= i64::from(rest_seconds) * MILLIS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_sdk::types::Severity;

    fn rule(condition: Condition, resting: Option<f64>, rest_seconds: u32) -> FaultRule {
        FaultRule {
            code: "test.fault".into(),
            condition,
            severity: Severity::Critical,
            title: "Test".into(),
            advice: "Mend it.".into(),
            resting,
            rest_seconds,
        }
    }

    /// Feeds one point a minute; gives the minutes at which begin (+) and end (-) were told.
    fn told(rule: &FaultRule, values: &[f64]) -> String {
        let mut state = RuleState::default();
        let mut text = String::new();
        for (minute, value) in values.iter().enumerate() {
            state.step(rule, minute as i64 * 60_000, *value);
            if let Some(active) = state.report(false) {
                text += &format!("{}{minute} ", if active { '+' } else { '-' });
            }
        }
        text.trim_end().to_owned()
    }

    fn range(low: f64, high: f64) -> Range {
        Range { low, high }
    }

    #[test]
    fn within_fires_at_once_and_ends_when_the_value_leaves_the_range() {
        let rule = rule(Condition::Within(range(2.0, f64::INFINITY)), None, 0);
        assert_eq!(told(&rule, &[2.0, 3.0, 1.9, 1.0, 9.0]), "+0 -2 +4");
        assert_eq!(told(&rule, &[1.0, 1.0]), "");
    }

    #[test]
    fn a_missing_value_changes_nothing() {
        let within = rule(Condition::Within(range(1.0, 1.0)), None, 0);
        assert_eq!(told(&within, &[f64::NAN, 1.0, f64::NAN, f64::NAN, 0.0]), "+1 -4");
        let changed = rule(Condition::ChangedTo(range(79.0, 79.0)), Some(0.0), 60);
        assert_eq!(told(&changed, &[0.0, 79.0, f64::NAN, f64::NAN]), "+1");
        let rises = rule(Condition::Rises(60), None, 0);
        assert_eq!(told(&rises, &[5.0, f64::NAN, 5.0, 6.0, f64::NAN, f64::NAN]), "+3");
    }

    #[test]
    fn changed_to_begins_at_the_change_and_ends_at_the_resting_value() {
        let rule = rule(Condition::ChangedTo(range(79.0, 79.0)), Some(0.0), 0);
        assert_eq!(told(&rule, &[0.0, 0.0, 79.0, 79.0, 79.0, 0.0, 79.0]), "+2 -5 +6");
    }

    #[test]
    fn another_code_in_the_same_gauge_does_not_end_a_hardware_fault() {
        let rule = rule(Condition::ChangedTo(range(79.0, 79.0)), Some(0.0), 0);
        assert_eq!(told(&rule, &[0.0, 79.0, 48.0, 48.0, 0.0]), "+1 -4");
    }

    #[test]
    fn changed_to_fires_on_first_sight_only_where_a_resting_value_is_declared() {
        assert_eq!(told(&rule(Condition::ChangedTo(range(1.0, 99.0)), Some(0.0), 0), &[79.0, 79.0]), "+0");
        assert_eq!(told(&rule(Condition::ChangedTo(range(0.0, 99.0)), Some(0.0), 0), &[0.0, 0.0]), "");
        assert_eq!(told(&rule(Condition::ChangedTo(range(1.0, 99.0)), None, 0), &[79.0, 79.0, 31.0]), "+2");
    }

    #[test]
    fn changed_to_rests_from_the_last_change_and_not_from_the_first() {
        let rule = rule(Condition::ChangedTo(range(1.0, 99.0)), Some(0.0), 120);
        // 31 at minute 1, 43 at minute 2: the two minutes count from the second change.
        assert_eq!(told(&rule, &[0.0, 31.0, 43.0, 43.0, 43.0, 43.0]), "+1 -4");
        // The value still stands there: that is no new fault.
        assert_eq!(told(&rule, &[0.0, 31.0, 31.0, 31.0, 31.0, 31.0, 0.0, 31.0]), "+1 -3 +7");
    }

    #[test]
    fn rises_begins_with_each_rise_and_ends_after_the_rest() {
        let rule = rule(Condition::Rises(180), None, 0);
        assert_eq!(told(&rule, &[7.0, 7.0, 8.0, 9.0, 9.0, 9.0, 9.0, 10.0]), "+2 -6 +7");
    }

    #[test]
    fn a_counter_reset_is_no_rise_unless_it_counted_since() {
        let rule = rule(Condition::Rises(60), None, 0);
        assert_eq!(told(&rule, &[7.0, 0.0, 0.0]), "");
        assert_eq!(told(&rule, &[7.0, 2.0]), "+1");
    }

    #[test]
    fn history_alone_leaves_no_fault_that_only_a_person_could_end() {
        let endless = rule(Condition::ChangedTo(range(1.0, 99.0)), None, 0);
        let mut state = RuleState::default();
        state.step(&endless, 0, 0.0);
        state.step(&endless, 60_000, 79.0);
        state.settle_after_history(&endless);
        assert_eq!(state.report(false), None);
        let resting = rule(Condition::ChangedTo(range(1.0, 99.0)), Some(0.0), 0);
        let mut state = RuleState::default();
        state.step(&resting, 0, 79.0);
        state.settle_after_history(&resting);
        assert_eq!(state.report(false), Some(true));
    }
}
