//! Texts with `{…}`: names, labels, identities.

use crate::{draw::Draws, error::Problem};

/// What a template asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// `{number}` from 1, `{number:2}` with leading zeros; `{index}` from 0 within what holds it.
    Number {
        width: usize,
    },
    Index,
    /// `{letter}`: a, b, c …
    Letter,
    /// `{hex:8}` and `{digits:6}`: drawn once for the part.
    Hex(usize),
    Digits(usize),
    /// `{name}`, `{uuid}`: the part's own.
    Own(String),
    /// `{host}`, `{host.uuid}`: of linked parts, with commas between.
    Of(String, String),
}

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Piece>);

/// Longest number of drawn digits.
const MAX_DRAWN: usize = 64;

impl Template {
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find('{') {
            if open > 0 {
                pieces.push(Piece::Text(rest[..open].to_owned()));
            }
            let close = rest[open..].find('}').ok_or_else(|| format!("{text:?}: a {{ is not closed"))? + open;
            pieces.push(piece(&rest[open + 1..close])?);
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Fills it in.
    pub(crate) fn fill(&self, filling: &dyn Filling) -> Result<String, Problem> {
        let mut filled = String::new();
        for (place, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Number { width } => filled.push_str(&format!("{:0width$}", filling.number() + 1)),
                Piece::Index => filled.push_str(&filling.index().to_string()),
                Piece::Letter => filled.push_str(&letters(filling.number())),
                Piece::Hex(count) => filled.push_str(&drawn(filling.draws(), place, *count, 16)),
                Piece::Digits(count) => filled.push_str(&drawn(filling.draws(), place, *count, 10)),
                Piece::Own(name) => filled.push_str(&filling.own(name)?),
                Piece::Of(kind, name) => filled.push_str(&filling.of(kind, name)?),
            }
        }
        Ok(filled)
    }
}

/// What fills a template in.
pub(crate) trait Filling {
    fn number(&self) -> usize;
    fn index(&self) -> usize;
    fn draws(&self) -> Draws;
    fn own(&self, name: &str) -> Result<String, Problem>;
    fn of(&self, kind: &str, name: &str) -> Result<String, Problem>;
}

fn piece(text: &str) -> Result<Piece, Problem> {
    let (name, size) = match text.split_once(':') {
        Some((name, size)) => {
            let size = size.parse::<usize>().ok().filter(|size| (1..=MAX_DRAWN).contains(size));
            (
                name,
                Some(size.ok_or_else(|| format!("{{{text}}}: after the colon stands a number from 1 to {MAX_DRAWN}"))?),
            )
        }
        None => (text, None),
    };
    Ok(match (name, size) {
        ("number", size) => Piece::Number { width: size.unwrap_or(1) },
        ("index", None) => Piece::Index,
        ("letter", None) => Piece::Letter,
        ("hex", Some(size)) => Piece::Hex(size),
        ("digits", Some(size)) => Piece::Digits(size),
        ("hex" | "digits", None) => return Err(format!("{{{text}}}: say how many, like {{{name}:8}}")),
        (_, Some(_)) => return Err(format!("{{{text}}}: only number, hex and digits take a size")),
        _ => match name.split_once('.') {
            Some((kind, text)) => Piece::Of(kind.to_owned(), text.to_owned()),
            None => Piece::Own(name.to_owned()),
        },
    })
}

fn letters(number: usize) -> String {
    let letter = char::from(b'a' + (number % 26) as u8);
    match number / 26 {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

fn drawn(draws: Draws, place: usize, count: usize, base: u64) -> String {
    let digit = |nth: usize| {
        let drawn = draws.bits(place as u64, 0, nth as u64) % base;
        // Mappers take a number of nothing but zeros for none at all; one that does not begin with a zero is never taken for that.
        let digit = if nth == 0 { drawn.max(1) } else { drawn };
        char::from_digit(digit as u32, base as u32).unwrap_or('0')
    };
    (0..count).map(digit).collect()
}
