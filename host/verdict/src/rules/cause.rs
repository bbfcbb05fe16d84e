//! Where the cause lies: what the model's half says, what lies below, and what was answered when it was asked who is to blame.

use super::{
    Drifting, Facts, advice,
    below::{OnPath, cause_of, speaking},
    cost, model,
};
use crate::ask::{Answer, new_version, version_id};
use tandem_domain::{
    Severity, Timestamp,
    drift::{DriftState, is_answer},
    entity::EntityId,
    objective::ObjectiveStanding,
    verdict::{BLAMES, Candidate, CauseKind, Grounds, Health, ModelAnswer},
};

/// The cause with everything that is told of it.
pub(super) struct Found {
    pub kind: CauseKind,
    pub entity: Option<EntityId>,
    pub sentence: String,
    pub grounds: Grounds,
    /// Since when what lies below is in trouble though no incident says so.
    pub below_since: Option<Timestamp>,
}

/// How sure it is. Each sign that does not follow from the others halves the doubt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Certainty {
    confident: bool,
    confidence: f64,
}

/// The kind of what is asked about.
const SERVICE: &str = "service";
/// A candidate that has less than this share of what the strongest has is far behind.
const NEAR_SHARE: f64 = 0.5;
/// Signs that make an answer one to stand by.
const ENOUGH_SIGNS: usize = 2;

impl Certainty {
    const NONE: Self = Self { confident: false, confidence: 0.0 };

    fn of_signs(signs: &[bool]) -> Self {
        let count = signs.iter().filter(|sign| **sign).count();
        Self { confident: count >= ENOUGH_SIGNS, confidence: 1.0 - 0.5_f64.powi(count as i32) }
    }

    fn or(self, other: Self) -> Self {
        Self { confident: self.confident || other.confident, confidence: self.confidence.max(other.confidence) }
    }

    fn and(self, other: Self) -> Self {
        Self { confident: self.confident && other.confident, confidence: self.confidence.min(other.confidence) }
    }
}

/// What the model's half says.
pub(super) struct Wrong {
    pub kind: CauseKind,
    pub entity: Option<EntityId>,
    what: String,
    since: Timestamp,
    certainty: Certainty,
}

/// What lies below.
struct Below {
    entity: Option<EntityId>,
    told: String,
    opened_at: Option<Timestamp>,
    certainty: Certainty,
}

/// What was answered, where it was asked about the present trouble.
fn answer<'a>(facts: &'a Facts<'_>) -> Option<&'a Answer> {
    facts.diagnosis.and_then(|diagnosis| diagnosis.outcome.as_ref().ok())
}

fn first(answer: Option<&Answer>) -> Option<&Candidate> {
    answer.and_then(|answer| answer.candidates.first())
}

/// The strongest candidate that says where the cause lies; none where all who do are far behind one who does not.
fn telling(answer: Option<&Answer>) -> Option<&Candidate> {
    let candidates = answer.map(|answer| answer.candidates.as_slice()).unwrap_or_default();
    let best = candidates.first().map_or(0.0, |first| first.score);
    candidates.iter().find(|one| one.kind != CauseKind::Unknown).filter(|one| one.score >= NEAR_SHARE * best)
}

/// It, where it lies below, and whether it is the strongest of all.
fn telling_below(answer: Option<&Answer>) -> Option<(&Candidate, bool)> {
    let found = telling(answer).filter(|one| one.kind == CauseKind::Infrastructure)?;
    Some((found, first(answer).is_some_and(|first| first.entity == found.entity)))
}

fn wrong(facts: &Facts<'_>) -> Option<Wrong> {
    let drifted = facts.drifting.filter(|drifting| model::is_drifted(drifting, facts.at));
    let disagrees = facts.wrong();
    let new = new_version(facts.traffic, facts.at);
    let blamed = |kind: CauseKind| first(answer(facts)).is_some_and(|one| one.kind == kind);
    let version = new.map(|new| version_id(&new.model, &new.version));
    let tail = new.map(|new| format!(", since version {} answers", new.version)).unwrap_or_default();
    if let Some(Drifting { report, standing }) = drifted {
        let inputs = report.moved().into_iter().filter(|name| !is_answer(name)).count();
        if inputs > 0 {
            let signs = [true, inputs > 1, disagrees.is_some(), blamed(CauseKind::Data)];
            let certainty = Certainty::of_signs(&signs);
            let what = "what it is given has moved".to_owned();
            return Some(Wrong { kind: CauseKind::Data, entity: None, what, since: standing.since, certainty });
        }
        let signs = [true, new.is_some(), disagrees.is_some(), blamed(CauseKind::Model)];
        let what = format!("its answers have moved while what it is given has not{tail}");
        let (kind, since) = (CauseKind::Model, standing.since);
        return Some(Wrong { kind, entity: version, what, since, certainty: Certainty::of_signs(&signs) });
    }
    let disagrees = disagrees?;
    let stable = facts.drifting.is_some_and(|drifting| drifting.report.state == DriftState::Stable);
    let data = if stable { "what it is given has not moved" } else { "nothing is known of what it is given" };
    Some(Wrong {
        kind: CauseKind::Model,
        entity: version,
        what: format!("{}; {data}{tail}", disagrees.sentence),
        since: disagrees.since,
        certainty: Certainty::of_signs(&[true, new.is_some(), stable, blamed(CauseKind::Model)]),
    })
}

