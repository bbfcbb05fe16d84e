//! The parser's tree as the tree that is evaluated.

use super::{
    places::Place,
    tokens::Kind as Word,
    too_deep,
    tree::{Aggregate, AggregateOp, Binary, BinaryOp, Extent, Grouping, Kind, Many, Node, Pinned, Selector, Subquery},
};
use crate::{QueryError, labels::METRIC_NAME};
use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{
        AggregateExpr, AtModifier, BinaryExpr, Call, Expr, LabelModifier, Offset, VectorMatchCardinality,
        VectorSelector,
    },
};
use regex::Regex;
use std::time::{Duration, UNIX_EPOCH};

/// Functions of a range that may be anchored.
const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
/// Functions of a range that may be smoothed.
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

/// Goes through the parser's tree in the order of the text.
pub(super) struct Builder<'q> {
    query: &'q str,
    places: Vec<Place<'q>>,
    next: usize,
    depth: usize,
    left: usize,
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

fn offset_millis(offset: Option<&Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(duration)) => millis(*duration),
        Some(Offset::Neg(duration)) => -millis(*duration),
    }
}

fn pinned(at: Option<&AtModifier>) -> Option<Pinned> {
    at.map(|at| match at {
        AtModifier::Start => Pinned::Start,
        AtModifier::End => Pinned::End,
        AtModifier::At(time) => Pinned::At(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        }),
    })
}

/// A matcher whose pattern takes line breaks for characters like any other, as Prometheus does.
fn whole_text(matcher: &Matcher) -> Result<Matcher, QueryError> {
    let pattern = |regex: &Regex| {
        let source = format!("^(?s:{})$", matcher.value);
        // What only the parser's own reading of repetitions accepts stays as it read it.
        Regex::new(&source).unwrap_or_else(|_| regex.clone())
    };
    let op = match &matcher.op {
        MatchOp::Re(regex) => MatchOp::Re(pattern(regex)),
        MatchOp::NotRe(regex) => MatchOp::NotRe(pattern(regex)),
        plain => plain.clone(),
    };
    Ok(Matcher { op, name: matcher.name.clone(), value: matcher.value.clone() })
}

/// Whether a quoted text is UTF-8 once its escapes of bytes (`\xff`, `\377`) are read.
fn is_text(quoted: &str) -> bool {
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut rest = quoted.as_bytes();
    if rest.first() == Some(&b'`') {
        return true;
    }
    while let Some((byte, after)) = rest.split_first() {
        let escaped = |digits: std::ops::Range<usize>, radix: u32| {
            let digits = std::str::from_utf8(rest.get(digits)?).ok()?;
            u8::from_str_radix(digits, radix).ok()
        };
        let (read, length) = match (byte, after.first()) {
            (b'\\', Some(b'x')) => (escaped(2..4, 16), 4),
            (b'\\', Some(b'0'..=b'7')) => (escaped(1..4, 8), 4),
            (b'\\', Some(_)) => (Some(b'?'), 2),
            _ => (Some(*byte), 1),
        };
        bytes.push(read.unwrap_or(b'?'));
        rest = &rest[length.min(rest.len())..];
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// The sets of matchers of a selector, of which one must fit.
pub(crate) fn matchers(selector: &VectorSelector) -> Result<Vec<Vec<Matcher>>, QueryError> {
    let named = selector.name.iter().map(|name| Matcher::new(MatchOp::Equal, METRIC_NAME, name));
    let named: Vec<Matcher> = named.collect();
    let sets = if selector.matchers.or_matchers.is_empty() {
        vec![selector.matchers.matchers.clone()]
    } else {
        selector.matchers.or_matchers.clone()
    };
    let with_name = |set: Vec<Matcher>| {
        let own: Result<Vec<Matcher>, QueryError> = set.iter().map(whole_text).collect();
        Ok(named.iter().cloned().chain(own?).collect())
    };
    sets.into_iter().map(with_name).collect()
}

fn grouping(modifier: Option<&LabelModifier>) -> Grouping {
    match modifier {
        None => Grouping::By(Vec::new()),
        Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels.clone()),
        Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels.clone()),
    }
}

