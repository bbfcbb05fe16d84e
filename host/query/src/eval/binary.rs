//! Binary operators: scalars, vectors matched by labels, and sets.

use super::Evaluator;
use crate::{
    Grid, QueryError,
    labels::{METRIC_NAME, grouped, nameless, with, without},
    value::{StepSeries, Value, merged},
};
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};
use std::collections::HashMap;
use tandem_domain::series::Labels;

/// The value of an operator; a comparison answers the left side or none, or 1 and 0 with `bool`.
fn combined(operator: &str, left: f64, right: f64, return_bool: bool) -> Option<f64> {
    let compared = |holds: bool| {
        if return_bool { Some(f64::from(u8::from(holds))) } else { holds.then_some(left) }
    };
    match operator {
        "+" => Some(left + right),
        "-" => Some(left - right),
        "*" => Some(left * right),
        "/" => Some(left / right),
        "%" => Some(left % right),
        "^" => Some(left.powf(right)),
        "atan2" => Some(left.atan2(right)),
        "==" => compared(left == right),
        "!=" => compared(left != right),
        ">" => compared(left > right),
        "<" => compared(left < right),
        ">=" => compared(left >= right),
        "<=" => compared(left <= right),
        _ => None,
    }
}

/// The labels by which two sides are matched.
fn signature(labels: &Labels, matching: Option<&LabelModifier>) -> Labels {
    match matching {
        None => nameless(labels),
        some => grouped(labels, some),
    }
}

impl Evaluator<'_> {
    pub(super) fn binary(&mut self, binary: &BinaryExpr, grid: Grid) -> Result<Value, QueryError> {
        let operator = binary.op.to_string();
        let return_bool = binary.modifier.as_ref().is_some_and(|modifier| modifier.return_bool);
        let keeps_name = binary.op.is_comparison_operator() && !return_bool;
        let (left, right) = (self.value(&binary.lhs, grid)?, self.value(&binary.rhs, grid)?);
        let relabelled = |labels: &Labels| if keeps_name { labels.clone() } else { nameless(labels) };
        match (left, right) {
            (Value::Scalar(left), Value::Scalar(right)) => {
                let both = left.into_iter().zip(right);
                Ok(Value::Scalar(both.map(|(l, r)| combined(&operator, l, r, true).unwrap_or(f64::NAN)).collect()))
            }
            (Value::Vector(series), Value::Scalar(scalar)) => {
                let combine = |one: StepSeries| StepSeries {
                    labels: relabelled(&one.labels),
                    values: one
                        .values
                        .iter()
                        .zip(&scalar)
                        .map(|(l, r)| combined(&operator, (*l)?, *r, return_bool))
                        .collect(),
                };
                merged(series.into_iter().map(combine).collect()).map(Value::Vector)
            }
            (Value::Scalar(scalar), Value::Vector(series)) => {
                let value = |l: f64, r: f64| {
                    let value = combined(&operator, l, r, return_bool)?;
                    // A filter keeps the vector's value, whichever side it stands on.
                    Some(if keeps_name { r } else { value })
                };
                let combine = |one: StepSeries| StepSeries {
                    labels: relabelled(&one.labels),
                    values: one.values.iter().zip(&scalar).map(|(r, l)| value(*l, (*r)?)).collect(),
                };
                merged(series.into_iter().map(combine).collect()).map(Value::Vector)
            }
            (Value::Vector(left), Value::Vector(right)) => {
                self.hold((left.len() + right.len()) * grid.len())?;
                let modifier = binary.modifier.as_ref();
                if binary.op.is_set_operator() {
                    return sets(&operator, left, right, modifier).map(Value::Vector);
                }
                Matching { operator: &operator, modifier, return_bool, keeps_name }
                    .matched(left, right, grid.len())
                    .map(Value::Vector)
            }
            _ => Err(QueryError::bad("binary expression must contain only scalar and instant vector types")),
        }
    }
}

fn sets(
    operator: &str,
    left: Vec<StepSeries>,
    right: Vec<StepSeries>,
    modifier: Option<&BinModifier>,
) -> Result<Vec<StepSeries>, QueryError> {
    let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
    // Per signature, the steps at which a side has anything.
    let present = |side: &[StepSeries]| {
        let mut steps: HashMap<Labels, Vec<bool>> = HashMap::new();
        for one in side {
            let steps = steps.entry(signature(&one.labels, matching)).or_insert_with(|| vec![false; one.values.len()]);
            steps.iter_mut().zip(&one.values).for_each(|(step, value)| *step |= value.is_some());
        }
        steps
    };
    let keep = |one: StepSeries, others: &HashMap<Labels, Vec<bool>>, when_there: bool| {
        let there = others.get(&signature(&one.labels, matching));
        let values = one.values.into_iter().enumerate();
        let kept = values.map(|(step, value)| value.filter(|_| there.is_some_and(|there| there[step]) == when_there));
        StepSeries { labels: one.labels, values: kept.collect() }
    };
    let series: Vec<StepSeries> = match operator {
        "and" | "unless" => {
            let others = present(&right);
            left.into_iter().map(|one| keep(one, &others, operator == "and")).collect()
        }
        _ => {
            let others = present(&left);
            left.iter().cloned().chain(right.into_iter().map(|one| keep(one, &others, false))).collect()
        }
    };
    merged(series)
}

