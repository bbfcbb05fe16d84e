//! Works an expression out for all lanes of a column: the parts of a kind, or the rows that a model answers.

use super::{Function, Given, Node, Operator, Together};
use crate::draw::Draws;

/// One value for all lanes, or one for each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Column {
    One(f64),
    Many(Vec<f64>),
}

impl Column {
    pub(crate) fn at(&self, lane: usize) -> f64 {
        match self {
            Column::One(value) => *value,
            Column::Many(values) => values[lane],
        }
    }

    /// Writes itself over a column.
    pub(crate) fn write(self, into: &mut Vec<f64>, lanes: usize) {
        match self {
            Column::One(value) => {
                into.clear();
                into.resize(lanes, value);
            }
            Column::Many(values) => *into = values,
        }
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        match self {
            Column::One(value) => Column::One(f(value)),
            Column::Many(mut values) => {
                values.iter_mut().for_each(|value| *value = f(*value));
                Column::Many(values)
            }
        }
    }

    fn with(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        match (self, other) {
            (Column::One(a), Column::One(b)) => Column::One(f(a, b)),
            (Column::Many(mut a), Column::One(b)) => {
                a.iter_mut().for_each(|a| *a = f(*a, b));
                Column::Many(a)
            }
            (Column::One(a), Column::Many(mut b)) => {
                b.iter_mut().for_each(|b| *b = f(a, *b));
                Column::Many(b)
            }
            (Column::Many(mut a), Column::Many(b)) => {
                a.iter_mut().zip(&b).for_each(|(a, b)| *a = f(*a, *b));
                Column::Many(a)
            }
        }
    }
}

/// Which parts of another kind each lane is linked with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Links {
    /// Where the parts of each lane begin; one more than there are lanes.
    pub starts: Vec<u32>,
    pub parts: Vec<u32>,
}

impl Links {
    pub(crate) fn of(&self, lane: usize) -> &[u32] {
        &self.parts[self.starts[lane] as usize..self.starts[lane + 1] as usize]
    }
}

/// What an expression sees.
pub(crate) struct Scene<'s> {
    pub lanes: usize,
    /// Seconds since the story began; negative while it warms up.
    pub time: f64,
    pub hour: f64,
    pub step_seconds: f64,
    /// Counts steps, those of the warm-up too.
    pub step: u64,
    pub draws: Draws,
    /// Columns of the kind itself.
    pub own: &'s [Vec<f64>],
    /// Columns of all kinds.
    pub kinds: &'s [Vec<Vec<f64>>],
    /// Links of the lanes with each kind.
    pub links: &'s [Links],
    pub wander: &'s [f64],
    pub previous: &'s [f64],
    pub value: &'s [f64],
    pub ramp: f64,
}

