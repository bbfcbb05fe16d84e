//! `[store]`: how long samples are kept, how many, and what memory has of them.

use super::{Bytes, LimitsConfig};
use serde::Deserialize;
use std::time::Duration;
use tandem_gather::Period;
use tandem_store::StoreOptions;

/// Shortest retention: what is dropped is a window of two hours as a whole.
const LEAST_RETENTION: Period = Period(Duration::from_secs(2 * 3_600));
/// Least size: a window of two hours of some thousand series.
const LEAST_MAX_SIZE: Bytes = Bytes(16 << 20);
/// Least memory for samples: below it blocks become too short to be worth their keys.
const LEAST_HEAD: Bytes = Bytes(8 << 20);

/// Most exemplars: each takes some hundred bytes of memory, and of a series the newest is in memory whole.
const MOST_EXEMPLARS: u64 = 5_000_000;

/// The store's own settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// How long samples are kept.
    pub retention: Period,
    /// How many bytes of samples are kept on disk; the oldest go first. Without it there is no limit.
    pub max_size: Option<Bytes>,
    /// How far behind the newest sample of its series one may come.
    pub out_of_order_window: Period,
    /// Memory of samples at which they are written into blocks.
    pub head: Bytes,
    /// How many exemplars are kept; the oldest go first. 0 keeps none.
    pub exemplars: u64,
}

fn period(millis: i64) -> Period {
    Period(Duration::from_millis(millis.unsigned_abs()))
}

fn millis(period: Period) -> i64 {
    i64::try_from(period.0.as_millis()).unwrap_or(i64::MAX)
}

impl Default for StoreConfig {
    fn default() -> Self {
        let options = StoreOptions::default();
        Self {
            retention: period(options.retention_millis),
            max_size: options.max_bytes.map(Bytes),
            out_of_order_window: period(options.late_millis),
            head: Bytes(options.head_bytes as u64),
            exemplars: options.max_exemplars,
        }
    }
}

impl StoreConfig {
    /// What the store is opened with.
    pub fn options(&self, limits: &LimitsConfig) -> StoreOptions {
        let bytes = |bytes: Bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX);
        StoreOptions {
            cache_bytes: bytes(limits.store_cache),
            series: limits.series_limits(),
            retention_millis: millis(self.retention),
            max_bytes: self.max_size.map(|size| size.0),
            late_millis: millis(self.out_of_order_window),
            head_bytes: bytes(self.head),
            max_exemplars: self.exemplars,
        }
    }

    /// What the shapes alone do not say.
    pub(super) fn validate(&self) -> Result<(), String> {
        if self.retention < LEAST_RETENTION {
            return Err("retention must be at least \"2h\": samples are dropped by windows of two hours".into());
        }
        if self.max_size.is_some_and(|size| size.0 < LEAST_MAX_SIZE.0) {
            return Err("max_size must be at least \"16MiB\"; leave it out for no limit".into());
        }
        if self.out_of_order_window > self.retention {
            return Err(
                "out_of_order_window is longer than retention: what came so late would be dropped at once".into()
            );
        }
        if self.exemplars > MOST_EXEMPLARS {
            return Err(format!("exemplars must be at most {MOST_EXEMPLARS}: where each lies is kept in memory"));
        }
        if self.head.0 < LEAST_HEAD.0 {
            return Err("head must be at least \"8MiB\"".into());
        }
        Ok(())
    }
}
