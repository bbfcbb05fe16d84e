//! Writing records into leaves: those of a change are merged with the leaves they belong to, and what comes out is cut into
//! leaves anew.
//!
//! A leaf is filled until its row just fits a page of the file, since redb gives a larger value pages to the next power of two,
//! and a smaller one leaves the rest of its page unused. How far bytes shrink is learned from the leaves before.

use super::codec::{self, MOST_RECORDS, Plain};
use crate::{WriteError, error::write_storage};
use redb::{ReadableTable, Table};
use std::{
    collections::{BTreeMap, BTreeSet},
    iter::Peekable,
    ops::Bound,
};

type Rows<'t> = Table<'t, &'static [u8], &'static [u8]>;
/// A record's key and value.
type Entry = (Vec<u8>, Vec<u8>);

/// Room for key and value of a row that has a page for itself, in bytes: redb's page of 4,096 less what it says of the row.
const ROOM_BYTES: usize = 4_096 - 32;
/// A leaf that fills its page so far is full enough.
const FULL_ENOUGH: f64 = 0.88;
/// A guess that came out too long is cut back to this share of the room.
const CUT_BACK: f64 = 0.95;
/// At first records are taken to shrink to this share.
const FIRST_SHARE: f64 = 0.25;
/// What is left over with less than this share of a page takes its neighbour in.
const SMALL: f64 = 0.25;
/// A leaf's plain records are no more than this, in bytes, unless it is a single one: each look into a leaf unpacks it.
const MOST_PLAIN_BYTES: usize = 48 << 10;

/// A leaf that is there.
struct Found {
    first: Vec<u8>,
    entries: Vec<Entry>,
    /// Where the one after it begins.
    next: Option<Vec<u8>>,
}

/// Merges changes of records into a table of leaves: a value puts a record, none removes it.
///
/// # Errors
/// When the file cannot be read or written, or a leaf is damaged.
pub(crate) fn rewrite(
    rows: &mut Rows<'_>,
    table: &str,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
) -> Result<(), WriteError> {
    let mut changes = changes.into_iter().peekable();
    while let Some((key, _)) = changes.peek() {
        let leaf = leaf_for(rows, table, key)?;
        run(rows, table, leaf, &mut changes)?;
    }
    Ok(())
}

/// Fills an empty table of leaves with records that come in the order of their keys.
///
/// # Errors
/// As [`rewrite`], and what the records come with.
pub(crate) fn gather(
    rows: &mut Rows<'_>,
    records: impl Iterator<Item = Result<Entry, WriteError>>,
) -> Result<(), WriteError> {
    let mut packer = Packer::new(BTreeSet::new());
    for record in records {
        packer.push(rows, record?)?;
    }
    packer.finish(rows, true)
}

/// The leaf that a key belongs to: the last that begins at or before it, else the first of all.
fn leaf_for(rows: &Rows<'_>, table: &str, key: &[u8]) -> Result<Option<Found>, WriteError> {
    let before = rows.range::<&[u8]>(..=key).map_err(write_storage)?.next_back().transpose().map_err(write_storage)?;
    let first = match before {
        Some((first, _)) => Some(first.value().to_vec()),
        None => rows.first().map_err(write_storage)?.map(|(first, _)| first.value().to_vec()),
    };
    first.map(|first| load(rows, table, first)).transpose()
}

fn load(rows: &Rows<'_>, table: &str, first: Vec<u8>) -> Result<Found, WriteError> {
    let mut from_here =
        rows.range::<&[u8]>((Bound::Included(first.as_slice()), Bound::Unbounded)).map_err(write_storage)?;
    let row = from_here.next().transpose().map_err(write_storage)?;
    let next = from_here.next().transpose().map_err(write_storage)?.map(|(next, _)| next.value().to_vec());
    let mut entries = Vec::new();
    if let Some((_, row)) = row {
        let plain = codec::unpack(table, row.value())?;
        codec::visit(table, &plain, |key, value| {
            entries.push((key.to_vec(), value.to_vec()));
            true
        })?;
    }
    Ok(Found { first, entries, next })
}

