//! Which metrics and labels are the largest.

use super::LabelIndex;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A name with how much of something it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopEntry {
    /// How much.
    pub value: u64,
    /// Of what.
    pub name: String,
}

/// How much the registry holds, and of what the most. Each list is the largest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexStatistics {
    /// Series.
    pub series: u64,
    /// Different pairs of label name and value.
    pub label_pairs: u64,
    /// Different texts held.
    pub texts: u64,
    /// Metrics by their series.
    pub series_by_metric: Vec<TopEntry>,
    /// Labels by their values.
    pub values_by_label: Vec<TopEntry>,
    /// Labels by the bytes of their values.
    pub bytes_by_label: Vec<TopEntry>,
    /// Pairs (`name=value`) by their series.
    pub series_by_pair: Vec<TopEntry>,
    /// Targets (`job/instance`) by their series.
    pub series_by_target: Vec<TopEntry>,
}

/// By size, then by name, the first name being the largest.
type Ranked<'n> = (u64, Reverse<(&'n str, &'n str)>);

/// The `most` largest, largest first; those of one size by name.
fn top<'n>(most: usize, all: impl Iterator<Item = (u64, &'n str, &'n str)>) -> Vec<(u64, &'n str, &'n str)> {
    let mut kept: BinaryHeap<Reverse<Ranked<'_>>> = BinaryHeap::with_capacity(most + 1);
    for (value, name, more) in all {
        kept.push(Reverse((value, Reverse((name, more)))));
        if kept.len() > most {
            kept.pop();
        }
    }
    kept.into_sorted_vec().into_iter().map(|Reverse((value, Reverse((name, more))))| (value, name, more)).collect()
}

fn named(found: Vec<(u64, &str, &str)>, separator: &str) -> Vec<TopEntry> {
    let one = |(value, name, more): (u64, &str, &str)| TopEntry { value, name: format!("{name}{separator}{more}") };
    found.into_iter().map(one).collect()
}

impl LabelIndex {
    /// The largest of each kind, at most `most` of each.
    pub(crate) fn statistics(&self, most: usize) -> IndexStatistics {
        let text = |symbol| self.symbols.text(symbol);
        let metrics = self.names.get(&self.known.metric);
        let by_metric = metrics.into_iter().flat_map(|values| values.iter());
        let labels = || self.names.iter().map(|(name, values)| (text(*name), values));
        let bytes = |values: &super::LabelValues| values.iter().map(|(value, _)| text(value).len() as u64).sum();
        let pairs = || {
            let all = labels().flat_map(|(name, values)| values.iter().map(move |(value, found)| (name, value, found)));
            all.map(|(name, value, found)| (found.len(), name, text(value)))
        };
        let targets = self.targets.iter().flatten();
        IndexStatistics {
            series: self.len(),
            label_pairs: labels().map(|(_, values)| values.len() as u64).sum(),
            texts: self.symbols.len() as u64,
            series_by_metric: named(top(most, by_metric.map(|(value, found)| (found.len(), text(value), ""))), ""),
            values_by_label: named(top(most, labels().map(|(name, values)| (values.len() as u64, name, ""))), ""),
            bytes_by_label: named(top(most, labels().map(|(name, values)| (bytes(values), name, ""))), ""),
            series_by_pair: named(top(most, pairs()), "="),
            series_by_target: named(
                top(most, targets.map(|one| (one.series.len(), text(one.job), text(one.instance)))),
                "/",
            ),
        }
    }
}
