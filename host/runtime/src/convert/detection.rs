//! Groups and frames for detectors, observations from them.

use super::{Check, labels_out, mapping::fault_rule_out, metric_type_out, moments, moments_out};
use crate::bindings::detector::exports::tandem::plugin::detector as guest;
use std::collections::BTreeMap;
use tandem_domain::{
    Failure, Timestamp,
    frame::{Attribution, Fault, Frame, Group, GroupId, GroupState, Observation, Scores},
};

/// Points answered in one call. A detector may answer late, but not more than it was ever shown; a batch is far smaller.
const MAX_SCORES_PER_CALL: usize = 4_000_000;

/// Faults in one call: every member of a rack breaking at once is some thousand.
const MAX_FAULTS_PER_CALL: usize = 20_000;

/// State of one group.
const MAX_STATE_BYTES: usize = 4 << 20;

/// For guests.
pub(crate) fn group_out(group: &Group) -> guest::Group {
    guest::Group {
        id: group.id.0,
        members: group
            .members
            .iter()
            .map(|member| guest::Member {
                name: member.name.clone(),
                unit: member.unit.clone(),
                metric_type: metric_type_out(member.metric_type),
                entity: member.entity.0.clone(),
                dimensions: labels_out(&member.dimensions),
                fault_rules: member.fault_rules.iter().map(fault_rule_out).collect(),
            })
            .collect(),
    }
}

/// For guests.
pub(crate) fn frame_out(frame: &Frame) -> guest::Frame {
    guest::Frame { group: frame.group.0, at: moments_out(&frame.at), value: frame.value.clone() }
}

/// For guests.
pub(crate) fn state_out(group: GroupId, state: &[u8]) -> guest::GroupState {
    guest::GroupState { group: group.0, state: state.to_vec() }
}

/// Checks states; all must be of groups in the watch.
pub(crate) fn states(
    check: Check<'_>,
    said: Vec<guest::GroupState>,
    groups: &BTreeMap<GroupId, Group>,
) -> Result<Vec<GroupState>, Failure> {
    check.count("states", said.len(), groups.len())?;
    said.into_iter()
        .map(|state| {
            let group = GroupId(state.group);
            if !groups.contains_key(&group) {
                return Err(check.breach("states group", format_args!("is {}, which is not in the watch", group.0)));
            }
            if state.state.len() > MAX_STATE_BYTES {
                return Err(check.breach(
                    format_args!("state of group {}", group.0),
                    format_args!("has {} bytes, at most {MAX_STATE_BYTES} are kept", state.state.len()),
                ));
            }
            Ok(GroupState { group, state: state.state })
        })
        .collect()
}

/// Checks an observation. A breach within the answer for one group costs only that group, which is named in `failed`; an
/// answer for a group that is not in the watch, or too many answers, costs the whole.
pub(crate) fn observation(
    check: Check<'_>,
    said: guest::Observation,
    groups: &BTreeMap<GroupId, Group>,
) -> Result<Observation, Failure> {
    check.count("scores", said.scores.iter().map(|scores| scores.at.len()).sum(), MAX_SCORES_PER_CALL)?;
    check.count("faults", said.faults.len(), MAX_FAULTS_PER_CALL)?;
    let mut observation = Observation::default();
    let mut failed = BTreeMap::new();
    for scores in said.scores {
        let group = group_of(check, "scores", scores.group, groups)?;
        match scores_of(check, scores, group.members.len()) {
            Ok(scores) => observation.scores.push(scores),
            Err(failure) => {
                failed.entry(group.id).or_insert(failure);
            }
        }
    }
    for fault in said.faults {
        let group = group_of(check, "faults", fault.group, groups)?;
        match fault_of(check, fault, group.members.len()) {
            Ok(fault) => observation.faults.push(fault),
            Err(failure) => {
                failed.entry(group.id).or_insert(failure);
            }
        }
    }
    observation.scores.retain(|scores| !failed.contains_key(&scores.group));
    observation.faults.retain(|fault| !failed.contains_key(&fault.group));
    observation.failed = failed.into_iter().collect();
    Ok(observation)
}

fn group_of<'g>(
    check: Check<'_>,
    field: &str,
    group: u32,
    groups: &'g BTreeMap<GroupId, Group>,
) -> Result<&'g Group, Failure> {
    groups.get(&GroupId(group)).ok_or_else(|| {
        check.breach(format_args!("{field} group"), format_args!("is {group}, which is not in the watch"))
    })
}

