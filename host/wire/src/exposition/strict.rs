//! The verdict on a page by the letter of its format's specification, for the corpora and `tandem check`.
//!
//! This is stricter than scraping: OpenMetrics wants single blanks, an `# EOF`, families in one piece, histograms whose
//! parts agree, and exemplars only where they mean something. Prometheus itself takes pages that fail here.

use super::{Format, lexer, lines, strict_family::OpenMetrics, strict_text::Text};
use std::borrow::Cow;

/// A page that is all right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Families it declares or shows.
    pub families: usize,
    /// Samples it has.
    pub samples: usize,
}

/// Where a page breaks its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// Checks a page by the letter.
///
/// # Errors
/// The first line that breaks the format.
pub fn check(page: &[u8], format: Format) -> Result<Verdict, Fault> {
    match format {
        Format::Text => {
            let mut text = Text::default();
            each_line(page, |line| text.line(line))?;
            Ok(text.verdict())
        }
        Format::OpenMetrics => {
            let mut open = OpenMetrics::default();
            let last = each_line(page, |line| open.line(line))?;
            open.end().map_err(|reason| Fault { line: last, reason })
        }
    }
}

fn each_line<'p>(page: &'p [u8], mut take: impl FnMut(&'p str) -> Result<(), String>) -> Result<usize, Fault> {
    let mut number = 0;
    let mut rest = lines(page).peekable();
    while let Some(raw) = rest.next() {
        // What follows the last line's end is no line.
        if rest.peek().is_none() && raw.is_empty() {
            break;
        }
        number += 1;
        let fault = |reason: String| Fault { line: number, reason };
        let text = std::str::from_utf8(raw).map_err(|_| fault("not UTF-8".into()))?;
        if rest.peek().is_none() && !text.ends_with("# EOF") {
            return Err(fault("the last line does not end".into()));
        }
        take(text).map_err(fault)?;
    }
    Ok(number)
}

/// Labels of a strict sample, in their order, each name once.
pub(super) type Pairs<'p> = Vec<(Cow<'p, str>, Cow<'p, str>)>;

/// Name, labels and what follows them.
pub(super) fn series<'p>(text: &'p str, dialect: lexer::Dialect) -> Result<(Cow<'p, str>, Pairs<'p>, &'p str), String> {
    let mut rest = text;
    let mut metric = Cow::Borrowed(lexer::name(&mut rest, true));
    let block = if dialect.loose { rest.trim_start_matches([' ', '\t']) } else { rest };
    let mut pairs: Pairs<'p> = Vec::new();
    if let Some(inside) = block.strip_prefix('{') {
        rest = lexer::labels(inside, dialect, |pair| {
            match pair.value {
                Some(_) if pair.name == "__name__" => return Err("the label __name__ is reserved".into()),
                Some(_) if pairs.iter().any(|(name, _)| *name == pair.name) => {
                    return Err(format!("label {} is given twice", pair.name));
                }
                Some(value) => pairs.push((pair.name, value)),
                None if metric.is_empty() && pairs.is_empty() => metric = pair.name,
                None => return Err(format!("label {} has no value", pair.name)),
            }
            Ok(())
        })?;
    }
    if metric.is_empty() {
        return Err("it does not begin with a metric name".into());
    }
    Ok((metric, pairs, rest))
}

/// The value of a label.
pub(super) fn label<'a>(pairs: &'a Pairs<'_>, name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_ref())
}
