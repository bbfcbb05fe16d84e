//! XID errors: what each number means and what to do. Classes after NVIDIA's XID catalogue, which groups by resolution.

use tandem_sdk::{
    mapper::{Condition, FaultRule, Range},
    types::Severity,
};

/// The highest XID number in use with room to grow; above it there is no rule.
const MAX_XID: u32 = 1000;
/// How long after an application's XID the fault counts as over, in seconds: the application has restarted or given up by then.
const APPLICATION_REST_SECONDS: u32 = 900;

/// How an XID is dealt with.
#[derive(Clone, Copy)]
enum Class {
    /// The application's own fault, or harmless.
    Application,
    /// The GPU repaired itself; a trend to watch.
    Watch,
    /// The application must be restarted, the GPU is good.
    RestartApplication,
    /// The GPU must be drained, reset or repaired.
    Repair,
}

const KNOWN: [(u32, Class, &str); 20] = [
    (13, Class::Application, "graphics engine exception"),
    (31, Class::Application, "GPU memory page fault"),
    (43, Class::Application, "GPU stopped processing"),
    (45, Class::Application, "pre-emptive cleanup after another error"),
    (48, Class::Repair, "double-bit ECC error"),
    (61, Class::Repair, "internal micro-controller breakpoint"),
    (62, Class::Repair, "internal micro-controller halt"),
    (63, Class::Watch, "row remapping or page retirement recorded"),
    (64, Class::Repair, "row remapping or page retirement failed"),
    (74, Class::Repair, "NVLink error"),
    (79, Class::Repair, "GPU has fallen off the bus"),
    (92, Class::Watch, "high single-bit ECC error rate"),
    (94, Class::RestartApplication, "contained ECC error"),
    (95, Class::Repair, "uncontained ECC error"),
    (109, Class::Application, "context switch timeout"),
    (119, Class::Repair, "GSP firmware does not answer"),
    (120, Class::Repair, "GSP firmware error"),
    (136, Class::Repair, "link training failed"),
    (140, Class::Repair, "unrecovered ECC error"),
    (143, Class::Repair, "GPU initialisation error"),
];

impl Class {
    fn severity(self) -> Severity {
        match self {
            Class::Application => Severity::Info,
            Class::Watch | Class::RestartApplication => Severity::Warning,
            Class::Repair => Severity::Critical,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Class::Application => "Look at the application that used the GPU; the GPU itself is most likely good.",
            Class::Watch => "Watch the rate of corrected errors; have the GPU checked when it grows.",
            Class::RestartApplication => "Restart the application that used the GPU; the error did not spread.",
            Class::Repair => "Drain the GPU, reset it, and have it repaired when the error comes back.",
        }
    }

    fn rest_seconds(self) -> u32 {
        match self {
            Class::Application => APPLICATION_REST_SECONDS,
            _ => 0,
        }
    }
}

/// One rule per known XID and one per gap between them, for the gauge that holds the number of the last XID.
pub(crate) fn rules_for_last_xid() -> Vec<FaultRule> {
    let mut rules = Vec::with_capacity(2 * KNOWN.len() + 1);
    let mut next_unknown = 1;
    for (number, class, what) in KNOWN {
        if next_unknown < number {
            rules.push(unknown(next_unknown, number - 1));
        }
        rules.push(FaultRule {
            code: format!("gpu.xid.{number}"),
            condition: Condition::ChangedTo(Range { low: number.into(), high: number.into() }),
            severity: class.severity(),
            title: format!("XID {number}: {what}"),
            advice: class.advice().into(),
            resting: Some(0.0),
            rest_seconds: class.rest_seconds(),
        });
        next_unknown = number + 1;
    }
    rules.push(unknown(next_unknown, MAX_XID));
    rules
}

fn unknown(low: u32, high: u32) -> FaultRule {
    FaultRule {
        code: "gpu.xid.other".into(),
        condition: Condition::ChangedTo(Range { low: low.into(), high: high.into() }),
        severity: Severity::Warning,
        title: "an XID without an entry in the table".into(),
        advice: "Look the number up in NVIDIA's XID catalogue.".into(),
        resting: Some(0.0),
        rest_seconds: APPLICATION_REST_SECONDS,
    }
}

/// The rule for a series that counts one XID within a window: a repeat of the same XID shows here, and not on the gauge.
pub(crate) fn rule_for_count(xid: u32) -> FaultRule {
    let (class, what) = KNOWN
        .iter()
        .find(|(number, ..)| *number == xid)
        .map_or((Class::Watch, "no entry in the table"), |(_, class, what)| (*class, *what));
    FaultRule {
        code: format!("gpu.xid.{xid}"),
        condition: Condition::Within(Range { low: 1.0, high: f64::INFINITY }),
        severity: class.severity(),
        title: format!("XID {xid}: {what}"),
        advice: class.advice().into(),
        resting: None,
        rest_seconds: 0,
    }
}

/// The rule for a plain counter of all XIDs, which does not say which.
pub(crate) fn rule_for_total() -> FaultRule {
    FaultRule {
        code: "gpu.xid.other".into(),
        condition: Condition::Rises(APPLICATION_REST_SECONDS),
        severity: Severity::Warning,
        title: "a new XID error".into(),
        advice: "Look the number up in the kernel log and in NVIDIA's XID catalogue.".into(),
        resting: None,
        rest_seconds: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_exactly_one_rule() {
        let rules = rules_for_last_xid();
        for xid in 1..=MAX_XID {
            let fitting = rules.iter().filter(|rule| match rule.condition {
                Condition::ChangedTo(range) => range.low <= xid.into() && f64::from(xid) <= range.high,
                _ => false,
            });
            assert_eq!(fitting.count(), 1, "XID {xid}");
        }
    }

    #[test]
    fn falling_off_the_bus_is_critical_and_an_application_fault_is_not() {
        let rules = rules_for_last_xid();
        let severity = |code: &str| rules.iter().find(|rule| rule.code == code).expect("a rule").severity;
        assert!(matches!(severity("gpu.xid.79"), Severity::Critical));
        assert!(matches!(severity("gpu.xid.31"), Severity::Info));
        assert!(matches!(severity("gpu.xid.94"), Severity::Warning));
    }
}
