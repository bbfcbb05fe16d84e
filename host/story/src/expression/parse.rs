//! From signs to a tree, by precedence climbing.

use super::{
    Function, Given, Node, Operator, Together,
    lexer::{Sign, signs},
};
use crate::{
    error::Problem,
    limits::{MAX_DEPTH, MAX_EXPRESSION_BYTES},
};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A variable of the kind itself.
    Own(usize),
    /// A variable of another kind.
    Linked { kind: usize, variable: usize },
    /// How many parts of another kind are linked.
    Count(usize),
}

/// Knows the names that an expression may use.
pub(crate) trait Resolve {
    /// `busy`, or (`gpu`, `busy`), or (`gpu`, `count`).
    fn resolve(&self, kind: Option<&str>, name: &str) -> Result<Target, Problem>;
    /// Whether `value` and `ramp` mean something here.
    fn overrides(&self) -> bool;
}

const FUNCTIONS: [(&str, Function, usize); 16] = [
    ("abs", Function::Absolute, 1),
    ("exp", Function::Exponential, 1),
    ("ln", Function::Logarithm, 1),
    ("sqrt", Function::SquareRoot, 1),
    ("floor", Function::Floor, 1),
    ("round", Function::Round, 1),
    ("logistic", Function::Logistic, 1),
    ("min", Function::Least, 2),
    ("max", Function::Most, 2),
    ("clip", Function::Clip, 3),
    ("if", Function::If, 3),
    ("known", Function::Known, 2),
    ("poisson", Function::Poisson, 1),
    ("daily", Function::Daily, 1),
    ("ease", Function::Ease, 2),
    ("pulse", Function::Pulse, 2),
];

const GIVEN: [(&str, Given); 8] = [
    ("t", Given::Time),
    ("dt", Given::Step),
    ("hour", Given::Hour),
    ("noise", Given::Noise),
    ("uniform", Given::Uniform),
    ("wander", Given::Wander),
    ("index", Given::Index),
    ("prev", Given::Previous),
];

/// Mark, operator, how strongly it binds, from the right or from the left.
const OPERATORS: [(&str, Operator, u8); 13] = [
    ("||", Operator::Or, 1),
    ("&&", Operator::And, 2),
    ("==", Operator::Equal, 3),
    ("!=", Operator::Unequal, 3),
    ("<", Operator::Less, 4),
    ("<=", Operator::LessOrEqual, 4),
    (">", Operator::More, 4),
    (">=", Operator::MoreOrEqual, 4),
    ("+", Operator::Add, 5),
    ("-", Operator::Subtract, 5),
    ("*", Operator::Multiply, 6),
    ("/", Operator::Divide, 6),
    ("^", Operator::Power, 8),
];
/// How strongly a sign before a value binds: `-2^2` is -4, `-2*3` is (-2)*3.
const PREFIX: u8 = 7;

/// An expression that is being read.
pub(crate) struct Reading {
    signs: Vec<Sign>,
    place: usize,
    draws: u64,
}

