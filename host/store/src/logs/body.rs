//! The body of a block: its lines as columns, compressed together.
//!
//! Columns, in this order: whose (each different one once), levels (likewise), then for each line moment, number, whose,
//! level, grade, length of its text and of all it says; at the end all that the lines say, one after another. What a line
//! says is its text, each attribute as `1E name 1F value`, and `1E`, so that one look through the bytes finds words in both.

use super::bits::{Bits, damaged, put_number, put_signed, put_text};
use crate::ReadError;
use std::{collections::HashMap, sync::Arc};
use tandem_domain::{
    Severity, Timestamp,
    log::{LogEntry, LogPlace, LogSource, SourcedLog},
    series::Labels,
    target::TargetKey,
};

/// Begins the name of an attribute.
const NAME: u8 = 0x1e;
/// Begins the value of an attribute.
const VALUE: u8 = 0x1f;
/// How hard the compressor tries: the lightest level packs logs to a seventh at some 300 MB a second.
const COMPRESSION_LEVEL: i32 = 1;
/// Longest body when opened, in bytes: what the longest block has and some, against damage.
const MAX_OPENED_BYTES: usize = 64 << 20;
/// The first byte of a body: columns as above, compressed by zstd.
const COLUMNS_ZSTD: u8 = 1;

/// A line and its number within its block.
pub(super) struct Numbered {
    pub log: SourcedLog,
    pub offset: u64,
}

/// Whose a line is, as its block tells it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whose {
    pub source: Arc<LogSource>,
    pub host: String,
    pub app: String,
}

/// Texts with their numbers in order of first use.
#[derive(Default)]
struct Dictionary<'t>(HashMap<&'t str, u64>, Vec<&'t str>);

impl<'t> Dictionary<'t> {
    fn number(&mut self, text: &'t str) -> u64 {
        *self.0.entry(text).or_insert_with(|| {
            self.1.push(text);
            (self.1.len() - 1) as u64
        })
    }
}

/// A grade as it lies on disk.
pub(super) fn grade(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Warning => 1,
        Severity::Critical => 2,
    }
}

fn severity(grade: u8) -> Result<Severity, ReadError> {
    [Severity::Info, Severity::Warning, Severity::Critical]
        .get(usize::from(grade))
        .copied()
        .ok_or_else(|| damaged("a grade is none"))
}

/// Appends what a line says.
fn put_said(said: &mut Vec<u8>, text: &str, attributes: &Labels) {
    // What marks attributes cannot stand in them; a control character says nothing to people.
    let mut put =
        |text: &str| said.extend(text.bytes().map(|byte| if matches!(byte, NAME | VALUE) { b' ' } else { byte }));
    put(text);
    for (name, value) in attributes.iter() {
        for (mark, part) in [(NAME, name), (VALUE, value)] {
            said.push(mark);
            said.extend(part.bytes().map(|byte| if matches!(byte, NAME | VALUE) { b' ' } else { byte }));
        }
    }
    // An empty name ends it, so that its last word and the first one of the next line stay two.
    said.push(NAME);
}

/// What an encoded block says, beside its bytes.
pub(super) struct Encoded {
    pub bytes: Vec<u8>,
    /// All that the lines say, for their words.
    pub said: Vec<u8>,
}

/// Encodes lines, sorted by place.
pub(super) fn encode(lines: &[Numbered]) -> Result<Encoded, String> {
    let mut whose: HashMap<(&LogSource, &str, &str), u64> = HashMap::new();
    let mut sources = Vec::new();
    let mut levels = Dictionary::default();
    let (mut columns, mut said) = (Vec::with_capacity(lines.len() * 8), Vec::new());
    let (mut at, mut number) = (0_i64, 0_i64);
    for Numbered { log: SourcedLog { source, entry }, offset } in lines {
        let next = whose.len() as u64;
        let place = *whose.entry((source, &entry.host, &entry.app)).or_insert_with(|| {
            sources.push((source, &entry.host, &entry.app));
            next
        });
        put_signed(&mut columns, entry.at.0.wrapping_sub(at));
        put_signed(&mut columns, (*offset as i64).wrapping_sub(number));
        (at, number) = (entry.at.0, *offset as i64);
        put_number(&mut columns, place);
        put_number(&mut columns, levels.number(&entry.level));
        columns.push(grade(entry.severity));
        put_number(&mut columns, entry.text.len() as u64);
        let before = said.len();
        put_said(&mut said, &entry.text, &entry.attributes);
        put_number(&mut columns, (said.len() - before) as u64);
    }
    let mut plain = Vec::with_capacity(columns.len() + said.len() + 1_024);
    put_number(&mut plain, sources.len() as u64);
    for (source, host, app) in sources {
        let LogSource { sender, writer, machine } = &**source;
        for text in [&sender.job, &sender.instance, writer, machine, host, app] {
            put_text(&mut plain, text);
        }
    }
    put_number(&mut plain, levels.1.len() as u64);
    levels.1.iter().for_each(|level| put_text(&mut plain, level));
    put_number(&mut plain, lines.len() as u64);
    plain.extend_from_slice(&columns);
    plain.extend_from_slice(&said);
    let packed = zstd::bulk::compress(&plain, COMPRESSION_LEVEL).map_err(|error| error.to_string())?;
    let mut bytes = vec![COLUMNS_ZSTD];
    put_number(&mut bytes, plain.len() as u64);
    bytes.extend_from_slice(&packed);
    Ok(Encoded { bytes, said })
}

