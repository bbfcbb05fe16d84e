//! Config errors in words: file, line, key, remedy.

use std::path::{Path, PathBuf};

/// How unlike a name may be from a known one to be offered as what was meant (Jaro-Winkler similarity).
const NEAREST_NAME_SIMILARITY: f64 = 0.7;

/// Something wrong in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {problem}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1, when it can be told.
    pub line: Option<usize>,
    /// What is wrong with which key, and what to do.
    pub problem: String,
}

impl ConfigError {
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self {
            path: path.into(),
            line: None,
            problem: format!(
                "cannot be read: {error}; give the right path with --config, or leave it out for the defaults"
            ),
        }
    }

    pub(super) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map(|span| line_of(text, span.start));
        let key =
            error.span().and_then(|span| text.get(span)).filter(|found| found.len() < 60 && !found.contains('\n'));
        let message = error.message().trim();
        let problem = match unknown_field(message) {
            Some((found, known)) => match nearest(found, &known) {
                Some(meant) => format!("unknown key `{found}`; did you mean `{meant}`?"),
                None => format!("unknown key `{found}`; known here are {}", known.join(", ")),
            },
            None => match key {
                Some(found) => format!("at `{found}`: {message}"),
                None => message.to_owned(),
            },
        };
        Self { path: path.into(), line, problem }
    }

    /// A problem with a key given as a dotted path, such as `scrape.1` or `plugins.collector-power`.
    pub(super) fn at_key(path: &Path, text: &str, key: &str, problem: &str) -> Self {
        Self { path: path.into(), line: line_of_key(text, key), problem: format!("{key}: {problem}") }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Reads serde's sentence: unknown field `x`, expected one of `a`, `b` (or: expected `a`; or: there are no fields).
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let found = quoted.next()?;
    Some((found, quoted.collect()))
}

fn nearest<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    known
        .iter()
        .map(|name| (strsim::jaro_winkler(found, name), *name))
        .filter(|(similarity, _)| *similarity >= NEAREST_NAME_SIMILARITY)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// The line where a table, an element of an array of tables, or a plain key begins.
fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let (table, index) = match key.rsplit_once('.') {
        Some((table, last)) => match last.parse::<usize>() {
            Ok(index) => (table.to_owned(), Some(index)),
            Err(_) => (key.to_owned(), None),
        },
        None => (key.to_owned(), None),
    };
    let header = if index.is_some() { format!("[[{table}]]") } else { format!("[{table}]") };
    let mut seen = 0;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let plain = line.strip_prefix(&table).is_some_and(|rest| rest.trim_start().starts_with('='));
        if line.starts_with(&header) || (index.is_none() && plain) {
            if index.is_none_or(|index| index == seen) {
                return Some(number + 1);
            }
            seen += 1;
        }
    }
    None
}
