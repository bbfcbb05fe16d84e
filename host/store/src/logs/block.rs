//! Blocks on their way in: lines sorted into hours, cut into blocks, encoded away from the writer thread, and numbered in
//! the transaction that keeps them.

use super::{
    LogWindow, Part,
    body::{self, Numbered},
    hour_of, words,
};
use crate::{WriteError, WriteTx, envelope};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tandem_domain::log::SourcedLog;

/// Lines of one block: enough to compress well, few enough to be opened for one of them.
const MAX_BLOCK_ENTRIES: usize = 4_096;
/// Bytes of what the lines of one block say.
const MAX_BLOCK_BYTES: usize = 1 << 20;
/// A block with fewer lines and fewer bytes is small: it is joined with others.
const SMALL_ENTRIES: u32 = MAX_BLOCK_ENTRIES as u32 / 2;
const SMALL_BYTES: u32 = MAX_BLOCK_BYTES as u32 / 4;
/// Different owners that a head lists; a block of more is opened whoever is asked for.
const MAX_LISTED_OWNERS: usize = 512;
/// The version of heads on disk.
const HEAD_VERSION: u16 = 1;
/// The sequence that numbers lines.
const LINES: &str = "logs";
/// The sequence that numbers blocks.
const BLOCKS: &str = "logs/blocks";

/// What is told of a block without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Head {
    /// The earliest moment, in milliseconds.
    #[serde(rename = "f")]
    pub from: i64,
    /// The latest.
    #[serde(rename = "t")]
    pub to: i64,
    /// The number that line numbers count from.
    #[serde(rename = "n")]
    pub first: u64,
    /// Lines.
    #[serde(rename = "e")]
    pub entries: u32,
    /// The worst grade.
    #[serde(rename = "w")]
    pub worst: u8,
    /// Hashes of the aliases of writers and machines; empty where there are too many to list.
    #[serde(rename = "o")]
    pub owners: Vec<u64>,
    /// Bytes of what the lines say.
    #[serde(rename = "s")]
    pub said: u32,
    /// Bytes of the three values on disk.
    #[serde(rename = "b")]
    pub stored: u32,
}

impl Head {
    pub(super) fn is_small(&self) -> bool {
        self.entries < SMALL_ENTRIES && self.said < SMALL_BYTES
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, crate::ReadError> {
        envelope::unwrap("logs", HEAD_VERSION, bytes)
    }
}

/// The key of a block: latest moment, then number, so that blocks sort by when they end.
fn key(to: i64, number: u64) -> Vec<u8> {
    let mut key = ((to as u64) ^ (1 << 63)).to_be_bytes().to_vec();
    key.extend(number.to_be_bytes());
    key
}

/// A block that waits for its number.
#[derive(Debug)]
pub(super) struct Encoded {
    pub hour: u64,
    pub head: Head,
    pub words: Vec<u8>,
    pub body: Vec<u8>,
}

/// Lines ready to be kept.
#[derive(Debug, Default)]
pub struct LogBatch {
    pub(super) blocks: Vec<Encoded>,
    /// How many numbers the lines take.
    numbers: u64,
}

impl LogBatch {
    /// Sorts and encodes lines: some milliseconds for each thousand, so not to be called on the writer thread.
    ///
    /// # Errors
    /// When the compressor fails, which it does for want of memory.
    pub fn of(lines: Vec<SourcedLog>) -> Result<Self, WriteError> {
        let numbers = lines.len() as u64;
        let numbered = lines.into_iter().enumerate().map(|(place, log)| Numbered { log, offset: place as u64 });
        Ok(Self { blocks: encode(numbered.collect())?, numbers })
    }

