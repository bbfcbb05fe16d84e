//! What is declared of metric families, for receivers of 1.0, which are told apart from samples. Pure.

use crate::outgoing::Outgoing;
use std::collections::BTreeMap;
use tandem_domain::series::MetricType;

/// Families of one request: some 50 KiB.
pub(crate) const FAMILIES_PER_REQUEST: usize = 500;
/// Families told at the most; a large fleet has some ten thousand.
const MAX_FAMILIES: usize = 100_000;

/// Family, type and unit of all that is declared of series, each family once, by name.
pub(crate) fn families<'o>(series: impl Iterator<Item = &'o Outgoing>) -> Vec<(String, MetricType, String)> {
    let mut found: BTreeMap<&str, (MetricType, &str)> = BTreeMap::new();
    for outgoing in series.filter(|outgoing| outgoing.metric_type != MetricType::Unknown) {
        if found.len() < MAX_FAMILIES {
            found.insert(family(outgoing.metric(), outgoing.metric_type), (outgoing.metric_type, &outgoing.unit));
        }
    }
    found.into_iter().map(|(name, (metric_type, unit))| (name.to_owned(), metric_type, unit.to_owned())).collect()
}

/// The family that a metric belongs to, as an exporter names it.
fn family(metric: &str, metric_type: MetricType) -> &str {
    let suffixes: &[&str] = match metric_type {
        MetricType::Histogram => &["_bucket", "_sum", "_count"],
        MetricType::Summary => &["_sum", "_count"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| metric.strip_suffix(suffix)).unwrap_or(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_is_told_once_by_its_own_name() {
        let of = |metric: &str, metric_type| Outgoing {
            target: tandem_domain::target::TargetKey { job: String::new(), instance: String::new() },
            labels: vec![("__name__".into(), metric.into())],
            metric_type,
            unit: "seconds".into(),
        };
        let series = [
            of("latency_bucket", MetricType::Histogram),
            of("latency_sum", MetricType::Histogram),
            of("hits_total", MetricType::Counter),
            of("queue_count", MetricType::Gauge),
            of("unknown", MetricType::Unknown),
        ];
        let told = families(series.iter());
        let names: Vec<&str> = told.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["hits_total", "latency", "queue_count"]);
        assert_eq!((told[1].1, told[1].2.as_str()), (MetricType::Histogram, "seconds"));
    }
}
