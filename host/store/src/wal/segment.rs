//! One file of the write-ahead log: a header, then frames one after another.

use super::frame::{self, HEADER_BYTES, Header};
use parking_lot::Mutex;
use redb::StorageBackend;
use std::io;

/// How a segment begins; the number of its first batch follows.
const MAGIC: &[u8; 8] = b"TandemW1";
/// Length of a segment's own header, in bytes.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 16;
/// The place of one frame in so many bytes is remembered, so that a reader finds its own quickly.
const PLACE_EVERY_BYTES: u64 = 64 << 10;

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    /// The number of its first batch.
    pub first: u64,
    file: Box<dyn StorageBackend>,
    extent: Mutex<Extent>,
}

#[derive(Debug, Clone)]
struct Extent {
    /// Where the next frame goes, in bytes.
    end: u64,
    /// Number of the last batch.
    last: u64,
    /// Numbers of batches with the offsets of the frames they begin, ascending.
    places: Vec<(u64, u64)>,
}

/// A frame that was read.
pub(super) struct ReadFrame {
    pub header: Header,
    pub payload: Vec<u8>,
    /// Where the next one begins.
    pub next: u64,
}

impl Segment {
    /// Begins a segment in a file; what the file held is gone.
    pub(super) fn begin(first: u64, file: Box<dyn StorageBackend>) -> io::Result<Self> {
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&first.to_le_bytes());
        file.set_len(0)?;
        file.set_len(SEGMENT_HEADER_BYTES)?;
        file.write(0, &header)?;
        Ok(Self::of(first, file, SEGMENT_HEADER_BYTES, first - 1))
    }

    fn of(first: u64, file: Box<dyn StorageBackend>, end: u64, last: u64) -> Self {
        let extent = Extent { end, last, places: vec![(first, SEGMENT_HEADER_BYTES)] };
        Self { first, file, extent: Mutex::new(extent) }
    }

    /// A file that holds a segment; none when it holds none, as one that was cut off while it was begun.
    pub(super) fn open(first: u64, file: Box<dyn StorageBackend>) -> io::Result<Option<Self>> {
        let length = file.len()?;
        let mut header = [0; SEGMENT_HEADER_BYTES as usize];
        if length < SEGMENT_HEADER_BYTES {
            return Ok(None);
        }
        file.read(0, &mut header)?;
        let sound = header.starts_with(MAGIC) && header[8..] == first.to_le_bytes();
        Ok(sound.then(|| Self::of(first, file, length, first - 1)))
    }

    /// Takes it that the segment is whole and ends with a batch, without looking.
    pub(super) fn trust(&self, last: u64) {
        self.extent.lock().last = last;
    }

    /// Looks through the segment. It ends before the first frame that is not whole, does not follow, or that `counts` refuses;
    /// whether it was whole.
    pub(super) fn check(&self, counts: impl Fn(&Header) -> bool) -> io::Result<bool> {
        let length = self.file.len()?;
        let mut extent = Extent { end: SEGMENT_HEADER_BYTES, last: self.first - 1, places: Vec::new() };
        while let Some(read) = self.frame_at(extent.end, length)? {
            if read.header.first != extent.last + 1 || !counts(&read.header) {
                break;
            }
            extent.note(read.header.first, extent.end);
            (extent.end, extent.last) = (read.next, read.header.last);
        }
        let whole = extent.end == length;
        *self.extent.lock() = extent;
        Ok(whole)
    }

    /// Cuts off what lies behind the end, durably.
    pub(super) fn cut(&self) -> io::Result<()> {
        let end = self.extent.lock().end;
        self.file.set_len(end)?;
        self.file.sync_data()
    }

    /// Writes a frame behind the end, durably, and moves the end.
    pub(super) fn append(&self, first: u64, last: u64, frame: &[u8]) -> io::Result<()> {
        let end = self.extent.lock().end;
        let next = end + frame.len() as u64;
        self.file.set_len(next)?;
        self.file.write(end, frame)?;
        self.file.sync_data()?;
        let mut extent = self.extent.lock();
        extent.note(first, end);
        (extent.end, extent.last) = (next, last);
        Ok(())
    }

    /// Moves the end back before the frame that begins with a batch, which is the last one.
    pub(super) fn take_back(&self, first: u64, frame_bytes: u64) {
        let mut extent = self.extent.lock();
        if extent.last >= first {
            extent.end -= frame_bytes;
            extent.last = first - 1;
            extent.places.retain(|(batch, _)| *batch < first);
        }
    }

    /// Number of the last batch.
    pub(super) fn last(&self) -> u64 {
        self.extent.lock().last
    }

    /// Its length, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.extent.lock().end
    }

    /// Where to look for the frame with a batch: at it or before.
    pub(super) fn place_of(&self, batch: u64) -> u64 {
        let extent = self.extent.lock();
        let behind = extent.places.partition_point(|(first, _)| *first <= batch);
        behind.checked_sub(1).map_or(SEGMENT_HEADER_BYTES, |place| extent.places[place].1)
    }

    /// The frame at an offset; none at the end, or where there is no whole one.
    pub(super) fn frame(&self, offset: u64) -> io::Result<Option<ReadFrame>> {
        let end = self.extent.lock().end;
        self.frame_at(offset, end)
    }

    fn frame_at(&self, offset: u64, end: u64) -> io::Result<Option<ReadFrame>> {
        let payload_at = offset + HEADER_BYTES as u64;
        if payload_at > end {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES];
        self.file.read(offset, &mut bytes)?;
        let Some(header) = Header::read(&bytes) else { return Ok(None) };
        let next = payload_at + header.payload_bytes as u64;
        if next > end {
            return Ok(None);
        }
        let mut payload = vec![0; header.payload_bytes];
        self.file.read(payload_at, &mut payload)?;
        Ok(header.fits(&payload).then_some(ReadFrame { header, payload, next }))
    }
}

impl Extent {
    fn note(&mut self, first: u64, offset: u64) {
        if self.places.last().is_none_or(|(_, last)| offset >= last + PLACE_EVERY_BYTES) {
            self.places.push((first, offset));
        }
    }
}

pub(super) use frame::batches;
