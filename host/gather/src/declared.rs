//! What is declared of metrics (type, unit, help), by whichever door, kept when it is new: it is said again with each page, and
//! by senders every minute or with each body.

use parking_lot::Mutex;
use std::collections::HashMap;
use tandem_domain::{Timestamp, metadata::MetricMetadata, series::MetricType};
use tandem_store::{Store, WriteError, WriteTx};

/// Families that are kept; a large fleet has some ten thousand.
const MAX_FAMILIES: usize = 100_000;
/// Longest help that is kept, in bytes; what is longer is cut there.
const MAX_HELP_BYTES: usize = 4_096;
/// Longest name or unit, in bytes: no exporter has a longer one on purpose.
const MAX_NAME_BYTES: usize = 512;
/// How often what is declared of one family may change, in milliseconds: two versions of an exporter in one fleet say different
/// things of the same family in turns, and each turn would be a write.
pub(crate) const CHANGE_EVERY_MILLIS: i64 = 600_000;

/// A declaration as a door reads it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Declared<'d> {
    pub family: &'d str,
    pub metric_type: MetricType,
    pub unit: &'d str,
    pub help: &'d str,
}

/// What a declaration comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// It is known, or there is no room for it.
    None,
    /// It is to be kept now.
    Keep(MetricMetadata),
    /// It is another than before, and comes too soon after that.
    TooSoon,
}

impl News {
    /// What is to be kept now.
    pub(crate) fn kept(self) -> Option<MetricMetadata> {
        if let Self::Keep(metadata) = self { Some(metadata) } else { None }
    }
}

/// What was kept already.
#[derive(Default)]
pub(crate) struct KnownMetadata(Mutex<HashMap<String, Known>>);

struct Known {
    metadata: MetricMetadata,
    changed_at: Timestamp,
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_HELP_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

impl Declared<'_> {
    fn is_as(&self, known: &MetricMetadata) -> bool {
        (known.metric_type, known.unit.as_str()) == (self.metric_type, self.unit)
            && self.help.starts_with(&known.help)
            && (known.help.len() == self.help.len() || known.help.len() > MAX_HELP_BYTES - 4)
    }
}

impl KnownMetadata {
    /// Knows what the store has. When it cannot be read, what is declared is compared when it is written.
    pub(crate) fn of(store: &Store) -> Self {
        let kept = store.read().and_then(|read| read.scan::<MetricMetadata>(.., MAX_FAMILIES)).unwrap_or_default();
        let known =
            |metadata: MetricMetadata| (metadata.family.clone(), Known { metadata, changed_at: Timestamp::MIN });
        Self(Mutex::new(kept.into_iter().map(known).collect()))
    }

    /// Whether a declaration is new and to be kept now.
    pub(crate) fn news(&self, declared: Declared<'_>, now: Timestamp) -> News {
        let Declared { family, metric_type, unit, help } = declared;
        if family.is_empty() || family.len().max(unit.len()) > MAX_NAME_BYTES {
            return News::None;
        }
        let known = self.0.lock();
        match known.get(family) {
            Some(known) if declared.is_as(&known.metadata) => return News::None,
            Some(known) if now.millis_since(known.changed_at) < CHANGE_EVERY_MILLIS => return News::TooSoon,
            None if known.len() >= MAX_FAMILIES => return News::None,
            _ => {}
        }
        News::Keep(MetricMetadata { family: family.to_owned(), metric_type, unit: unit.to_owned(), help: cut(help) })
    }

    /// Notes what was kept.
    pub(crate) fn remember(&self, kept: Vec<MetricMetadata>, now: Timestamp) {
        let mut known = self.0.lock();
        let entry = |metadata: MetricMetadata| (metadata.family.clone(), Known { metadata, changed_at: now });
        known.extend(kept.into_iter().map(entry));
    }
}

/// Keeps declarations; what the store has already costs no write.
pub(crate) fn keep(tx: &mut WriteTx<'_>, declared: &[MetricMetadata]) -> Result<(), WriteError> {
    for one in declared {
        if tx.get::<MetricMetadata>(&one.family)?.as_ref() != Some(one) {
            tx.put(one)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn declared<'d>(family: &'d str, help: &'d str) -> Declared<'d> {
        Declared { family, metric_type: MetricType::Gauge, unit: "", help }
    }

    #[test]
    fn what_is_said_again_is_no_news_and_two_who_differ_do_not_write_in_turns() {
        let known = KnownMetadata::default();
        let first = known.news(declared("up", "one"), NOW).kept().expect("news");
        known.remember(vec![first], NOW);
        assert_eq!(known.news(declared("up", "one"), NOW), News::None);
        assert_eq!(known.news(declared("up", "two"), NOW.plus_millis(CHANGE_EVERY_MILLIS - 1)), News::TooSoon);
        let later = NOW.plus_millis(CHANGE_EVERY_MILLIS);
        let changed = known.news(declared("up", "two"), later).kept().expect("news");
        assert_eq!(changed.help, "two");
        known.remember(vec![changed], later);
        assert_eq!(known.news(declared("up", "one"), later), News::TooSoon);
        assert_eq!(known.news(declared("", "nameless"), later), News::None);
    }

    #[test]
    fn a_long_help_is_cut_once() {
        let (known, help) = (KnownMetadata::default(), "é".repeat(MAX_HELP_BYTES));
        let kept = known.news(declared("long", &help), NOW).kept().expect("news");
        assert_eq!(kept.help.len(), MAX_HELP_BYTES);
        known.remember(vec![kept], NOW);
        assert_eq!(known.news(declared("long", &help), NOW.plus_millis(CHANGE_EVERY_MILLIS)), News::None);
    }
}
