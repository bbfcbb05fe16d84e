//! Writes fields to the end of a buffer. Fields that hold their type's zero are left out, as proto3 wants.

/// A message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, number: u32, wire_type: u64) {
        self.varint(u64::from(number) << 3 | wire_type);
    }

    pub(crate) fn number(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.tag(number, 0);
            self.varint(value);
        }
    }

    /// A `sint32` or `sint64`.
    pub(crate) fn signed(&mut self, number: u32, value: i64) {
        self.number(number, zigzagged(value));
    }

    pub(crate) fn double(&mut self, number: u32, value: f64) {
        if value.to_bits() != 0 {
            self.double_always(number, value);
        }
    }

    /// A member of a `oneof`, which is written even when zero, since that it is there says which member is meant.
    pub(crate) fn double_always(&mut self, number: u32, value: f64) {
        self.tag(number, 1);
        self.0.extend(value.to_le_bytes());
    }

    /// As [`Writer::double_always`], of an integer.
    pub(crate) fn number_always(&mut self, number: u32, value: u64) {
        self.tag(number, 0);
        self.varint(value);
    }

    pub(crate) fn bytes(&mut self, number: u32, value: &[u8]) {
        self.tag(number, 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(crate) fn text(&mut self, number: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(number, value.as_bytes());
        }
    }

    pub(crate) fn packed(&mut self, number: u32, values: impl Iterator<Item = u64>) {
        let mut inside = Self::default();
        values.for_each(|value| inside.varint(value));
        if !inside.0.is_empty() {
            self.bytes(number, &inside.0);
        }
    }

    pub(crate) fn packed_doubles(&mut self, number: u32, values: &[f64]) {
        if !values.is_empty() {
            self.tag(number, 2);
            self.varint(values.len() as u64 * 8);
            values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        }
    }

    pub(crate) fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        self.tag(number, 2);
        // Most messages are shorter than 128 bytes, and their length is one byte; longer ones are moved along for theirs.
        let at = self.0.len();
        self.0.push(0);
        write(self);
        let mut length = self.0.len() - at - 1;
        if length < 0x80 {
            self.0[at] = length as u8;
            return;
        }
        let mut written = Vec::with_capacity(5);
        while length >= 0x80 {
            written.push(length as u8 | 0x80);
            length >>= 7;
        }
        written.push(length as u8);
        self.0.splice(at..=at, written);
    }
}

/// How `sint32` and `sint64` are written: small magnitudes as small numbers.
pub(crate) fn zigzagged(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
