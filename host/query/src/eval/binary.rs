//! Binary operators: scalars, and vectors matched by labels.

use super::{
    Evaluator,
    notes::Notes,
    operators::{Combined, arithmetic, combined},
    sets::sets,
};
use crate::{
    Grid, QueryError,
    labels::{label_text, nameless, signature, with, without},
    language::tree::{Binary, Grouping, Many},
    value::{Datum, Places, StepSeries, Value, merged},
};
use std::collections::BTreeSet;
use tandem_domain::series::Labels;

/// What an operator has to tell besides its values.
#[derive(Default)]
struct Told {
    notes: Notes,
    unfit: BTreeSet<(&'static str, &'static str)>,
    is_incompatible: bool,
}

/// The value at a step: with `bool` 1 or 0, else the value itself.
fn at_step(binary: &Binary, left: &Datum, right: &Datum, told: &mut Told) -> Option<Datum> {
    match combined(binary.op, left, right, &mut told.notes) {
        Combined::Kept(_) if binary.return_bool => Some(Datum::Float(1.0)),
        Combined::Kept(value) => Some(value),
        Combined::Dropped => binary.return_bool.then_some(Datum::Float(0.0)),
        Combined::Unfit(left, right) => {
            told.unfit.insert((left, right));
            None
        }
        Combined::Incompatible => {
            told.is_incompatible = true;
            None
        }
    }
}

impl Evaluator<'_> {
    pub(super) fn binary(&mut self, binary: &Binary, at: usize, grid: Grid) -> Result<Value, QueryError> {
        let (left, right) = (self.value(&binary.left, grid)?, self.value(&binary.right, grid)?);
        let mut told = Told::default();
        let drops_name = !binary.op.keeps_name() || binary.return_bool;
        let value = match (left, right) {
            (Value::Scalar(left), Value::Scalar(right)) => {
                let both = left.into_iter().zip(right);
                Value::Scalar(both.map(|(l, r)| arithmetic(binary.op, l, r)).collect())
            }
            (Value::Vector(series), Value::Scalar(scalar)) => {
                let combine = |one: StepSeries| {
                    one_sided(one, &scalar, drops_name, |value, scalar| {
                        at_step(binary, value, &Datum::Float(scalar), &mut told)
                    })
                };
                Value::Vector(series.into_iter().map(combine).collect())
            }
            (Value::Scalar(scalar), Value::Vector(series)) => {
                let combine = |one: StepSeries| {
                    one_sided(one, &scalar, drops_name, |value, scalar| {
                        let found = at_step(binary, &Datum::Float(scalar), value, &mut told)?;
                        // A filter keeps the vector's value, whichever side it stands on.
                        Some(if drops_name { found } else { value.clone() })
                    })
                };
                Value::Vector(series.into_iter().map(combine).collect())
            }
            (Value::Vector(left), Value::Vector(right)) => {
                self.hold((left.len() + right.len()) * grid.len())?;
                if binary.op.is_set() {
                    Value::Vector(sets(binary.op, left, right, &binary.matching)?)
                } else {
                    let matching = Matching { binary, drops_name, steps: grid.len() };
                    Value::Vector(matching.matched(left, right, &mut told)?)
                }
            }
            _ => {
                return Err(QueryError::bad("binary expression must contain only scalar and instant vector types"));
            }
        };
        let name = binary.op.name();
        self.tell(told.notes, "", at);
        for (left, right) in told.unfit {
            let kinds = format!("{name:?}: {left} {name} {right}");
            self.inform(at, &format!("incompatible sample types encountered for binary operator {kinds}"));
        }
        if told.is_incompatible {
            self.warn(at, &format!("incompatible bucket layout encountered for binary operator {name}"));
        }
        Ok(value)
    }
}

/// A series with a scalar at each step.
fn one_sided(
    mut one: StepSeries,
    scalar: &[f64],
    drops_name: bool,
    mut combine: impl FnMut(&Datum, f64) -> Option<Datum>,
) -> StepSeries {
    for (value, scalar) in one.values.iter_mut().zip(scalar) {
        *value = value.as_ref().and_then(|value| combine(value, *scalar));
    }
    one.drops_name |= drops_name;
    one
}

/// The series of both sides that have one signature.
#[derive(Default)]
struct Group<'s> {
    many: Vec<&'s StepSeries>,
    one: Vec<&'s StepSeries>,
}

struct Matching<'m> {
    binary: &'m Binary,
    drops_name: bool,
    steps: usize,
}

