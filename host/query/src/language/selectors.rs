//! The selectors of an expression, wherever they stand in it.

use super::tree::{Kind, Node};
use promql_parser::label::Matcher;

/// The sets of matchers of all selectors of an expression, in the order of the text; an alternative is a set of its own.
pub(crate) fn selectors(node: &Node) -> Vec<Vec<Matcher>> {
    let mut found = Vec::new();
    collect(node, &mut found);
    found
}

/// As deep as the expression, which is bounded.
fn collect(node: &Node, found: &mut Vec<Vec<Matcher>>) {
    match &node.kind {
        Kind::Number(_) | Kind::Text(_) => {}
        Kind::Vector(selector) | Kind::Matrix(selector, _) => found.extend(selector.sets.iter().cloned()),
        Kind::Subquery(subquery) => collect(&subquery.inner, found),
        Kind::Negated(inner) => collect(inner, found),
        Kind::Binary(binary) => [&binary.left, &binary.right].into_iter().for_each(|side| collect(side, found)),
        Kind::Aggregate(aggregate) => {
            aggregate.parameter.iter().chain([&aggregate.inner]).for_each(|inner| collect(inner, found));
        }
        Kind::Call(_, arguments) => arguments.iter().for_each(|argument| collect(argument, found)),
    }
}
