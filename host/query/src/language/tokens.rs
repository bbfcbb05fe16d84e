//! The words of a query with their places. The parser's tree has no places and knows neither expressions of durations nor
//! `anchored` and `smoothed`, so that these are read here, and the parser gets a text in which they are resolved.

use super::tree::Extent;

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name,
    /// A number or a duration.
    Number,
    /// A quoted text.
    Text,
    /// Matchers in braces, as a whole.
    Braces,
    /// A range in brackets, as a whole.
    Brackets,
    /// An operator, a parenthesis or a comma.
    Sign,
}

/// A word from one byte to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    /// Said of the selector that begins here.
    pub extent: Extent,
}

/// Where the quoted text that begins at a byte ends.
fn text_end(bytes: &[u8], start: usize) -> Result<usize, String> {
    let quote = bytes[start];
    let mut place = start + 1;
    while place < bytes.len() {
        match bytes[place] {
            b'\\' if quote != b'`' => place += 1,
            byte if byte == quote => return Ok(place + 1),
            b'\n' if quote != b'`' => break,
            _ => {}
        }
        place += 1;
    }
    Err("unterminated quoted string".to_owned())
}

/// Where braces or brackets that begin at a byte end.
fn block_end(bytes: &[u8], start: usize) -> Result<usize, String> {
    let (close, what) = if bytes[start] == b'{' { (b'}', "brace") } else { (b']', "bracket") };
    let mut place = start + 1;
    while place < bytes.len() {
        match bytes[place] {
            b'"' | b'\'' | b'`' => place = text_end(bytes, place)?,
            b'#' => place = comment_end(bytes, place),
            byte if byte == close => return Ok(place + 1),
            _ => place += 1,
        }
    }
    Err(format!("unexpected end of input inside {what}s"))
}

fn comment_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| start + length)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':' || byte >= 0x80
}

/// Where a number or a duration that begins at a byte ends: `1.5`, `1e-3`, `0x1f`, `5m30s`, `1_000`.
fn number_end(bytes: &[u8], start: usize) -> usize {
    let is_hex = bytes[start..].starts_with(b"0x") || bytes[start..].starts_with(b"0X");
    let mut place = start;
    while place < bytes.len() {
        let byte = bytes[place];
        let is_exponent_sign = !is_hex
            && (byte == b'+' || byte == b'-')
            && matches!(bytes[place - 1], b'e' | b'E')
            && bytes.get(place + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || (place > start && is_exponent_sign)) {
            break;
        }
        place += 1;
    }
    place
}

/// The words of a text.
///
/// # Errors
/// When a quoted text, braces or brackets do not end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let bytes = text.as_bytes();
    let mut found: Vec<Token> = Vec::new();
    let mut place = 0;
    while place < bytes.len() {
        let byte = bytes[place];
        let start = place;
        let starts_number =
            byte.is_ascii_digit() || (byte == b'.' && bytes.get(place + 1).is_some_and(u8::is_ascii_digit));
        let kind = if byte.is_ascii_whitespace() {
            place += 1;
            continue;
        } else if byte == b'#' {
            place = comment_end(bytes, place);
            continue;
        } else if starts_number {
            place = number_end(bytes, place);
            Kind::Number
        } else if is_word(byte) {
            while place < bytes.len() && is_word(bytes[place]) {
                place += 1;
            }
            match text[start..place].to_ascii_lowercase().as_str() {
                "inf" | "nan" => Kind::Number,
                _ => Kind::Name,
            }
        } else if matches!(byte, b'"' | b'\'' | b'`') {
            place = text_end(bytes, place)?;
            Kind::Text
        } else if byte == b'{' || byte == b'[' {
            place = block_end(bytes, place)?;
            if byte == b'{' { Kind::Braces } else { Kind::Brackets }
        } else {
            let is_pair = matches!(
                bytes.get(place..place + 2),
                Some(b"==" | b"!=" | b">=" | b"<=" | b"=~" | b"!~" | b"</" | b">/")
            );
            place += if is_pair { 2 } else { 1 };
            Kind::Sign
        };
        found.push(Token { kind, start, end: place, extent: Extent::Plain });
    }
    Ok(found)
}