impl Reading {
    pub(crate) fn new(text: &str) -> Result<Self, Problem> {
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(format!("the expression is longer than {MAX_EXPRESSION_BYTES} bytes; split it into variables"));
        }
        Ok(Self { signs: signs(text)?, place: 0, draws: 0 })
    }

    pub(crate) fn whole(mut self, names: &dyn Resolve) -> Result<Node, Problem> {
        let node = self.climb(names, 0, 0)?;
        match self.signs.get(self.place) {
            None => Ok(node),
            Some(sign) => Err(format!("after the expression there is {}; an operator may be missing", shown(sign))),
        }
    }

    fn take(&mut self) -> Option<Sign> {
        let sign = self.signs.get(self.place).cloned();
        self.place += 1;
        sign
    }

    fn accept(&mut self, mark: &str) -> bool {
        let is = matches!(self.signs.get(self.place), Some(Sign::Mark(found)) if *found == mark);
        self.place += usize::from(is);
        is
    }

    fn climb(&mut self, names: &dyn Resolve, least: u8, depth: usize) -> Result<Node, Problem> {
        if depth > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH}; split it into variables"));
        }
        let mut left = self.value(names, depth)?;
        while let Some(Sign::Mark(mark)) = self.signs.get(self.place) {
            let Some((_, operator, binds)) = OPERATORS.iter().find(|(known, ..)| known == mark) else { break };
            if *binds < least {
                break;
            }
            self.place += 1;
            let from = if *operator == Operator::Power { *binds } else { binds + 1 };
            let right = self.climb(names, from, depth + 1)?;
            left = Node::Binary(*operator, Box::new((left, right)));
        }
        Ok(left)
    }

    fn value(&mut self, names: &dyn Resolve, depth: usize) -> Result<Node, Problem> {
        match self.take() {
            None => Err("it ends where a value is expected".into()),
            Some(Sign::Number(number)) => Ok(Node::Number(number)),
            Some(Sign::Mark("-")) => Ok(Node::Negate(Box::new(self.climb(names, PREFIX, depth + 1)?))),
            Some(Sign::Mark("!")) => Ok(Node::Not(Box::new(self.climb(names, PREFIX, depth + 1)?))),
            Some(Sign::Mark("(")) => {
                let inside = self.climb(names, 0, depth + 1)?;
                if self.accept(")") { Ok(inside) } else { Err("a bracket is not closed".into()) }
            }
            Some(Sign::Name(name)) if self.accept("(") => self.call(&name, names, depth),
            Some(Sign::Name(name)) => named(&name, names),
            Some(sign) => Err(format!("{} stands where a value is expected", shown(&sign))),
        }
    }

    fn call(&mut self, name: &str, names: &dyn Resolve, depth: usize) -> Result<Node, Problem> {
        let known = || FUNCTIONS.map(|(name, ..)| name).join(", ");
        let (_, function, wanted) = FUNCTIONS
            .iter()
            .find(|(known, ..)| *known == name)
            .ok_or_else(|| format!("there is no function {name}; there are {}", known()))?;
        let mut arguments = Vec::new();
        if !self.accept(")") {
            loop {
                arguments.push(self.climb(names, 0, depth + 1)?);
                if self.accept(")") {
                    break;
                }
                if !self.accept(",") {
                    return Err(format!("the arguments of {name} are not closed by a bracket"));
                }
            }
        }
        if arguments.len() != *wanted {
            return Err(format!("{name} takes {wanted} arguments and is given {}", arguments.len()));
        }
        self.draws += 1;
        Ok(Node::Call(*function, self.draws, arguments))
    }
}

fn named(name: &str, names: &dyn Resolve) -> Result<Node, Problem> {
    match name {
        "nan" => return Ok(Node::Number(f64::NAN)),
        "pi" => return Ok(Node::Number(std::f64::consts::PI)),
        "value" | "ramp" => {
            if !names.overrides() {
                return Err(format!("{name} means something only in what a fault or an event sets"));
            }
            return Ok(Node::Given(if name == "value" { Given::Value } else { Given::Ramp }));
        }
        _ => {}
    }
    if let Some((_, given)) = GIVEN.iter().find(|(known, _)| *known == name) {
        return Ok(Node::Given(*given));
    }
    let mut steps = name.split('.');
    let (first, second, third) = (steps.next().unwrap_or_default(), steps.next(), steps.next());
    let (target, together) = match (second, third, steps.next()) {
        (None, ..) => (names.resolve(None, first)?, Together::Mean),
        (Some(second), None, _) => (names.resolve(Some(first), second)?, Together::Mean),
        (Some(second), Some(third), None) => {
            let together = match second {
                "mean" => Together::Mean,
                "sum" => Together::Sum,
                "min" => Together::Least,
                "max" => Together::Most,
                _ => return Err(format!("{name}: between kind and variable stands mean, sum, min or max")),
            };
            (names.resolve(Some(first), third)?, together)
        }
        _ => return Err(format!("{name} has too many dots; write it like gpu.busy or gpu.max.busy")),
    };
    Ok(match target {
        Target::Own(variable) => Node::Own(variable),
        Target::Linked { kind, variable } => Node::Linked { kind, variable, together },
        Target::Count(kind) => Node::Count(kind),
    })
}

fn shown(sign: &Sign) -> String {
    match sign {
        Sign::Number(number) => number.to_string(),
        Sign::Name(name) => name.clone(),
        Sign::Mark(mark) => format!("{mark:?}"),
    }
}

/// Every word that has a meaning of its own, and so can name no variable.
pub(crate) fn is_reserved(name: &str) -> bool {
    ["nan", "pi", "value", "ramp", "count"].contains(&name)
        || GIVEN.iter().any(|(known, _)| *known == name)
        || FUNCTIONS.iter().any(|(known, ..)| *known == name)
}
