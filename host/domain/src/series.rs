//! Series: who sends what under which name, and columns of points.

use crate::{Record, Timestamp, histogram::NativeHistogram};
use serde::{Deserialize, Serialize};

/// The number by which a series is known inside one store; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SeriesId(pub u64);

/// Labels, sorted by name, each name once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    /// Sorts by name; of a name given twice the first value stays, and empty values are dropped (an empty label is no label).
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, earlier| later.0 == earlier.0);
        Self(pairs)
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok().map(|i| self.0[i].1.as_str())
    }

    /// Name and value, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for Labels {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self::new(pairs)
    }
}

/// The type a sender declares for a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricType {
    /// Only rises, but for restarts.
    Counter,
    /// Any value at any time.
    Gauge,
    /// A part of a histogram: `_bucket`, `_sum`, `_count`.
    Histogram,
    /// A part of a summary.
    Summary,
    /// Always 1; the labels are the message.
    Info,
    /// Not declared.
    Unknown,
}

/// A series as its sender describes it; its identity is metric and labels, within its target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeriesDescription {
    /// The sender's own metric name.
    pub metric: String,
    /// What the sender declares.
    pub metric_type: MetricType,
    /// The unit the sender declares, or empty.
    pub unit: String,
    /// Without `__name__`.
    pub labels: Labels,
}

/// The target that a pushed series' own labels `job` and `instance` name (either may be empty), and the series without them,
/// as a series lies within its target.
pub fn split_target(series: SeriesDescription) -> (crate::target::TargetKey, SeriesDescription) {
    let of = |name: &str| series.labels.get(name).unwrap_or_default().to_owned();
    let target = crate::target::TargetKey { job: of("job"), instance: of("instance") };
    let others = series.labels.iter().filter(|(name, _)| !["job", "instance"].contains(name));
    let labels = others.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (target, SeriesDescription { labels, ..series })
}

impl SeriesDescription {
    /// The family that it belongs to by its type: a histogram's and a summary's series are named with suffixes.
    pub fn family(&self) -> &str {
        let suffixes: &[&str] = match self.metric_type {
            MetricType::Histogram => &["_bucket", "_sum", "_count"],
            MetricType::Summary => &["_sum", "_count"],
            _ => &[],
        };
        suffixes.iter().find_map(|suffix| self.metric.strip_suffix(suffix)).unwrap_or(&self.metric)
    }
}

/// A registered series: who sends it, as what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Its number.
    pub id: SeriesId,
    /// The target it comes from.
    pub target: crate::target::TargetKey,
    /// As its sender describes it.
    pub description: SeriesDescription,
}

impl Record for Series {
    const TABLE: &'static str = "series";
    const VERSION: u16 = 1;
    const IN_LEAVES: bool = true;
    type Key = u64;
    fn key(&self) -> u64 {
        self.id.0
    }
}

/// Points of one series: columns of equal length, oldest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Points {
    /// Moments, ascending.
    pub at: Vec<Timestamp>,
    /// Values; NaN is a stale marker or a missing value.
    pub value: Vec<f64>,
}

/// Samples of many series that arrived together, in the order of arrival. The unit in which the pipeline moves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SampleBatch {
    /// Which series; column.
    pub series: Vec<SeriesId>,
    /// When; column of the same length.
    pub at: Vec<Timestamp>,
    /// What; column of the same length.
    pub value: Vec<f64>,
    /// Native histograms that arrived too: whose, and of which moment. They lie apart from the samples, under these.
    #[serde(default)]
    pub histograms: Vec<(SeriesId, Timestamp)>,
}

impl SampleBatch {
    /// Adds one sample.
    pub fn push(&mut self, series: SeriesId, at: Timestamp, value: f64) {
        self.series.push(series);
        self.at.push(at);
        self.value.push(value);
    }

    /// How many samples, histograms not among them.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}

/// Native histograms of many series that arrived together: columns of equal length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HistogramBatch {
    /// Which series.
    pub series: Vec<SeriesId>,
    /// When.
    pub at: Vec<Timestamp>,
    /// What; one whose sum is Prometheus' stale marker ends its series.
    pub histogram: Vec<NativeHistogram>,
}

impl HistogramBatch {
    /// Adds one histogram.
    pub fn push(&mut self, series: SeriesId, at: Timestamp, histogram: NativeHistogram) {
        self.series.push(series);
        self.at.push(at);
        self.histogram.push(histogram);
    }

    /// How many histograms.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }
}