    /// How many lines.
    pub fn len(&self) -> u64 {
        self.numbers
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.numbers == 0
    }
}

/// Blocks of lines, hour by hour.
pub(super) fn encode(mut lines: Vec<Numbered>) -> Result<Vec<Encoded>, WriteError> {
    lines.sort_by_key(|line| (line.log.entry.at, line.offset));
    let unwritable = |what: String| WriteError::Unwritable { table: "logs".into(), what };
    let mut blocks = Vec::new();
    let mut rest = lines.as_slice();
    while let Some(first) = rest.first() {
        let hour = hour_of(first.log.entry.at);
        let mut bytes = 0;
        let fits = |line: &&Numbered| {
            let attributes = line.log.entry.attributes.iter().map(|(name, value)| name.len() + value.len() + 2);
            let more = line.log.entry.text.len() + attributes.sum::<usize>();
            let fits = hour_of(line.log.entry.at) == hour && (bytes == 0 || bytes + more <= MAX_BLOCK_BYTES);
            bytes += more.max(1);
            fits
        };
        let count = rest.iter().take(MAX_BLOCK_ENTRIES).take_while(fits).count().max(1);
        let (taken, left) = rest.split_at(count);
        rest = left;
        let encoded = body::encode(taken).map_err(unwritable)?;
        let hashes = words::words(&encoded.said).filter(|word| word.len() <= words::MAX_WORD_BYTES).map(words::hash);
        let words = words::filter(hashes.collect());
        let mut head = head_of(taken);
        head.said = encoded.said.len() as u32;
        head.stored = (words.len() + encoded.bytes.len()) as u32;
        blocks.push(Encoded { hour, head, words, body: encoded.bytes });
    }
    Ok(blocks)
}

/// What can be told of lines that are sorted and not empty, beside their sizes.
fn head_of(lines: &[Numbered]) -> Head {
    let mut owners = BTreeSet::new();
    for line in lines {
        let source = &line.log.source;
        let named = [&source.writer, &source.machine].into_iter().filter(|alias| !alias.is_empty());
        owners.extend(named.map(|alias| words::hash(alias.as_bytes())));
        if owners.len() > MAX_LISTED_OWNERS {
            owners.clear();
            break;
        }
    }
    let moment = |line: Option<&Numbered>| line.map_or(0, |line| line.log.entry.at.0);
    let worst = lines.iter().map(|line| body::grade(line.log.entry.severity)).max().unwrap_or(0);
    Head {
        from: moment(lines.first()),
        to: moment(lines.last()),
        entries: lines.len() as u32,
        worst,
        owners: owners.into_iter().collect(),
        ..Head::default()
    }
}

/// Keeps blocks whose lines are numbered from `first`.
pub(super) fn put(tx: &mut WriteTx<'_>, blocks: &[Encoded], first: u64) -> Result<(), WriteError> {
    let mut windows: BTreeMap<u64, LogWindow> = BTreeMap::new();
    let number = tx.reserve_ids(BLOCKS, blocks.len() as u64)?;
    for (place, block) in blocks.iter().enumerate() {
        let head = Head { first, ..block.head.clone() };
        let window = match windows.entry(block.hour) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let known = tx.get::<LogWindow>(&block.hour)?;
                new.insert(known.unwrap_or(LogWindow { hour: block.hour, ..LogWindow::default() }))
            }
        };
        window.entries += u64::from(head.entries);
        window.bytes += u64::from(head.stored);
        window.blocks += 1;
        window.small += u64::from(head.is_small());
        let key = key(head.to, number + place as u64);
        let bytes = envelope::wrap(HEAD_VERSION, &head)
            .map_err(|what| WriteError::Unwritable { table: "logs".into(), what })?;
        tx.put_chunk(&Part::Heads.table(block.hour), key.clone(), bytes);
        tx.put_chunk(&Part::Words.table(block.hour), key.clone(), block.words.clone());
        tx.put_chunk(&Part::Bodies.table(block.hour), key, block.body.clone());
    }
    windows.values().try_for_each(|window| tx.put(window))
}

/// Keeps a batch; its lines get their numbers.
pub(crate) fn append(tx: &mut WriteTx<'_>, batch: &LogBatch) -> Result<(), WriteError> {
    if batch.is_empty() {
        return Ok(());
    }
    let first = tx.reserve_ids(LINES, batch.numbers)?;
    put(tx, &batch.blocks, first)
}
