//! RFC 5424 after its version: `TIME HOST APP PROCID MSGID STRUCTURED-DATA MESSAGE`.

use super::Parts;
use tandem_domain::Timestamp;

/// Parameters of the structured data that are kept.
const MAX_PARAMETERS: usize = 256;

/// None when the message does not keep to the format.
pub(super) fn parse(text: &str) -> Option<Parts> {
    let mut words = text.splitn(6, ' ');
    let (time, host, app) = (words.next()?, words.next()?, words.next()?);
    let (process, message, rest) = (words.next()?, words.next()?, words.next()?);
    let at = match time {
        "-" => None,
        _ => Some(Timestamp(time.parse::<jiff::Timestamp>().ok()?.as_millisecond())),
    };
    let said = |word: &str| if word == "-" { String::new() } else { word.to_owned() };
    let mut attributes = vec![("procid".to_owned(), said(process)), ("msgid".to_owned(), said(message))];
    let text = structured(rest, &mut attributes)?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    Some(Parts { at, host: said(host), app: said(app), text, attributes })
}

/// Reads `-` or elements `[id name="value" …]`; parameters are told as `id.name`. Answers what follows.
fn structured<'t>(text: &'t str, attributes: &mut Vec<(String, String)>) -> Option<&'t str> {
    if let Some(rest) = text.strip_prefix('-') {
        return (rest.is_empty() || rest.starts_with(' ')).then_some(rest);
    }
    let mut rest = text;
    if !rest.starts_with('[') {
        return None;
    }
    while let Some(inside) = rest.strip_prefix('[') {
        let end = inside.find([' ', ']'])?;
        let (id, mut after) = inside.split_at(end);
        loop {
            after = after.trim_start_matches(' ');
            if let Some(closed) = after.strip_prefix(']') {
                rest = closed;
                break;
            }
            let (name, value) = after.split_once("=\"")?;
            let (value, left) = quoted(value)?;
            if attributes.len() < MAX_PARAMETERS {
                attributes.push((format!("{id}.{name}"), value));
            }
            after = left;
        }
    }
    Some(rest)
}

/// A value up to its quote; a backslash hides `"`, `\` and `]`, and is itself before others.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => match chars.next()?.1 {
                hidden @ ('"' | '\\' | ']') => value.push(hidden),
                other => value.extend(['\\', other]),
            },
            _ => value.push(c),
        }
    }
    None
}
