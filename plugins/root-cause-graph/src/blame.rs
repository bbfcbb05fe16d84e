//! Blame flows from the symptoms along the dependencies and stays where nothing below is odd in a way that explains it.
//!
//! Every hot family of a suspect is a place. What lies there moves on to the dependencies that could explain it: in the same
//! family the more, the hotter they are beside the place itself, in another the more clearly they are hot; and the more their
//! moments agree. The rest stays. Who lies behind suspects that are not hot shows through them. The flow is cut after a fixed
//! number of steps, so that cycles end.

use crate::{
    certain::Known,
    family::Family,
    heat::{Heat, Sign},
};
use std::{cmp::Reverse, collections::BinaryHeap};
use tandem_sdk::root_cause::Case;

/// From here on a suspect is hot, by family: so many of its own standard deviations for a twentieth of the time. Errors are
/// hot sooner, because they are rare by design.
pub(crate) const HOT: [f64; 4] = [2.0, 3.0, 3.0, 3.0];
/// Beyond it hotter says nothing more: of two that are far out, the deeper one is to blame.
const HEAT_CAP: f64 = 60.0;
/// Share of a dependent's heat at which a dependency explains half of it, where both are hot in the same family.
const EXPLAINING_SHARE: f64 = 0.5;
/// So many times over what is hot, a suspect explains half of what it can explain of another family. Spreads of a clock and
/// of a latency cannot be compared, so there the question is only whether it is clearly hot.
const CLEARLY: f64 = 2.0;
/// What another family still explains where the dependency has signals of the very family in question and they are calm: a
/// service without errors hands none on.
const CALM_SAME: f64 = 0.05;
/// How much of what lies below shows through a suspect that has no signals of the family in question, and through one whose
/// signals of it are calm.
const THROUGH_UNSEEN: f64 = 0.95;
const THROUGH_CALM: f64 = 0.5;
/// What explains less is none.
const MIN_EXPLAINED: f64 = 0.1;
/// Steps of the flow; service, replica, pod, GPU, host, power supply, UPS are seven.
const STEPS: usize = 24;
/// What moves no more.
const NEGLIGIBLE: f64 = 1e-9;
/// How much a family weighs as a symptom, beside the cube root of its heat: wrong answers hurt more than slow ones, and
/// resources hurt nobody by themselves. The root keeps one wild signal from outweighing a suspect that is odd inside and outside.
const SYMPTOM_WEIGHT: [f64; 4] = [6.0, 1.0, 0.3, 0.7];
/// How much more blame stays with what changed at the very onset, and how much better the odds are that it stays.
const CHANGED_WEIGHT: f64 = 1.0;
const CHANGED_ODDS: f64 = 3.0;
/// How much better the odds are that blame stays with who is fed with what has drifted: that is found in windows and has no
/// moments to compare, so what is a little hot below it is as likely chance.
const DRIFTED_ODDS: f64 = 2.0;
/// A step over a calm suspect, in steps over hot ones.
const CALM_STEP: u32 = 3;
/// Share of the blame that begins elsewhere than at those who were asked about.
const UNASKED_SHARE: f64 = 0.1;

/// How well trouble of the second family in a dependency explains trouble of the first in a dependent.
fn explains(trouble: Family, below: Family) -> f64 {
    use Family::{Errors, Inside, Latency, Traffic};
    match (trouble, below) {
        (Errors | Latency | Traffic | Inside, Inside) | (Errors, Errors) | (Latency, Latency) => 1.0,
        (Traffic, Errors | Traffic) => 1.0,
        (Latency, Errors) | (Traffic, Latency) => 0.7,
        (Errors, Latency) => 0.4,
        (Errors | Latency | Inside, Traffic) | (Inside, Errors | Latency) => 0.3,
    }
}

/// Where the blame came to rest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Blame {
    /// By suspect; not normalised.
    pub(crate) share: Vec<f64>,
    /// Where it began, by suspect.
    pub(crate) symptom: Vec<f64>,
    /// Heat by suspect and family, with what is known beside the signals.
    pub(crate) hot: Vec<[f64; 4]>,
    /// Dependencies of each suspect.
    pub(crate) below: Vec<Vec<u32>>,
    /// Dependents of each suspect.
    pub(crate) above: Vec<Vec<u32>>,
}

