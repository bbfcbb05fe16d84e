//! Numbers and texts as bytes of a block's body: variable lengths, and signs folded in.

use crate::ReadError;

pub(super) fn damaged(what: &str) -> ReadError {
    ReadError::Damaged { table: "logs".into(), what: what.into() }
}

pub(super) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(super) fn put_signed(bytes: &mut Vec<u8>, number: i64) {
    put_number(bytes, ((number << 1) ^ (number >> 63)) as u64);
}

pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

/// Reads what the functions above wrote.
pub(super) struct Bits<'b> {
    rest: &'b [u8],
}

impl<'b> Bits<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    pub(super) fn number(&mut self) -> Result<u64, ReadError> {
        let mut number = 0_u64;
        for (place, byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[place + 1..];
                return Ok(number);
            }
        }
        Err(damaged("a number has no end"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, ReadError> {
        let folded = self.number()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    /// A number of things that follow, each of at least one byte.
    pub(super) fn count(&mut self) -> Result<usize, ReadError> {
        let count = self.number()? as usize;
        if count > self.rest.len() { Err(damaged("a count is beyond the block")) } else { Ok(count) }
    }

    pub(super) fn byte(&mut self) -> Result<u8, ReadError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| damaged("a block is cut off"))?;
        self.rest = rest;
        Ok(*byte)
    }

    pub(super) fn text(&mut self) -> Result<&'b str, ReadError> {
        let length = self.count()?;
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| damaged("a text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_read(number: u64, signed: i64, text: String) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            put_signed(&mut bytes, signed);
            put_text(&mut bytes, &text);
            let mut bits = Bits::new(&bytes);
            prop_assert_eq!(bits.number().unwrap(), number);
            prop_assert_eq!(bits.signed().unwrap(), signed);
            prop_assert_eq!(bits.text().unwrap(), text.as_str());
            prop_assert!(bits.rest().is_empty() && bits.byte().is_err());
        }

        #[test]
        fn damage_is_told(bytes: Vec<u8>) {
            let mut bits = Bits::new(&bytes);
            while bits.text().is_ok() && !bits.rest().is_empty() {}
        }
    }
}
