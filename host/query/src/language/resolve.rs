//! What the parser does not know, taken out of the text: durations that are calculated are told as they come to, and `anchored`
//! and `smoothed` are noted at their selector.

use super::{
    INFO_MARK,
    durations::{Reader, literal},
    tokens::{Kind, Token, tokens},
    tree::Extent,
};
use crate::Grid;

/// Words that stand between operands.
const BETWEEN: [&str; 14] = [
    "and",
    "or",
    "unless",
    "atan2",
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "fill",
    "fill_left",
    "fill_right",
    "by",
    "without",
];

/// A duration for the parser, from seconds.
fn told(seconds: f64, may_be_negative: bool) -> Result<String, String> {
    let millis = (seconds * 1000.0).trunc();
    if !millis.is_finite() || millis.abs() > 1e15 {
        return Err("duration is out of range".into());
    }
    if millis <= 0.0 && !may_be_negative {
        return Err("duration must be greater than 0".into());
    }
    Ok(match millis as i64 {
        0 => "0".to_owned(),
        millis if millis < 0 => format!("-{}ms", -millis),
        millis => format!("{millis}ms"),
    })
}

/// A duration within brackets; one that is a literal stays as it is.
fn ranged(text: &str, whole: Grid) -> Result<String, String> {
    let words = tokens(text)?;
    if words.is_empty() {
        return Ok(text.to_owned());
    }
    if words.len() == 1 && words[0].kind == Kind::Number {
        return match literal(text.trim()) {
            Some(seconds) if seconds <= 0.0 => Err("duration must be greater than 0".into()),
            _ => Ok(text.to_owned()),
        };
    }
    let mut reader = Reader { text, tokens: &words, place: 0, whole };
    let seconds = reader.sum()?;
    if reader.place < words.len() {
        return Err(format!("unexpected {:?} in duration expression", &text[words[reader.place].start..]));
    }
    told(seconds, false)
}

/// The text of brackets with its durations resolved.
fn bracketed(text: &str, whole: Grid) -> Result<String, String> {
    let inner = &text[1..text.len() - 1];
    Ok(match inner.split_once(':') {
        Some((range, step)) => format!("[{}:{}]", ranged(range, whole)?, ranged(step, whole)?),
        None => format!("[{}]", ranged(inner, whole)?),
    })
}

/// The text for the parser as far as it is made.
struct Rewriting<'q> {
    query: &'q str,
    text: String,
    /// Up to where the query is in the text already.
    copied: usize,
}

impl Rewriting<'_> {
    /// Takes the query up to a byte, then something else for what stands up to another one.
    fn replace(&mut self, from: usize, to: usize, with: &str) {
        self.text.push_str(&self.query[self.copied..from]);
        self.text.push_str(with);
        self.copied = to;
    }
}

/// The text for the parser, and the words with what was said of selectors.
pub(super) fn resolved(query: &str, mut words: Vec<Token>, whole: Grid) -> Result<(String, Vec<Token>), String> {
    let mut made = Rewriting { query, text: String::with_capacity(query.len()), copied: 0 };
    let word = |token: &Token| &query[token.start..token.end];
    let mut selector: Option<usize> = None;
    let mut place = 0;
    let mut after_operand = false;
    // What stands before each open parenthesis.
    let mut calls: Vec<&str> = Vec::new();
    while place < words.len() {
        let token = words[place];
        let lower = word(&token).to_ascii_lowercase();
        let before = place.checked_sub(1).map_or("", |before| word(&words[before]));
        match token.kind {
            Kind::Brackets => made.replace(token.start, token.end, &bracketed(word(&token), whole)?),
            Kind::Name if after_operand && lower == "offset" => {
                let mut reader = Reader { text: query, tokens: &words, place: place + 1, whole };
                if let Some((start, seconds)) = offset(&mut reader)? {
                    made.replace(start, words[reader.place - 1].end, &told(seconds, true)?);
                }
                place = reader.place - 1;
            }
            Kind::Name if after_operand && (lower == "anchored" || lower == "smoothed") => {
                made.replace(token.start, token.end, "");
                if let Some(selector) = selector {
                    words[selector].extent = if lower == "anchored" { Extent::Anchored } else { Extent::Smoothed };
                }
            }
            Kind::Name if BETWEEN.contains(&lower.as_str()) && (after_operand || place > 0) => after_operand = false,
            Kind::Name => {
                selector = Some(place);
                after_operand = true;
            }
            Kind::Braces => {
                if calls.last() == Some(&"info") && before == "," {
                    made.replace(token.start, token.start + 1, &format!("{{{INFO_MARK}=\"x\","));
                }
                if place == 0 || selector != Some(place - 1) {
                    selector = Some(place);
                }
                after_operand = true;
            }
            Kind::Number | Kind::Text => after_operand = true,
            Kind::Sign => {
                match word(&token) {
                    // For the parser, comparisons stand for them: they bind alike.
                    "</" => made.replace(token.start, token.end, "< "),
                    ">/" => made.replace(token.start, token.end, "> "),
                    "(" => calls.push(before),
                    ")" => {
                        calls.pop();
                    }
                    _ => {}
                }
                after_operand = lower == ")";
            }
        }
        place += 1;
    }
    made.text.push_str(&query[made.copied..]);
    Ok((made.text, words))
}

/// The duration after `offset` with the byte at which it begins, where it must be calculated; the reader goes past it.
fn offset(reader: &mut Reader<'_>) -> Result<Option<(usize, f64)>, String> {
    let Some(first) = reader.tokens.get(reader.place).copied() else { return Ok(None) };
    let mut sign = 1.0;
    let mut signs = 0;
    while let Some(token) = reader.tokens.get(reader.place) {
        match &reader.text[token.start..token.end] {
            "-" => sign = -sign,
            "+" => {}
            _ => break,
        }
        signs += 1;
        reader.place += 1;
    }
    let is_literal =
        |token: &Token| token.kind == Kind::Number && literal(&reader.text[token.start..token.end]).is_some();
    match reader.tokens.get(reader.place) {
        None => Ok(None),
        Some(_) if signs > 1 => Err("unexpected sign in offset, expected duration".into()),
        Some(token) if is_literal(token) => {
            reader.place += 1;
            Ok(None)
        }
        Some(_) => Ok(Some((first.start, sign * reader.primary()?))),
    }
}
