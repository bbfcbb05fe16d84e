//! Prometheus' notation of series, values and histograms in its own tests.

use tandem_domain::{
    histogram::{Buckets, CUSTOM_SCHEMA, HistogramSum, NativeHistogram, ResetHint, Span},
    series::Labels,
};
use tandem_query::STALE_NAN;

/// A value as it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    Float(f64),
    Histogram(NativeHistogram),
}

/// A duration such as `1h30m`, or a number of seconds, in milliseconds.
pub fn duration(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some((seconds * 1000.0) as i64);
    }
    let (mut total, mut rest) = (0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        let units = [
            ("ms", 1),
            ("s", 1_000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
            ("w", 604_800_000),
            ("y", 31_536_000_000),
        ];
        let (unit, millis) = units.into_iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        total += number * millis;
        rest = &rest[digits + unit.len()..];
    }
    Some(total)
}

pub fn number(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "inf" | "+inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        "nan" => Some(f64::NAN),
        "stale" => Some(f64::from_bits(STALE_NAN)),
        text => text.parse().ok(),
    }
}

/// A quoted text and where it ends.
fn quoted(text: &str) -> Option<(String, usize)> {
    let quote = text.chars().next()?;
    let (mut value, mut escaped) = (String::new(), false);
    for (place, c) in text.char_indices().skip(1) {
        match (escaped, c) {
            (true, 'n') => value.push('\n'),
            (true, c) => value.push(c),
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (false, c) if c == quote => return Some((value, place + 1)),
            (false, c) => value.push(c),
        }
        escaped = false;
    }
    None
}

/// Labels and the rest of a line `name{a="b"} …`.
pub fn labelled(line: &str) -> Option<(Labels, &str)> {
    let mut pairs = Vec::new();
    let name_end = line.find(|c: char| c == '{' || c == '@' || c.is_whitespace()).unwrap_or(line.len());
    if name_end > 0 {
        pairs.push(("__name__".to_owned(), line[..name_end].to_owned()));
    }
    let mut rest = &line[name_end..];
    if let Some(inside) = rest.strip_prefix('{').filter(|inside| !inside.starts_with('{')) {
        let mut inside = inside.trim_start();
        loop {
            if let Some(after) = inside.strip_prefix('}') {
                rest = after;
                break;
            }
            let name = if inside.starts_with('"') {
                let (name, end) = quoted(inside)?;
                inside = inside[end..].trim_start();
                if !inside.starts_with('=') {
                    pairs.push(("__name__".to_owned(), name));
                    inside = inside.strip_prefix(',').unwrap_or(inside).trim_start();
                    continue;
                }
                name
            } else {
                let end = inside.find('=')?;
                let name = inside[..end].trim().to_owned();
                inside = &inside[end..];
                name
            };
            inside = inside.strip_prefix('=')?.trim_start();
            let (value, end) = quoted(inside)?;
            pairs.push((name, value));
            inside = inside[end..].trim_start();
            inside = inside.strip_prefix(',').unwrap_or(inside).trim_start();
        }
    }
    Some((Labels::new(pairs), rest))
}

/// A histogram as it is written between double braces.
pub fn histogram(inner: &str) -> Option<NativeHistogram> {
    let mut found = NativeHistogram {
        schema: 0,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 0.0,
        sum: 0.0,
        positive: Buckets::default(),
        negative: Buckets::default(),
        custom_bounds: Vec::new(),
        reset: ResetHint::Unknown,
        whole: false,
    };
    let (mut offset, mut negative_offset) = (0, 0);
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once(':')?;
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('[') {
            Some(list) => list.split_once(']')?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        let list = || value.split_whitespace().map(number).collect::<Option<Vec<f64>>>();
        match name.trim() {
            "schema" => found.schema = value.parse().ok()?,
            "sum" => found.sum = number(value)?,
            "count" => found.count = number(value)?,
            "z_bucket" => found.zero_count = number(value)?,
            "z_bucket_w" => found.zero_threshold = number(value)?,
            "buckets" => found.positive.counts = list()?,
            "n_buckets" => found.negative.counts = list()?,
            "custom_values" => found.custom_bounds = list()?,
            "offset" => offset = value.parse().ok()?,
            "n_offset" => negative_offset = value.parse().ok()?,
            "counter_reset_hint" => {
                found.reset = match value {
                    "gauge" => ResetHint::Gauge,
                    "reset" => ResetHint::Yes,
                    "not_reset" => ResetHint::No,
                    _ => ResetHint::Unknown,
                }
            }
            _ => return None,
        }
        rest = after.trim_start();
    }
    for (side, offset) in [(&mut found.positive, offset), (&mut found.negative, negative_offset)] {
        if !side.counts.is_empty() {
            side.spans = vec![Span { offset, length: side.counts.len() as u32 }];
        }
    }
    if found.schema == CUSTOM_SCHEMA {
        found.zero_threshold = 0.0;
    }
    Some(found)
}

/// Values in the short notation: `1 2x3 1+2x4 _ _x3 stale {{count:1}}+{{count:2}}x3`.
pub fn values(text: &str) -> Option<Vec<Option<Written>>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            let end = rest.find("}}")?;
            let first = histogram(&rest[2..end])?;
            rest = &rest[end + 2..];
            let sign = rest.chars().next().filter(|c| *c == '+' || *c == '-');
            let mut step = None;
            if sign.is_some() && rest[1..].starts_with("{{") {
                let end = rest.find("}}")?;
                step = Some((histogram(&rest[3..end])?, if sign == Some('-') { -1.0 } else { 1.0 }));
                rest = &rest[end + 2..];
            }
            let mut times = 0;
            if let Some(after) = rest.strip_prefix('x') {
                let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
                times = after[..end].parse().ok()?;
                rest = &after[end..];
            }
            let mut value = first;
            for place in 0..=times {
                found.push(Some(Written::Histogram(value.clone())));
                if let Some((step, factor)) = step.as_ref().filter(|_| place < times) {
                    let mut sum = HistogramSum::of(&value);
                    sum.add(step, *factor).ok()?;
                    if *factor < 0.0 {
                        sum.set_reset(ResetHint::Gauge);
                    }
                    value = sum.finish();
                }
            }
        } else {
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            floats(word, &mut found)?;
            rest = after;
        }
        rest = rest.trim_start();
    }
    Some(found)
}

fn floats(word: &str, found: &mut Vec<Option<Written>>) -> Option<()> {
    let (body, times) = match word.rsplit_once('x') {
        Some((body, times)) if !body.is_empty() => (body, Some(times.parse::<usize>().ok()?)),
        _ => (word, None),
    };
    if body == "_" {
        found.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
        return Some(());
    }
    let Some(times) = times else {
        found.push(Some(Written::Float(number(body)?)));
        return Some(());
    };
    let split = body
        .char_indices()
        .skip(1)
        .find(|(place, c)| (*c == '+' || *c == '-') && !body[..*place].ends_with(['e', 'E']));
    let (first, step) = match split {
        Some((place, _)) => (number(&body[..place])?, number(&body[place..])?),
        None => (number(body)?, 0.0),
    };
    // Steps add up, as Prometheus' own notation does.
    let mut value = first;
    for _ in 0..=times {
        found.push(Some(Written::Float(value)));
        value += step;
    }
    Some(())
}
