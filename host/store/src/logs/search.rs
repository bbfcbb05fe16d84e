//! Looking for lines, newest first. Blocks are taken by when they end; one is opened only when its head and the filter of
//! its words say that it may hold what is looked for. A page ends when it is full, or when it has looked through as much as
//! one page may; then it tells from where to go on.

use super::{
    LogWindow, Part,
    block::Head,
    body::{self, Opened, Row},
    hour_of,
    words::{self, is_word},
};
use crate::{ReadError, ReadTx};
use memchr::memmem;
use std::{collections::BTreeMap, ops::Bound};
use tandem_domain::{
    Severity, Timestamp,
    log::{LogPlace, SourcedLog},
};

/// Bytes that one page looks through at the most, opened and as filters: a tenth to a third of a second.
const MAX_LOOKED_BYTES: usize = 96 << 20;
/// Bytes of the lines of one page, so that many long lines do not make a long answer.
const MAX_PAGE_BYTES: usize = 8 << 20;
/// Heads read at once.
const HEADS_AT_ONCE: usize = 256;

/// What a line must say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogText {
    /// Words, or several joined by what is no word (`10.0.0.7:9400`), whole and in any case; all must be there.
    pub words: Vec<String>,
    /// A part of what it says, in any case.
    pub part: Option<String>,
}

/// Which lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// The earliest moment.
    pub start: Timestamp,
    /// The latest.
    pub end: Timestamp,
    /// The mildest grade.
    pub least: Severity,
    /// Aliases of which one must be the writer's or the machine's; anybody's when none.
    pub owners: Option<Vec<String>>,
    /// Only of this program.
    pub app: Option<String>,
    /// Only of this machine.
    pub host: Option<String>,
    /// What it must say.
    pub text: LogText,
    /// Only lines before this one.
    pub before: LogPlace,
    /// Lines at the most; at least one.
    pub limit: usize,
}

/// Lines, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<SourcedLog>,
    /// Before which to go on; none when there are no more.
    pub next: Option<LogPlace>,
}

/// A query made ready: texts in lower case, and the hashes of words that a block must hold.
struct Looking<'q> {
    query: &'q LogQuery,
    owners: Option<Vec<u64>>,
    needles: Vec<Needle>,
    hashes: Vec<u64>,
}

struct Needle {
    finder: memmem::Finder<'static>,
    length: usize,
    /// Whether it must not be a part of a longer word, in front and behind.
    whole: (bool, bool),
}

impl Needle {
    fn of(text: &str, whole: bool) -> Self {
        let lower = text.to_ascii_lowercase();
        let bytes = lower.as_bytes();
        let edge = |byte: Option<&u8>| whole && byte.is_some_and(|byte| is_word(*byte));
        Self {
            finder: memmem::Finder::new(bytes).into_owned(),
            length: bytes.len(),
            whole: (edge(bytes.first()), edge(bytes.last())),
        }
    }

    /// Whether it stands as it must at a place where its bytes are; `from` begins what the line says.
    fn fits(&self, said: &[u8], from: usize, at: usize) -> bool {
        let (front, behind) = (said[from..at].last(), said.get(at + self.length));
        let beside = |byte: Option<&u8>| byte.is_some_and(|byte| is_word(*byte));
        let in_longer = (self.whole.0 && beside(front)) || (self.whole.1 && beside(behind));
        !in_longer && !body::in_name(&said[from..at])
    }

    fn is_in(&self, said: &[u8], from: usize, to: usize) -> bool {
        self.finder.find_iter(&said[from..to]).any(|at| self.fits(&said[..to], from, from + at))
    }
}

impl<'q> Looking<'q> {
    fn of(query: &'q LogQuery) -> Self {
        let mut hashes = Vec::new();
        let mut needles: Vec<Needle> = Vec::new();
        let known = |word: &&[u8]| word.len() <= words::MAX_WORD_BYTES;
        for term in query.text.words.iter().filter(|term| !term.is_empty()) {
            needles.push(Needle::of(term, true));
            hashes.extend(words::words(term.as_bytes()).filter(known).map(words::hash));
        }
        if let Some(part) = query.text.part.as_ref().filter(|part| !part.is_empty()) {
            needles.push(Needle::of(part, false));
            // The first and last may be parts of longer words, unless something that is no word stands outside of them.
            let bytes = part.as_bytes();
            let from = bytes.iter().position(|byte| !is_word(*byte)).unwrap_or(bytes.len());
            let to = bytes.iter().rposition(|byte| !is_word(*byte)).map_or(from, |place| place.max(from));
            hashes.extend(words::words(&bytes[from..to]).filter(known).map(words::hash));
        }
        // The longest first: it is the rarest as a rule.
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.length));
        let owners = query.owners.as_ref();
        let owners = owners.map(|all| all.iter().map(|alias| words::hash(alias.as_bytes())).collect());
        Self { query, owners, needles, hashes }
    }

    fn may_hold(&self, head: &Head) -> bool {
        head.to >= self.query.start.0
            && head.from <= self.query.end.min(self.query.before.at).0
            && head.worst >= body::grade(self.query.least)
            && self.owners.as_ref().is_none_or(|asked| {
                head.owners.is_empty() || asked.iter().any(|owner| head.owners.binary_search(owner).is_ok())
            })
    }

    /// The rows of a block that are looked for.
    fn rows<'o>(&self, opened: &'o Opened) -> Vec<&'o Row> {
        let query = self.query;
        let whose: Vec<bool> = opened
            .whose
            .iter()
            .map(|whose| {
                let owned = |alias: &String| *alias == whose.source.writer || *alias == whose.source.machine;
                query.owners.as_ref().is_none_or(|asked| asked.iter().any(owned))
                    && query.app.as_ref().is_none_or(|app| *app == whose.app)
                    && query.host.as_ref().is_none_or(|host| *host == whose.host)
            })
            .collect();
        let fits = |row: &&Row| {
            row.severity >= query.least
                && (query.start..=query.end).contains(&row.place.at)
                && row.place < query.before
                && whose[row.whose as usize]
        };
        let Some((first, others)) = self.needles.split_first() else {
            return opened.rows.iter().filter(fits).collect();
        };
        let lower = opened.said().to_ascii_lowercase();
        let (mut found, mut place) = (Vec::new(), 0);
        let mut from = 0;
        while let Some(at) = first.finder.find(&lower[from..]).map(|at| from + at) {
            place += opened.rows[place..].partition_point(|row| row.end <= at);
            let Some(row) = opened.rows.get(place) else { break };
            let here = at + first.length <= row.end && first.fits(&lower[..row.end], row.start, at);
            if here && fits(&row) && others.iter().all(|needle| needle.is_in(&lower, row.start, row.end)) {
                found.push(row);
            }
            // A line is told once; where it did not stand as it must, it may further on.
            from = if here { row.end } else { at + 1 };
        }
        found
    }
}