/// Changes of one leaf, and of those right after it as long as there are any for each.
fn run(
    rows: &mut Rows<'_>,
    table: &str,
    leaf: Option<Found>,
    changes: &mut Peekable<impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>>,
) -> Result<(), WriteError> {
    let mut packer = Packer::new(BTreeSet::new());
    let (mut leaf, mut at_the_end) = (leaf, true);
    loop {
        let next = leaf.as_ref().and_then(|leaf| leaf.next.clone());
        let entries = leaf.take().map(|leaf| {
            packer.replaced.insert(leaf.first);
            leaf.entries
        });
        let belongs = |key: &[u8]| next.as_deref().is_none_or(|next| key < next);
        merge(rows, entries.unwrap_or_default(), changes, belongs, &mut packer)?;
        let Some(next) = next else { break };
        let found = load(rows, table, next)?;
        let is_for_it = |key: &[u8]| found.next.as_deref().is_none_or(|after| key < after);
        if !packer.is_small() && !changes.peek().is_some_and(|(key, _)| is_for_it(key)) {
            at_the_end = false;
            break;
        }
        leaf = Some(found);
    }
    packer.finish(rows, at_the_end)
}

/// Packs the entries of a leaf with the changes that belong to it, in the order of their keys.
fn merge(
    rows: &mut Rows<'_>,
    entries: Vec<Entry>,
    changes: &mut Peekable<impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>>,
    belongs: impl Fn(&[u8]) -> bool,
    packer: &mut Packer,
) -> Result<(), WriteError> {
    let mut entries = entries.into_iter().peekable();
    loop {
        let change = changes.peek().map(|(key, _)| key).filter(|key| belongs(key));
        let from_changes = match (entries.peek(), change) {
            (None, None) => return Ok(()),
            (Some(_), None) => false,
            (None, Some(_)) => true,
            (Some((kept, _)), Some(changed)) => {
                if kept == changed {
                    entries.next();
                    continue;
                }
                changed < kept
            }
        };
        if !from_changes {
            packer.push_some(rows, entries.next())?;
        } else if let Some((key, value)) = changes.next() {
            packer.push_some(rows, value.map(|value| (key, value)))?;
        }
    }
}

/// Cuts records that come in order into leaves, and writes those.
struct Packer {
    /// Rows that what is packed takes the place of.
    replaced: BTreeSet<Vec<u8>>,
    pending: Vec<Entry>,
    pending_bytes: usize,
    /// A full leaf that is not written yet: what is left over after it may be shared out between both.
    held: Option<(Vec<Entry>, Vec<u8>)>,
    /// To how much of their length records shrink.
    share: f64,
}

impl Packer {
    fn new(replaced: BTreeSet<Vec<u8>>) -> Self {
        Self { replaced, pending: Vec::new(), pending_bytes: 0, held: None, share: FIRST_SHARE }
    }

    fn push_some(&mut self, rows: &mut Rows<'_>, entry: Option<Entry>) -> Result<(), WriteError> {
        entry.map_or(Ok(()), |entry| self.push(rows, entry))
    }

    fn push(&mut self, rows: &mut Rows<'_>, entry: Entry) -> Result<(), WriteError> {
        self.pending_bytes += length(&entry);
        self.pending.push(entry);
        if self.is_likely_full() { self.cut(rows) } else { Ok(()) }
    }

    fn is_likely_full(&self) -> bool {
        self.pending_bytes as f64 * self.share >= ROOM_BYTES as f64
            || self.pending_bytes >= MOST_PLAIN_BYTES
            || self.pending.len() >= MOST_RECORDS
    }

    /// Whether what came so far would be a small leaf.
    fn is_small(&self) -> bool {
        self.held.is_none() && (self.pending_bytes as f64 * self.share) < SMALL * ROOM_BYTES as f64
    }

