//! Settings of the rule room: the `[rules]` table.

use serde::{Deserialize, Deserializer, de};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tandem_domain::{series::Labels, time};

/// The shortest interval, in milliseconds, so that a slip of the pen does not keep the machine busy.
const SHORTEST_INTERVAL_MILLIS: i64 = 100;
/// The longest interval, in milliseconds: a day, beyond which no alert is of use.
const LONGEST_INTERVAL_MILLIS: i64 = 86_400_000;
/// Groups evaluated at once at the most: each takes a thread and its series' memory.
const MOST_AT_ONCE: usize = 64;

/// A duration as Prometheus writes it (`30s`, `5m`, `1h30m`), in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub i64);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let millis = time::duration_millis(&text);
        millis.map(Span).ok_or_else(|| de::Error::custom(format!("{text:?} is no duration such as 30s, 5m or 1h30m")))
    }
}

/// Which rule files are evaluated, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesConfig {
    /// Rule files, or patterns such as `rules/*.yml`; beside the configuration when they are relative.
    pub files: Vec<String>,
    /// How often groups are evaluated that do not say so.
    pub interval: Span,
    /// How far back expressions look for data that arrive late, in groups that do not say so.
    pub query_offset: Span,
    /// How long one evaluation of a group may take.
    pub timeout: Span,
    /// Groups evaluated at once.
    pub at_once: usize,
    /// Labels that are put on every alert that is told, where it has none of that name; templates see them.
    pub external_labels: BTreeMap<String, String>,
    /// Where people reach this server, for links in templates; where it listens when empty.
    pub external_url: String,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            interval: Span(60_000),
            query_offset: Span(0),
            timeout: Span(60_000),
            at_once: 4,
            external_labels: BTreeMap::new(),
            external_url: String::new(),
        }
    }
}

impl RulesConfig {
    /// Checks what the shapes alone do not say.
    ///
    /// # Errors
    /// In words, with what to do.
    pub fn validate(&self) -> Result<(), String> {
        if !(SHORTEST_INTERVAL_MILLIS..=LONGEST_INTERVAL_MILLIS).contains(&self.interval.0) {
            return Err("interval must be 100ms to 1d".into());
        }
        if self.timeout.0 < 1 {
            return Err("timeout must be above 0".into());
        }
        if !(1..=MOST_AT_ONCE).contains(&self.at_once) {
            return Err(format!("at_once must be 1 to {MOST_AT_ONCE}"));
        }
        Ok(())
    }

    /// The patterns of files; those that are relative lie in `folder`.
    #[must_use]
    pub fn beside(mut self, folder: &Path) -> Self {
        for file in &mut self.files {
            let path = PathBuf::from(&*file);
            if path.is_relative() {
                *file = folder.join(path).display().to_string();
            }
        }
        self
    }

    /// How often a group is evaluated, in milliseconds.
    pub(super) fn interval_of(&self, own: Option<i64>) -> i64 {
        own.unwrap_or(self.interval.0).max(SHORTEST_INTERVAL_MILLIS)
    }

    /// The labels of the whole server.
    pub(super) fn labels(&self) -> Labels {
        self.external_labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}
