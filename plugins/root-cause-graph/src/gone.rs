//! Who shows nothing any more while others go on: a GPU that its exporter lists no longer, a replica that does not answer. That is no
//! value that left its course, and as telling as one.

use std::collections::BTreeSet;
use tandem_sdk::{
    root_cause::{Case, columns},
    types::{RelationKind, Timestamp},
};

/// Signals that must have ended together; one alone is a metric that its sender dropped.
const MIN_SIGNALS: usize = 2;
/// Share of the last values before the onset that must have been there.
const PRESENT: f64 = 0.5;
/// Rows at the end of the time after the onset that must be empty, at the least …
const MIN_EMPTY: usize = 3;
/// … and as a share of that time.
const EMPTY_SHARE: f64 = 0.2;
/// Rows before the onset in which it must have been there.
const LOOKED_BACK: usize = 20;

/// Rows of a frame: those before the onset that are looked at, and those at the end.
fn ends(at: &[Timestamp], onset: Timestamp) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let cut = at.partition_point(|at| *at < onset);
    let empty = MIN_EMPTY.max(((at.len() - cut) as f64 * EMPTY_SHARE).ceil() as usize);
    (at.len() - cut > empty && cut > 0).then(|| (cut.saturating_sub(LOOKED_BACK)..cut, at.len() - empty..at.len()))
}

/// By suspect, whether it is gone. What is contained in one that is gone went with it.
pub(crate) fn find(case: &Case, onset: Timestamp) -> Vec<bool> {
    let (mut were, mut gone) = (vec![0_usize; case.suspects.len()], vec![0_usize; case.suspects.len()]);
    for column in columns(case) {
        let Some((before, end)) = ends(column.at, onset) else { continue };
        let there = |rows: std::ops::Range<usize>| column.value[rows].iter().filter(|value| value.is_finite()).count();
        if there(before.clone()) as f64 >= PRESENT * before.len() as f64 {
            were[column.signal.suspect as usize] += 1;
            gone[column.signal.suspect as usize] += usize::from(there(end) == 0);
        }
    }
    let mut is_gone: Vec<bool> =
        were.iter().zip(&gone).map(|(were, gone)| *were >= MIN_SIGNALS && were == gone).collect();
    // Where everybody is gone, nobody is heard, and that is the hearer's trouble.
    if were.iter().zip(&is_gone).all(|(were, gone)| *were == 0 || *gone) {
        return vec![false; case.suspects.len()];
    }
    let with: BTreeSet<u32> = case
        .dependencies
        .iter()
        .filter(|edge| edge.kind == RelationKind::Contains && is_gone[edge.dependent as usize])
        .map(|edge| edge.dependency)
        .collect();
    with.into_iter().for_each(|part| is_gone[part as usize] = false);
    is_gone
}
