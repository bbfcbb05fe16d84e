//! Expressions of durations: `5m * 2`, `step() + 1ms`, `max_of(range(), 1h)`. They stand in ranges and offsets, and are known
//! when the query's own times are.

use super::tokens::{Kind, Token};
use crate::Grid;

/// Reads an expression of durations from words, in seconds.
pub(super) struct Reader<'t> {
    pub text: &'t str,
    pub tokens: &'t [Token],
    pub place: usize,
    pub whole: Grid,
}

/// A duration such as `1h30m` or a number of seconds.
pub(super) fn literal(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Some(seconds);
    }
    let units = [
        ("ms", 0.001),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3_600.0),
        ("d", 86_400.0),
        ("w", 604_800.0),
        ("y", 31_536_000.0),
    ];
    let (mut total, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: f64 = rest[..digits].parse().ok()?;
        let (unit, seconds) = units.into_iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        total += number * seconds;
        rest = &rest[digits + unit.len()..];
    }
    Some(total)
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&'t str> {
        self.tokens.get(self.place).map(|token| &self.text[token.start..token.end])
    }

    fn take(&mut self, sign: &str) -> bool {
        let is_next = self.peek() == Some(sign);
        self.place += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(format!("expected {sign:?} in duration expression")) }
    }

    /// The whole of it: sums of products.
    pub(super) fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.take("+") {
                value += self.product()?;
            } else if self.take("-") {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.signed()?;
        loop {
            if self.take("*") {
                value *= self.signed()?;
            } else if self.take("/") {
                let by = self.signed()?;
                if by == 0.0 {
                    return Err("division by zero".into());
                }
                value /= by;
            } else if self.take("%") {
                let by = self.signed()?;
                if by == 0.0 {
                    return Err("modulo by zero".into());
                }
                value %= by;
            } else {
                return Ok(value);
            }
        }
    }

    fn signed(&mut self) -> Result<f64, String> {
        if self.take("-") {
            return Ok(-self.signed()?);
        }
        if self.take("+") {
            return self.signed();
        }
        let base = self.primary()?;
        if self.take("^") { Ok(base.powf(self.signed()?)) } else { Ok(base) }
    }

    /// A literal, something in parentheses or a function: all that an offset takes without parentheses.
    pub(super) fn primary(&mut self) -> Result<f64, String> {
        if self.take("(") {
            let value = self.sum()?;
            self.expect(")")?;
            return Ok(value);
        }
        let Some(token) = self.tokens.get(self.place) else {
            return Err("unexpected end of input in duration expression".into());
        };
        let word = &self.text[token.start..token.end];
        self.place += 1;
        if token.kind == Kind::Number {
            return literal(word).ok_or_else(|| format!("not a valid duration string: {word:?}"));
        }
        let seconds = |millis: i64| millis as f64 / 1000.0;
        let name = word.to_ascii_lowercase();
        match name.as_str() {
            "step" | "range" => {
                self.expect("(")?;
                self.expect(")")?;
                let is_instant = self.whole.start == self.whole.end;
                Ok(match name.as_str() {
                    "range" => seconds(self.whole.end - self.whole.start),
                    _ if is_instant => 0.0,
                    _ => seconds(self.whole.step),
                })
            }
            "min_of" | "max_of" | "min" | "max" => {
                self.expect("(")?;
                let one = self.sum()?;
                self.expect(",")?;
                let two = self.sum()?;
                self.expect(")")?;
                Ok(if name.starts_with("min") { one.min(two) } else { one.max(two) })
            }
            _ => Err(format!("unexpected {word:?} in duration expression")),
        }
    }
}