/// A suspect that explains trouble further up, though others lie between.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Glimpse {
    /// How much of it, 0 to 1.
    explained: f64,
    /// Who.
    suspect: u32,
    /// By which family of its own.
    family: Family,
}

/// Nobody.
const NOTHING: Glimpse = Glimpse { explained: 0.0, suspect: u32::MAX, family: Family::Inside };

/// Puts a glimpse among the two best, each of another suspect; answers whether that changed anything.
fn keep_best(best: &mut [Glimpse; 2], new: Glimpse) -> bool {
    let better = |old: &Glimpse| new.explained > old.explained + NEGLIGIBLE;
    if new.suspect == best[0].suspect {
        let changed = better(&best[0]);
        if changed {
            best[0] = new;
        }
        return changed;
    }
    if better(&best[0]) {
        *best = [new, best[0]];
        return true;
    }
    let changed = better(&best[1]);
    if changed {
        best[1] = new;
    }
    changed
}

struct Flow<'a> {
    heats: &'a [Heat],
    /// Heat by suspect and family, with what is known beside the signals.
    hot: Vec<[f64; 4]>,
    known: &'a [Known],
    below: Vec<Vec<u32>>,
    /// What shows of a suspect and of all below it to those further up, by family of their trouble: the two that explain most.
    reach: Vec<[[Glimpse; 2]; 4]>,
}

/// Neighbours in both directions, each once, in the order of their index.
fn neighbours(case: &Case) -> (Vec<Vec<u32>>, Vec<Vec<u32>>) {
    let mut below = vec![Vec::new(); case.suspects.len()];
    let mut above = vec![Vec::new(); case.suspects.len()];
    for edge in case.dependencies.iter().filter(|edge| edge.dependent != edge.dependency) {
        below[edge.dependent as usize].push(edge.dependency);
        above[edge.dependency as usize].push(edge.dependent);
    }
    for list in below.iter_mut().chain(&mut above) {
        list.sort_unstable();
        list.dedup();
    }
    (below, above)
}