    /// Makes leaves of what is pending while that is enough for one.
    fn cut(&mut self, rows: &mut Rows<'_>) -> Result<(), WriteError> {
        let mut take = self.pending.len();
        loop {
            let row = packed(&self.pending[..take]);
            let used = self.pending[0].0.len() + row.len();
            self.share = row.len() as f64 / self.pending[..take].iter().map(length).sum::<usize>().max(1) as f64;
            if used > ROOM_BYTES && take > 1 {
                let fitting = (take as f64 * CUT_BACK * ROOM_BYTES as f64 / used as f64) as usize;
                take = fitting.clamp(1, take - 1);
                continue;
            }
            let is_all = take == self.pending.len();
            if is_all && (used as f64) < FULL_ENOUGH * ROOM_BYTES as f64 && !self.is_likely_full() {
                return Ok(());
            }
            let rest = self.pending.split_off(take);
            let leaf = std::mem::replace(&mut self.pending, rest);
            self.pending_bytes = self.pending.iter().map(length).sum();
            self.hold(rows, (leaf, row))?;
            if !self.is_likely_full() || self.pending.is_empty() {
                return Ok(());
            }
            take = self.pending.len();
        }
    }

    fn hold(&mut self, rows: &mut Rows<'_>, leaf: (Vec<Entry>, Vec<u8>)) -> Result<(), WriteError> {
        if let Some((entries, row)) = self.held.replace(leaf) {
            self.write(rows, &entries[0].0, &row)?;
        }
        Ok(())
    }

    fn write(&mut self, rows: &mut Rows<'_>, first: &[u8], row: &[u8]) -> Result<(), WriteError> {
        self.replaced.remove(first);
        rows.insert(first, row).map_err(write_storage)?;
        Ok(())
    }

    /// Writes what is left and removes the rows that were replaced. At the end of the table a small leaf is left small: more
    /// is likely to come after it.
    fn finish(mut self, rows: &mut Rows<'_>, at_the_end: bool) -> Result<(), WriteError> {
        if !self.pending.is_empty() {
            let row = packed(&self.pending);
            let used = self.pending[0].0.len() + row.len();
            if used > ROOM_BYTES && self.pending.len() > 1 {
                self.cut_all(rows)?;
            } else if at_the_end || used as f64 >= SMALL * ROOM_BYTES as f64 || self.held.is_none() {
                let leaf = (std::mem::take(&mut self.pending), row);
                self.hold(rows, leaf)?;
            } else {
                self.share_out(rows)?;
            }
        }
        if let Some((entries, row)) = self.held.take() {
            self.write(rows, &entries[0].0, &row)?;
        }
        for first in std::mem::take(&mut self.replaced) {
            rows.remove(first.as_slice()).map_err(write_storage)?;
        }
        Ok(())
    }

    /// What is left came out longer than was thought: into as many leaves as it needs.
    fn cut_all(&mut self, rows: &mut Rows<'_>) -> Result<(), WriteError> {
        while !self.pending.is_empty() {
            let before = self.pending.len();
            self.cut(rows)?;
            if self.pending.len() == before {
                let leaf = std::mem::take(&mut self.pending);
                let row = packed(&leaf);
                self.hold(rows, (leaf, row))?;
            }
        }
        Ok(())
    }

    /// The leaf that is held and the little that is left after it become two of about the same length, each with room for more.
    fn share_out(&mut self, rows: &mut Rows<'_>) -> Result<(), WriteError> {
        let mut all = self.held.take().map(|(entries, _)| entries).unwrap_or_default();
        all.append(&mut self.pending);
        let half = all.iter().map(length).sum::<usize>() / 2;
        let mut so_far = 0;
        let middle = all.iter().take_while(|entry| {
            so_far += length(entry);
            so_far <= half
        });
        let middle = middle.count().clamp(1, all.len() - 1);
        let after = all.split_off(middle);
        for part in [all, after] {
            let row = packed(&part);
            self.hold(rows, (part, row))?;
        }
        Ok(())
    }
}

fn length((key, value): &Entry) -> usize {
    key.len() + value.len()
}

/// A leaf's row.
fn packed(entries: &[Entry]) -> Vec<u8> {
    let mut plain = Plain::default();
    entries.iter().for_each(|(key, value)| plain.push(key, value));
    plain.pack()
}
