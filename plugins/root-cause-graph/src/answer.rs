//! From blame to the answer: order, score, kind, evidence, confidence.

use crate::{
    blame::{self, Blame},
    certain::{self, Known},
    config::Config,
    cover, demand,
    family::Family,
    heat::{self, Heat},
    onset, telling,
    whole::{self, Common},
};
use std::collections::BTreeMap;
use tandem_sdk::{
    root_cause::{Case, Cause, CauseKind, Evidence, Ranking},
    types::Timestamp,
};

/// Signals told of one cause.
const MAX_SIGNALS: usize = 8;
/// A sign below this says nothing.
const MIN_TOLD: f64 = 1.0;
/// Excess of evidence that makes half of the certainty: as many times over what is hot.
const HALF_CERTAIN: f64 = 3.0;
/// What a suspect that suffers from the cause adds to the excess, and how many are counted.
const PER_SUFFERING: f64 = 1.0;
const MAX_SUFFERING: usize = 3;
/// What is left of the confidence in a cause that is named for want of another.
const ONLY_SUFFERS: f64 = 0.5;
/// Below this share of the blame of the two first together, the first does not stand out.
const CLOSE_MARGIN: f64 = 0.7;
/// Kinds of suspects that are data rather than machines.
const DATA_KINDS: [&str; 5] = ["feature", "dataset", "data-source", "pipeline", "table"];
/// Names under which a model's own outputs drift.
const OUTPUTS: [&str; 5] = ["prediction", "predictions", "score", "output", "label"];

/// What speaks for a suspect.
pub(crate) struct About<'a> {
    pub(crate) heat: &'a Heat,
    pub(crate) known: &'a Known,
    /// Its parts, where it took the blame from them.
    pub(crate) parts: Option<&'a Common>,
    /// Whether more is asked of it than it can serve.
    pub(crate) is_overloaded: bool,
}

/// Ranks the suspects of a case.
pub(crate) fn rank(config: &Config, case: &Case) -> Ranking {
    let Some(onset) = case.onset.or_else(|| onset::find(case)).or_else(|| known_onset(case)) else {
        return Ranking {
            onset: None,
            confident: false,
            confidence: 0.0,
            causes: Vec::new(),
            doubt: "No signal left its course, and no fault, change or drift is known: there is no onset to explain."
                .into(),
        };
    };
    let heats = heat::measure(case, onset);
    let known = certain::gather(case, onset, config);
    let mut blame = blame::assign(case, &heats, &known);
    // What all parts of a whole have in common may be that more is asked of all of them.
    let overloaded = demand::gather(case, &heats, &mut blame);
    let is_echo_of = |suspect: u32, blame: &Blame| is_echo(case, suspect, blame, &known);
    let wholes = match overloaded {
        None => whole::gather(case, &heats, &mut blame, is_echo_of),
        Some(_) => BTreeMap::new(),
    };
    cover::weigh(case, &heats, &mut blame);
    hush(case, &mut blame, &known);
    let total: f64 = blame.share.iter().sum();
    let mut order: Vec<u32> = (0..heats.len() as u32).filter(|s| blame.share[*s as usize] > 0.0).collect();
    order.sort_by(|a, b| blame.share[*b as usize].total_cmp(&blame.share[*a as usize]).then(a.cmp(b)));
    let rival = order.get(1).copied();
    let share = |suspect: Option<u32>| suspect.map_or(0.0, |suspect| blame.share[suspect as usize]);
    let (first, second) = (share(order.first().copied()), share(rival));
    let margin = if order.is_empty() { 0.0 } else { first / (first + second) };
    let only_suffers =
        order.first().is_some_and(|first| overloaded != Some(*first) && only_suffers(case, *first, &blame, &known));
    let certainty = if only_suffers { ONLY_SUFFERS } else { 1.0 };
    let confidence = order.first().map_or(0.0, |first| certainty * confidence(*first, margin, &blame, &heats));
    let confident = confidence >= config.confidence_floor && !only_suffers && !order.is_empty();
    let doubt = match order.first() {
        _ if confident => String::new(),
        Some(first) if only_suffers => telling::unexplained(case, *first),
        first => telling::doubt(case, &blame, first.copied(), rival.filter(|_| margin < CLOSE_MARGIN)),
    };
    let told = order.iter().take(config.max_causes as usize);
    let causes = told.map(|suspect| {
        let at = *suspect as usize;
        let of = About {
            heat: &heats[at],
            known: &known[at],
            parts: wholes.get(suspect),
            is_overloaded: overloaded == Some(*suspect),
        };
        cause(case, *suspect, onset, of, &blame, &heats, (blame.share[at] / total).clamp(0.0, 1.0))
    });
    Ranking { onset: Some(onset), confident, confidence, causes: causes.collect(), doubt }
}