impl Matching<'_> {
    fn is_grouped(&self) -> bool {
        self.binary.many != Many::Neither
    }

    fn matched(
        &self,
        left: Vec<StepSeries>,
        right: Vec<StepSeries>,
        told: &mut Told,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let right_is_many = self.binary.many == Many::Right;
        let (many, one) = if right_is_many { (&right, &left) } else { (&left, &right) };
        // Whichever side is that of many, the left fill is its.
        let (fill_many, fill_one) = (self.binary.fill_left, self.binary.fill_right);
        let mut places = Places::with_capacity(many.len());
        let mut groups: Vec<(Labels, Group<'_>)> = Vec::new();
        let mut group_of = |labels: &Labels, groups: &mut Vec<(Labels, Group<'_>)>| {
            let key = signature(labels, &self.binary.matching);
            let place = places.of(&key, groups.len(), |place| &groups[place].0);
            if place == groups.len() {
                groups.push((key, Group::default()));
            }
            place
        };
        for series in many {
            let place = group_of(&series.labels, &mut groups);
            groups[place].1.many.push(series);
        }
        for series in one {
            let place = group_of(&series.labels, &mut groups);
            groups[place].1.one.push(series);
        }
        let mut found = Vec::new();
        for (key, group) in &groups {
            if group.one.len() > 1 {
                self.check_unique(key, group, many)?;
            }
            let of_group = self.of_group(key, group, (fill_many, fill_one), told)?;
            found.extend(of_group);
        }
        merged(found)
    }

    /// That at no step two series of a group stand where one must.
    fn check_unique(&self, key: &Labels, group: &Group<'_>, many: &[StepSeries]) -> Result<(), QueryError> {
        for step in 0..self.steps {
            let mut present = group.one.iter().filter(|series| series.values[step].is_some());
            let (first, second) = (present.next(), present.next());
            if let (Some(first), Some(second)) = (first, second)
                && many.iter().any(|series| series.values[step].is_some())
            {
                let side = if self.binary.many == Many::Right { "left" } else { "right" };
                return Err(QueryError::execution(format!(
                    "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
                     many-to-many matching not allowed: matching labels must be unique on one side",
                    label_text(key),
                    label_text(&first.labels),
                    label_text(&second.labels),
                )));
            }
        }
        Ok(())
    }

    fn of_group(
        &self,
        key: &Labels,
        group: &Group<'_>,
        (fill_many, fill_one): (Option<f64>, Option<f64>),
        told: &mut Told,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let mut found: Vec<StepSeries> = Vec::new();
        let mut push = |labels: Labels, drops_name: bool, values: Vec<Option<Datum>>| {
            if values.iter().any(Option::is_some) {
                found.push(StepSeries { labels, drops_name: drops_name || self.drops_name, values });
            }
        };
        let mut taken = vec![false; if self.is_grouped() { 0 } else { self.steps }];
        for many in &group.many {
            for one in &group.one {
                let values = self.values(many, one, &mut taken, told)?;
                push(self.labels(&many.labels, Some(&one.labels)), many.drops_name, values);
            }
            if let Some(fill) = fill_one {
                let is_alone = |step: usize| group.one.iter().all(|one| one.values[step].is_none());
                let filled = self.filled(
                    (0..self.steps).map(|step| {
                        is_alone(step)
                            .then(|| many.values[step].as_ref().map(|value| (value.clone(), Datum::Float(fill))))?
                    }),
                    told,
                );
                push(self.labels(&many.labels, None), many.drops_name, filled);
            }
        }
        if let Some(fill) = fill_many {
            for one in &group.one {
                let is_alone = |step: usize| group.many.iter().all(|many| many.values[step].is_none());
                let filled = self.filled(
                    (0..self.steps).map(|step| {
                        is_alone(step)
                            .then(|| one.values[step].as_ref().map(|value| (Datum::Float(fill), value.clone())))?
                    }),
                    told,
                );
                push(self.labels(&nameless(key), Some(&one.labels)), false, filled);
            }
        }
        Ok(found)
    }

    /// The operator's value of one from the side of many and one from the other.
    fn operated(&self, many: &Datum, one: &Datum, told: &mut Told) -> Option<Datum> {
        let (left, right) = if self.binary.many == Many::Right { (one, many) } else { (many, one) };
        at_step(self.binary, left, right, told)
    }

    fn values(
        &self,
        many: &StepSeries,
        one: &StepSeries,
        taken: &mut [bool],
        told: &mut Told,
    ) -> Result<Vec<Option<Datum>>, QueryError> {
        let mut values = Vec::with_capacity(self.steps);
        for (step, both) in many.values.iter().zip(&one.values).enumerate() {
            let (Some(many), Some(one)) = both else {
                values.push(None);
                continue;
            };
            if let Some(taken) = taken.get_mut(step)
                && std::mem::replace(taken, true)
            {
                return Err(QueryError::execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ));
            }
            values.push(self.operated(many, one, told));
        }
        Ok(values)
    }

    fn filled(&self, pairs: impl Iterator<Item = Option<(Datum, Datum)>>, told: &mut Told) -> Vec<Option<Datum>> {
        pairs.map(|pair| pair.and_then(|(many, one)| self.operated(&many, &one, told))).collect()
    }

    /// The labels of a match.
    fn labels(&self, many: &Labels, one: Option<&Labels>) -> Labels {
        let labels = if self.binary.op.keeps_name() { many.clone() } else { nameless(many) };
        if self.is_grouped() {
            let value = |name: &str| one.and_then(|one| one.get(name)).unwrap_or_default().to_owned();
            return self.binary.included.iter().fold(labels, |labels, name| with(&labels, name, &value(name)));
        }
        match &self.binary.matching {
            Grouping::By(_) => signature(&labels, &self.binary.matching),
            Grouping::Without(ignored) => {
                let ignored: Vec<&str> = ignored.iter().map(String::as_str).collect();
                if ignored.is_empty() { labels } else { without(&labels, &ignored) }
            }
        }
    }
}