impl Scene<'_> {
    /// Works it out.
    pub(crate) fn evaluate(&self, node: &Node) -> Column {
        match node {
            Node::Number(number) => Column::One(*number),
            Node::Given(given) => self.given(*given),
            Node::Own(variable) => Column::Many(self.own[*variable].clone()),
            Node::Linked { kind, variable, together } => {
                Column::Many(gathered(&self.links[*kind], &self.kinds[*kind][*variable], *together, self.lanes))
            }
            Node::Count(kind) => {
                let links = &self.links[*kind];
                Column::Many((0..self.lanes).map(|lane| links.of(lane).len() as f64).collect())
            }
            Node::Negate(inside) => self.evaluate(inside).map(|value| -value),
            Node::Not(inside) => self.evaluate(inside).map(|value| truth(value == 0.0)),
            Node::Binary(operator, both) => {
                let (left, right) = (self.evaluate(&both.0), self.evaluate(&both.1));
                binary(*operator, left, right)
            }
            Node::Call(function, place, arguments) => self.call(*function, *place, arguments),
        }
    }

    fn given(&self, given: Given) -> Column {
        let each = |f: &dyn Fn(u64) -> f64| Column::Many((0..self.lanes as u64).map(f).collect());
        match given {
            Given::Time => Column::One(self.time),
            Given::Step => Column::One(self.step_seconds),
            Given::Hour => Column::One(self.hour),
            Given::Ramp => Column::One(self.ramp),
            Given::Noise => each(&|lane| self.draws.normal(lane, self.step, 0)),
            Given::Uniform => each(&|lane| self.draws.uniform(lane, self.step, 0)),
            Given::Index => each(&|lane| lane as f64),
            Given::Wander => Column::Many(self.wander.to_vec()),
            Given::Previous => Column::Many(self.previous.to_vec()),
            Given::Value => Column::Many(self.value.to_vec()),
        }
    }

    fn call(&self, function: Function, place: u64, arguments: &[Node]) -> Column {
        let mut arguments = arguments.iter().map(|argument| self.evaluate(argument));
        let mut next = || arguments.next().unwrap_or(Column::One(f64::NAN));
        let first = next();
        match function {
            Function::Absolute => first.map(f64::abs),
            Function::Exponential => first.map(f64::exp),
            Function::Logarithm => first.map(f64::ln),
            Function::SquareRoot => first.map(f64::sqrt),
            Function::Floor => first.map(f64::floor),
            Function::Round => first.map(f64::round),
            Function::Logistic => first.map(|x| 1.0 / (1.0 + (-x).exp())),
            Function::Least => first.with(next(), f64::min),
            Function::Most => first.with(next(), f64::max),
            Function::Known => first.with(next(), |x, otherwise| if x.is_nan() { otherwise } else { x }),
            Function::Clip => {
                let (low, high) = (next(), next());
                // A missing value stays missing.
                first
                    .with(low, |x, low| if x < low { low } else { x })
                    .with(high, |x, high| if x > high { high } else { x })
            }
            Function::If => {
                let (then, otherwise) = (next(), next());
                let lanes = self.lanes;
                match first {
                    Column::One(condition) => {
                        if condition != 0.0 {
                            then
                        } else {
                            otherwise
                        }
                    }
                    Column::Many(conditions) => Column::Many(
                        (0..lanes)
                            .map(|lane| if conditions[lane] != 0.0 { then.at(lane) } else { otherwise.at(lane) })
                            .collect(),
                    ),
                }
            }
            Function::Poisson => {
                let draw = |lane: usize| self.draws.poisson(first.at(lane), lane as u64, self.step, place);
                Column::Many((0..self.lanes).map(draw).collect())
            }
            Function::Daily => first.map(|peak| daily(self.hour, peak)),
            Function::Ease => {
                let (seconds, dt) = (next(), self.step_seconds);
                let share = seconds.map(|seconds| if seconds > 0.0 { 1.0 - (-dt / seconds).exp() } else { 1.0 });
                let eased = |lane: usize| {
                    let (before, towards) = (self.previous[lane], first.at(lane));
                    // Nothing came before the first step.
                    if self.step == 0 || before.is_nan() {
                        towards
                    } else {
                        before + (towards - before) * share.at(lane)
                    }
                };
                Column::Many((0..self.lanes).map(eased).collect())
            }
            Function::Pulse => {
                let lasts = next();
                let pulse = |lane: usize| {
                    let every = first.at(lane);
                    let own = self.draws.uniform(lane as u64, 0, place) * every;
                    truth((self.time + own).rem_euclid(every) < lasts.at(lane))
                };
                Column::Many((0..self.lanes).map(pulse).collect())
            }
        }
    }
}

fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// A day's load: 1 at the peak, 0 twelve hours from it, with a broad day and a deep night.
pub(super) fn daily(hour: f64, peak: f64) -> f64 {
    let wave = ((hour - peak) / 24.0 * std::f64::consts::TAU).cos();
    (0.5 + 0.5 * wave).powf(0.8)
}

fn binary(operator: Operator, left: Column, right: Column) -> Column {
    match operator {
        Operator::Add => left.with(right, |a, b| a + b),
        Operator::Subtract => left.with(right, |a, b| a - b),
        Operator::Multiply => left.with(right, |a, b| a * b),
        Operator::Divide => left.with(right, |a, b| a / b),
        Operator::Power => left.with(right, f64::powf),
        Operator::Less => left.with(right, |a, b| truth(a < b)),
        Operator::LessOrEqual => left.with(right, |a, b| truth(a <= b)),
        Operator::More => left.with(right, |a, b| truth(a > b)),
        Operator::MoreOrEqual => left.with(right, |a, b| truth(a >= b)),
        Operator::Equal => left.with(right, |a, b| truth(a == b)),
        Operator::Unequal => left.with(right, |a, b| truth(a != b)),
        Operator::And => left.with(right, |a, b| truth(a != 0.0 && b != 0.0)),
        Operator::Or => left.with(right, |a, b| truth(a != 0.0 || b != 0.0)),
    }
}

/// Values of linked parts, put together for each lane; 0 where nothing is linked.
fn gathered(links: &Links, values: &[f64], together: Together, lanes: usize) -> Vec<f64> {
    let one = |lane: usize| {
        let parts = links.of(lane);
        let linked = parts.iter().map(|part| values[*part as usize]);
        match (together, parts) {
            (_, []) => 0.0,
            (_, [only]) => values[*only as usize],
            (Together::Sum, _) => linked.sum(),
            (Together::Mean, _) => linked.sum::<f64>() / parts.len() as f64,
            (Together::Least, _) => linked.fold(f64::INFINITY, f64::min),
            (Together::Most, _) => linked.fold(f64::NEG_INFINITY, f64::max),
        }
    };
    (0..lanes).map(one).collect()
}
