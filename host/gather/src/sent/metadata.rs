//! What senders declare of metrics, kept when it is new: they say it again every minute.

use parking_lot::Mutex;
use std::collections::HashMap;
use tandem_domain::metadata::MetricMetadata;
use tandem_wire::remote_write::Metadata;

/// Families that are kept; a large fleet has some ten thousand.
const MAX_FAMILIES: usize = 100_000;
/// Longest help that is kept, in bytes; what is longer is cut there.
const MAX_HELP_BYTES: usize = 4_096;

/// What was kept already.
#[derive(Default)]
pub(super) struct KnownMetadata(Mutex<HashMap<String, MetricMetadata>>);

fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_HELP_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

impl KnownMetadata {
    /// What of a declaration is new; `family` is its name where it has none of its own.
    pub(super) fn news(&self, declared: &Metadata<'_>, family: &str) -> Option<MetricMetadata> {
        let family = if declared.family.is_empty() { family } else { declared.family };
        let known = self.0.lock();
        let same = |known: &MetricMetadata| {
            (known.metric_type, known.unit.as_str()) == (declared.metric_type, declared.unit)
                && declared.help.starts_with(&known.help)
                && (known.help.len() == declared.help.len() || known.help.len() > MAX_HELP_BYTES - 4)
        };
        if family.is_empty() || known.get(family).is_some_and(same) {
            return None;
        }
        if known.len() >= MAX_FAMILIES && !known.contains_key(family) {
            return None;
        }
        Some(MetricMetadata {
            family: family.to_owned(),
            metric_type: declared.metric_type,
            unit: declared.unit.to_owned(),
            help: cut(declared.help),
        })
    }

    /// Notes what was kept.
    pub(super) fn remember(&self, kept: Vec<MetricMetadata>) {
        let mut known = self.0.lock();
        known.extend(kept.into_iter().map(|one| (one.family.clone(), one)));
    }
}
