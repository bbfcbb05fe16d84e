//! The account of exemplars, whichever door they come by. One that is not kept costs nothing else, and fails no body: Prometheus
//! takes them so too.

use crate::limits::{MAX_COLLECTED_AGE_MILLIS, MAX_FUTURE_MILLIS};
use std::sync::atomic::{AtomicU64, Ordering};
use tandem_domain::Timestamp;
use tandem_store::ExemplarsAppended;

/// Whether the moment of an exemplar is taken. Exporters show the last one of a bucket until the next comes, which may be long.
pub(crate) fn is_timely(at: Timestamp, now: Timestamp) -> bool {
    (-MAX_COLLECTED_AGE_MILLIS..=MAX_FUTURE_MILLIS).contains(&at.millis_since(now))
}

/// Counted since the server started.
#[derive(Debug, Default)]
pub struct ExemplarMetrics {
    kept: AtomicU64,
    out_of_order: AtomicU64,
    too_long: AtomicU64,
    without_series: AtomicU64,
    untimely: AtomicU64,
}

impl ExemplarMetrics {
    /// Counts what became of some; `untimely` are those that were not tried.
    pub(crate) fn note(&self, appended: &ExemplarsAppended, untimely: u64) {
        for (counter, more) in [
            (&self.kept, appended.kept),
            (&self.out_of_order, appended.out_of_order),
            (&self.too_long, appended.too_long),
            (&self.without_series, appended.without_series),
            (&self.untimely, untimely),
        ] {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Exemplars that were kept.
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Exemplars that were not, by reason; those that were there already are none of them.
    pub fn refused(&self) -> [(&'static str, u64); 4] {
        [
            ("out_of_order", &self.out_of_order),
            ("too_long", &self.too_long),
            ("untimely", &self.untimely),
            ("without_series", &self.without_series),
        ]
        .map(|(reason, counter)| (reason, counter.load(Ordering::Relaxed)))
    }
}
