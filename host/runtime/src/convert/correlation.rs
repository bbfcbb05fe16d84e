//! Deltas for correlators, groupings from them.

use super::{Check, labels_out};
use crate::bindings::correlator::exports::tandem::plugin::correlator as guest;
use tandem_domain::{
    Failure,
    alert::AlertState,
    entity::EntityId,
    incident::{Cause, Signal},
    ports::{CorrelationDelta, Grouping},
};

/// Incidents that may change in one call.
const MAX_GROUPINGS: usize = 20_000;

/// Alerts or findings in one incident.
const MAX_MEMBERS: usize = 200_000;

/// Ranked causes of one incident; nobody reads more.
const MAX_CAUSES: usize = 1_000;

/// For guests.
pub(crate) fn delta_out(delta: &CorrelationDelta) -> guest::Delta {
    guest::Delta {
        now: delta.now.0,
        alerts: delta
            .alerts
            .iter()
            .map(|alert| guest::Alert {
                fingerprint: alert.fingerprint.0.clone(),
                state: match alert.state {
                    AlertState::Firing => guest::AlertState::Firing,
                    AlertState::Resolved => guest::AlertState::Resolved,
                },
                code: alert.code.clone(),
                severity: super::severity_out(alert.severity),
                title: alert.title.clone(),
                entity: alert.entity.0.clone(),
                labels: labels_out(&alert.labels),
                started_at: alert.started_at.0,
                changed_at: alert.changed_at.0,
            })
            .collect(),
        findings: delta
            .findings
            .iter()
            .map(|finding| guest::Finding {
                id: finding.id,
                entity: finding.entity.0.clone(),
                name: finding.name.clone(),
                started_at: finding.started_at.0,
                ended_at: finding.ended_at.map(|at| at.0),
                score: finding.score,
                value: finding.value,
                low: finding.low,
                high: finding.high,
            })
            .collect(),
        changes: delta
            .changes
            .iter()
            .map(|change| guest::Change {
                at: change.at.0,
                entity: change.entity.0.clone(),
                code: change.code.clone(),
                title: change.title.clone(),
            })
            .collect(),
        feedback: delta
            .feedback
            .iter()
            .map(|(incident, fingerprints, belongs)| guest::Feedback {
                incident: incident.clone(),
                fingerprints: fingerprints.clone(),
                belongs: *belongs,
            })
            .collect(),
    }
}

/// Checks groupings.
pub(crate) fn groupings(check: Check<'_>, said: Vec<guest::Grouping>) -> Result<Vec<Grouping>, Failure> {
    check.count("groupings", said.len(), MAX_GROUPINGS)?;
    said.into_iter().enumerate().map(|(i, grouping)| grouping_of(check, i, grouping)).collect()
}

fn grouping_of(check: Check<'_>, i: usize, said: guest::Grouping) -> Result<Grouping, Failure> {
    check.count(format_args!("groupings[{i}].fingerprints"), said.fingerprints.len(), MAX_MEMBERS)?;
    check.count(format_args!("groupings[{i}].findings"), said.findings.len(), MAX_MEMBERS)?;
    check.count(format_args!("groupings[{i}].causes"), said.causes.len(), MAX_CAUSES)?;
    let key = check.name(format_args!("groupings[{i}].key"), said.key)?;
    let merged_into =
        said.merged_into.map(|into| check.name(format_args!("groupings[{i}].merged-into"), into)).transpose()?;
    if merged_into.as_ref() == Some(&key) {
        return Err(check.breach(format_args!("groupings[{i}].merged-into"), "is the incident itself"));
    }
    Ok(Grouping {
        key,
        title: check.name(format_args!("groupings[{i}].title"), said.title)?,
        fingerprints: said
            .fingerprints
            .into_iter()
            .map(|fingerprint| check.name(format_args!("groupings[{i}].fingerprints"), fingerprint))
            .collect::<Result<_, _>>()?,
        findings: said.findings,
        causes: said
            .causes
            .into_iter()
            .enumerate()
            .map(|(c, cause)| cause_of(check, i, c, cause))
            .collect::<Result<_, _>>()?,
        merged_into,
    })
}

fn cause_of(check: Check<'_>, i: usize, c: usize, said: guest::Cause) -> Result<Cause, Failure> {
    let score = check.finite(format_args!("groupings[{i}].causes[{c}].score"), said.score)?;
    if !(0.0..=1.0).contains(&score) {
        return Err(check.breach(
            format_args!("groupings[{i}].causes[{c}].score"),
            format_args!("is {score}; it lies between 0 and 1"),
        ));
    }
    check.count(format_args!("groupings[{i}].causes[{c}].signals"), said.signals.len(), MAX_CAUSES)?;
    Ok(Cause {
        entity: EntityId(check.name(format_args!("groupings[{i}].causes[{c}].entity"), said.entity)?),
        score,
        signals: said
            .signals
            .into_iter()
            .map(|signal| {
                Ok(Signal {
                    score: check.finite(format_args!("groupings[{i}].causes[{c}].signals score"), signal.score)?,
                    name: check.name(format_args!("groupings[{i}].causes[{c}].signals name"), signal.name)?,
                })
            })
            .collect::<Result<_, Failure>>()?,
        sentence: check.text(format_args!("groupings[{i}].causes[{c}].sentence"), said.sentence)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> guest::Grouping {
        guest::Grouping {
            key: "k".into(),
            title: "t".into(),
            fingerprints: vec!["f".into()],
            findings: vec![1],
            causes: vec![guest::Cause {
                entity: "gpu:1".into(),
                score: 1.0,
                signals: Vec::new(),
                sentence: "it fell off the bus".into(),
            }],
            merged_into: None,
        }
    }

    #[test]
    fn causes_outside_zero_to_one_and_self_merges_are_refused() {
        let check = Check { plugin: "p", function: "correlator.session.update" };
        assert_eq!(groupings(check, vec![said()]).expect("good").len(), 1);
        let mut odd = said();
        odd.causes[0].score = 1.5;
        let text = groupings(check, vec![odd]).expect_err("refused").message;
        assert!(text.contains("groupings[0].causes[0].score is 1.5"), "{text}");
        let mut odd = said();
        odd.merged_into = Some("k".into());
        assert!(groupings(check, vec![odd]).is_err());
    }
}
