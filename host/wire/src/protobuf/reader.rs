//! Reads fields off the front of a borrowed message.

/// The bytes are no message of the expected shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub &'static str);

const CUT: Malformed = Malformed("it ends in the middle of a field");
const LONG_VARINT: Malformed = Malformed("a number is longer than ten bytes");

/// The value of one field, by its wire type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'b> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'b [u8]),
    Fixed32(u32),
}

/// A message that is being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        // Lengths and tags are nearly always one byte.
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(CUT)?;
            self.at += 1;
            // The tenth byte has one bit left; what lies above it is dropped, as other readers do.
            value |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(LONG_VARINT)
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'b [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| CUT)?;
        let end = self.at.checked_add(length).ok_or(CUT)?;
        let taken = self.bytes.get(self.at..end).ok_or(CUT)?;
        self.at = end;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Malformed> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| CUT)?))
    }

    fn fixed32(&mut self) -> Result<u32, Malformed> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| CUT)?))
    }

    /// The next field's number and value; none at the end.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<Option<(u32, Field<'b>)>, Malformed> {
        if self.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed("a field number is too large"))?;
        if number == 0 {
            return Err(Malformed("a field has number 0"));
        }
        let value = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(self.fixed64()?),
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(self.fixed32()?),
            _ => return Err(Malformed("a field has a wire type that proto3 does not write")),
        };
        Ok(Some((number, value)))
    }
}

impl<'b> Field<'b> {
    const WRONG: Malformed = Malformed("a field has another wire type than its message declares");

    #[inline]
    pub(crate) fn bytes(self) -> Result<&'b [u8], Malformed> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Self::WRONG) }
    }

    #[inline]
    pub(crate) fn text(self) -> Result<&'b str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("a text is not UTF-8"))
    }

    #[inline]
    pub(crate) fn number(self) -> Result<u64, Malformed> {
        if let Self::Varint(number) = self { Ok(number) } else { Err(Self::WRONG) }
    }

    /// An `int32`, `uint32` or enum; what lies above 32 bits is dropped, as other readers do.
    pub(crate) fn number32(self) -> Result<u32, Malformed> {
        Ok(self.number()? as u32)
    }

    #[inline]
    pub(crate) fn integer(self) -> Result<i64, Malformed> {
        Ok(self.number()? as i64)
    }

    #[inline]
    pub(crate) fn double(self) -> Result<f64, Malformed> {
        if let Self::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(Self::WRONG) }
    }

    pub(crate) fn message(self) -> Result<Reader<'b>, Malformed> {
        Ok(Reader::new(self.bytes()?))
    }

    /// Each number of a repeated varint field, packed or not.
    pub(crate) fn numbers(self, mut each: impl FnMut(u64) -> Result<(), Malformed>) -> Result<(), Malformed> {
        match self {
            Self::Varint(number) => each(number),
            Self::Bytes(bytes) => {
                let mut reader = Reader::new(bytes);
                while !reader.is_empty() {
                    each(reader.varint()?)?;
                }
                Ok(())
            }
            _ => Err(Self::WRONG),
        }
    }

    /// Each word of a repeated `double`, `fixed64` or `sfixed64` field, packed or not.
    pub(crate) fn words(self, mut each: impl FnMut(u64) -> Result<(), Malformed>) -> Result<(), Malformed> {
        match self {
            Self::Fixed64(bits) => each(bits),
            Self::Bytes(bytes) => {
                let mut reader = Reader::new(bytes);
                while !reader.is_empty() {
                    each(reader.fixed64()?)?;
                }
                Ok(())
            }
            _ => Err(Self::WRONG),
        }
    }
}

/// The signed number that a `sint32` or `sint64` field holds.
pub(crate) fn zigzag(number: u64) -> i64 {
    ((number >> 1) as i64) ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_wire_type_are_read() {
        let bytes = [0x08, 0x96, 0x01, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0x1a, 2, b'h', b'i', 0x25, 7, 0, 0, 0];
        let mut reader = Reader::new(&bytes);
        let mut found = Vec::new();
        while let Some(field) = reader.field().expect("well formed") {
            found.push(field);
        }
        assert_eq!(
            found,
            [(1, Field::Varint(150)), (2, Field::Fixed64(1)), (3, Field::Bytes(b"hi")), (4, Field::Fixed32(7))]
        );
        assert_eq!([0, 1, 2, u64::MAX].map(zigzag), [0, -1, 1, i64::MIN]);
    }

    #[test]
    fn what_is_cut_too_long_or_of_no_known_type_is_malformed() {
        for bytes in [&[0x08][..], &[0x12, 5, 1], &[0x09, 1], &[0x08; 1], &[0x0b], &[0x00, 0], &[0xff; 11]] {
            assert!(Reader::new(bytes).field().is_err(), "{bytes:?}");
        }
        let mut endless = vec![0x12];
        endless.extend([0xff; 9]);
        endless.push(1);
        assert!(Reader::new(&endless).field().is_err(), "a length beyond the machine's");
    }
}
