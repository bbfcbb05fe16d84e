//! What a page declares of its metric families.

use crate::families::part_of;
use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::Hasher,
};
use tandem_domain::series::MetricType;

/// Families of one page that are remembered; a page with more has a family per series, and types no longer tell anything.
const MAX_FAMILIES: usize = 500_000;

#[derive(Debug, Clone, PartialEq, Default)]
struct Family<'p> {
    metric_type: Option<MetricType>,
    unit: &'p str,
}

/// The families of a page by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Families<'p> {
    by_name: HashMap<&'p str, Family<'p>>,
    /// Over all types and units that were declared, in their order.
    declarations: u64,
    /// The name of the last sample: the next is mostly of the same.
    last: &'p str,
}

impl<'p> Families<'p> {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn declarations(&self) -> u64 {
        self.declarations
    }

    fn entry(&mut self, name: &'p str) -> Option<&mut Family<'p>> {
        if self.by_name.len() >= MAX_FAMILIES && !self.by_name.contains_key(name) {
            return None;
        }
        Some(self.by_name.entry(name).or_default())
    }

    /// Takes in a `# TYPE`, `# UNIT` or `# HELP` line; whether it is one.
    pub(super) fn note(&mut self, comment: &'p str) -> bool {
        let mut words = comment.split_ascii_whitespace();
        let (keyword, Some(name)) = (words.next().unwrap_or_default(), words.next()) else { return false };
        let rest = words.next().unwrap_or_default();
        if !["TYPE", "UNIT", "HELP"].contains(&keyword) {
            return false;
        }
        if keyword != "HELP" {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(self.declarations);
            hasher.write(comment.as_bytes());
            self.declarations = hasher.finish();
        }
        let Some(family) = self.entry(name.trim_matches('"')) else { return true };
        match keyword {
            "TYPE" => family.metric_type = Some(metric_type(rest)),
            "UNIT" => family.unit = rest,
            _ => {}
        }
        true
    }

    /// Counts the family of a sample, which need not be declared.
    pub(super) fn show(&mut self, series: &'p str) {
        let metric = raw_name(series);
        if metric == self.last {
            return;
        }
        self.last = metric;
        if self.part_of(metric).is_none() {
            self.entry(metric);
        }
    }

    /// The declared family that a name is a part of, with the type of the part.
    fn part_of(&self, metric: &str) -> Option<(&Family<'p>, MetricType)> {
        let (name, metric_type) = part_of(metric, |name| self.by_name.get(name)?.metric_type)?;
        Some((self.by_name.get(name)?, metric_type))
    }

    /// The type and unit that the family of a name declares.
    pub(super) fn of(&self, metric: &str) -> (MetricType, &'p str) {
        if let Some((family, metric_type)) = self.part_of(metric) {
            return (metric_type, family.unit);
        }
        match self.by_name.get(metric) {
            Some(family) => (family.metric_type.unwrap_or(MetricType::Unknown), family.unit),
            None => (MetricType::Unknown, ""),
        }
    }
}

/// The name of a series as written: before its labels, or the first quoted text among them.
fn raw_name(series: &str) -> &str {
    let end = memchr::memchr3(b'{', b' ', b'\t', series.as_bytes()).unwrap_or(series.len());
    if end > 0 {
        return &series[..end];
    }
    series.split('"').nth(1).unwrap_or_default()
}

fn metric_type(word: &str) -> MetricType {
    match word {
        "counter" => MetricType::Counter,
        "gauge" | "stateset" => MetricType::Gauge,
        "histogram" | "gaugehistogram" => MetricType::Histogram,
        "summary" => MetricType::Summary,
        "info" => MetricType::Info,
        _ => MetricType::Unknown,
    }
}
