//! `and`, `or` and `unless`.

use crate::{
    QueryError,
    labels::signature,
    language::tree::{BinaryOp, Grouping},
    value::{StepSeries, merged},
};
use std::collections::HashMap;
use tandem_domain::series::Labels;

/// Per signature, the steps at which a side has anything.
fn present(side: &[StepSeries], matching: &Grouping) -> HashMap<Labels, Vec<bool>> {
    let mut steps: HashMap<Labels, Vec<bool>> = HashMap::new();
    for one in side {
        let steps = steps.entry(signature(&one.labels, matching)).or_insert_with(|| vec![false; one.values.len()]);
        steps.iter_mut().zip(&one.values).for_each(|(step, value)| *step |= value.is_some());
    }
    steps
}

/// The values of a series at the steps where another side has something, or has nothing.
fn kept(mut one: StepSeries, others: &HashMap<Labels, Vec<bool>>, matching: &Grouping, when_there: bool) -> StepSeries {
    let there = others.get(&signature(&one.labels, matching));
    for (step, value) in one.values.iter_mut().enumerate() {
        if there.is_some_and(|there| there[step]) != when_there {
            *value = None;
        }
    }
    one
}

pub(super) fn sets(
    op: BinaryOp,
    left: Vec<StepSeries>,
    right: Vec<StepSeries>,
    matching: &Grouping,
) -> Result<Vec<StepSeries>, QueryError> {
    if op == BinaryOp::Or {
        let others = present(&left, matching);
        let right = right.into_iter().map(|one| kept(one, &others, matching, false));
        return merged(left.into_iter().chain(right).collect());
    }
    let others = present(&right, matching);
    let kept = left.into_iter().map(|one| kept(one, &others, matching, op == BinaryOp::And));
    Ok(kept.filter(|one| one.values.iter().any(Option::is_some)).collect())
}