struct Matching<'m> {
    operator: &'m str,
    modifier: Option<&'m BinModifier>,
    return_bool: bool,
    keeps_name: bool,
}

impl Matching<'_> {
    fn matched(
        &self,
        left: Vec<StepSeries>,
        right: Vec<StepSeries>,
        steps: usize,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let matching = self.modifier.and_then(|modifier| modifier.matching.as_ref());
        let fill = self.modifier.map(|modifier| modifier.fill_values.clone()).unwrap_or_default();
        if fill.lhs.is_some() || fill.rhs.is_some() {
            return Err(QueryError::bad("fill modifiers are not served"));
        }
        let (many_is_left, included) = match self.modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToOne(labels)) => (Some(true), labels.labels.clone()),
            Some(VectorMatchCardinality::OneToMany(labels)) => (Some(false), labels.labels.clone()),
            _ => (None, Vec::new()),
        };
        let (many, one) = if many_is_left == Some(false) { (right, left) } else { (left, right) };
        let mut by_signature: HashMap<Labels, Vec<&StepSeries>> = HashMap::new();
        for series in &one {
            by_signature.entry(signature(&series.labels, matching)).or_default().push(series);
        }
        let mut found = Vec::new();
        let mut used: HashMap<Labels, Vec<bool>> = HashMap::new();
        for series in &many {
            let key = signature(&series.labels, matching);
            let Some(partners) = by_signature.get(&key) else { continue };
            for partner in partners {
                let mut values = vec![None; steps];
                for (step, value) in values.iter_mut().enumerate() {
                    let (Some(a), Some(b)) = (series.values[step], partner.values[step]) else { continue };
                    let rivals = partners.iter().filter(|other| other.values[step].is_some()).count();
                    if rivals > 1 {
                        return Err(self.ambiguous(many_is_left, &key, partners));
                    }
                    let (l, r) = if many_is_left == Some(false) { (b, a) } else { (a, b) };
                    if many_is_left.is_none() {
                        let used = used.entry(key.clone()).or_insert_with(|| vec![false; steps]);
                        if std::mem::replace(&mut used[step], true) {
                            return Err(QueryError::execution(
                                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                            ));
                        }
                    }
                    *value = combined(self.operator, l, r, self.return_bool);
                }
                if values.iter().any(Option::is_some) {
                    found.push(StepSeries { labels: self.result(series, partner, many_is_left, &included), values });
                }
            }
        }
        merged(found).map_err(|_| {
            QueryError::execution("multiple matches for labels: grouping labels must ensure unique matches")
        })
    }

    fn ambiguous(&self, many_is_left: Option<bool>, key: &Labels, partners: &[&StepSeries]) -> QueryError {
        let side = if many_is_left == Some(false) { "left" } else { "right" };
        let told = |labels: &Labels| {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            format!("{{{}}}", pairs.join(", "))
        };
        let rivals: Vec<String> = partners.iter().take(2).map(|partner| told(&partner.labels)).collect();
        QueryError::execution(format!(
            "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}];many-to-many matching \
             not allowed: matching labels must be unique on one side",
            told(key),
            rivals.join(", ")
        ))
    }

    /// The labels of a match.
    fn result(&self, many: &StepSeries, one: &StepSeries, grouping: Option<bool>, included: &[String]) -> Labels {
        let labels = if self.keeps_name { many.labels.clone() } else { nameless(&many.labels) };
        if grouping.is_none() {
            let matching = self.modifier.and_then(|modifier| modifier.matching.as_ref());
            return match matching {
                Some(LabelModifier::Include(_)) => grouped(&labels, matching),
                Some(LabelModifier::Exclude(ignored)) => {
                    let ignored: Vec<&str> =
                        ignored.labels.iter().map(String::as_str).filter(|n| *n != METRIC_NAME).collect();
                    without(&labels, &ignored)
                }
                None => labels,
            };
        }
        included.iter().fold(labels, |labels, name| with(&labels, name, one.labels.get(name).unwrap_or_default()))
    }
}
