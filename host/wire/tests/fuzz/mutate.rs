//! Bends good inputs: bits, bytes, ranges, numbers, splices.

/// Pieces that the formats give a meaning.
const TOKENS: [&[u8]; 36] = [
    b"\n",
    b"\r\n",
    b"# EOF\n",
    b"# TYPE a histogram\n",
    b"{",
    b"}",
    b"\"",
    b"\\",
    b"=",
    b",",
    b" # {} 1",
    b"NaN",
    b"-Inf",
    b"1e999",
    b"9223372036854775808",
    b"-0",
    b"\xff\xfe",
    b"\xf0\x9f\xa6\x80",
    b"null",
    b"[",
    b"]",
    b"{}",
    b"|@0.1|#a:b",
    b"<191>1 ",
    b"\x0a\x00",
    b"\x22\x00",
    b"\xff\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"{{",
    b"}}",
    b"{{ end }}",
    b"\n  - ",
    b": ",
    b"&a ",
    b"*a",
    b"$1$1",
];
/// Bytes at which numbers change their length or sign.
const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b' '];

/// A course of bent inputs; the same seed gives the same course.
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// xorshift64*: short, fast, and good enough to wander.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { (self.next() >> 16) as usize % limit }
    }

    /// One of the inputs, bent some times.
    pub fn bend(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut bent = inputs[self.below(inputs.len())].clone();
        for _ in 0..=self.below(6) {
            self.once(&mut bent, inputs);
        }
        bent
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        let end = start + self.below((length - start).min(64) + 1);
        start..end
    }

    fn once(&mut self, bent: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let length = bent.len();
        let at = self.below(length + 1);
        match self.below(10) {
            0 if at < length => bent[at] ^= 1 << self.below(8),
            1 if at < length => bent[at] = EDGES[self.below(EDGES.len())],
            2 if at < length => bent[at] = self.next() as u8,
            3 if length > 0 => drop(bent.drain(self.range(length))),
            4 if length > 0 => {
                let piece = bent[self.range(length)].to_vec();
                for _ in 0..=self.below(8) {
                    bent.splice(at..at, piece.iter().copied());
                }
            }
            5 => drop(bent.splice(at..at, TOKENS[self.below(TOKENS.len())].iter().copied())),
            6 => bent.truncate(at),
            7 => {
                let other = &inputs[self.below(inputs.len())];
                let from = self.below(other.len() + 1);
                bent.truncate(at);
                bent.extend_from_slice(&other[from..]);
            }
            8 => {
                let other = &inputs[self.below(inputs.len())];
                if !other.is_empty() {
                    let piece = other[self.range(other.len())].to_vec();
                    bent.splice(at..at, piece);
                }
            }
            _ if at < length => bent[at] = bent[at].wrapping_add(if self.below(2) == 0 { 1 } else { 0xff }),
            _ => {}
        }
    }
}