fn below(facts: &Facts<'_>, incident: Option<&OnPath<'_>>, felt: Option<&ObjectiveStanding>) -> Option<Below> {
    let answer = answer(facts);
    let ranked = telling_below(answer);
    let by_answer = |is_first: bool| match answer {
        Some(answer) if is_first => Certainty { confident: answer.confident, confidence: answer.confidence },
        _ => Certainty::NONE,
    };
    let Some(found) = incident else {
        let (candidate, is_first) = felt.and(ranked)?;
        let through = way(facts, &candidate.path);
        return Some(Below {
            entity: Some(candidate.entity.clone()),
            told: format!("{}{through}", candidate.sentence.trim_end_matches('.')),
            opened_at: None,
            certainty: by_answer(is_first),
        });
    };
    let of_incident = cause_of(facts, found.incident).cloned();
    let of_incident = of_incident.or_else(|| found.path.last().cloned());
    let agreed = ranked.filter(|(candidate, is_first)| {
        answer.is_some_and(|answer| answer.confident) && *is_first || Some(&candidate.entity) == of_incident.as_ref()
    });
    let entity = agreed.map(|(candidate, _)| candidate.entity.clone()).or(of_incident);
    let broken = speaking(facts, found.incident)
        .filter(|alert| alert.source != BLAMES)
        .any(|alert| alert.severity >= Severity::Warning && Some(&alert.entity) == entity.as_ref());
    let signs = Certainty::of_signs(&[broken, felt.is_some(), agreed.is_some_and(|(_, is_first)| is_first)]);
    let certainty = agreed.map_or(signs, |(_, is_first)| signs.or(by_answer(is_first)));
    let to_entity = facts.paths.iter().find(|path| path.last() == entity.as_ref());
    let through = way(facts, to_entity.map_or(found.path, Vec::as_slice));
    let told = format!("incident #{} ({}){through}", found.incident.id, found.incident.title);
    Some(Below { entity, told, opened_at: Some(found.incident.opened_at), certainty })
}

/// The way from the service down, at the end of a clause.
fn way(facts: &Facts<'_>, path: &[EntityId]) -> String {
    let steps: Vec<String> = path.iter().skip(1).map(|id| facts.name(id)).collect();
    if steps.is_empty() { String::new() } else { format!(", reached through {}", steps.join(" → ")) }
}

/// What users feel of it, at the end of a sentence.
fn feeling(facts: &Facts<'_>) -> String {
    facts.burning.first().map(|missed| format!("; users feel it: {}", missed.sentence)).unwrap_or_default()
}

/// The cause.
pub(super) fn cause(facts: &Facts<'_>, model: &ModelAnswer, on_path: &[OnPath<'_>]) -> Found {
    let incident = on_path.iter().find(|found| found.incident.severity >= Severity::Warning);
    let felt = facts.felt();
    let wrong = wrong(facts);
    let below = below(facts, incident, felt);
    let told_kind = telling(answer(facts)).map(|candidate| candidate.kind);
    // Where no incident says that something is broken, who waits or gets errors may do so because of the model itself.
    let below = match (below, told_kind) {
        (Some(_), Some(CauseKind::Model | CauseKind::Data)) if incident.is_none() => None,
        (below, _) => below,
    };
    let (kind, entity, certainty) = match (&wrong, &below) {
        (None, Some(below)) => (CauseKind::Infrastructure, below.entity.clone(), below.certainty),
        (Some(wrong), None) => (wrong.kind, wrong.entity.clone(), wrong.certainty),
        (Some(wrong), Some(below)) => (CauseKind::Both, below.entity.clone(), below.certainty.and(wrong.certainty)),
        (None, None) => unexplained(facts, model),
    };
    let sentence = sentence(facts, model, kind, wrong.as_ref(), below.as_ref());
    let below_since = below.filter(|below| below.opened_at.is_none()).and(facts.diagnosis).map(|one| one.onset);
    let grounds = grounds(facts, kind, entity.as_ref(), certainty);
    Found { kind, entity, sentence, grounds, below_since }
}

