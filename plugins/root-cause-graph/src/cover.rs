//! How much of what suffers alike a suspect lies below. Trouble of all replicas of a service is explained by what all of them need, or
//! have in common, and not by what lies below one of them.

use crate::{
    blame::{Blame, HOT},
    family::Family,
    heat::Heat,
};
use tandem_sdk::root_cause::Case;

/// Fewer that suffer say nothing about who lies below all of them.
const MIN_SUFFERERS: usize = 2;

/// Weighs each suspect's blame by the share of the sufferers that need it: those right below who was asked about that are hot as users
/// feel it, or gone. Who lies below none of them (the asked one itself, a version of its model) concerns all.
pub(crate) fn weigh(case: &Case, heats: &[Heat], blame: &mut Blame) {
    let feels = |suspect: u32| {
        heats[suspect as usize].gone
            || [Family::Errors, Family::Latency].iter().any(|family| {
                let family = family.index();
                blame.hot[suspect as usize][family] >= HOT[family]
            })
    };
    let mut sufferers: Vec<u32> =
        case.asked.iter().flat_map(|asked| &blame.below[*asked as usize]).copied().filter(|one| feels(*one)).collect();
    sufferers.sort_unstable();
    sufferers.dedup();
    if sufferers.len() < MIN_SUFFERERS {
        return;
    }
    let mut covered = vec![0_u32; blame.share.len()];
    for sufferer in &sufferers {
        let mut seen = vec![false; blame.share.len()];
        let mut waiting = vec![*sufferer];
        seen[*sufferer as usize] = true;
        while let Some(here) = waiting.pop() {
            covered[here as usize] += 1;
            for below in &blame.below[here as usize] {
                if !std::mem::replace(&mut seen[*below as usize], true) {
                    waiting.push(*below);
                }
            }
        }
    }
    for (share, covered) in blame.share.iter_mut().zip(covered).filter(|(_, covered)| *covered > 0) {
        *share *= f64::from(covered) / sufferers.len() as f64;
    }
}
