//! What an alert is about. Answers that are wrong and what is slow, fails or is broken do not explain each other: a slow disk makes
//! no model wrong, and a worse model makes no disk slow. So they are two incidents, and people are told of both, unless something
//! says that one thing has done both: a change of the service, or a person.

use crate::{
    config::Config,
    record::{AlertRecord, ChangeRecord, MILLIS_PER_SECOND},
};

/// Whether two alerts that are near in time and connected may hang on one cause.
pub fn may_share_a_cause<'c>(
    config: &Config,
    changes: impl IntoIterator<Item = &'c ChangeRecord>,
    one: &AlertRecord,
    other: &AlertRecord,
) -> bool {
    is_about_answers(config, &one.code) == is_about_answers(config, &other.code)
        || changes.into_iter().any(|change| is_before_both(config, change, one, other))
}

/// Whether an alert of this code says that answers are wrong, rather than that something is slow, fails or is broken.
fn is_about_answers(config: &Config, code: &str) -> bool {
    let mut known = config.answer_codes.iter();
    known.any(|known| code.strip_prefix(known.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// Whether both are of the entity that was changed, and began so shortly after the change that it is a likely cause of each: a new
/// version may be slow and wrong.
fn is_before_both(config: &Config, change: &ChangeRecord, one: &AlertRecord, other: &AlertRecord) -> bool {
    let reach = i64::from(config.change_seconds) * MILLIS_PER_SECOND;
    [one, other]
        .iter()
        .all(|alert| alert.entity == change.entity && (0..=reach).contains(&alert.joined_at.saturating_sub(change.at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const MINUTE: i64 = 60_000;

    fn alert(entity: &str, code: &str, at: i64) -> AlertRecord {
        AlertRecord {
            code: code.into(),
            level: 1,
            title: String::new(),
            entity: entity.into(),
            scope: BTreeMap::new(),
            started_at: at,
            joined_at: at,
            changed_at: at,
            firing: true,
            incident: String::new(),
        }
    }

    fn change(entity: &str, at: i64) -> ChangeRecord {
        ChangeRecord { at, entity: entity.into(), code: "deployment.applied".into(), title: String::new() }
    }

    #[test]
    fn wrong_answers_are_told_from_all_else_by_their_code() {
        let answer_codes = vec!["objective.quality".to_owned(), "ModelDrift".to_owned()];
        let config = Config { answer_codes, ..Config::default() };
        for code in ["objective.quality", "objective.quality.7d", "ModelDrift"] {
            assert!(is_about_answers(&config, code), "{code}");
        }
        for code in ["objective.latency", "objective.qualitys", "verdict.blamed", "quality", "gpu.xid.79", ""] {
            assert!(!is_about_answers(&config, code), "{code}");
        }
    }

    #[test]
    fn alerts_of_two_natures_have_two_causes() {
        let config = Config::default();
        let (wrong, slow) = (alert("service:a", "objective.quality", 0), alert("service:a", "objective.latency", 0));
        let (disk, upstream) = (alert("disk:x", "disk.failing", 0), alert("service:b", "objective.quality", 0));
        for (one, other, expected) in
            [(&wrong, &slow, false), (&disk, &wrong, false), (&slow, &disk, true), (&wrong, &upstream, true)]
        {
            assert_eq!(may_share_a_cause(&config, [], one, other), expected, "{one:?} {other:?}");
            assert_eq!(may_share_a_cause(&config, [], other, one), expected, "{other:?} {one:?}");
        }
    }

    #[test]
    fn a_change_shortly_before_both_may_have_done_both() {
        let config = Config::default();
        let wrong = alert("service:a", "objective.quality", 10 * MINUTE);
        let slow = |entity, at| alert(entity, "objective.latency", at);
        let share = |change: &ChangeRecord, slow: &AlertRecord| may_share_a_cause(&config, [change], &wrong, slow);
        assert!(share(&change("service:a", 0), &slow("service:a", 2 * MINUTE)));
        assert!(!share(&change("service:a", 5 * MINUTE), &slow("service:a", 2 * MINUTE)), "it was slow before");
        assert!(!share(&change("service:a", -21 * MINUTE), &slow("service:a", 2 * MINUTE)), "long before");
        assert!(!share(&change("service:b", 0), &slow("service:a", 2 * MINUTE)), "another was changed");
        assert!(!share(&change("service:a", 0), &slow("service:b", 2 * MINUTE)), "another is slow");
        let mut flapping = slow("service:a", -60 * MINUTE);
        flapping.started_at = 2 * MINUTE;
        assert!(!share(&change("service:a", 0), &flapping), "it came and went before");
    }
}
