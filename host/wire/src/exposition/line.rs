//! One sample line: `name{label="value",…} value [timestamp] [# exemplar]`.

use tandem_domain::{Timestamp, series::Labels};

/// Labels of one series; more is an exporter gone wrong.
pub const MAX_LABELS: usize = 128;
/// Moments up to this many seconds are seconds (OpenMetrics writes them with a point), above they are milliseconds.
const LATEST_SECONDS: f64 = 1e11;

pub(super) struct Line {
    pub metric: String,
    pub labels: Labels,
    pub value: f64,
    pub at: Option<Timestamp>,
}

pub(super) fn parse(text: &str) -> Result<Line, String> {
    let mut rest = text;
    let mut metric = name(&mut rest, true).unwrap_or_default();
    let mut pairs = Vec::new();
    if let Some(inside) = rest.trim_start().strip_prefix('{') {
        rest = labels(inside, &mut metric, &mut pairs)?;
    }
    if metric.is_empty() {
        return Err("it does not begin with a metric name".into());
    }
    let rest = rest.split_once(" # ").map_or(rest, |(before, _)| before);
    let mut words = rest.split_whitespace();
    let value = words.next().ok_or("there is no value")?;
    let value = number(value).ok_or_else(|| format!("{value:?} is not a value"))?;
    let at = match words.next() {
        None => None,
        Some(word) => Some(moment(word).ok_or_else(|| format!("{word:?} is not a moment"))?),
    };
    if let Some(more) = words.next() {
        return Err(format!("{more:?} after the value and its moment"));
    }
    let given = pairs.len();
    let labels = Labels::new(pairs.iter().cloned());
    let telling = pairs.iter().filter(|(_, value)| !value.is_empty()).count();
    if labels.len() < telling {
        return Err(format!("one of its {given} labels is given twice"));
    }
    Ok(Line { metric, labels, value, at })
}

/// Takes a name off the front: letters, digits, `_`, and `:` in metric names.
fn name(rest: &mut &str, colons: bool) -> Option<String> {
    let fits = |(index, c): (usize, char)| {
        c.is_ascii_alphabetic() || c == '_' || (colons && c == ':') || (index > 0 && c.is_ascii_digit())
    };
    let end = rest.char_indices().find(|at| !fits(*at)).map_or(rest.len(), |(index, _)| index);
    let (found, after) = rest.split_at(end);
    *rest = after;
    (!found.is_empty()).then(|| found.to_owned())
}

/// Labels up to the closing brace; answers what follows it. A quoted name without a value is the metric's (UTF-8 names).
fn labels<'t>(inside: &'t str, metric: &mut String, pairs: &mut Vec<(String, String)>) -> Result<&'t str, String> {
    let mut rest = inside.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        if pairs.len() >= MAX_LABELS {
            return Err(format!("more than {MAX_LABELS} labels"));
        }
        let label = if let Some(after) = rest.strip_prefix('"') {
            let (text, after) = quoted(after)?;
            rest = after.trim_start();
            text
        } else {
            name(&mut rest, false).ok_or("a label has no name, or the labels do not end")?
        };
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('=') {
            let after = after
                .trim_start()
                .strip_prefix('"')
                .ok_or_else(|| format!("the value of label {label} is not quoted"))?;
            let (value, after) = quoted(after)?;
            pairs.push((label, value));
            rest = after.trim_start();
        } else if metric.is_empty() {
            *metric = label;
        } else {
            return Err(format!("label {label} has no value"));
        }
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start();
        } else if !rest.starts_with('}') {
            return Err("the labels do not end".into());
        }
    }
}

/// Text up to the closing quote, escapes undone; answers what follows it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut found = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Ok((found, &text[index + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => found.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => found.push(escaped),
                Some((_, other)) => found.extend(['\\', other]),
                None => break,
            },
            _ => found.push(c),
        }
    }
    Err("a quoted text does not end".into())
}

fn number(word: &str) -> Option<f64> {
    match word {
        "+Inf" | "Inf" | "+inf" | "inf" => Some(f64::INFINITY),
        "-Inf" | "-inf" => Some(f64::NEG_INFINITY),
        "NaN" | "nan" | "NAN" => Some(f64::NAN),
        _ if word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => word.parse().ok(),
        _ => None,
    }
}

/// Milliseconds as Prometheus writes them, or seconds as OpenMetrics does.
fn moment(word: &str) -> Option<Timestamp> {
    if let (false, Ok(whole)) = (word.contains(['.', 'e', 'E']), word.parse::<i64>()) {
        let seconds = (whole.unsigned_abs() as f64) < LATEST_SECONDS;
        return Some(Timestamp(if seconds { whole.checked_mul(1000)? } else { whole }));
    }
    let seconds = number(word).filter(|value| value.is_finite() && value.abs() < LATEST_SECONDS)?;
    Some(Timestamp((seconds * 1000.0).round() as i64))
}
