//! Aggregations that keep some of the series themselves: the largest, the smallest, the first, a share.

use super::{Evaluator, aggregate::Group};
use crate::{
    QueryError,
    language::tree::AggregateOp,
    number_text,
    value::{Datum, StepSeries},
};
use std::{
    cmp::Ordering,
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

/// How many of each group a parameter asks for.
fn count_of(parameter: f64) -> Result<usize, QueryError> {
    if parameter.is_nan() {
        return Err(QueryError::execution("Parameter value is NaN"));
    }
    if parameter >= i64::MAX as f64 {
        return Err(QueryError::execution(format!("Scalar value {} overflows int64", number_text(parameter))));
    }
    if parameter <= i64::MIN as f64 {
        return Err(QueryError::execution(format!("Scalar value {} underflows int64", number_text(parameter))));
    }
    Ok(parameter.max(0.0) as usize)
}

impl Evaluator<'_> {
    /// The members that are the largest, the smallest or the first of their group.
    pub(super) fn ranked(
        &mut self,
        op: AggregateOp,
        mut series: Vec<StepSeries>,
        groups: &[Group],
        parameter: &[f64],
        at: usize,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let mut order: Vec<usize> = Vec::new();
        let mut is_kept = vec![false; series.len()];
        let mut is_ignored = false;
        let mut ranked: Vec<(usize, f64)> = Vec::new();
        // NaN ranks last in both; of equals the first comes first.
        let compare = |a: &(usize, f64), b: &(usize, f64)| {
            let by_value = match (a.1.is_nan(), b.1.is_nan()) {
                (false, false) if op == AggregateOp::TopK => b.1.partial_cmp(&a.1).unwrap_or(Ordering::Equal),
                (false, false) => a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal),
                (a, b) => a.cmp(&b),
            };
            by_value.then(a.0.cmp(&b.0))
        };
        let mut chosen = vec![false; series.len()];
        for (step, parameter) in parameter.iter().enumerate() {
            self.limits.check()?;
            let count = count_of(*parameter)?;
            chosen.iter_mut().for_each(|one| *one = false);
            for group in groups {
                ranked.clear();
                for member in &group.members {
                    match &series[*member].values[step] {
                        None => {}
                        Some(Datum::Float(value)) => ranked.push((*member, *value)),
                        Some(Datum::Histogram(_)) if op == AggregateOp::LimitK => ranked.push((*member, 0.0)),
                        Some(Datum::Histogram(_)) => is_ignored = true,
                    }
                }
                if op != AggregateOp::LimitK {
                    if count > 0 && count < ranked.len() {
                        ranked.select_nth_unstable_by(count - 1, compare);
                        ranked.truncate(count);
                    }
                    ranked.sort_unstable_by(compare);
                }
                for (member, _) in ranked.iter().take(count) {
                    chosen[*member] = true;
                    if !std::mem::replace(&mut is_kept[*member], true) {
                        order.push(*member);
                    }
                }
            }
            for (one, is_chosen) in series.iter_mut().zip(&chosen) {
                if !is_chosen {
                    one.values[step] = None;
                }
            }
        }
        if is_ignored {
            self.inform(at, &format!("ignored histogram in {} aggregation", op.name()));
        }
        // In the order of rank, as whoever asks for the largest expects.
        let mut series: Vec<Option<StepSeries>> = series.into_iter().map(Some).collect();
        Ok(order.into_iter().filter_map(|member| series[member].take()).collect())
    }

    /// A share of the series, by a hash of their labels; the negative of the rest of the share keeps the others.
    pub(super) fn limited_by_ratio(
        &mut self,
        mut series: Vec<StepSeries>,
        ratios: &[f64],
        at: usize,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let mut capped = Vec::with_capacity(ratios.len());
        for ratio in ratios {
            if ratio.is_nan() {
                return Err(QueryError::execution("Ratio value is NaN"));
            }
            let cap = ratio.clamp(-1.0, 1.0);
            if cap != *ratio {
                let (given, cap) = (number_text(*ratio), number_text(cap));
                self.warn(at, &format!("ratio value should be between -1 and 1, got {given}, capping to {cap}"));
            }
            capped.push(cap);
        }
        for one in &mut series {
            let mut hasher = DefaultHasher::new();
            one.labels.hash(&mut hasher);
            // 53 bits, so that the share stays below one.
            let share = (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64;
            for (value, ratio) in one.values.iter_mut().zip(&capped) {
                let is_kept = if *ratio >= 0.0 { share < *ratio } else { share >= 1.0 + ratio };
                if !is_kept {
                    *value = None;
                }
            }
        }
        series.retain(|one| one.values.iter().any(Option::is_some));
        Ok(series)
    }
}
