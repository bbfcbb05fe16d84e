//! Whom a verdict blames, in brief, for those who put together what several services feel of one cause. Pure.

use super::{ANSWERING, Diagnosis, TriggerKind, Trouble};
use tandem_domain::{
    entity::EntityId,
    graph::DependencyGraph,
    verdict::{Blame, CauseKind, Verdict},
};

/// Whom a verdict blames for what users of its service feel; none while nobody was asked about the present trouble.
pub(super) fn blame(
    verdict: &Verdict,
    trouble: &Trouble,
    diagnosis: Option<&Diagnosis>,
    graph: &DependencyGraph,
) -> Option<Blame> {
    let diagnosis = diagnosis.filter(|diagnosis| diagnosis.is_about(trouble))?;
    let feels = trouble.triggers.iter().any(|trigger| trigger.kind == TriggerKind::Symptom);
    let candidates = diagnosis.outcome.as_ref().map(|answer| answer.candidates.as_slice()).unwrap_or_default();
    let confident = verdict.grounds.confident;
    let below = verdict.cause_entity.as_ref().filter(|entity| {
        let lies_below = matches!(verdict.cause, CauseKind::Infrastructure | CauseKind::Both);
        // An incident names whom it was told to blame: without another sign that is an echo of an earlier verdict.
        let has_witness = confident || candidates.iter().any(|candidate| candidate.entity == **entity);
        feels && lies_below && has_witness && !ANSWERING.contains(&entity.kind())
    });
    let why =
        |entity: &EntityId| candidates.iter().find(|candidate| candidate.entity == *entity).map(|one| &one.sentence);
    Some(Blame {
        service: verdict.service.clone(),
        asked_at: diagnosis.asked_at,
        settled: feels && (confident || diagnosis.outcome.is_err()),
        entity: below.cloned(),
        within: below.into_iter().flat_map(|entity| graph.containers_of(entity)).cloned().collect(),
        sentence: below.map(|entity| why(entity).unwrap_or(&verdict.sentence).clone()).unwrap_or_default(),
    })
}

/// Whether two say the same, whenever they were asked and whatever figures they give for it.
pub(super) fn same(one: &Blame, other: &Blame) -> bool {
    (one.settled, &one.entity, &one.within) == (other.settled, &other.entity, &other.within)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Answer, Trigger},
        *,
    };
    use tandem_domain::{
        Failure, FailureCode, Timestamp,
        relation::{Relation, RelationKind},
        verdict::{Candidate, Grounds, Health, InfrastructureAnswer, ModelAnswer},
    };

    fn verdict(cause: CauseKind, entity: &str, confident: bool) -> Verdict {
        Verdict {
            service: "chat".into(),
            at: Timestamp(0),
            model: ModelAnswer { state: Health::Ok, since: None, evidence: Vec::new() },
            infrastructure: InfrastructureAnswer { state: Health::Degraded, since: None, incidents: Vec::new() },
            cause,
            cause_entity: Some(EntityId(entity.into())),
            sentence: "chat depends on what fails".into(),
            grounds: Grounds { confident, ..Grounds::default() },
            demonstration: None,
        }
    }

    fn trouble(kind: TriggerKind) -> Trouble {
        let triggers = vec![Trigger { kind, which: "latency".into(), since: Timestamp(0) }];
        Trouble { triggers, onset: Timestamp(0) }
    }

    fn diagnosis(kind: TriggerKind, candidates: &[&str]) -> Diagnosis {
        let candidate = |id: &&str| Candidate {
            entity: EntityId((*id).into()),
            name: (*id).into(),
            score: 1.0,
            kind: CauseKind::Infrastructure,
            sentence: format!("{id} is odd."),
            path: Vec::new(),
            signals: Vec::new(),
        };
        let candidates = candidates.iter().map(candidate).collect();
        Diagnosis {
            service: "chat".into(),
            case: 1,
            asked_at: Timestamp(0),
            onset: Timestamp(0),
            triggers: trouble(kind).triggers,
            predictions_before: 0,
            caveats: Vec::new(),
            outcome: Ok(Answer { confident: false, confidence: 0.4, doubt: String::new(), candidates }),
        }
    }

    fn asked_about(verdict: &Verdict, kind: TriggerKind, diagnosis: Option<&Diagnosis>) -> Option<Blame> {
        let switch = Relation {
            dependent: EntityId("switch:a".into()),
            dependency: EntityId("interface:1".into()),
            kind: RelationKind::Contains,
            source: "test".into(),
            seen_at: Timestamp(0),
        };
        blame(verdict, &trouble(kind), diagnosis, &DependencyGraph::new([&switch]))
    }

    fn told(verdict: &Verdict, diagnosis: &Diagnosis) -> (bool, Option<String>, String) {
        let blame = asked_about(verdict, TriggerKind::Symptom, Some(diagnosis)).expect("it was asked");
        (blame.settled, blame.entity.map(|entity| entity.0), blame.sentence)
    }

    #[test]
    fn the_verdict_says_who_and_not_whom_the_plugin_put_first() {
        let asked = diagnosis(TriggerKind::Symptom, &["replica:a", "interface:1"]);
        let unsure = verdict(CauseKind::Infrastructure, "interface:1", false);
        assert_eq!(told(&unsure, &asked), (false, Some("interface:1".into()), "interface:1 is odd.".into()));
        let sure = verdict(CauseKind::Both, "gpu:0", true);
        assert_eq!(told(&sure, &asked), (true, Some("gpu:0".into()), "chat depends on what fails".into()));
        let within = |verdict| asked_about(verdict, TriggerKind::Symptom, Some(&asked)).expect("it was asked").within;
        assert_eq!((within(&unsure), within(&sure)), (vec![EntityId("switch:a".into())], Vec::new()));
    }

    #[test]
    fn an_echo_the_service_itself_and_the_model_are_not_blamed() {
        let asked = diagnosis(TriggerKind::Symptom, &["interface:1"]);
        assert_eq!(told(&verdict(CauseKind::Infrastructure, "gpu:0", false), &asked).1, None);
        assert_eq!(told(&verdict(CauseKind::Infrastructure, "service:chat", true), &asked).1, None);
        assert_eq!(told(&verdict(CauseKind::Model, "model-version:a@2", true), &asked), (true, None, String::new()));
    }

    #[test]
    fn an_answer_about_other_trouble_settles_nothing_and_none_at_all_settles() {
        let verdict = verdict(CauseKind::Data, "interface:1", true);
        let about_drift = diagnosis(TriggerKind::Drift, &[]);
        assert_eq!(asked_about(&verdict, TriggerKind::Symptom, Some(&about_drift)), None);
        assert_eq!(asked_about(&verdict, TriggerKind::Symptom, None), None);
        let unfelt = asked_about(&verdict, TriggerKind::Drift, Some(&about_drift)).expect("it was asked");
        assert_eq!((unfelt.settled, unfelt.entity), (false, None));
        let failed = Diagnosis {
            outcome: Err(Failure::passing(FailureCode::Internal, "it trapped half-way")),
            ..diagnosis(TriggerKind::Symptom, &[])
        };
        assert!(told(&Verdict { grounds: Grounds::default(), ..verdict }, &failed).0);
    }
}
