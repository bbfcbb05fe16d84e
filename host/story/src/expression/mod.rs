//! Arithmetic over columns: one expression is worked out for all parts of a kind at once, so that reading its tree costs
//! little beside the numbers.
//!
//! Own code, because what is needed is a handful of operators over columns with references to other parts by their links;
//! expression crates work on one number at a time, know functions of one and two arguments only, or want a map of names for
//! every evaluation.

mod evaluate;
mod lexer;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use evaluate::{Column, Links, Scene};
pub(crate) use parse::{Resolve, Target, is_reserved};

use crate::error::Problem;
use parse::Reading;

/// How the values of several linked parts become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Together {
    Mean,
    Sum,
    Least,
    Most,
}

/// Names without arguments that are worked out by the player.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// Seconds since the story began.
    Time,
    /// Seconds of a step.
    Step,
    /// Hour of the day, 0 to 24.
    Hour,
    /// A standard normal of its own.
    Noise,
    /// Between 0 and 1, of its own.
    Uniform,
    /// A slow random walk around 0 with variance 1.
    Wander,
    /// The number of the part within its kind, from 0.
    Index,
    /// The variable's own value at the last step.
    Previous,
    /// In an override: what the value would have been.
    Value,
    /// In an override: from 0 to 1 over the ramp.
    Ramp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Equal,
    Unequal,
    And,
    Or,
}

/// Functions with the number of their arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Absolute,
    Exponential,
    Logarithm,
    SquareRoot,
    Floor,
    Round,
    Logistic,
    Least,
    Most,
    Clip,
    If,
    /// `known(x, otherwise)`: `x`, or the other where `x` is missing.
    Known,
    /// `poisson(mean)`.
    Poisson,
    /// `daily(peak_hour)`: 0 in the small hours, 1 at the peak.
    Daily,
    /// `ease(towards, seconds)`: follows with a lag.
    Ease,
    /// `pulse(every, lasts)`: 1 for `lasts` seconds of every `every`, each part at its own moment.
    Pulse,
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Number(f64),
    Given(Given),
    /// A variable of the same kind.
    Own(usize),
    /// A variable of linked parts.
    Linked {
        kind: usize,
        variable: usize,
        together: Together,
    },
    /// How many parts of a kind are linked.
    Count(usize),
    Negate(Box<Node>),
    Not(Box<Node>),
    Binary(Operator, Box<(Node, Node)>),
    /// The place tells draws of one expression apart.
    Call(Function, u64, Vec<Node>),
}

impl Node {
    /// Reads an expression.
    pub(crate) fn read(text: &str, names: &dyn Resolve) -> Result<Self, Problem> {
        Reading::new(text)?.whole(names)
    }

    /// Whether something is true of this node or one inside.
    pub(crate) fn any(&self, is: &dyn Fn(&Node) -> bool) -> bool {
        is(self)
            || match self {
                Node::Negate(inside) | Node::Not(inside) => inside.any(is),
                Node::Binary(_, both) => both.0.any(is) || both.1.any(is),
                Node::Call(_, _, inside) => inside.iter().any(|node| node.any(is)),
                _ => false,
            }
    }

    /// Whether it needs the slow walk.
    pub(crate) fn wanders(&self) -> bool {
        self.any(&|node| *node == Node::Given(Given::Wander))
    }

    /// Refuses what only a variable has: a memory of its own.
    pub(crate) fn without_memory(self) -> Result<Self, Problem> {
        let remembers =
            |node: &Node| matches!(node, Node::Given(Given::Wander | Given::Previous) | Node::Call(Function::Ease, ..));
        match self.any(&remembers) {
            true => Err("wander, prev and ease have a memory, which only variables of a kind have; make it one".into()),
            false => Ok(self),
        }
    }
}
