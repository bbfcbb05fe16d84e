//! Lines to points, as the specification's reference decoder judges them.

use super::Precision;
use std::borrow::Cow;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Field<'b> {
    /// `1.5`; never infinite or NaN.
    Float(f64),
    /// `1i`.
    Integer(i64),
    /// `1u`.
    Unsigned(u64),
    /// `true`.
    Boolean(bool),
    /// `"text"`.
    Text(Cow<'b, str>),
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<'b> {
    /// Its name.
    pub measurement: Cow<'b, str>,
    /// In the line's order, each name once.
    pub tags: Vec<(Cow<'b, str>, Cow<'b, str>)>,
    /// At least one.
    pub fields: Vec<(Cow<'b, str>, Field<'b>)>,
    /// Since the epoch, if the line says.
    pub nanos: Option<i64>,
}

/// A line that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct LineFault {
    /// From 1.
    pub line: usize,
    /// Why.
    pub reason: &'static str,
}

type Parsed<T> = Result<T, &'static str>;

/// Each line of a body that is neither empty nor a comment.
pub fn points(body: &[u8], precision: Precision) -> impl Iterator<Item = Result<Point<'_>, LineFault>> {
    let mut cursor = Cursor { bytes: body, at: 0, line: 1 };
    std::iter::from_fn(move || {
        loop {
            cursor.peek()?;
            let line = cursor.line;
            match cursor.line(precision) {
                Ok(Some(point)) => return Some(Ok(point)),
                Ok(None) => {}
                Err(reason) => {
                    cursor.skip_line();
                    return Some(Err(LineFault { line, reason }));
                }
            }
        }
    })
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    line: usize,
}

/// Where a token stops, and what a backslash hides in it.
struct Token {
    stops: &'static [u8],
    escapes: &'static [u8],
    /// Whether control characters stop it too.
    printable: bool,
}

const MEASUREMENT: Token = Token { stops: b", ", escapes: b", ", printable: true };
const KEY: Token = Token { stops: b",= ", escapes: b",= ", printable: true };
const TAG_VALUE: Token = Token { stops: b",= \r\n", escapes: b",= ", printable: false };

