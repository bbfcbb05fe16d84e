//! Cases for those who rank root causes, rankings from them.

use super::{Check, labels_out, moments_out, relation_kind_out, severity_out};
use crate::bindings::root_cause::exports::tandem::plugin::root_cause as guest;
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    cause::{Case, Direction, Evidence, RankedCause, Ranking, SignalClass, SignalFrame},
    verdict::CauseKind,
};

/// Values of all signals of one case: 16 MB, a quarter of what a plugin may use. Thousands of series over some hundred moments.
pub(crate) const MAX_CASE_VALUES: usize = 2_000_000;

/// Suspects, signals, edges, changes, faults or drifted columns of one case.
const MAX_CASE_ENTRIES: usize = 100_000;

/// Ranked causes of one case; nobody reads more.
const MAX_CAUSES: usize = 1_000;

/// Signals, changes, faults or drifted columns told of one cause, and steps of its path.
const MAX_EVIDENCE: usize = 1_000;

/// For guests; refuses a case that contradicts itself or is too large, because the guest would be blamed for it.
pub(crate) fn case_out(check: Check<'_>, case: &Case) -> Result<guest::Case, Failure> {
    let refused = |why: String| check.placed(Failure::lasting(FailureCode::Malformed, why));
    if let Some(why) = case.contradiction() {
        return Err(refused(format!("the case contradicts itself: {why}")));
    }
    let values: usize = case.frames.iter().map(|frame| frame.value.len()).sum();
    if values > MAX_CASE_VALUES {
        return Err(refused(format!(
            "the case has {values} values, at most {MAX_CASE_VALUES} are shown; leave out signals or moments"
        )));
    }
    let entries = [
        case.suspects.len(),
        case.signals().count(),
        case.dependencies.len(),
        case.changes.len(),
        case.faults.len(),
        case.drifted.len(),
        case.peers.iter().map(Vec::len).sum(),
    ];
    if let Some(count) = entries.into_iter().find(|count| *count > MAX_CASE_ENTRIES) {
        return Err(refused(format!(
            "the case has a list of {count} entries, at most {MAX_CASE_ENTRIES} are shown; leave out what is far away"
        )));
    }
    Ok(guest::Case {
        suspects: case
            .suspects
            .iter()
            .map(|suspect| guest::Suspect {
                id: suspect.id.0.clone(),
                kind: suspect.kind.clone(),
                attributes: labels_out(&suspect.attributes),
            })
            .collect(),
        frames: case.frames.iter().map(frame_out).collect(),
        onset: case.onset.map(|onset| onset.0),
        asked: case.asked.clone(),
        dependencies: case
            .dependencies
            .iter()
            .map(|edge| guest::Dependency {
                dependent: edge.dependent,
                dependency: edge.dependency,
                kind: relation_kind_out(edge.kind),
            })
            .collect(),
        changes: changes_out(case),
        faults: faults_out(case),
        drifted: case
            .drifted
            .iter()
            .map(|drifted| guest::DriftedColumn {
                suspect: drifted.suspect,
                column: drifted.column.clone(),
                value: drifted.value,
                at: drifted.at.0,
            })
            .collect(),
        peers: case.peers.iter().map(|peers| guest::PeerGroup { suspects: peers.clone() }).collect(),
    })
}

fn frame_out(frame: &SignalFrame) -> guest::Frame {
    let signals = frame.signals.iter().map(|signal| guest::Signal {
        suspect: signal.suspect,
        name: signal.name.clone(),
        class: match signal.class {
            SignalClass::Internal => guest::SignalClass::Internal,
            SignalClass::External => guest::SignalClass::External,
            SignalClass::Unknown => guest::SignalClass::Unknown,
        },
    });
    guest::Frame { at: moments_out(&frame.at), signals: signals.collect(), value: frame.value.clone() }
}

fn changes_out(case: &Case) -> Vec<guest::Change> {
    case.changes
        .iter()
        .map(|change| guest::Change {
            suspect: change.suspect,
            at: change.at.0,
            code: change.code.clone(),
            title: change.title.clone(),
        })
        .collect()
}

