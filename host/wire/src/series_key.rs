//! The key of a series: a hash of its labels by which a known series is found without allocating or checking anything.
//!
//! It is taken over the labels as remote write 1.0 writes them (`__name__` first where the sender sorts), so that body bytes
//! are hashed as they came, and every other door that has pairs gets the same key by [`KeySeed::of_pairs`]. 128 bits with a
//! secret seed: a chance meeting of two series is out of reach (one in 10^22 for 10^8 series), and without the seed nobody
//! can make one.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash, Hasher},
};
use twox_hash::XxHash3_128;

/// A series' labels as a number. Labels in another order give another key: of one series there may be several keys, of one
/// key there is one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesKey(pub u128);

impl Hash for SeriesKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // It is a hash with a secret seed already, so that half of it tells buckets apart.
        state.write_u64(self.0 as u64);
    }
}

/// A map by key that does not hash the hash again.
pub type KeyMap<V> = HashMap<SeriesKey, V, BuildHasherDefault<KeyHasher>>;

/// The hasher of [`KeyMap`]: passes on what a key gives.
#[derive(Debug, Default, Clone, Copy)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // Keys do not come this way; what does is still told apart.
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// What keys are made with: drawn at random once for the life of the process, so that keys never go to disk.
#[derive(Debug, Clone, Copy)]
pub struct KeySeed(pub u64);

impl KeySeed {
    pub(crate) fn of_encoded(self, labels: &[u8]) -> SeriesKey {
        SeriesKey(XxHash3_128::oneshot_with_seed(self.0, labels))
    }

    /// The key of labels given as pairs, in the given order; `scratch` is a buffer to be used again.
    pub fn of_pairs<'p>(self, pairs: impl IntoIterator<Item = (&'p str, &'p str)>, scratch: &mut Vec<u8>) -> SeriesKey {
        scratch.clear();
        for (name, value) in pairs {
            append_label(scratch, name.as_bytes(), value.as_bytes());
        }
        self.of_encoded(scratch)
    }
}

/// Appends a label as field 1 of a remote write 1.0 series.
pub(crate) fn append_label(encoded: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let inside = 2 + length_bytes(name.len()) + length_bytes(value.len()) + name.len() + value.len();
    encoded.push(0x0a);
    append_length(encoded, inside);
    for (tag, text) in [(0x0a, name), (0x12, value)] {
        encoded.push(tag);
        append_length(encoded, text.len());
        encoded.extend_from_slice(text);
    }
}

fn length_bytes(length: usize) -> usize {
    (usize::BITS - (length | 1).leading_zeros()).div_ceil(7) as usize
}

fn append_length(encoded: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        encoded.push(length as u8 | 0x80);
        length >>= 7;
    }
    encoded.push(length as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_written_as_remote_write_writes_them() {
        let mut encoded = Vec::new();
        append_label(&mut encoded, b"a", b"bc");
        assert_eq!(encoded, [0x0a, 7, 0x0a, 1, b'a', 0x12, 2, b'b', b'c']);
        let long = "x".repeat(300);
        encoded.clear();
        append_label(&mut encoded, b"a", long.as_bytes());
        assert_eq!(encoded[..9], [0x0a, 0xb2, 0x02, 0x0a, 1, b'a', 0x12, 0xac, 0x02]);
        assert_eq!(encoded.len(), 3 + 0x132);
    }

    #[test]
    fn seeds_and_labels_tell_keys_apart() {
        let mut scratch = Vec::new();
        let mut key =
            |seed, pairs: &[(&'static str, &'static str)]| KeySeed(seed).of_pairs(pairs.iter().copied(), &mut scratch);
        assert_eq!(key(1, &[("a", "b")]), key(1, &[("a", "b")]));
        assert_ne!(key(1, &[("a", "b")]), key(2, &[("a", "b")]));
        assert_ne!(key(1, &[("a", "bc")]), key(1, &[("ab", "c")]));
    }
}
