//! Bits in a row, the lowest of each byte first.

/// Most bits that [`BitReader::peek`] is sure to give.
const PEEKED_BITS: u32 = 57;

/// Writes bits behind what a buffer holds.
pub(crate) struct BitWriter<'b> {
    bytes: &'b mut Vec<u8>,
    pending: u64,
    count: u32,
}

impl<'b> BitWriter<'b> {
    pub(crate) fn new(bytes: &'b mut Vec<u8>) -> Self {
        Self { bytes, pending: 0, count: 0 }
    }

    /// Adds the lowest `count` bits of `value`, whose other bits are zero; at most 64.
    #[inline]
    pub(crate) fn put(&mut self, value: u64, count: u32) {
        self.pending |= value << self.count;
        let together = self.count + count;
        if together < u64::BITS {
            self.count = together;
            return;
        }
        self.bytes.extend_from_slice(&self.pending.to_le_bytes());
        self.pending = value.checked_shr(u64::BITS - self.count).unwrap_or(0);
        self.count = together - u64::BITS;
    }

    /// Writes the last, begun byte.
    pub(crate) fn finish(self) {
        let left = self.count.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes()[..left]);
    }
}

/// Reads bits. Behind the end stand zeros, and [`BitReader::overran`] tells that they were read.
pub(crate) struct BitReader<'b> {
    bytes: &'b [u8],
    place: usize,
}

impl<'b> BitReader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, place: 0 }
    }

    /// At least the next 57 bits, the lowest first.
    #[inline]
    pub(crate) fn peek(&self) -> u64 {
        let byte = self.place / 8;
        let word = match self.bytes.get(byte..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(eight) => u64::from_le_bytes(*eight),
            None => self.last_word(byte),
        };
        word >> (self.place % 8)
    }

    #[cold]
    fn last_word(&self, byte: usize) -> u64 {
        let mut eight = [0; 8];
        let left = self.bytes.get(byte..).unwrap_or_default();
        eight[..left.len()].copy_from_slice(left);
        u64::from_le_bytes(eight)
    }

    #[inline]
    pub(crate) fn skip(&mut self, count: u32) {
        self.place += count as usize;
    }

    /// The next `count` bits; at most 64.
    #[inline]
    pub(crate) fn take(&mut self, count: u32) -> u64 {
        if count < PEEKED_BITS {
            let bits = self.peek() & ((1 << count) - 1);
            self.skip(count);
            return bits;
        }
        let low = self.take(32);
        low | self.take(count - 32) << 32
    }

    /// Whether more was read than there is.
    pub(crate) fn overran(&self) -> bool {
        self.place > self.bytes.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_come_back_in_their_order(parts in prop::collection::vec((any::<u64>(), 0u32..=64), 0..200)) {
            let cut = |value: u64, count: u32| if count == 64 { value } else { value & ((1 << count) - 1) };
            let mut bytes = vec![7];
            let mut writer = BitWriter::new(&mut bytes);
            parts.iter().for_each(|(value, count)| writer.put(cut(*value, *count), *count));
            writer.finish();
            let mut reader = BitReader::new(&bytes[1..]);
            for (value, count) in &parts {
                prop_assert_eq!(reader.take(*count), cut(*value, *count));
            }
            prop_assert!(!reader.overran());
            reader.skip(8);
            prop_assert!(reader.overran());
        }
    }
}