fn faults_out(case: &Case) -> Vec<guest::Fault> {
    case.faults
        .iter()
        .map(|fault| guest::Fault {
            suspect: fault.suspect,
            code: fault.code.clone(),
            severity: severity_out(fault.severity),
            title: fault.title.clone(),
            started_at: fault.started_at.0,
            ended_at: fault.ended_at.map(|ended| ended.0),
        })
        .collect()
}

/// Checks the answer to a case.
pub(crate) fn ranking(check: Check<'_>, said: guest::Ranking, case: &guest::Case) -> Result<Ranking, Failure> {
    check.count("causes", said.causes.len(), MAX_CAUSES)?;
    let confidence = share(check, "confidence", said.confidence)?;
    let signals = case.frames.iter().map(|frame| frame.signals.len()).sum();
    let causes = said
        .causes
        .into_iter()
        .enumerate()
        .map(|(c, cause)| cause_of(check, c, cause, case, signals))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(c) = causes.windows(2).position(|pair| pair[0].score < pair[1].score) {
        return Err(check.breach(format_args!("causes[{}].score", c + 1), "is higher than the one before; best first"));
    }
    let mut told: Vec<u32> = causes.iter().map(|cause| cause.suspect).collect();
    told.sort_unstable();
    if let Some(pair) = told.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(check.breach("causes", format_args!("name suspect {} twice", pair[0])));
    }
    if said.confident && causes.is_empty() {
        return Err(check.breach("confident", "is true, but no cause is named"));
    }
    let doubt = check.text("doubt", said.doubt)?;
    if !said.confident && doubt.trim().is_empty() {
        return Err(check.breach("doubt", "is empty, but the answer is not confident; it must say why"));
    }
    Ok(Ranking { onset: said.onset.map(Timestamp), confident: said.confident, confidence, causes, doubt })
}

fn share(check: Check<'_>, field: impl std::fmt::Display + Copy, value: f64) -> Result<f64, Failure> {
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(check.breach(field, format_args!("is {value}; it lies between 0 and 1")))
    }
}

fn cause_of(
    check: Check<'_>,
    c: usize,
    said: guest::Cause,
    case: &guest::Case,
    signals: usize,
) -> Result<RankedCause, Failure> {
    check.index(format_args!("causes[{c}].suspect"), said.suspect, case.suspects.len())?;
    let indices = |name: &str, list: Vec<u32>, length: usize| -> Result<Vec<u32>, Failure> {
        check.count(format_args!("causes[{c}].{name}"), list.len(), MAX_EVIDENCE)?;
        for index in &list {
            check.index(format_args!("causes[{c}].{name}"), *index, length)?;
        }
        Ok(list)
    };
    check.count(format_args!("causes[{c}].signals"), said.signals.len(), MAX_EVIDENCE)?;
    let path = indices("path", said.path, case.suspects.len())?;
    if path.last() != Some(&said.suspect) {
        return Err(check.breach(format_args!("causes[{c}].path"), "does not end at the suspect"));
    }
    Ok(RankedCause {
        suspect: said.suspect,
        score: share(check, format_args!("causes[{c}].score"), said.score)?,
        kind: match said.kind {
            Some(guest::CauseKind::Model) => CauseKind::Model,
            Some(guest::CauseKind::Data) => CauseKind::Data,
            Some(guest::CauseKind::Infrastructure) => CauseKind::Infrastructure,
            None => CauseKind::Unknown,
        },
        signals: said
            .signals
            .into_iter()
            .enumerate()
            .map(|(s, evidence)| evidence_of(check, c, s, evidence, signals))
            .collect::<Result<_, _>>()?,
        changes: indices("changes", said.changes, case.changes.len())?,
        faults: indices("faults", said.faults, case.faults.len())?,
        drifted: indices("drifted", said.drifted, case.drifted.len())?,
        path,
        sentence: check.text(format_args!("causes[{c}].sentence"), said.sentence)?,
    })
}

