//! What is known beside the signals: faults, drifted columns and changes, as heat of the suspects they are about.

use crate::{config::Config, family::Family};
use tandem_sdk::{
    root_cause::Case,
    types::{Severity, Timestamp},
};

/// Kinds whose faults are symptoms that users feel; a fault of anything else is one of its inside.
const SERVING_KINDS: [&str; 4] = ["service", "model", "endpoint", "application"];
/// Heat of a fault by severity, in the spreads that a signal would have to leave its course by to say as much.
const CRITICAL_HEAT: f64 = 30.0;
const WARNING_HEAT: f64 = 12.0;
const INFO_HEAT: f64 = 4.0;
/// A fault that stood for longer than this before the onset, in milliseconds, did no harm until then …
const OLD_MILLIS: i64 = 3_600_000;
/// … and one that began later than this after it followed and did not lead.
const LATE_MILLIS: i64 = 900_000;
/// What is left of both.
const UNTIMELY_SHARE: f64 = 0.25;
/// Heat of a column that has just drifted; it grows with the drift up to `MAX_DRIFT` times.
const DRIFT_HEAT: f64 = 3.0;
const MAX_DRIFT: f64 = 6.0;
/// A change that is told a little after the onset may still have led to it: clocks differ, and deployments take time.
const CHANGE_SLACK_MILLIS: i64 = 120_000;
/// Heat of a change at the very onset; it halves over the time that counts.
const CHANGE_HEAT: f64 = 9.0;

/// What is known of a suspect beside its signals. The lists hold indices of the case.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Known {
    /// Heat by family.
    pub(crate) heat: [f64; 4],
    pub(crate) faults: Vec<u32>,
    pub(crate) drifted: Vec<u32>,
    pub(crate) changes: Vec<u32>,
    /// How firmly a timely fault of its inside says that it is broken, 0 to 1: of two that are odd, that one.
    pub(crate) broken: f64,
    /// How timely its last change is: 1 at the onset, 0.5 at the end of the time that counts, 0 without any.
    pub(crate) change: f64,
}

impl Known {
    fn warm(&mut self, family: Family, heat: f64) {
        let place = &mut self.heat[family.index()];
        *place = place.max(heat);
    }
}

/// Whether a suspect of this kind answers users.
pub(crate) fn serves(kind: &str) -> bool {
    SERVING_KINDS.contains(&kind)
}

/// What is known of every suspect.
pub(crate) fn gather(case: &Case, onset: Timestamp, config: &Config) -> Vec<Known> {
    let mut known = vec![Known::default(); case.suspects.len()];
    for (index, fault) in case.faults.iter().enumerate() {
        let over = fault.ended_at.is_some_and(|ended| ended < onset.saturating_sub(OLD_MILLIS));
        if over {
            continue;
        }
        let full = match fault.severity {
            Severity::Critical => CRITICAL_HEAT,
            Severity::Warning => WARNING_HEAT,
            Severity::Info => INFO_HEAT,
        };
        let timely = (onset.saturating_sub(OLD_MILLIS)..=onset.saturating_add(LATE_MILLIS)).contains(&fault.started_at);
        let kind = &case.suspects[fault.suspect as usize].kind;
        let suspect = &mut known[fault.suspect as usize];
        suspect.faults.push(index as u32);
        let family = if serves(kind) { Family::Errors } else { Family::Inside };
        suspect.warm(family, if timely { full } else { full * UNTIMELY_SHARE });
        if timely && family == Family::Inside {
            suspect.broken = suspect.broken.max(full / CRITICAL_HEAT);
        }
    }
    for (index, drifted) in case.drifted.iter().enumerate().filter(|(_, drifted)| drifted.value >= 1.0) {
        let suspect = &mut known[drifted.suspect as usize];
        suspect.drifted.push(index as u32);
        suspect.warm(Family::Errors, DRIFT_HEAT * drifted.value.min(MAX_DRIFT));
    }
    let window = i64::from(config.change_seconds) * 1_000;
    for (index, change) in case.changes.iter().enumerate() {
        let age = onset.saturating_sub(change.at);
        if age > window || age < -CHANGE_SLACK_MILLIS {
            continue;
        }
        let timely = 1.0 - 0.5 * age.max(0) as f64 / window.max(1) as f64;
        let suspect = &mut known[change.suspect as usize];
        suspect.changes.push(index as u32);
        suspect.change = suspect.change.max(timely);
        suspect.warm(Family::Inside, CHANGE_HEAT * timely);
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_sdk::root_cause::{Change, DriftedColumn, Fault, Suspect};

    const ONSET: Timestamp = 100_000_000;

    fn case() -> Case {
        let suspect = |kind: &str| Suspect { id: kind.into(), kind: kind.into(), attributes: Vec::new() };
        Case {
            suspects: vec![suspect("gpu"), suspect("service")],
            frames: Vec::new(),
            onset: Some(ONSET),
            asked: Vec::new(),
            dependencies: Vec::new(),
            changes: Vec::new(),
            faults: Vec::new(),
            drifted: Vec::new(),
            peers: Vec::new(),
        }
    }

    fn fault(suspect: u32, started_at: Timestamp, ended_at: Option<Timestamp>) -> Fault {
        Fault { suspect, code: "f".into(), severity: Severity::Critical, title: "F".into(), started_at, ended_at }
    }

    #[test]
    fn a_timely_fault_counts_whole_and_an_old_or_late_one_little() {
        let mut case = case();
        case.faults = vec![fault(0, ONSET - 60_000, None)];
        let timely = gather(&case, ONSET, &Config::default());
        assert_eq!(timely[0].heat[Family::Inside.index()], CRITICAL_HEAT);
        assert_eq!(timely[0].broken, 1.0);
        for started_at in [ONSET - 2 * OLD_MILLIS, ONSET + 2 * LATE_MILLIS] {
            case.faults = vec![fault(0, started_at, None)];
            let untimely = gather(&case, ONSET, &Config::default());
            assert_eq!(untimely[0].heat[Family::Inside.index()], CRITICAL_HEAT * UNTIMELY_SHARE);
            assert_eq!(untimely[0].broken, 0.0);
        }
        case.faults = vec![fault(0, 0, Some(ONSET - 2 * OLD_MILLIS))];
        assert_eq!(gather(&case, ONSET, &Config::default())[0], Known::default());
    }

    #[test]
    fn a_fault_of_who_serves_is_what_users_feel() {
        let mut case = case();
        case.faults = vec![fault(1, ONSET, None)];
        let known = gather(&case, ONSET, &Config::default());
        assert_eq!(known[1].heat, [CRITICAL_HEAT, 0.0, 0.0, 0.0]);
        assert_eq!(known[1].broken, 0.0);
    }

    #[test]
    fn changes_count_in_their_window_and_columns_from_their_threshold_on() {
        let mut case = case();
        let change = |at| Change { suspect: 1, at, code: "deployment".into(), title: String::new() };
        case.changes = vec![change(ONSET - 1_800_000), change(ONSET - 1_800_001), change(ONSET + 120_001)];
        let drifted = |value| DriftedColumn { suspect: 1, column: "age".into(), value, at: ONSET };
        case.drifted = vec![drifted(0.99), drifted(2.0), drifted(f64::NAN)];
        let known = gather(&case, ONSET, &Config::default());
        assert_eq!((known[1].changes.as_slice(), known[1].drifted.as_slice()), (&[0][..], &[1][..]));
        assert!((known[1].change - 0.5).abs() < 1e-9);
        assert_eq!(known[1].heat[Family::Errors.index()], 2.0 * DRIFT_HEAT);
    }
}