/// Nothing is wrong, or something is and nothing says what.
fn unexplained(facts: &Facts<'_>, model: &ModelAnswer) -> (CauseKind, Option<EntityId>, Certainty) {
    let answer = answer(facts);
    match (facts.felt(), answer, telling(answer)) {
        (Some(_), Some(answer), Some(candidate)) => {
            let leads = first(Some(answer)).is_some_and(|first| first.entity == candidate.entity);
            let certainty = Certainty { confident: answer.confident, confidence: answer.confidence };
            (candidate.kind, Some(candidate.entity.clone()), if leads { certainty } else { Certainty::NONE })
        }
        (Some(_), ..) => (CauseKind::Unknown, None, Certainty::NONE),
        (None, ..) if model.state == Health::Unknown && !facts.has_infrastructure() => {
            (CauseKind::Unknown, None, Certainty::NONE)
        }
        (None, ..) => {
            let seen = [model.state == Health::Ok, facts.has_infrastructure()];
            (CauseKind::None, None, Certainty::of_signs(&seen))
        }
    }
}

fn sentence(
    facts: &Facts<'_>,
    model: &ModelAnswer,
    kind: CauseKind,
    wrong: Option<&Wrong>,
    below: Option<&Below>,
) -> String {
    let service = facts.service;
    let felt = feeling(facts);
    match (wrong, below) {
        (None, Some(Below { told, entity, .. })) => {
            let is_own = entity.as_ref().is_some_and(|entity| entity.kind() == SERVICE);
            let opening = if is_own { String::new() } else { format!("{service} depends on what fails: ") };
            let model_says = match model.state {
                Health::Ok => "the model's answers are as expected",
                Health::Degraded => "its answers are wrong too",
                Health::Unknown => "nothing is known of the model's answers",
            };
            format!("{opening}{told}; {model_says}{felt}")
        }
        (Some(Wrong { what, .. }), None) => {
            let felt = if what.contains("disagreed") { String::new() } else { felt };
            format!("{service} is not right: {what}; nothing below it has an open incident{felt}")
        }
        (Some(Wrong { what, since, .. }), Some(Below { told, opened_at, .. })) => {
            let first = match opened_at {
                Some(opened) if opened <= since => ", since before that was seen,",
                Some(_) => ", since after that was seen,",
                None => "",
            };
            format!("{service} is not right: {what}; and below it there is{first} {told}{felt}")
        }
        (None, None) => match (kind, telling(answer(facts)), facts.felt()) {
            (CauseKind::None, ..) => format!("nothing is known to be wrong with {service}"),
            (CauseKind::Unknown, _, None) => format!("nothing is known of {service} yet but its name"),
            (CauseKind::Unknown, _, Some(missed)) => format!(
                "{service} does not keep what it promises: {}; nothing that lies below it and nothing in its data says why",
                missed.sentence
            ),
            (_, Some(candidate), _) => {
                // Of the service itself the sentence says whose it is.
                let whose = if candidate.entity.kind() == SERVICE { String::new() } else { format!("{service}: ") };
                format!("{whose}{}{felt}", candidate.sentence.trim_end_matches('.'))
            }
            (_, None, _) => format!("{service} is not right{felt}"),
        },
    }
}

fn grounds(facts: &Facts<'_>, kind: CauseKind, entity: Option<&EntityId>, certainty: Certainty) -> Grounds {
    let mut candidates = answer(facts).map(|answer| answer.candidates.clone()).unwrap_or_default();
    // The one that is named comes first, whoever named it.
    candidates.sort_by_key(|candidate| Some(&candidate.entity) != entity);
    let trouble = !matches!(kind, CauseKind::None);
    let doubt = match (trouble && !certainty.confident, facts.diagnosis) {
        (false, _) => String::new(),
        (true, Some(diagnosis)) => match &diagnosis.outcome {
            Ok(answer) if !answer.doubt.is_empty() => answer.doubt.clone(),
            Ok(_) => "Only one sign speaks for it.".into(),
            Err(failure) => format!("It could not be asked who is to blame: {}", failure.message),
        },
        (true, None) => "Nobody was asked yet who is to blame.".into(),
    };
    Grounds {
        confident: certainty.confident,
        confidence: certainty.confidence,
        doubt,
        caveats: facts.diagnosis.map(|diagnosis| diagnosis.caveats.clone()).unwrap_or_default(),
        suggestion: advice::suggest(facts, kind, entity),
        cost: cost::cost(facts),
        candidates,
        onset: facts.diagnosis.map(|diagnosis| diagnosis.onset),
        case: facts.diagnosis.map(|diagnosis| diagnosis.case),
    }
}
