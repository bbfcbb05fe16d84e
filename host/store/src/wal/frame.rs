//! One commit's batches as they stand in a segment: a header with a checksum over all of it, then each batch with its length.

use crate::varint::{put_varint, take_bytes, take_varint};

/// Length of a header, in bytes.
pub(super) const HEADER_BYTES: usize = 32;
/// How a frame begins.
const MAGIC: u32 = u32::from_le_bytes(*b"TnWf");
/// Longest frame, in bytes: a commit has at most 512 changes, and senders' bodies are held to a budget far below this.
pub(super) const MAX_PAYLOAD_BYTES: usize = 1 << 30;

/// What a frame needs to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bond {
    /// That it is whole.
    Alone,
    /// That the records of the same commit are in the file too.
    WithRecords,
}

/// A frame's header, without its checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub payload_bytes: usize,
    pub bond: Bond,
    /// Number of its first batch.
    pub first: u64,
    /// Number of its last batch.
    pub last: u64,
    checksum: u32,
}

impl Header {
    /// Reads a header; none when there is none here.
    pub(super) fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let number = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let short = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let bond = match short(12)? {
            0 => Bond::Alone,
            1 => Bond::WithRecords,
            _ => return None,
        };
        let payload_bytes = short(8)? as usize;
        let (first, last) = (number(16)?, number(24)?);
        let sound = short(0)? == MAGIC && payload_bytes <= MAX_PAYLOAD_BYTES && 0 < first && first <= last;
        sound.then_some(Self { payload_bytes, bond, first, last, checksum: short(4)? })
    }

    fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let bond = match self.bond {
            Bond::Alone => 0_u32,
            Bond::WithRecords => 1,
        };
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[8..12].copy_from_slice(&(self.payload_bytes as u32).to_le_bytes());
        bytes[12..16].copy_from_slice(&bond.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..].copy_from_slice(&self.last.to_le_bytes());
        bytes
    }

    /// Of everything but itself.
    fn checksum_of(&self, payload: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.bytes()[8..]);
        hasher.update(payload);
        hasher.finalize()
    }

    /// Whether a payload is the one the header was made for.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        payload.len() == self.payload_bytes && self.checksum_of(payload) == self.checksum
    }
}

/// The frame of some batches, of which there is at least one, numbered on from `first`; none when they are too long together.
pub(super) fn frame(first: u64, bond: Bond, batches: &[Vec<u8>]) -> Option<Vec<u8>> {
    let length: usize = batches.iter().map(|batch| batch.len() + 10).sum();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + length);
    bytes.resize(HEADER_BYTES, 0);
    for batch in batches {
        put_varint(&mut bytes, batch.len() as u64);
        bytes.extend_from_slice(batch);
    }
    let payload_bytes = bytes.len() - HEADER_BYTES;
    let last = first + batches.len() as u64 - 1;
    let mut header = Header { payload_bytes, bond, first, last, checksum: 0 };
    header.checksum = header.checksum_of(&bytes[HEADER_BYTES..]);
    bytes[..HEADER_BYTES].copy_from_slice(&header.bytes());
    (payload_bytes <= MAX_PAYLOAD_BYTES).then_some(bytes)
}

/// The batches of a payload that fits its header, with their numbers.
pub(super) fn batches(first: u64, mut payload: &[u8]) -> Result<Vec<(u64, &[u8])>, String> {
    let mut found = Vec::new();
    let mut number = first;
    while !payload.is_empty() {
        let length = usize::try_from(take_varint(&mut payload)?).unwrap_or(usize::MAX);
        found.push((number, take_bytes(&mut payload, length)?));
        number += 1;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_and_any_changed_byte_is_seen() {
        let parts = vec![vec![1, 2, 3], Vec::new(), vec![9; 300]];
        let bytes = frame(41, Bond::WithRecords, &parts).expect("short enough");
        let header = Header::read(bytes.first_chunk().expect("a header")).expect("sound");
        assert_eq!((header.first, header.last, header.bond), (41, 43, Bond::WithRecords));
        assert!(header.fits(&bytes[HEADER_BYTES..]));
        let back = batches(41, &bytes[HEADER_BYTES..]).expect("whole");
        assert_eq!(
            back.iter().map(|(number, part)| (*number, part.to_vec())).collect::<Vec<_>>(),
            [(41, parts[0].clone()), (42, parts[1].clone()), (43, parts[2].clone())]
        );
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 4;
            let header = Header::read(changed.first_chunk().expect("a header"));
            assert!(header.is_none_or(|header| !header.fits(&changed[HEADER_BYTES..])), "byte {place}");
        }
    }
}
