//! The pieces of a line, borrowed from it: names, label blocks, quoted texts, numbers.

use std::borrow::Cow;

/// Labels of one series; more is an exporter gone wrong.
pub const MAX_LABELS: usize = 128;

/// How a dialect writes label blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// Blanks between the parts of a block, and a comma after the last label.
    pub loose: bool,
    /// A backslash before any character, and not only before `n`, `"` and itself.
    pub any_escape: bool,
}

impl Dialect {
    /// What is taken when scraping: all that either format allows, and more.
    pub const LENIENT: Self = Self { loose: true, any_escape: true };
    /// Text 0.0.4 as written down.
    pub const TEXT: Self = Self { loose: true, any_escape: false };
    /// OpenMetrics 1.0 as written down.
    pub const OPEN_METRICS: Self = Self { loose: false, any_escape: true };
}

/// One label as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair<'p> {
    pub name: Cow<'p, str>,
    /// None for a quoted text that stands alone: the metric's own name (UTF-8 names).
    pub value: Option<Cow<'p, str>>,
}

/// Takes a name off the front: letters, digits, `_`, and `:` in metric names. Empty when there is none.
pub(super) fn name<'p>(rest: &mut &'p str, colons: bool) -> &'p str {
    let bytes = rest.as_bytes();
    let fits = |index: usize, byte: u8| {
        byte.is_ascii_alphabetic() || byte == b'_' || (colons && byte == b':') || (index > 0 && byte.is_ascii_digit())
    };
    let end = bytes.iter().enumerate().position(|(index, byte)| !fits(index, *byte)).unwrap_or(bytes.len());
    let (found, after) = rest.split_at(end);
    *rest = after;
    found
}

fn blanks(text: &str, dialect: Dialect) -> &str {
    if dialect.loose { text.trim_start_matches([' ', '\t']) } else { text }
}

/// Reads a label block after its opening brace, telling each label; answers what follows the closing brace.
pub(super) fn labels<'p>(
    inside: &'p str,
    dialect: Dialect,
    mut each: impl FnMut(Pair<'p>) -> Result<(), String>,
) -> Result<&'p str, String> {
    let mut rest = blanks(inside, dialect);
    let mut count = 0;
    loop {
        if let Some(after) = rest.strip_prefix('}').filter(|_| dialect.loose || count == 0) {
            return Ok(after);
        }
        if count >= MAX_LABELS {
            return Err(format!("more than {MAX_LABELS} labels"));
        }
        count += 1;
        let (pair, after) = pair(rest, dialect)?;
        each(pair)?;
        rest = after;
        if let Some(after) = rest.strip_prefix(',') {
            rest = blanks(after, dialect);
        } else if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        } else {
            return Err("the labels do not end".into());
        }
    }
}

fn pair<'p>(mut rest: &'p str, dialect: Dialect) -> Result<(Pair<'p>, &'p str), String> {
    let mut is_quoted = false;
    let label = if let Some(after) = rest.strip_prefix('"') {
        let (text, after) = quoted(after, dialect)?;
        rest = after;
        is_quoted = true;
        text
    } else {
        let found = name(&mut rest, false);
        if found.is_empty() {
            return Err("a label has no name, or the labels do not end".into());
        }
        Cow::Borrowed(found)
    };
    rest = blanks(rest, dialect);
    let Some(after) = rest.strip_prefix('=') else {
        if is_quoted {
            return Ok((Pair { name: label, value: None }, rest));
        }
        return Err(format!("label {label} has no value"));
    };
    let Some(after) = blanks(after, dialect).strip_prefix('"') else {
        return Err(format!("the value of label {label} is not quoted"));
    };
    let (value, after) = quoted(after, dialect)?;
    Ok((Pair { name: label, value: Some(value) }, blanks(after, dialect)))
}

/// Text up to the closing quote, escapes undone where there are any; answers what follows it.
fn quoted<'p>(text: &'p str, dialect: Dialect) -> Result<(Cow<'p, str>, &'p str), String> {
    const OPEN: &str = "a quoted text does not end";
    let bytes = text.as_bytes();
    let mut end = memchr::memchr2(b'"', b'\\', bytes).ok_or(OPEN)?;
    if bytes[end] == b'"' {
        return Ok((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut found = String::from(&text[..end]);
    loop {
        let escaped = text[end + 1..].chars().next().ok_or(OPEN)?;
        match escaped {
            'n' => found.push('\n'),
            '"' | '\\' => found.push(escaped),
            _ if dialect.any_escape => found.extend(['\\', escaped]),
            _ => return Err(format!("\\{escaped} is no escape")),
        }
        let start = end + 1 + escaped.len_utf8();
        end = start + memchr::memchr2(b'"', b'\\', &bytes[start..]).ok_or(OPEN)?;
        found.push_str(&text[start..end]);
        if bytes[end] == b'"' {
            return Ok((Cow::Owned(found), &text[end + 1..]));
        }
    }
}

/// A value: a decimal number, an infinity or NaN.
pub(super) fn number(word: &str) -> Option<f64> {
    let first = *word.as_bytes().first()?;
    if !(first.is_ascii_digit() || b"+-.iInN".contains(&first)) {
        return None;
    }
    // Rust's grammar is that of the formats: no hexadecimal, no underscores, infinities and NaN in any case.
    word.parse().ok()
}

/// A number that is neither infinite nor NaN.
pub(super) fn finite(word: &str) -> Option<f64> {
    number(word).filter(|value| value.is_finite())
}