/// Whether a suspect is a model that shows no more than how long its answers take and that they fail: that is what its replicas show,
/// told once more, and no rival of what explains it.
fn is_echo(case: &Case, suspect: u32, blame: &Blame, known: &[Known]) -> bool {
    let (hot, known) = (&blame.hot[suspect as usize], &known[suspect as usize]);
    let inside = Family::Inside.index();
    case.suspects[suspect as usize].kind == "model" && hot[inside] < blame::HOT[inside] && *known == Known::default()
}

/// Takes echoes out of the answer where anything else is in it.
fn hush(case: &Case, blame: &mut Blame, known: &[Known]) {
    let echoes: Vec<u32> =
        (0..blame.share.len() as u32).filter(|suspect| is_echo(case, *suspect, blame, known)).collect();
    let of_echoes: f64 = echoes.iter().map(|echo| blame.share[*echo as usize]).sum();
    if blame.share.iter().sum::<f64>() > of_echoes {
        echoes.into_iter().for_each(|echo| blame.share[echo as usize] = 0.0);
    }
}

/// Whether the first cause is one that was asked about and shows no more than what it was asked about for: its users' trouble.
/// Then nothing below explains it, and it is named for want of another.
fn only_suffers(case: &Case, first: u32, blame: &Blame, known: &[Known]) -> bool {
    let (hot, known) = (&blame.hot[first as usize], &known[first as usize]);
    let inside = Family::Inside.index();
    case.asked.contains(&first)
        && hot[inside] < blame::HOT[inside]
        && known.changes.is_empty()
        && known.drifted.is_empty()
}

/// Where no signal tells it, the first thing that is known to have gone wrong.
fn known_onset(case: &Case) -> Option<Timestamp> {
    let faults = case.faults.iter().map(|fault| fault.started_at);
    let drifted = case.drifted.iter().filter(|drifted| drifted.value >= 1.0).map(|drifted| drifted.at);
    faults.chain(drifted).min()
}

/// How far out the evidence is, times how clearly the first stands out. The evidence is the heat of the cause and, where it
/// explains hotter trouble, the mean of both: a change is no heat by itself, and speaks all the louder the plainer the trouble.
fn confidence(first: u32, margin: f64, blame: &Blame, heats: &[Heat]) -> f64 {
    let suffering = blame.suffering(first, heats);
    let own = blame.heat_of(first as usize);
    let worst = suffering.iter().map(|suspect| blame.heat_of(*suspect as usize)).fold(own, f64::max);
    let counted = suffering.len().min(MAX_SUFFERING) as f64;
    let excess = ((own * worst).sqrt() - 1.0).max(0.0) + PER_SUFFERING * counted;
    let strength = excess / (excess + HALF_CERTAIN);
    (strength * (2.0 * margin - 1.0).max(0.0).sqrt()).clamp(0.0, 1.0)
}

fn cause(
    case: &Case,
    suspect: u32,
    onset: Timestamp,
    about: About<'_>,
    blame: &Blame,
    heats: &[Heat],
    score: f64,
) -> Cause {
    let path = blame.path(suspect, &case.asked, heats);
    let suffering = blame.suffering(suspect, heats).len();
    let About { heat, known, parts, is_overloaded } = about;
    let of_parts = parts.iter().flat_map(|parts| &parts.hot).flat_map(|part| heats[*part as usize].signs.first());
    let told = heat.signs.iter().chain(of_parts).filter(|sign| sign.score >= MIN_TOLD).take(MAX_SIGNALS);
    Cause {
        suspect,
        score,
        kind: if is_overloaded { Some(CauseKind::Infrastructure) } else { kind(case, suspect, known) },
        signals: told
            .map(|sign| Evidence { signal: sign.signal, score: sign.distance, direction: sign.direction })
            .collect(),
        sentence: telling::cause(case, suspect, onset, &about, suffering),
        changes: known.changes.clone(),
        faults: known.faults.clone(),
        drifted: known.drifted.clone(),
        path,
    }
}

/// Where the cause lies. A model's version cannot move what the model is fed with, so features that drifted speak for the
/// data even where a version changed; a change of anything that answers for a model speaks for the model.
fn kind(case: &Case, suspect: u32, known: &Known) -> Option<CauseKind> {
    let kind = case.suspects[suspect as usize].kind.as_str();
    if DATA_KINDS.contains(&kind) {
        return Some(CauseKind::Data);
    }
    let serving = certain::serves(kind) || kind == "replica" || kind == "model-version";
    if !serving {
        return (!kind.is_empty()).then_some(CauseKind::Infrastructure);
    }
    let output = |drifted: &&u32| {
        let column = case.drifted[**drifted as usize].column.to_ascii_lowercase();
        OUTPUTS.contains(&column.as_str())
    };
    let outputs = known.drifted.iter().filter(output).count();
    if known.drifted.len() > outputs {
        return Some(CauseKind::Data);
    }
    if !known.changes.is_empty() || outputs > 0 || kind == "model-version" {
        return Some(CauseKind::Model);
    }
    known
        .heat
        .iter()
        .all(|heat| *heat == 0.0)
        .then_some(())
        .map(|()| CauseKind::Infrastructure)
        .filter(|_| kind == "replica")
}
