//! How much of what suffers alike a suspect lies below, and how much of what lies above it suffers. Trouble of all replicas of a service is
//! explained by what all of them need, or have in common, and not by what lies below one of them; trouble of one of them is not
//! explained by what all of them need.

use crate::{
    blame::{Blame, HOT},
    family::Family,
    heat::Heat,
};
use tandem_sdk::root_cause::Case;

/// Of the worst that one suffers, what the others suffer at least; less is chance.
const ALIKE: f64 = 0.25;
/// Beyond it nobody suffers more: so many times what is hot. Who is gone suffers as much.
const MOST_FELT: f64 = 20.0;
/// What is left at least: whoever serves may suffer without showing it.
const LEAST_LEFT: f64 = 0.05;

/// How much users feel of what is wrong with one that serves, in times of what is hot; none where it shows nothing of the kind.
fn felt(suspect: u32, heats: &[Heat], blame: &Blame) -> Option<f64> {
    let heat = &heats[suspect as usize];
    if heat.gone {
        return Some(MOST_FELT);
    }
    let families = [Family::Errors, Family::Latency];
    let shows = families.iter().any(|family| heat.sign(*family).is_some());
    let of = |family: Family| blame.hot[suspect as usize][family.index()] / HOT[family.index()];
    shows.then(|| families.map(of).into_iter().fold(0.0, f64::max).min(MOST_FELT))
}

/// Weighs each suspect's blame by the share of the sufferers that need it, and by the root of the share of those that need it and
/// suffer: of what is shared, not all must feel as much. Those who may suffer are right below who was asked about. Who lies below
/// none of them (the asked one itself) concerns all.
pub(crate) fn weigh(case: &Case, heats: &[Heat], blame: &mut Blame) {
    let mut serving: Vec<u32> = case.asked.iter().flat_map(|asked| &blame.below[*asked as usize]).copied().collect();
    serving.sort_unstable();
    serving.dedup();
    let felt: Vec<(u32, f64)> = serving.into_iter().filter_map(|one| Some((one, felt(one, heats, blame)?))).collect();
    let worst = felt.iter().map(|(_, felt)| *felt).fold(0.0, f64::max);
    let sufferers = felt.iter().filter(|(_, felt)| suffers(*felt, worst)).count();
    if sufferers == 0 {
        return;
    }
    let (mut serve, mut suffer) = (vec![0_u32; blame.share.len()], vec![0_u32; blame.share.len()]);
    for (one, felt) in &felt {
        let suffers = suffers(*felt, worst);
        for suspect in reached(*one, blame) {
            serve[suspect] += 1;
            suffer[suspect] += u32::from(suffers);
        }
    }
    for (suspect, share) in blame.share.iter_mut().enumerate().filter(|(suspect, _)| serve[*suspect] > 0) {
        let suffer = f64::from(suffer[suspect]);
        let weight = suffer / sufferers as f64 * (suffer / f64::from(serve[suspect])).sqrt();
        *share *= weight.max(LEAST_LEFT);
    }
}

fn suffers(felt: f64, worst: f64) -> bool {
    felt >= (ALIKE * worst).max(1.0)
}

/// One suspect and all that it needs.
fn reached(from: u32, blame: &Blame) -> Vec<usize> {
    let mut seen = vec![false; blame.share.len()];
    seen[from as usize] = true;
    let (mut waiting, mut reached) = (vec![from], Vec::new());
    while let Some(here) = waiting.pop() {
        reached.push(here as usize);
        for below in &blame.below[here as usize] {
            if !std::mem::replace(&mut seen[*below as usize], true) {
                waiting.push(*below);
            }
        }
    }
    reached
}
