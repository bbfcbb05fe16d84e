//! How many series there may be, and the reasons by which one more is refused.

/// Series that are registered at a time, when the operator does not say: with half a kibibyte of memory for each, a gibibyte.
const MAX_SERIES: u64 = 2_000_000;
/// Series of one target, when the operator does not say: a kube-state-metrics of a very large cluster has some 500,000.
const MAX_SERIES_PER_TARGET: u64 = 500_000;

/// How many series there may be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesLimits {
    /// All of them.
    pub total: u64,
    /// Those of one target.
    pub per_target: u64,
    /// Those of one metric, over all targets.
    pub per_metric: u64,
}

impl Default for SeriesLimits {
    fn default() -> Self {
        Self { total: MAX_SERIES, per_target: MAX_SERIES_PER_TARGET, per_metric: MAX_SERIES }
    }
}

/// Why a series is not registered; those that are go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum SeriesRefusal {
    /// There are as many as there may be.
    #[error("there are {0} series, and no more are taken; raise limits.series, or delete what is not needed")]
    Total(u64),
    /// Its target has as many as it may.
    #[error("its target has {0} series, and no more are taken of one; raise limits.series_per_target, or drop labels")]
    Target(u64),
    /// Its metric has as many as it may.
    #[error("its metric has {0} series, and no more are taken of one; raise limits.series_per_metric, or drop labels")]
    Metric(u64),
}

/// What a count of series leaves.
pub(crate) struct Counts {
    pub total: u64,
    pub of_target: u64,
    pub of_metric: u64,
}

impl SeriesLimits {
    /// Whether one more is too many.
    pub(crate) fn refuse(&self, counts: &Counts) -> Option<SeriesRefusal> {
        if counts.total >= self.total {
            Some(SeriesRefusal::Total(self.total))
        } else if counts.of_target >= self.per_target {
            Some(SeriesRefusal::Target(self.per_target))
        } else if counts.of_metric >= self.per_metric {
            Some(SeriesRefusal::Metric(self.per_metric))
        } else {
            None
        }
    }
}
