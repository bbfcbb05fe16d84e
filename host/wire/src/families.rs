//! Metric families: what is declared of a name holds for its parts (`_bucket`, `_sum`, `_total` …) too.
//!
//! Remote write 1.0 sends what it declares apart from the samples, once a minute, so that the caller keeps a
//! [`FamilyTable`] for each sender and asks it when a series is new.

use crate::remote_write::Metadata;
use std::collections::HashMap;
use tandem_domain::series::{MetricType, SeriesDescription};

/// Families that one table keeps; a large cluster declares some ten thousand.
pub const MAX_FAMILIES: usize = 200_000;
/// Longest name or unit that is kept, in bytes.
const MAX_NAME_BYTES: usize = 512;

/// Suffixes by which the parts of a family are named, and the types that have such a part.
const PARTS: [(&str, &[MetricType]); 7] = [
    ("_bucket", &[MetricType::Histogram]),
    ("_gcount", &[MetricType::Histogram]),
    ("_gsum", &[MetricType::Histogram]),
    ("_count", &[MetricType::Histogram, MetricType::Summary]),
    ("_sum", &[MetricType::Histogram, MetricType::Summary]),
    ("_total", &[MetricType::Counter]),
    ("_info", &[MetricType::Info]),
];

/// The family that a name is a part of, and the type of the part, given what is declared.
pub(crate) fn part_of(metric: &str, declared: impl Fn(&str) -> Option<MetricType>) -> Option<(&str, MetricType)> {
    let part = PARTS.iter().find_map(|(suffix, types)| {
        let name = metric.strip_suffix(suffix)?;
        let declared = declared(name)?;
        types.contains(&declared).then_some((name, declared))
    });
    part.or_else(|| {
        let name = metric.strip_suffix("_created")?;
        declared(name).map(|_| (name, MetricType::Gauge))
    })
}

/// What one sender declared, kept between its bodies.
#[derive(Debug, Clone, Default)]
pub struct FamilyTable {
    by_name: HashMap<String, (MetricType, String)>,
}

impl FamilyTable {
    /// Takes in a declaration; whether it is new or another than before, so that its series are to be described anew. Those
    /// beyond [`MAX_FAMILIES`] are left.
    pub fn note(&mut self, metadata: &Metadata<'_>) -> bool {
        let fits = metadata.family.len() <= MAX_NAME_BYTES && metadata.unit.len() <= MAX_NAME_BYTES;
        if !fits || metadata.family.is_empty() {
            return false;
        }
        let full = self.by_name.len() >= MAX_FAMILIES;
        match self.by_name.get_mut(metadata.family) {
            Some(known) if known.0 == metadata.metric_type && known.1 == metadata.unit => false,
            Some(known) => {
                *known = (metadata.metric_type, metadata.unit.to_owned());
                true
            }
            None if full => false,
            None => {
                let declared = (metadata.metric_type, metadata.unit.to_owned());
                self.by_name.insert(metadata.family.to_owned(), declared);
                true
            }
        }
    }

    /// How many families are known.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Gives a series the type and unit that are declared of its family; leaves it as it is where nothing is.
    pub fn describe(&self, series: &mut SeriesDescription) {
        let part = part_of(&series.metric, |name| self.by_name.get(name).map(|(metric_type, _)| *metric_type));
        let (name, part_type) = part.map_or((series.metric.as_str(), None), |(name, part)| (name, Some(part)));
        let Some((metric_type, unit)) = self.by_name.get(name) else { return };
        (series.metric_type, series.unit) = (part_type.unwrap_or(*metric_type), unit.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::series::Labels;

    #[test]
    fn declarations_reach_the_parts_of_their_family() {
        let mut table = FamilyTable::default();
        let mut note = |family, metric_type, unit| table.note(&Metadata { family, metric_type, help: "", unit });
        assert!(note("latency", MetricType::Histogram, "seconds"));
        assert!(!note("latency", MetricType::Histogram, "seconds"), "known");
        assert!(note("latency", MetricType::Histogram, "ms"), "changed");
        assert!(note("hits_total", MetricType::Counter, ""), "Prometheus declares counters by their whole name");
        let described = |metric: &str| {
            let mut series = SeriesDescription {
                metric: metric.into(),
                metric_type: MetricType::Unknown,
                unit: String::new(),
                labels: Labels::default(),
            };
            table.describe(&mut series);
            (series.metric_type, series.unit)
        };
        assert_eq!(described("latency_bucket"), (MetricType::Histogram, "ms".to_owned()));
        assert_eq!(described("hits_total"), (MetricType::Counter, String::new()));
        assert_eq!(described("latency_created").0, MetricType::Gauge);
        assert_eq!(described("other_count").0, MetricType::Unknown);
    }
}
