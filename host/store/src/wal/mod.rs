//! The write-ahead log of samples: segments beside the store's file, in which each commit's batches stand in one frame that is
//! durable before the commit is answered. What a commit also writes into the file is bound to its frame: the file tells the
//! number of the last batch it knows, and a frame that is bound and beyond it does not count. Rooms read the batches in order;
//! a segment goes when its samples are in blocks and all have read it.

mod batch;
mod frame;
mod segment;
#[cfg(test)]
mod tests;

pub(crate) use batch::encode as encode_batch;

use crate::{ReadError, disk::Disk, error::storage};
use frame::Bond;
use parking_lot::Mutex;
use segment::Segment;
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tandem_domain::series::SampleBatch;

/// A segment as long as this is followed by another, in bytes, so that space comes back in pieces.
const SEGMENT_BYTES: u64 = 32 << 20;
/// What readers who have fallen behind may keep from being trimmed, in bytes: some hundred million samples. A reader further
/// behind reads blocks.
const MAX_KEPT_BYTES: u64 = 1 << 30;
/// How the names of segments begin; the number of the first batch follows.
const PREFIX: &str = "samples-";

/// The log.
#[derive(Debug)]
pub(crate) struct Wal {
    disk: Box<dyn Disk>,
    state: Mutex<State>,
    /// Number of the last batch that was committed, for readers.
    end: AtomicU64,
}

#[derive(Debug)]
struct State {
    segments: BTreeMap<u64, Arc<Segment>>,
    /// What the next frame goes into; a new segment when there is none.
    tail: Option<Arc<Segment>>,
    /// Number of the last batch that was written.
    last: u64,
    /// A frame of which it is not known whether it counts: its commit failed.
    unsettled: Option<Unsettled>,
}

#[derive(Debug, Clone)]
struct Unsettled {
    segment: Arc<Segment>,
    first: u64,
    last: u64,
    frame_bytes: u64,
    bond: Bond,
    /// Whether the frame is known to be durable.
    written: bool,
}

/// Batches that were written, to be confirmed or taken back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    /// Number of the first.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
}

fn name_of(first: u64) -> String {
    format!("{PREFIX}{first:020}")
}

fn first_of(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok().filter(|first| *first > 0)
}

impl Wal {
    /// Opens the log. `known` is the last batch that the file tells of, `flushed` the last one whose samples are in blocks.
    pub(crate) fn open(disk: Box<dyn Disk>, known: u64, flushed: u64) -> Result<Self, String> {
        let broken = |error: io::Error| error.to_string();
        let mut firsts: Vec<u64> = disk.names().map_err(broken)?.iter().filter_map(|name| first_of(name)).collect();
        firsts.sort_unstable();
        let mut segments = BTreeMap::new();
        // Numbers that were given are not given again, though their segments are gone.
        let mut last = known.max(flushed);
        for (index, first) in firsts.iter().enumerate() {
            let next = firsts.get(index + 1);
            let file = disk.open(&name_of(*first)).map_err(broken)?;
            let Some(segment) = Segment::open(*first, file).map_err(broken)? else {
                Self::refuse_damage(*first, next.is_some())?;
                disk.remove(&name_of(*first)).map_err(broken)?;
                continue;
            };
            match next.filter(|next| **next <= flushed + 1) {
                // Nothing of it is read at start.
                Some(next) => segment.trust(next - 1),
                None => {
                    let counts = |header: &frame::Header| header.bond == Bond::Alone || header.last <= known;
                    let whole = segment.check(counts).map_err(broken)?;
                    // Only the end of the last segment may be cut off, and only what the file does not tell of.
                    Self::refuse_damage(*first, !whole && (next.is_some() || segment.last() < known))?;
                    if !whole {
                        segment.cut().map_err(broken)?;
                    }
                    last = last.max(segment.last());
                }
            }
            segments.insert(*first, Arc::new(segment));
        }
        let state = Mutex::new(State { segments, tail: None, last, unsettled: None });
        Ok(Self { disk, state, end: AtomicU64::new(last) })
    }

    fn refuse_damage(first: u64, damaged: bool) -> Result<(), String> {
        if !damaged {
            return Ok(());
        }
        let name = name_of(first);
        Err(format!(
            "the write-ahead log's segment {name} is damaged, and samples in it and after it may be lost: restore it from a \
             copy, or move it and the segments after it away to go on without those samples"
        ))
    }

