//! Words of texts, and the filter that tells which blocks may hold one: a Bloom filter of twelve bits a word and six probes,
//! which is wrong for one block in 250.

/// Bits of the filter for each different word.
const BITS_PER_WORD: usize = 12;
/// Bits looked at for one word.
const PROBES: u64 = 6;
/// Words longer than this are in no filter: nobody types them, and what holds them (certificates, base64) is all different.
pub(super) const MAX_WORD_BYTES: usize = 128;

/// Whether a byte belongs to a word. All of a character beyond ASCII does.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The words of a text, as they stand in it.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !is_word(*byte)).filter(|word| !word.is_empty())
}

/// The hash of a word in lower case: FNV-1a with a last mix. It lies on disk and never changes.
pub(super) fn hash(word: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in word {
        hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

fn places(hash: u64, bits: u64) -> impl Iterator<Item = (usize, u8)> {
    let step = (hash >> 32) | 1;
    (0..PROBES).map(move |probe| {
        let bit = hash.wrapping_add(probe.wrapping_mul(step)) % bits;
        ((bit / 8) as usize, 1 << (bit % 8))
    })
}

/// The filter of hashes, each given once or more often.
pub(super) fn filter(mut hashes: Vec<u64>) -> Vec<u8> {
    hashes.sort_unstable();
    hashes.dedup();
    let mut bytes = vec![0_u8; (hashes.len() * BITS_PER_WORD).div_ceil(8).max(1)];
    let bits = bytes.len() as u64 * 8;
    for hash in hashes {
        for (byte, bit) in places(hash, bits) {
            bytes[byte] |= bit;
        }
    }
    bytes
}

/// Whether a filter may hold a hash.
pub(super) fn may_hold(filter: &[u8], hash: u64) -> bool {
    let bits = filter.len() as u64 * 8;
    bits > 0 && places(hash, bits).all(|(byte, bit)| filter[byte] & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_by_what_is_no_word() {
        let found: Vec<&[u8]> = words("GET /api/v1 took 12ms für out_of_memory!".as_bytes()).collect();
        let texts: Vec<&str> = found.iter().map(|word| std::str::from_utf8(word).expect("text")).collect();
        assert_eq!(texts, ["GET", "api", "v1", "took", "12ms", "für", "out_of_memory"]);
        assert_eq!(hash(b"GET"), hash(b"get"));
    }

    #[test]
    fn a_filter_never_denies_a_word_and_seldom_invents_one() {
        let held: Vec<u64> = (0..5_000_u64).map(|number| hash(number.to_string().as_bytes())).collect();
        let filter = filter(held.clone());
        assert!(held.iter().all(|hash| may_hold(&filter, *hash)));
        let invented = (5_000..25_000_u64).filter(|n| may_hold(&filter, hash(n.to_string().as_bytes()))).count();
        assert!(invented < 200, "{invented} of 20000 words are invented");
        assert_eq!(filter.len(), 7_500);
    }
}