fn evidence_of(
    check: Check<'_>,
    c: usize,
    s: usize,
    said: guest::Evidence,
    signals: usize,
) -> Result<Evidence, Failure> {
    check.index(format_args!("causes[{c}].signals[{s}].signal"), said.signal, signals)?;
    let score = check.finite(format_args!("causes[{c}].signals[{s}].score"), said.score)?;
    if score < 0.0 {
        return Err(check
            .breach(format_args!("causes[{c}].signals[{s}].score"), format_args!("is {score}; it is never negative")));
    }
    let direction = match said.direction {
        guest::Direction::Up => Direction::Up,
        guest::Direction::Down => Direction::Down,
    };
    Ok(Evidence { signal: said.signal, score, direction })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::{
        cause::{Suspect, SuspectSignal},
        entity::EntityId,
        series::Labels,
    };

    const CHECK: Check<'static> = Check { plugin: "p", function: "root-cause.rank" };

    fn case() -> Case {
        let suspect =
            |id: &str| Suspect { id: EntityId(id.into()), kind: String::new(), attributes: Labels::default() };
        let signal = SuspectSignal { suspect: 1, name: "cpu".into(), class: SignalClass::Internal };
        let frame = SignalFrame { at: vec![Timestamp(1)], signals: vec![signal], value: vec![f64::NAN] };
        Case { suspects: vec![suspect("a"), suspect("b")], frames: vec![frame], ..Case::default() }
    }

    fn said() -> guest::Ranking {
        let cause = |suspect, score| guest::Cause {
            suspect,
            score,
            kind: None,
            signals: vec![guest::Evidence { signal: 0, score: 3.0, direction: guest::Direction::Up }],
            changes: Vec::new(),
            faults: Vec::new(),
            drifted: Vec::new(),
            path: vec![suspect],
            sentence: "it rose".into(),
        };
        let causes = vec![cause(1, 0.7), cause(0, 0.3)];
        guest::Ranking { onset: Some(1), confident: true, confidence: 0.8, causes, doubt: String::new() }
    }

    #[test]
    fn answers_that_lead_nowhere_or_contradict_themselves_are_refused() {
        let shown = case_out(CHECK, &case()).expect("whole");
        assert_eq!(ranking(CHECK, said(), &shown).expect("good").causes.len(), 2);
        type Break = fn(&mut guest::Ranking);
        let broken: [(Break, &str); 11] = [
            (|r| r.confidence = f64::NAN, "confidence is NaN"),
            (|r| r.causes[0].score = 1.5, "causes[0].score is 1.5"),
            (|r| r.causes.swap(0, 1), "causes[1].score is higher"),
            (|r| r.causes[0].suspect = 2, "causes[0].suspect is 2"),
            (|r| r.causes[0].path = vec![0], "causes[0].path does not end"),
            (|r| r.causes[0].faults = vec![0], "causes[0].faults is 0"),
            (|r| r.causes[0].signals[0].signal = 1, "causes[0].signals[0].signal is 1"),
            (|r| r.causes[0].signals[0].score = f64::INFINITY, "causes[0].signals[0].score is inf"),
            (|r| r.causes[1] = r.causes[0].clone(), "name suspect 1 twice"),
            (|r| r.causes.clear(), "no cause is named"),
            (|r| r.confident = false, "doubt is empty"),
        ];
        for (breaks, told) in broken {
            let mut odd = said();
            breaks(&mut odd);
            let text = ranking(CHECK, odd, &shown).expect_err(told).message;
            assert!(text.contains(told), "{text}");
        }
    }

    #[test]
    fn a_case_that_contradicts_itself_or_is_too_large_is_the_hosts_own_fault() {
        let mut odd = case();
        odd.asked = vec![5];
        let text = case_out(CHECK, &odd).expect_err("refused").message;
        assert!(text.contains("`asked` names suspect 5") && !text.contains("does not keep the contract"), "{text}");
        let mut large = case();
        large.frames[0].at = (0..=MAX_CASE_VALUES as i64).map(Timestamp).collect();
        large.frames[0].value = vec![0.0; MAX_CASE_VALUES + 1];
        let text = case_out(CHECK, &large).expect_err("refused").message;
        assert!(text.contains("at most 2000000"), "{text}");
    }
}
