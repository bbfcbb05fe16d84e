//! Aggregations: series grouped by labels once, then folded per step.

use super::{Evaluator, windows};
use crate::{
    Grid, QueryError,
    labels::{grouped, with},
    value::{StepSeries, merged},
};
use promql_parser::parser::AggregateExpr;
use std::{cmp::Ordering, collections::BTreeMap};
use tandem_domain::series::Labels;

impl Evaluator<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &AggregateExpr, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let operator = aggregate.op.to_string();
        let series = self.vector(&aggregate.expr, grid)?;
        let mut groups: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
        for (place, one) in series.iter().enumerate() {
            groups.entry(grouped(&one.labels, aggregate.modifier.as_ref())).or_default().push(place);
        }
        let parameter = |this: &mut Self| match &aggregate.param {
            Some(parameter) => this.scalar(parameter, grid),
            None => Err(QueryError::bad(format!("{operator} takes a parameter"))),
        };
        match operator.as_str() {
            "topk" | "bottomk" | "limitk" => {
                let count = parameter(self)?;
                chosen(&operator, &series, groups, &count)
            }
            "count_values" => {
                let Some(label) = &aggregate.param else { return Err(QueryError::bad("count_values takes a label")) };
                let label = self.text(label, grid)?;
                counted_values(&series, groups, &label, grid.len())
            }
            "quantile" => {
                let q = parameter(self)?;
                for q in q.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                    self.annotations.warn(format!("quantile value should be between 0 and 1, got {q}"));
                }
                folded(&series, groups, grid.len(), |step, values| Some(windows::quantile(q[step], values)))
            }
            "sum" | "avg" | "min" | "max" | "count" | "group" | "stddev" | "stdvar" => {
                folded(&series, groups, grid.len(), |_, values| fold(&operator, values))
            }
            _ => Err(QueryError::bad(format!("aggregation {operator:?} is not served"))),
        }
    }
}

fn fold(operator: &str, values: &[f64]) -> Option<f64> {
    Some(match operator {
        "sum" => windows::sum(values.iter().copied()),
        "avg" => windows::mean(values),
        "min" => windows::extreme(values, |a, b| a < b),
        "max" => windows::extreme(values, |a, b| a > b),
        "count" => values.len() as f64,
        "group" => 1.0,
        "stdvar" => windows::variance(values),
        "stddev" => windows::variance(values).sqrt(),
        _ => return None,
    })
}

fn folded(
    series: &[StepSeries],
    groups: BTreeMap<Labels, Vec<usize>>,
    steps: usize,
    fold: impl Fn(usize, &mut [f64]) -> Option<f64>,
) -> Result<Vec<StepSeries>, QueryError> {
    let mut values = Vec::new();
    let mut of_group = |members: &[usize]| -> Vec<Option<f64>> {
        (0..steps)
            .map(|step| {
                values.clear();
                values.extend(members.iter().filter_map(|member| series[*member].values[step]));
                if values.is_empty() { None } else { fold(step, &mut values) }
            })
            .collect()
    };
    let folded = groups.into_iter().map(|(labels, members)| StepSeries { values: of_group(&members), labels });
    merged(folded.collect())
}

/// How many of each group a parameter asks for.
fn count_of(parameter: f64) -> Result<usize, QueryError> {
    if parameter.is_nan() {
        return Err(QueryError::execution("Parameter value is NaN"));
    }
    if parameter >= i64::MAX as f64 {
        return Err(QueryError::execution(format!("Scalar value {parameter} overflows int64")));
    }
    if parameter <= i64::MIN as f64 {
        return Err(QueryError::execution(format!("Scalar value {parameter} underflows int64")));
    }
    Ok(parameter.max(0.0) as usize)
}

/// The members themselves that are the largest, the smallest or the first of their group.
fn chosen(
    operator: &str,
    series: &[StepSeries],
    groups: BTreeMap<Labels, Vec<usize>>,
    parameter: &[f64],
) -> Result<Vec<StepSeries>, QueryError> {
    let mut kept: Vec<StepSeries> = series
        .iter()
        .map(|one| StepSeries { labels: one.labels.clone(), values: vec![None; one.values.len()] })
        .collect();
    let mut order = Vec::new();
    for (step, parameter) in parameter.iter().enumerate() {
        let count = count_of(*parameter)?;
        for members in groups.values() {
            let mut ranked: Vec<(usize, f64)> =
                members.iter().filter_map(|member| Some((*member, series[*member].values[step]?))).collect();
            // NaN ranks last in both.
            let compare = |a: f64, b: f64| match (a.is_nan(), b.is_nan()) {
                (false, false) if operator == "topk" => b.partial_cmp(&a).unwrap_or(Ordering::Equal),
                (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
                (a, b) => a.cmp(&b),
            };
            if operator != "limitk" {
                ranked.sort_by(|a, b| compare(a.1, b.1));
            }
            for (member, value) in ranked.into_iter().take(count) {
                kept[member].values[step] = Some(value);
                order.push(member);
            }
        }
    }
    // In the order of rank, as whoever asks for the largest expects.
    let mut seen = vec![false; kept.len()];
    order.retain(|member| !std::mem::replace(&mut seen[*member], true));
    Ok(order.into_iter().map(|member| kept[member].clone()).collect())
}

fn counted_values(
    series: &[StepSeries],
    groups: BTreeMap<Labels, Vec<usize>>,
    label: &str,
    steps: usize,
) -> Result<Vec<StepSeries>, QueryError> {
    if label.is_empty() {
        return Err(QueryError::execution(format!("invalid label name {label:?}")));
    }
    let mut counts: BTreeMap<Labels, Vec<Option<f64>>> = BTreeMap::new();
    for (labels, members) in &groups {
        for member in members {
            for (step, value) in series[*member].values.iter().enumerate() {
                let Some(value) = value else { continue };
                let labels = with(labels, label, &number_text(*value));
                let count = &mut counts.entry(labels).or_insert_with(|| vec![None; steps])[step];
                *count = Some(count.unwrap_or(0.0) + 1.0);
            }
        }
    }
    merged(counts.into_iter().map(|(labels, values)| StepSeries { labels, values }).collect())
}

/// A number as Prometheus writes it.
fn number_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    value.to_string()
}