    /// Number of the last batch that was committed.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.lock().segments.values().map(|segment| segment.bytes()).sum()
    }

    /// The number that the next batch gets.
    pub(crate) fn next(&self) -> u64 {
        self.state.lock().last + 1
    }

    /// Writes batches, at least one, durably. They are to be confirmed when the file's commit has succeeded, or settled when it
    /// has not. `with_records` binds them to that commit. Only the writer's thread calls this.
    pub(crate) fn write(&self, batches: &[Vec<u8>], with_records: bool) -> io::Result<Written> {
        let bond = if with_records { Bond::WithRecords } else { Bond::Alone };
        let (segment, first) = {
            let mut state = self.state.lock();
            if state.unsettled.is_some() {
                return Err(io::Error::other("an earlier write of samples is not settled yet"));
            }
            (self.tail(&mut state)?, state.last + 1)
        };
        let last = first + batches.len() as u64 - 1;
        let frame =
            frame::frame(first, bond, batches).ok_or_else(|| io::Error::other("a commit has too many samples"))?;
        // Readers go on while this one waits for the disk.
        let appended = segment.append(first, last, &frame);
        let mut state = self.state.lock();
        let written = appended.is_ok();
        if written {
            state.last = last;
        }
        state.unsettled = Some(Unsettled { segment, first, last, frame_bytes: frame.len() as u64, bond, written });
        appended.map(|()| Written { first, last })
    }

    /// The segment that the next frame goes into.
    fn tail(&self, state: &mut State) -> io::Result<Arc<Segment>> {
        if let Some(tail) = state.tail.as_ref().filter(|tail| tail.bytes() < SEGMENT_BYTES) {
            return Ok(tail.clone());
        }
        let first = state.last + 1;
        let segment = Arc::new(Segment::begin(first, self.disk.open(&name_of(first))?)?);
        self.disk.sync_names()?;
        // One of the same name held nothing.
        state.segments.insert(first, segment.clone());
        state.tail = Some(segment.clone());
        Ok(segment)
    }

    /// The last write counts: whoever reads sees it from now on.
    pub(crate) fn confirm(&self, written: Written) {
        self.state.lock().unsettled = None;
        self.end.store(written.last, Ordering::Release);
    }

    /// After a commit that failed: takes the last write back, unless the file, opened again, tells of it: then the commit has
    /// come through after all, and what was written is answered and still to be confirmed. `known` is the last batch that the
    /// file tells of.
    pub(crate) fn settle(&self, known: u64) -> io::Result<Option<Written>> {
        let mut state = self.state.lock();
        let Some(Unsettled { segment, first, last, frame_bytes, bond, written }) = state.unsettled.clone() else {
            return Ok(None);
        };
        if written && bond == Bond::WithRecords && last <= known {
            return Ok(Some(Written { first, last }));
        }
        if written {
            segment.take_back(first, frame_bytes);
            state.last = first - 1;
        }
        segment.cut()?;
        (state.unsettled, state.tail) = (None, None);
        if segment.last() < segment.first {
            state.segments.remove(&segment.first);
            self.disk.remove(&name_of(segment.first))?;
        }
        Ok(None)
    }

    /// Has the next frame begin a segment, so that what was written till now can be trimmed as a whole.
    pub(crate) fn end_segment(&self) {
        self.state.lock().tail = None;
    }

    /// Removes segments whose batches are all flushed, and read by all who read, the slowest of whom has come to `slowest`.
    pub(crate) fn trim(&self, flushed: u64, slowest: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut kept: u64 = state.segments.values().map(|segment| segment.bytes()).sum();
        while let Some((first, segment)) = state.segments.first_key_value() {
            let is_tail = state.tail.as_ref().is_some_and(|tail| tail.first == *first);
            let wanted = slowest < segment.last() && kept <= MAX_KEPT_BYTES;
            if is_tail || state.unsettled.is_some() || flushed < segment.last() || wanted {
                break;
            }
            let first = *first;
            kept -= segment.bytes();
            self.disk.remove(&name_of(first))?;
            state.segments.remove(&first);
        }
        Ok(())
    }

    /// Batches after a number up to another, in order, until there are `max_samples`; at least one if there is any.
    pub(crate) fn after(
        &self,
        after: u64,
        through: u64,
        max_samples: usize,
    ) -> Result<Vec<(u64, SampleBatch)>, ReadError> {
        let mut found = Vec::new();
        let (mut after, mut samples) = (after, 0);
        while after < through {
            let Some(segment) = self.segment_after(after) else { break };
            let mut offset = segment.place_of(after + 1);
            let before = after;
            while let Some(read) = segment.frame(offset).map_err(storage)? {
                offset = read.next;
                if read.header.last <= after {
                    continue;
                }
                for (number, bytes) in segment::batches(read.header.first, &read.payload).map_err(storage)? {
                    if number <= after || number > through {
                        continue;
                    }
                    if samples >= max_samples && !found.is_empty() {
                        return Ok(found);
                    }
                    let batch = batch::decode(bytes).map_err(storage)?;
                    samples += batch.len() + batch.histograms.len();
                    after = number;
                    found.push((number, batch));
                }
                if read.header.last >= through {
                    return Ok(found);
                }
            }
            if after == before {
                // Trimmed in the meantime, or damaged.
                if self.segment_after(after).is_none_or(|still| !Arc::ptr_eq(&still, &segment)) {
                    continue;
                }
                return Err(storage(format!("batch {} of the write-ahead log is damaged", after + 1)));
            }
        }
        Ok(found)
    }

    /// The first segment with a batch after a number.
    fn segment_after(&self, after: u64) -> Option<Arc<Segment>> {
        let state = self.state.lock();
        let before = state.segments.range(..=after + 1).next_back();
        let from_there_on = before.into_iter().chain(state.segments.range(after + 2..));
        // One that was begun and not written to holds nothing.
        from_there_on.map(|(_, segment)| segment).find(|segment| segment.last() > after.max(segment.first - 1)).cloned()
    }
}