impl<'b> Cursor<'b> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while self.take(b' ') {}
    }

    fn skip_line(&mut self) {
        match memchr::memchr(b'\n', &self.bytes[self.at..]) {
            Some(end) => {
                self.at += end + 1;
                self.line += 1;
            }
            None => self.at = self.bytes.len(),
        }
    }

    /// Whether the line ends here; takes its end.
    fn end(&mut self) -> bool {
        match (self.peek(), self.bytes.get(self.at + 1)) {
            (None, _) => true,
            (Some(b'\r'), None) => {
                self.at += 1;
                true
            }
            (Some(b'\n'), _) => {
                self.at += 1;
                self.line += 1;
                true
            }
            (Some(b'\r'), Some(b'\n')) => {
                self.at += 2;
                self.line += 1;
                true
            }
            _ => false,
        }
    }

    fn line(&mut self, precision: Precision) -> Parsed<Option<Point<'b>>> {
        self.blanks();
        if self.end() {
            return Ok(None);
        }
        if self.peek() == Some(b'#') {
            return self.comment().map(|()| None);
        }
        let measurement = self.token(&MEASUREMENT)?;
        if measurement.is_empty() {
            return Err("there is no measurement");
        }
        let tags = self.tags()?;
        if !self.take(b' ') {
            return Err("expected a tag or a field");
        }
        self.blanks();
        let fields = self.fields()?;
        let nanos = self.time(precision)?;
        Ok(Some(Point { measurement, tags, fields, nanos }))
    }

    fn comment(&mut self) -> Parsed<()> {
        loop {
            if self.end() {
                return Ok(());
            }
            if self.peek().is_some_and(|byte| byte.is_ascii_control() && byte != b'\t') {
                return Err("a comment has a control character");
            }
            self.at += 1;
        }
    }

    /// A token with its escapes undone: a backslash hides the characters of the set, and before others is itself.
    fn token(&mut self, token: &Token) -> Parsed<Cow<'b, str>> {
        let start = self.at;
        let mut unescaped: Option<Vec<u8>> = None;
        while let Some(byte) = self.peek() {
            if token.stops.contains(&byte) || (token.printable && byte.is_ascii_control()) {
                break;
            }
            let hidden = self.bytes.get(self.at + 1).filter(|next| byte == b'\\' && token.escapes.contains(next));
            if let Some(hidden) = hidden {
                unescaped.get_or_insert_with(|| self.bytes[start..self.at].to_vec()).push(*hidden);
                self.at += 2;
                continue;
            }
            if let Some(unescaped) = &mut unescaped {
                unescaped.push(byte);
            }
            self.at += 1;
        }
        const NOT_UTF8: &str = "it is not UTF-8";
        match unescaped {
            Some(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| NOT_UTF8),
            None => std::str::from_utf8(&self.bytes[start..self.at]).map(Cow::Borrowed).map_err(|_| NOT_UTF8),
        }
    }

    fn tags(&mut self) -> Parsed<Vec<(Cow<'b, str>, Cow<'b, str>)>> {
        let mut tags: Vec<(Cow<'b, str>, Cow<'b, str>)> = Vec::new();
        while self.take(b',') {
            let name = self.token(&KEY)?;
            if name.is_empty() {
                return Err("a tag has no name");
            }
            if !self.take(b'=') {
                return Err("a tag has no value");
            }
            let value = self.token(&TAG_VALUE)?;
            if value.is_empty() {
                return Err("a tag has no value");
            }
            tags.push((name, value));
        }
        // Few tags are compared in place; many are sorted, so that a line of a million tags costs no hour.
        let mut names: Vec<&str> = tags.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("a tag is given twice");
        }
        Ok(tags)
    }

    fn fields(&mut self) -> Parsed<Vec<(Cow<'b, str>, Field<'b>)>> {
        let mut fields = Vec::new();
        loop {
            let name = self.token(&KEY)?;
            if name.is_empty() {
                return Err("there is no field");
            }
            if !self.take(b'=') {
                return Err("a field has no value");
            }
            let value = if self.take(b'"') { Field::Text(self.quoted()?) } else { self.scalar()? };
            fields.push((name, value));
            if !self.take(b',') {
                return Ok(fields);
            }
        }
    }

    fn quoted(&mut self) -> Parsed<Cow<'b, str>> {
        let start = self.at;
        let mut unescaped: Option<Vec<u8>> = None;
        loop {
            let byte = self.peek().ok_or("a string does not end")?;
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' if matches!(self.peek(), Some(b'"' | b'\\')) => {
                    let hidden = self.bytes[self.at];
                    unescaped.get_or_insert_with(|| self.bytes[start..self.at - 1].to_vec()).push(hidden);
                    self.at += 1;
                }
                _ => {
                    self.line += usize::from(byte == b'\n');
                    if let Some(unescaped) = &mut unescaped {
                        unescaped.push(byte);
                    }
                }
            }
        }
        const NOT_UTF8: &str = "a string is not UTF-8";
        match unescaped {
            Some(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| NOT_UTF8),
            None => std::str::from_utf8(&self.bytes[start..self.at - 1]).map(Cow::Borrowed).map_err(|_| NOT_UTF8),
        }
    }

    fn scalar(&mut self) -> Parsed<Field<'b>> {
        let start = self.at;
        while self.peek().is_some_and(|byte| !b", \r\n".contains(&byte)) {
            self.at += 1;
        }
        let word = std::str::from_utf8(&self.bytes[start..self.at]).map_err(|_| "a value is not UTF-8")?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match (word.as_bytes().first(), word.as_bytes().last()) {
            (Some(b't' | b'T' | b'f' | b'F'), _) => match word {
                "t" | "T" | "true" | "True" | "TRUE" => Ok(Field::Boolean(true)),
                "f" | "F" | "false" | "False" | "FALSE" => Ok(Field::Boolean(false)),
                _ => Err("a value is no boolean"),
            },
            (_, Some(b'i')) => {
                let number = &word[..word.len() - 1];
                if !digits(number.strip_prefix('-').unwrap_or(number)) {
                    return Err("a value is no integer");
                }
                number.parse().map(Field::Integer).map_err(|_| "an integer is out of range")
            }
            (_, Some(b'u')) => {
                let number = &word[..word.len() - 1];
                if !digits(number) {
                    return Err("a value is no unsigned integer");
                }
                number.parse().map(Field::Unsigned).map_err(|_| "an unsigned integer is out of range")
            }
            (Some(b'0'..=b'9' | b'-' | b'.'), _) => {
                // The words for infinities and NaN, which Rust would read, are no values here.
                if word.bytes().any(|byte| byte.is_ascii_alphabetic() && !b"eE".contains(&byte)) {
                    return Err("a value is no number");
                }
                let value: f64 = word.parse().map_err(|_| "a value is no number")?;
                if value.is_finite() { Ok(Field::Float(value)) } else { Err("a number is out of range") }
            }
            _ => Err("a value is of no known type"),
        }
    }

    fn time(&mut self, precision: Precision) -> Parsed<Option<i64>> {
        if self.end() {
            return Ok(None);
        }
        if !self.take(b' ') {
            return Err("a field is followed by neither comma, blank nor the line's end");
        }
        self.blanks();
        if self.end() {
            return Ok(None);
        }
        let start = self.at;
        while self.peek().is_some_and(|byte| byte == b'-' || byte.is_ascii_digit()) {
            self.at += 1;
        }
        let word = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        let number: i64 = word.parse().map_err(|_| "a moment is no integer or out of range")?;
        self.blanks();
        if !self.end() {
            return Err("text after the moment");
        }
        number.checked_mul(precision.nanos()).map(Some).ok_or("a moment is out of range")
    }
}
