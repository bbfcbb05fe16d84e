//! What like parts of one whole have in common. A whole without signals of its own (a switch of whose ports alone one hears, a host
//! whose exporter is silent) is never hot, and so blame stays with its parts; where most of them are hot, and others of their kind
//! are not, the whole is to blame.

use crate::{blame::Blame, certain, heat::Heat};
use std::collections::{BTreeMap, BTreeSet};
use tandem_sdk::{
    root_cause::{Case, Dependency},
    types::RelationKind,
};

/// Not a whole of machines: that all who serve it are odd says nothing of a version that is not new.
const VERSION: &str = "model-version";
/// So many hot parts are no chance.
const MIN_PARTS: usize = 2;
/// Share of its parts that must be hot.
const MOST_PARTS: f64 = 0.5;
/// They have at least this share of the heat of the hottest of them: what is a little hot beside it is chance, or suffers from it.
const ALIKE: f64 = 0.5;
/// Beyond it hotter says nothing more: so many times what is hot.
const MOST_HEAT: f64 = 20.0;
/// Beside it, no more than this share of what is hot among its parts may be hot among others of their kind.
const ELSEWHERE: f64 = 0.5;

/// The parts of a whole, kind by kind: first what it contains, then what needs it.
fn parts(case: &Case, blame: &Blame, whole: u32) -> Vec<(String, BTreeSet<u32>)> {
    let contains = |edge: &&Dependency| edge.kind == RelationKind::Contains && edge.dependent == whole;
    let contained = by_kind(case, case.dependencies.iter().filter(contains).map(|edge| edge.dependency));
    let dependents = by_kind(case, blame.above[whole as usize].iter().copied());
    contained.into_iter().chain(dependents).collect()
}

fn by_kind(case: &Case, suspects: impl Iterator<Item = u32>) -> BTreeMap<String, BTreeSet<u32>> {
    let mut by_kind: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for suspect in suspects {
        by_kind.entry(case.suspects[suspect as usize].kind.clone()).or_default().insert(suspect);
    }
    by_kind
}

/// Parts that were to blame for what their whole is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Common {
    /// Their kind.
    pub(crate) kind: String,
    /// Those that are hot, the most blamed first.
    pub(crate) hot: Vec<u32>,
    /// How many of them were seen at all.
    pub(crate) seen: usize,
}

/// Moves the blame of parts to the whole that they have in common; by whole, what it took it from. An echo of others' trouble leads
/// nowhere.
pub(crate) fn gather(
    case: &Case,
    heats: &[Heat],
    blame: &mut Blame,
    is_echo: impl Fn(u32, &Blame) -> bool,
) -> BTreeMap<u32, Common> {
    let mut gathered = BTreeMap::new();
    let by_share = |a: &u32, b: &u32| blame.share[*a as usize].total_cmp(&blame.share[*b as usize]).then(b.cmp(a));
    let suspects = (0..heats.len() as u32).filter(|suspect| !is_echo(*suspect, blame));
    let Some(leader) = suspects.max_by(by_share) else { return gathered };
    for (whole, suspect) in (0..).zip(&case.suspects) {
        let silent = !heats[whole as usize].observed && blame.heat_of(whole as usize) < 1.0;
        let is_software = certain::serves(&suspect.kind) || suspect.kind == VERSION;
        if !silent || is_software || case.asked.contains(&whole) {
            continue;
        }
        let found = parts(case, blame, whole)
            .into_iter()
            .find_map(|(kind, parts)| in_common(case, heats, blame, leader, kind, &parts));
        if let Some(common) = found {
            take(blame, whole, &common.hot);
            gathered.insert(whole, common);
        }
    }
    gathered
}

/// What parts have in common, where the leading suspect is one of them and that is more than chance.
fn in_common(
    case: &Case,
    heats: &[Heat],
    blame: &Blame,
    leader: u32,
    kind: String,
    parts: &BTreeSet<u32>,
) -> Option<Common> {
    let heat = |suspect: u32| blame.heat_of(suspect as usize);
    let hottest = parts.iter().map(|part| heat(*part)).fold(heat(leader), f64::max);
    let alike = ALIKE * hottest.min(MOST_HEAT);
    let is_seen = |suspect: &u32| heats[*suspect as usize].observed;
    let is_hot = |suspect: &u32| heat(*suspect) >= alike.max(1.0);
    let share = |suspect: &u32| blame.share[*suspect as usize];
    let seen = parts.iter().filter(|part| is_seen(part)).count();
    let mut hot: Vec<u32> = parts.iter().copied().filter(|part| is_seen(part) && is_hot(part)).collect();
    hot.sort_by(|a, b| share(b).total_cmp(&share(a)).then(a.cmp(b)));
    let inside = hot.len() as f64 / seen.max(1) as f64;
    let others = (0..).zip(&case.suspects).filter(|(other, one)| one.kind == kind && !parts.contains(other));
    let others: Vec<u32> = others.map(|(other, _)| other).filter(is_seen).collect();
    let outside = others.iter().filter(|other| is_hot(other)).count() as f64 / others.len().max(1) as f64;
    (hot.contains(&leader) && hot.len() >= MIN_PARTS && inside >= MOST_PARTS && outside <= ELSEWHERE * inside)
        .then_some(Common { kind, hot, seen })
}

/// The whole takes the blame of its parts, and is as hot as they are in their middle.
fn take(blame: &mut Blame, whole: u32, parts: &[u32]) {
    let sum: f64 = parts.iter().map(|part| std::mem::take(&mut blame.share[*part as usize])).sum();
    blame.share[whole as usize] += sum;
    for family in 0..blame.hot[whole as usize].len() {
        let mut hot: Vec<f64> = parts.iter().map(|part| blame.hot[*part as usize][family]).collect();
        hot.sort_by(f64::total_cmp);
        let own = &mut blame.hot[whole as usize][family];
        *own = own.max(hot[hot.len() / 2]);
    }
}
