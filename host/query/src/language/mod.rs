//! A query's text as a tree. The grammar is the parser's, which is not ours; around it stands what it lacks: places of parts,
//! for what is told of an answer; expressions of durations; `anchored` and `smoothed`.

mod build;
mod durations;
mod places;
mod resolve;
mod selectors;
mod tokens;
pub(crate) mod tree;

use crate::{Grid, QueryError};
use build::Builder;
pub(crate) use build::matchers;
use promql_parser::parser::{self, Expr};
pub(crate) use selectors::selectors;
use tree::Node;

/// A label that marks the selector of `info`, which may match everything, for the parser, which takes no such selector.
pub(crate) const INFO_MARK: &str = "__info_selector__";

/// Signs and parentheses of one query: each may be a level of the parser's tree, which takes stack when it is dropped.
const MAX_SIGNS: usize = 2_000;

/// Reads a query that is asked for some moments.
///
/// # Errors
/// When it is wrong, or nested deeper than allowed.
pub(crate) fn read(query: &str, whole: Grid, depth: usize) -> Result<Node, QueryError> {
    let parse_error = |message: String| QueryError::bad(format!("parse error: {message}"));
    let tokens = tokens::tokens(query).map_err(parse_error)?;
    let signs = tokens.iter().filter(|token| token.kind != tokens::Kind::Number).count();
    if signs > MAX_SIGNS {
        return Err(QueryError::bad(format!("the expression has more than {MAX_SIGNS} parts")));
    }
    nested(query, &tokens, depth)?;
    let (text, tokens) = resolve::resolved(query, tokens, whole).map_err(parse_error)?;
    let parsed = parsed(&text).map_err(parse_error)?;
    Builder::new(query, places::places(query, tokens), depth).node(&parsed)
}

/// The parser's tree of a text. The parser panics at numbers that are no duration it can hold (`[1:1e30]`); whoever asks is told
/// that the query is wrong.
pub(crate) fn parsed(text: &str) -> Result<Expr, String> {
    std::panic::catch_unwind(|| parser::parse(text))
        .unwrap_or_else(|_| Err("a number of the query is out of range where it stands".to_owned()))
}

/// How deep parentheses stand in each other.
fn nested(query: &str, tokens: &[tokens::Token], depth: usize) -> Result<(), QueryError> {
    let mut open = 0usize;
    for token in tokens {
        match &query[token.start..token.end] {
            "(" => open += 1,
            ")" => open = open.saturating_sub(1),
            _ => {}
        }
        if open > depth {
            return Err(too_deep(depth));
        }
    }
    Ok(())
}

fn too_deep(depth: usize) -> QueryError {
    QueryError::bad(format!("the expression is nested deeper than {depth}"))
}