impl<'q> Builder<'q> {
    pub(super) fn new(query: &'q str, places: Vec<Place<'q>>, depth: usize) -> Self {
        Self { query, places, next: 0, depth, left: depth }
    }

    /// The next word that is what is asked for; where there is none, the words stay as they are.
    fn take(&mut self, is_it: impl Fn(&Place<'q>) -> bool) -> (usize, Extent) {
        match self.places[self.next..].iter().position(is_it) {
            Some(ahead) => {
                let place = self.places[self.next + ahead];
                self.next += ahead + 1;
                (place.at, place.extent)
            }
            None => (self.query.len(), Extent::Plain),
        }
    }

    /// Where a literal begins: at its sign, where it has one.
    fn literal(&mut self, kind: Word) -> usize {
        let (at, _) = self.take(|place| place.kind == kind);
        let before = self.next.checked_sub(2).map(|before| self.places[before]);
        before.filter(|before| before.is_prefix).map_or(at, |before| before.at)
    }

    pub(super) fn node(&mut self, expr: &Expr) -> Result<Node, QueryError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| too_deep(self.depth))?;
        let node = self.part(expr);
        self.left += 1;
        node
    }

    fn part(&mut self, expr: &Expr) -> Result<Node, QueryError> {
        Ok(match expr {
            Expr::NumberLiteral(number) => Node { at: self.literal(Word::Number), kind: Kind::Number(number.val) },
            Expr::StringLiteral(text) => {
                let at = self.literal(Word::Text);
                let written = self.next.checked_sub(1).map_or("", |place| self.places[place].word);
                if !is_text(written) {
                    // Texts are names and values of labels, and patterns over them, which are UTF-8.
                    return Err(QueryError::execution(format!("invalid label name {written}")));
                }
                Node { at, kind: Kind::Text(text.val.clone()) }
            }
            Expr::Paren(inner) => {
                let (at, _) = self.take(|place| place.word == "(");
                Node { at, ..self.node(&inner.expr)? }
            }
            Expr::Unary(negated) => {
                let (at, _) = self.take(|place| place.is_prefix && place.word == "-");
                Node { at, kind: Kind::Negated(Box::new(self.node(&negated.expr)?)) }
            }
            Expr::VectorSelector(selector) => {
                let (at, selector) = self.selector(selector)?;
                Node { at, kind: Kind::Vector(selector) }
            }
            Expr::MatrixSelector(matrix) => {
                let (at, selector) = self.selector(&matrix.vs)?;
                Node { at, kind: Kind::Matrix(selector, millis(matrix.range)) }
            }
            Expr::Subquery(subquery) => {
                let inner = self.node(&subquery.expr)?;
                let read = Subquery {
                    range: millis(subquery.range),
                    step: subquery.step.map(millis),
                    offset: offset_millis(subquery.offset.as_ref()),
                    pinned: pinned(subquery.at.as_ref()),
                    inner,
                };
                Node { at: read.inner.at, kind: Kind::Subquery(Box::new(read)) }
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate)?,
            Expr::Binary(binary) => self.binary(binary)?,
            Expr::Call(call) => self.call(call)?,
            Expr::Extension(_) => return Err(QueryError::bad("the expression has a part that is not known")),
        })
    }

    fn selector(&mut self, selector: &VectorSelector) -> Result<(usize, Selector), QueryError> {
        let name = selector.name.as_deref();
        let (at, extent) =
            self.take(|place| place.kind == Word::Braces || (place.kind == Word::Name && name == Some(place.word)));
        let is_braced = |place: &Place<'_>| place.kind == Word::Braces;
        let began_with_name = self.next > 0 && self.places.get(self.next - 1).is_some_and(|p| p.kind == Word::Name);
        if began_with_name && self.places.get(self.next).is_some_and(is_braced) {
            self.next += 1;
        }
        let read = Selector {
            sets: matchers(selector)?,
            offset: offset_millis(selector.offset.as_ref()),
            pinned: pinned(selector.at.as_ref()),
            extent,
        };
        Ok((at, read))
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Node, QueryError> {
        let name = aggregate.op.to_string();
        let unknown = || QueryError::bad(format!("aggregation {name:?} is not served"));
        let op = AggregateOp::of(&name).ok_or_else(unknown)?;
        let (at, _) = self.take(|place| place.kind == Word::Name && place.word.eq_ignore_ascii_case(op.name()));
        let parameter = aggregate.param.as_ref().map(|parameter| self.node(parameter)).transpose()?;
        let inner = self.node(&aggregate.expr)?;
        let read = Aggregate { op, grouping: grouping(aggregate.modifier.as_ref()), parameter, inner };
        Ok(Node { at, kind: Kind::Aggregate(Box::new(read)) })
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<Node, QueryError> {
        let name = binary.op.to_string();
        let unknown = || QueryError::bad(format!("operator {name:?} is not served"));
        let left = self.node(&binary.lhs)?;
        let written = self.operator(&name);
        let op = BinaryOp::of(written.unwrap_or(&name)).ok_or_else(unknown)?;
        let right = self.node(&binary.rhs)?;
        let modifier = binary.modifier.as_ref();
        let (many, included) = match modifier.map(|modifier| &modifier.card) {
            Some(VectorMatchCardinality::ManyToOne(labels)) => (Many::Left, labels.labels.clone()),
            Some(VectorMatchCardinality::OneToMany(labels)) => (Many::Right, labels.labels.clone()),
            _ => (Many::Neither, Vec::new()),
        };
        let matching = match modifier.and_then(|modifier| modifier.matching.as_ref()) {
            None => Grouping::Without(Vec::new()),
            some => grouping(some),
        };
        let read = Binary {
            op,
            return_bool: modifier.is_some_and(|modifier| modifier.return_bool),
            matching,
            many,
            included,
            fill_left: modifier.and_then(|modifier| modifier.fill_values.lhs),
            fill_right: modifier.and_then(|modifier| modifier.fill_values.rhs),
            left,
            right,
        };
        Ok(Node { at: read.left.at, kind: Kind::Binary(Box::new(read)) })
    }

    /// The operator as it is written, which the parser may know by another one's name.
    fn operator(&mut self, name: &str) -> Option<&'q str> {
        let is_it = |place: &Place<'q>| match place.word {
            "</" => name == "<",
            ">/" => name == ">",
            word => !place.is_prefix && word.eq_ignore_ascii_case(name),
        };
        let ahead = self.places[self.next..].iter().position(is_it)?;
        self.next += ahead + 1;
        Some(self.places[self.next - 1].word)
    }

    fn call(&mut self, call: &Call) -> Result<Node, QueryError> {
        let name = call.func.name;
        let (at, _) = self.take(|place| place.kind == Word::Name && place.word.eq_ignore_ascii_case(name));
        let arguments: Result<Vec<Node>, QueryError> = call.args.args.iter().map(|one| self.node(one)).collect();
        let arguments = arguments?;
        for argument in &arguments {
            if let Kind::Matrix(selector, _) = &argument.kind {
                let refused = |what: &str, allowed: &[&str]| {
                    let allowed = allowed.join(", ");
                    Err(QueryError::bad(format!("{what} modifier can only be used with: {allowed} - not with {name}")))
                };
                match selector.extent {
                    Extent::Anchored if !ANCHORED.contains(&name) => return refused("anchored", &ANCHORED),
                    Extent::Smoothed if !SMOOTHED.contains(&name) => return refused("smoothed", &SMOOTHED),
                    _ => {}
                }
            }
        }
        Ok(Node { at, kind: Kind::Call(name, arguments) })
    }
}