/// One line of an opened block, without what it says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub place: LogPlace,
    pub whose: u32,
    level: u32,
    pub severity: Severity,
    text: u32,
    /// Where what it says begins and ends.
    pub start: usize,
    pub end: usize,
}

/// An opened block.
pub(super) struct Opened {
    plain: Vec<u8>,
    said_from: usize,
    pub whose: Vec<Whose>,
    levels: Vec<String>,
    /// Ascending by place.
    pub rows: Vec<Row>,
}

/// Opens a body whose lines are numbered from `first`.
pub(super) fn open(bytes: &[u8], first: u64) -> Result<Opened, ReadError> {
    let mut bits = Bits::new(bytes);
    if bits.byte()? != COLUMNS_ZSTD {
        return Err(damaged("a block is of an unknown kind"));
    }
    let length = bits.number()? as usize;
    if length > MAX_OPENED_BYTES {
        return Err(damaged("a block is longer than any"));
    }
    let plain = zstd::bulk::decompress(bits.rest(), length).map_err(|error| damaged(&error.to_string()))?;
    let mut bits = Bits::new(&plain);
    let mut whose = Vec::new();
    for _ in 0..bits.count()? {
        let mut text = || bits.text().map(str::to_owned);
        let sender = TargetKey { job: text()?, instance: text()? };
        let source = Arc::new(LogSource { sender, writer: text()?, machine: text()? });
        whose.push(Whose { source, host: text()?, app: text()? });
    }
    let mut levels = Vec::new();
    for _ in 0..bits.count()? {
        levels.push(bits.text()?.to_owned());
    }
    let count = bits.count()?;
    let mut rows = Vec::with_capacity(count);
    let (mut at, mut number, mut end) = (0_i64, 0_i64, 0_usize);
    for _ in 0..count {
        at = at.wrapping_add(bits.signed()?);
        number = number.wrapping_add(bits.signed()?);
        let (of, level) = (bits.number()?, bits.number()?);
        let severity = severity(bits.byte()?)?;
        let (text, said) = (bits.number()?, bits.number()?);
        let start = end;
        end = start.saturating_add(said as usize);
        if of as usize >= whose.len() || level as usize >= levels.len() || text > said {
            return Err(damaged("a line of a block points beyond it"));
        }
        let place = LogPlace { at: Timestamp(at), sequence: first.wrapping_add(number as u64) };
        rows.push(Row { place, whose: of as u32, level: level as u32, severity, text: text as u32, start, end });
    }
    if bits.rest().len() != end {
        return Err(damaged("what a block says is cut off"));
    }
    let said_from = plain.len() - end;
    Ok(Opened { plain, said_from, whose, levels, rows })
}

impl Opened {
    /// All that the lines say.
    pub(super) fn said(&self) -> &[u8] {
        &self.plain[self.said_from..]
    }

    /// A line as it came.
    pub(super) fn line(&self, row: &Row) -> SourcedLog {
        let whose = &self.whose[row.whose as usize];
        let said = &self.said()[row.start..row.end];
        let (text, attributes) = said.split_at(row.text as usize);
        let readable = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let pairs = attributes.split(|byte| *byte == NAME).skip(1).map(|pair| {
            let split = pair.iter().position(|byte| *byte == VALUE).unwrap_or(pair.len());
            (readable(&pair[..split]), readable(pair.get(split + 1..).unwrap_or_default()))
        });
        let entry = LogEntry {
            at: row.place.at,
            severity: row.severity,
            level: self.levels[row.level as usize].clone(),
            host: whose.host.clone(),
            app: whose.app.clone(),
            text: readable(text),
            attributes: Labels::new(pairs),
        };
        SourcedLog { source: whose.source.clone(), entry }
    }

    /// Bytes that a line takes in memory, about.
    pub(super) fn cost(row: &Row) -> usize {
        2 * (row.end - row.start) + 512
    }
}

/// Whether a place in what lines say lies in the name of an attribute rather than in a text or value.
pub(super) fn in_name(said: &[u8]) -> bool {
    memchr::memrchr2(NAME, VALUE, said).is_some_and(|mark| said[mark] == NAME)
}
