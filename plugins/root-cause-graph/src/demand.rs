//! More is asked of a service than it can serve: its requests rose, and most of those who serve it suffer alike. Then nobody below is to
//! blame more than another, and the service is named, for want of capacity.

use crate::{
    blame::{Blame, HOT},
    family::Family,
    heat::Heat,
};
use tandem_sdk::root_cause::Case;

/// Requests must have grown to so many times what they were.
const GROWN: f64 = 1.3;
/// And lie so many of their own spreads away from their course in the middle of the time after the onset.
const STANDING: f64 = 3.0;
/// Share of those who serve that must suffer.
const MOST: f64 = 0.5;
/// Fewer who serve say nothing about whether all do.
const MIN_SERVING: usize = 2;

/// Whether the demand on a suspect has grown.
fn has_grown(heat: &Heat) -> bool {
    let mut traffic = heat.signs.iter().filter(|sign| sign.family == Family::Traffic);
    traffic.any(|sign| sign.rises() && sign.standing >= STANDING && sign.times >= GROWN)
}

/// Moves what lies on those who serve an asked suspect to it, where more is asked of it than they can serve; who that was done for.
pub(crate) fn gather(case: &Case, heats: &[Heat], blame: &mut Blame) -> Option<u32> {
    let latency = Family::Latency.index();
    for asked in case.asked.iter().copied().filter(|asked| has_grown(&heats[*asked as usize])) {
        let serving: Vec<u32> = blame.below[asked as usize]
            .iter()
            .copied()
            .filter(|one| heats[*one as usize].sign(Family::Latency).is_some())
            .collect();
        let waits = serving.iter().filter(|one| blame.hot[**one as usize][latency] >= HOT[latency]).count();
        if serving.len() < MIN_SERVING || (waits as f64) < MOST * serving.len() as f64 {
            continue;
        }
        let taken: f64 = serving.iter().map(|one| std::mem::take(&mut blame.share[*one as usize])).sum();
        blame.share[asked as usize] += taken;
        return Some(asked);
    }
    None
}