fn scores_of(check: Check<'_>, said: guest::Scores, members: usize) -> Result<Scores, Failure> {
    let group = said.group;
    let count = said.at.len();
    check.ascending(format_args!("scores of group {group}: at"), &said.at)?;
    check.same_length(format_args!("scores of group {group}: score"), said.score.len(), count)?;
    if let Some(odd) = said.score.iter().find(|score| !score.is_finite() || **score < 0.0) {
        return Err(check.breach(
            format_args!("scores of group {group}: score"),
            format_args!("is {odd}; a score is a finite number from 0 on"),
        ));
    }
    for (name, column) in [("low", &said.low), ("high", &said.high)] {
        if !column.is_empty() {
            check.same_length(format_args!("scores of group {group}: {name}"), column.len(), count)?;
        }
    }
    if said.low.len() != said.high.len() {
        return Err(check.breach(format_args!("scores of group {group}"), "has one end of the band without the other"));
    }
    if usize::try_from(said.warming).is_ok_and(|warming| warming > count) {
        return Err(check.breach(
            format_args!("scores of group {group}: warming"),
            format_args!("is {}, but there are only {count} points", said.warming),
        ));
    }
    check.count(format_args!("scores of group {group}: attributions"), said.attributions.len(), count)?;
    let attributions = said
        .attributions
        .into_iter()
        .map(|attribution| {
            check.index(format_args!("scores of group {group}: attributions index"), attribution.index, count)?;
            check.same_length(
                format_args!("scores of group {group}: attributions share"),
                attribution.share.len(),
                members,
            )?;
            for share in &attribution.share {
                check.finite(format_args!("scores of group {group}: attributions share"), *share)?;
            }
            Ok(Attribution { index: attribution.index, share: attribution.share })
        })
        .collect::<Result<_, Failure>>()?;
    Ok(Scores {
        group: GroupId(group),
        at: moments(said.at),
        score: said.score,
        low: said.low,
        high: said.high,
        attributions,
        warming: said.warming,
    })
}

fn fault_of(check: Check<'_>, said: guest::Fault, members: usize) -> Result<Fault, Failure> {
    check.index(format_args!("faults of group {}: member", said.group), said.member, members)?;
    Ok(Fault {
        group: GroupId(said.group),
        member: said.member,
        at: Timestamp(said.at),
        code: check.name("faults code", said.code)?,
        active: said.active,
        severity: super::severity(said.severity),
        title: check.name("faults title", said.title)?,
        advice: check.text("faults advice", said.advice)?,
        value: said.value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::{
        entity::EntityId,
        frame::Member,
        series::{Labels, MetricType},
    };

    const CHECK: Check<'static> = Check { plugin: "p", function: "detector.watch.observe" };

    fn groups(count: u32) -> BTreeMap<GroupId, Group> {
        (0..count)
            .map(|id| {
                let member = Member {
                    name: "x".into(),
                    unit: "1".into(),
                    metric_type: MetricType::Gauge,
                    entity: EntityId("host:a".into()),
                    dimensions: Labels::default(),
                    fault_rules: Vec::new(),
                };
                (GroupId(id), Group { id: GroupId(id), members: vec![member] })
            })
            .collect()
    }

    fn scores(group: u32) -> guest::Scores {
        guest::Scores {
            group,
            at: vec![1, 2],
            score: vec![0.0, 1.5],
            low: Vec::new(),
            high: Vec::new(),
            attributions: Vec::new(),
            warming: 0,
        }
    }

    fn observed(scores: Vec<guest::Scores>) -> Result<Observation, Failure> {
        observation(CHECK, guest::Observation { scores, faults: Vec::new() }, &groups(2))
    }

    #[test]
    fn a_breach_in_one_group_costs_that_group_only() {
        let mut lying = scores(1);
        lying.score.pop();
        let seen = observed(vec![scores(0), lying]).expect("the other group stands");
        assert_eq!(seen.scores.len(), 1);
        assert_eq!(seen.failed.len(), 1);
        assert_eq!(seen.failed[0].0, GroupId(1));
        assert!(seen.failed[0].1.message.contains("detector.watch.observe: scores of group 1: score has 1 values"));
    }

    #[test]
    fn nan_infinite_and_negative_scores_are_refused() {
        for odd in [f64::NAN, f64::INFINITY, -0.5] {
            let mut said = scores(0);
            said.score[1] = odd;
            assert_eq!(observed(vec![said]).expect("named").failed.len(), 1, "{odd}");
        }
    }

    #[test]
    fn moments_must_ascend_and_warming_must_fit() {
        let mut said = scores(0);
        said.at = vec![2, 2];
        assert_eq!(observed(vec![said]).expect("named").failed.len(), 1);
        let mut said = scores(0);
        said.warming = 3;
        assert_eq!(observed(vec![said]).expect("named").failed.len(), 1);
        let mut said = scores(0);
        said.low = vec![0.0, 0.0];
        assert_eq!(observed(vec![said]).expect("named").failed.len(), 1);
        let mut said = scores(0);
        said.attributions = vec![guest::Attribution { index: 2, share: vec![1.0] }];
        assert_eq!(observed(vec![said]).expect("named").failed.len(), 1);
    }

    #[test]
    fn an_answer_for_a_foreign_group_costs_the_whole() {
        assert!(observed(vec![scores(9)]).expect_err("refused").message.contains("scores group is 9"));
    }
}
