//! Keys as bytes whose order is the order of the keys.

/// A key that the file keeps in order.
pub trait TableKey: Send + 'static {
    /// Bytes that sort as the keys do; no key's bytes are a prefix of another's.
    fn to_bytes(&self) -> Vec<u8>;
}

impl TableKey for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
}

impl TableKey for String {
    /// A zero byte inside is written as `00 FF`, the end as `00 00`, so that order holds and pairs can follow one another.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() + 2);
        for byte in self.bytes() {
            bytes.push(byte);
            if byte == 0 {
                bytes.push(0xFF);
            }
        }
        bytes.extend([0, 0]);
        bytes
    }
}

impl<A: TableKey, B: TableKey> TableKey for (A, B) {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.to_bytes();
        bytes.extend(self.1.to_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_sort_as_the_keys_do(a: (String, u64), b: (String, u64)) {
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        }

        #[test]
        fn pairs_of_texts_sort_as_the_pairs_do(a: (String, String), b: (String, String)) {
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        }
    }
}