impl Flow<'_> {
    /// How clearly a suspect is hot in a family, 0 to 1.
    fn clarity(&self, suspect: usize, family: Family) -> f64 {
        let times = self.hot[suspect][family.index()] / HOT[family.index()];
        if times < 1.0 { 0.0 } else { times.powi(2) / (times.powi(2) + CLEARLY.powi(2)) }
    }

    /// How much of trouble of a family the own heat of a suspect explains, and by which family. Of a dependent at hand
    /// the victim is given: its heat, and its sign.
    fn own(&self, suspect: u32, trouble: Family, victim: Option<(f64, &Sign)>) -> Glimpse {
        let at = suspect as usize;
        let mut best = Glimpse { suspect, ..NOTHING };
        for family in Family::ALL {
            let clarity = self.clarity(at, family);
            if clarity == 0.0 {
                continue;
            }
            let sign = self.heats[at].sign(family);
            let agreement = match (victim, sign) {
                // Heat that comes of a fault or a change has no moments to compare.
                (Some((_, victim)), Some(sign)) if sign.score >= self.hot[at][family.index()] => victim.likeness(sign),
                _ => 1.0,
            };
            let explained = match victim {
                // What is felt from outside is handed on in proportion; of two insides only the moments compare.
                Some((heat, _)) if family == trouble && family != Family::Inside => {
                    let share = self.hot[at][family.index()].min(HEAT_CAP) / heat.min(HEAT_CAP) * agreement;
                    share.powi(2) / (share.powi(2) + EXPLAINING_SHARE.powi(2))
                }
                _ => {
                    let other = family != Family::Inside && family != trouble;
                    let calm = other && self.heats[at].sign(trouble).is_some();
                    clarity * agreement * explains(trouble, family) * if calm { CALM_SAME } else { 1.0 }
                }
            };
            if explained > best.explained {
                best = Glimpse { explained, suspect, family };
            }
        }
        best
    }

    fn through(&self, suspect: usize, family: Family) -> f64 {
        let sees = family != Family::Inside && self.heats[suspect].sign(family).is_some();
        if sees { THROUGH_CALM } else { THROUGH_UNSEEN }
    }

    /// What shows through each suspect of all that lies below it. Each step carries it one further up, and loses some.
    fn look_through(&mut self) {
        for suspect in 0..self.hot.len() {
            for family in Family::ALL {
                let own = self.own(suspect as u32, family, None);
                self.reach[suspect][family.index()] = [if own.explained > 0.0 { own } else { NOTHING }, NOTHING];
            }
        }
        for _ in 0..STEPS {
            let mut moved = false;
            for suspect in 0..self.hot.len() {
                for family in Family::ALL {
                    let through = self.through(suspect, family);
                    for below in 0..self.below[suspect].len() {
                        for seen in self.reach[self.below[suspect][below] as usize][family.index()] {
                            if seen.suspect as usize != suspect && seen.explained > 0.0 {
                                let seen = Glimpse { explained: seen.explained * through, ..seen };
                                moved |= keep_best(&mut self.reach[suspect][family.index()], seen);
                            }
                        }
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Who could explain what lies at one place: each dependency by its own heat, or those who show through it.
    fn ways(&self, suspect: usize, family: Family) -> Vec<Glimpse> {
        let heat = self.hot[suspect][family.index()];
        let victim = self.heats[suspect].sign(family).filter(|_| heat >= HOT[family.index()]).map(|sign| (heat, sign));
        let mut ways: Vec<Glimpse> = Vec::new();
        let mut add = |way: Glimpse| match ways.iter_mut().find(|known| known.suspect == way.suspect) {
            Some(known) if known.explained < way.explained => *known = way,
            Some(_) => {}
            None => ways.push(way),
        };
        for below in &self.below[suspect] {
            let own = self.own(*below, family, victim);
            if own.explained >= MIN_EXPLAINED {
                add(own);
            }
            let through = self.through(*below as usize, family);
            for further in &self.below[*below as usize] {
                for seen in self.reach[*further as usize][family.index()] {
                    let seen = Glimpse { explained: seen.explained * through, ..seen };
                    let elsewhere = seen.suspect as usize != suspect && seen.suspect != *below;
                    if elsewhere && seen.explained >= MIN_EXPLAINED.max(own.explained) {
                        add(seen);
                    }
                }
            }
        }
        ways
    }

    /// Moves what lies at one place on; answers what stays.
    fn pass(&self, suspect: usize, family: Family, mass: f64, next: &mut [[f64; 4]]) -> f64 {
        let ways = self.ways(suspect, family);
        let best = ways.iter().map(|way| way.explained).fold(0.0, f64::max);
        if best == 0.0 {
            return mass;
        }
        let known = &self.known[suspect];
        let held = 1.0 + CHANGED_ODDS * known.change + if known.drifted.is_empty() { 0.0 } else { DRIFTED_ODDS };
        let moves = mass * best / (best + (1.0 - best) * held);
        let weight = |way: &Glimpse| (way.explained * (1.0 + self.known[way.suspect as usize].broken)).powi(2);
        let sum: f64 = ways.iter().map(weight).sum();
        for way in &ways {
            next[way.suspect as usize][way.family.index()] += moves * weight(way) / sum;
        }
        mass - moves
    }

    /// Where blame begins: at those who were asked about, or wherever it is hot.
    fn symptoms(&self, asked: &[u32]) -> Vec<[f64; 4]> {
        let mut mass: Vec<[f64; 4]> = self
            .hot
            .iter()
            .map(|hot| {
                let weighed = |f: usize| if hot[f] >= HOT[f] { SYMPTOM_WEIGHT[f] * hot[f].cbrt() } else { 0.0 };
                std::array::from_fn(weighed)
            })
            .collect();
        let total = |mass: &[[f64; 4]]| mass.iter().flatten().sum::<f64>();
        let is_asked = |suspect: usize| asked.contains(&(suspect as u32));
        let asked_for = (0..mass.len()).filter(|suspect| is_asked(*suspect)).flat_map(|s| mass[s]).sum::<f64>();
        if asked_for > 0.0 {
            let rest = total(&mass) - asked_for;
            let scale = if rest > 0.0 { (UNASKED_SHARE * asked_for / rest).min(1.0) } else { 0.0 };
            for (suspect, mass) in mass.iter_mut().enumerate() {
                if !is_asked(suspect) {
                    mass.iter_mut().for_each(|m| *m *= scale);
                }
            }
        }
        mass
    }
}

/// Lets the blame flow.
pub(crate) fn assign(case: &Case, heats: &[Heat], known: &[Known]) -> Blame {
    let (below, above) = neighbours(case);
    let hot = heats.iter().zip(known);
    let hot = hot.map(|(heat, known)| std::array::from_fn(|f| heat.by_family[f].max(known.heat[f]))).collect();
    let mut flow = Flow { heats, hot, known, below, reach: vec![[[NOTHING; 2]; 4]; heats.len()] };
    flow.look_through();
    let mut mass = flow.symptoms(&case.asked);
    let symptom = mass.iter().map(|places| places.iter().sum()).collect();
    let mut share = vec![0.0; heats.len()];
    for _ in 0..STEPS {
        let mut next = vec![[0.0; 4]; heats.len()];
        for (suspect, places) in mass.iter().enumerate() {
            for family in Family::ALL {
                let lies = places[family.index()];
                if lies > NEGLIGIBLE {
                    share[suspect] += flow.pass(suspect, family, lies, &mut next);
                }
            }
        }
        mass = next;
    }
    for (suspect, places) in mass.iter().enumerate() {
        share[suspect] += places.iter().sum::<f64>();
    }
    for (share, known) in share.iter_mut().zip(known) {
        *share *= 1.0 + CHANGED_WEIGHT * known.change;
    }
    Blame { share, symptom, hot: flow.hot, below: flow.below, above }
}

impl Blame {
    /// How hot a suspect is in its hottest family, as a multiple of what is hot.
    pub(crate) fn heat_of(&self, suspect: usize) -> f64 {
        (0..Family::ALL.len()).map(|f| self.hot[suspect][f] / HOT[f]).fold(0.0, f64::max)
    }

    /// The way from a suspect that suffers down to the cause: from the nearest of those who were asked about where one of
    /// them reaches it, else from the hot suspect that is farthest away; over hot suspects and such without signals rather
    /// than over calm ones.
    pub(crate) fn path(&self, cause: u32, asked: &[u32], heats: &[Heat]) -> Vec<u32> {
        let mut next_down: Vec<Option<u32>> = vec![None; self.above.len()];
        let mut cost = vec![u32::MAX; self.above.len()];
        let mut queue = BinaryHeap::from([(Reverse(0), cause)]);
        cost[cause as usize] = 0;
        while let Some((Reverse(so_far), suspect)) = queue.pop() {
            if so_far > cost[suspect as usize] {
                continue;
            }
            for above in &self.above[suspect as usize] {
                let calm = heats[*above as usize].observed && self.heat_of(*above as usize) < 1.0;
                let step = so_far + if calm { CALM_STEP } else { 1 };
                if step < cost[*above as usize] {
                    cost[*above as usize] = step;
                    next_down[*above as usize] = Some(suspect);
                    queue.push((Reverse(step), *above));
                }
            }
        }
        let reaches = |suspect: &u32| *suspect != cause && cost[*suspect as usize] != u32::MAX;
        let start = asked.iter().copied().filter(reaches).min_by_key(|suspect| cost[*suspect as usize]).or_else(|| {
            let hot = (0..self.above.len() as u32).filter(|s| reaches(s) && self.symptom[*s as usize] > 0.0);
            let far_and_hot = |s: &u32| (cost[*s as usize], self.symptom[*s as usize]);
            hot.max_by(|a, b| {
                let ((far_a, hot_a), (far_b, hot_b)) = (far_and_hot(a), far_and_hot(b));
                far_a.cmp(&far_b).then(hot_a.total_cmp(&hot_b)).then(b.cmp(a))
            })
        });
        let mut path = vec![start.unwrap_or(cause)];
        while let Some(next) = path.last().filter(|last| **last != cause).and_then(|last| next_down[*last as usize]) {
            path.push(next);
        }
        path
    }

    /// The hot suspects that hang on the cause over hot ones or such without signals.
    pub(crate) fn suffering(&self, cause: u32, heats: &[Heat]) -> Vec<u32> {
        let mut seen = vec![false; self.above.len()];
        seen[cause as usize] = true;
        let (mut waiting, mut suffering) = (vec![cause], Vec::new());
        while let Some(suspect) = waiting.pop() {
            for above in &self.above[suspect as usize] {
                let hot = self.heat_of(*above as usize) >= 1.0;
                if !seen[*above as usize] && (hot || !heats[*above as usize].observed) {
                    seen[*above as usize] = true;
                    suffering.extend(hot.then_some(*above));
                    waiting.push(*above);
                }
            }
        }
        suffering
    }
}