/// Lines found so far, newest last; at most as many as a page has.
struct Found {
    lines: BTreeMap<LogPlace, (usize, SourcedLog)>,
    bytes: usize,
    limit: usize,
    /// Whether older ones were left out.
    full: bool,
}

impl Found {
    /// The oldest that is kept, once older ones are left out.
    fn floor(&self) -> Option<LogPlace> {
        self.lines.keys().next().copied().filter(|_| self.full)
    }

    fn add(&mut self, opened: &Opened, row: &Row) {
        if self.floor().is_some_and(|floor| row.place < floor) {
            return;
        }
        let cost = Opened::cost(row);
        self.lines.insert(row.place, (cost, opened.line(row)));
        self.bytes += cost;
        while self.lines.len() > self.limit || (self.bytes > MAX_PAGE_BYTES && self.lines.len() > 1) {
            self.bytes -= self.lines.pop_first().map_or(0, |(_, (cost, _))| cost);
            self.full = true;
        }
    }

    /// The page of all that is not before `end`, where the search came to.
    fn page(self, end: Option<LogPlace>) -> LogPage {
        let next = end.or(self.floor());
        let lines = self.lines.into_iter().rev().filter(|(place, _)| end.is_none_or(|end| *place >= end));
        LogPage { lines: lines.map(|(_, (_, line))| line).collect(), next }
    }
}

/// Looks for lines.
pub(crate) fn search(read: &ReadTx, query: &LogQuery) -> Result<LogPage, ReadError> {
    let looking = Looking::of(query);
    let mut found = Found { lines: BTreeMap::new(), bytes: 0, limit: query.limit.max(1), full: false };
    let mut looked = 0_usize;
    let latest = hour_of(query.end.min(query.before.at));
    for window in read.scan_back::<LogWindow>(hour_of(query.start)..=latest, usize::MAX)? {
        let mut above: Option<Vec<u8>> = None;
        loop {
            let bounds = (Bound::Unbounded, above.take().map_or(Bound::Unbounded, Bound::Excluded));
            let heads = read.raw_range(&Part::Heads.table(window.hour), &bounds, HEADS_AT_ONCE, true)?;
            let last = heads.len() < HEADS_AT_ONCE;
            above = heads.last().map(|(key, _)| key.clone());
            for (key, bytes) in heads {
                let head = Head::read(&bytes)?;
                looked += bytes.len();
                // Nothing of this block or of those that follow is newer than this.
                let end = LogPlace { at: Timestamp(head.to), sequence: u64::MAX };
                if found.floor().is_some_and(|floor| floor > end) {
                    return Ok(found.page(None));
                }
                if looked > MAX_LOOKED_BYTES && end < query.before {
                    return Ok(found.page(Some(end)));
                }
                if looking.may_hold(&head) {
                    looked += look_into(read, window.hour, &key, &head, &looking, &mut found)?;
                }
            }
            if last {
                break;
            }
        }
    }
    Ok(found.page(None))
}

/// Looks into one block; answers how many bytes were looked through.
fn look_into(
    read: &ReadTx,
    hour: u64,
    key: &[u8],
    head: &Head,
    looking: &Looking<'_>,
    found: &mut Found,
) -> Result<usize, ReadError> {
    let mut looked = 0;
    if !looking.hashes.is_empty() {
        let filter = read.raw_get(&Part::Words.table(hour), key)?.unwrap_or_default();
        looked += filter.len();
        if !looking.hashes.iter().all(|hash| words::may_hold(&filter, *hash)) {
            return Ok(looked);
        }
    }
    let Some(bytes) = read.raw_get(&Part::Bodies.table(hour), key)? else {
        return Err(super::bits::damaged("a block has no body"));
    };
    let opened = body::open(&bytes, head.first)?;
    looked += opened.said().len();
    for row in looking.rows(&opened).into_iter().rev() {
        found.add(&opened, row);
    }
    Ok(looked)
}
