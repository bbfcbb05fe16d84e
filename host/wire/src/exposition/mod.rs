//! The Prometheus text format 0.0.4 and OpenMetrics 1.0, as exporters give them.
//!
//! One bad line costs that line: it is rejected with its number and the reason, and the rest counts. Only a page without a
//! single good line is refused as a whole. Formats: Prometheus' "Exposition formats" page and the OpenMetrics 1.0 text.

mod line;

pub use line::MAX_LABELS;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use tandem_domain::{
    Timestamp,
    series::{MetricType, SeriesDescription},
};

/// Longest line, in bytes; a longer one is no series but something else.
const MAX_LINE_BYTES: usize = 1 << 16;
/// Rejected lines that are told one by one; all are counted.
const MAX_TOLD_REJECTIONS: usize = 20;

/// One sample of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its series.
    pub series: SeriesDescription,
    /// Its value; NaN is a value here.
    pub value: f64,
    /// When the exporter says it was taken.
    pub at: Option<Timestamp>,
}

/// A line that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// From 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

/// A page as parsed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// In the page's order.
    pub samples: Vec<Sample>,
    /// The first rejected lines.
    pub rejections: Vec<Rejection>,
    /// How many lines were rejected.
    pub rejected: usize,
    /// Families the page declares or shows.
    pub families: usize,
}

/// The page is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a metrics page: line {line}: {reason}")]
pub struct NotAPage {
    /// The first bad line, from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

#[derive(Default)]
struct Family {
    metric_type: Option<MetricType>,
    unit: String,
}

/// Parses a page of either format.
///
/// # Errors
/// When no line of a page that is not empty is a sample or a comment of the format.
pub fn parse(page: &[u8]) -> Result<Page, NotAPage> {
    let mut parsed = Page::default();
    let mut families: HashMap<String, Family> = HashMap::new();
    let mut understood = 0;
    for (index, raw) in page.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let mut reject = |reason: String| {
            parsed.rejected += 1;
            if parsed.rejections.len() < MAX_TOLD_REJECTIONS {
                parsed.rejections.push(Rejection { line: number, reason });
            }
        };
        if raw.len() > MAX_LINE_BYTES {
            reject(format!("longer than {MAX_LINE_BYTES} bytes"));
            continue;
        }
        let Ok(text) = std::str::from_utf8(raw) else {
            reject("not UTF-8".into());
            continue;
        };
        let text = text.trim_matches([' ', '\t', '\r']);
        if text.is_empty() {
            continue;
        }
        if text == "# EOF" {
            understood += 1;
            break;
        }
        if let Some(comment) = text.strip_prefix('#') {
            understood += usize::from(note(comment, &mut families));
            continue;
        }
        match line::parse(text) {
            Ok(line) => {
                understood += 1;
                let (family, metric_type) = family_of(&line.metric, &mut families);
                let unit = family.unit.clone();
                let series = SeriesDescription { metric: line.metric, metric_type, unit, labels: line.labels };
                parsed.samples.push(Sample { series, value: line.value, at: line.at });
            }
            Err(reason) => reject(reason),
        }
    }
    match parsed.rejections.first() {
        Some(first) if understood == 0 => Err(NotAPage { line: first.line, reason: first.reason.clone() }),
        _ => {
            parsed.families = families.len();
            Ok(parsed)
        }
    }
}

/// Takes in a `# TYPE`, `# UNIT` or `# HELP` line; whether it is one.
fn note(comment: &str, families: &mut HashMap<String, Family>) -> bool {
    let mut words = comment.split_whitespace();
    let (keyword, Some(name)) = (words.next().unwrap_or_default(), words.next()) else { return false };
    let rest = words.next().unwrap_or_default();
    match keyword {
        "TYPE" => {
            let family = families.entry(name.to_owned()).or_default();
            family.metric_type = Some(match rest {
                "counter" => MetricType::Counter,
                "gauge" | "stateset" => MetricType::Gauge,
                "histogram" | "gaugehistogram" => MetricType::Histogram,
                "summary" => MetricType::Summary,
                "info" => MetricType::Info,
                _ => MetricType::Unknown,
            });
            true
        }
        "UNIT" => {
            families.entry(name.to_owned()).or_default().unit = rest.to_owned();
            true
        }
        "HELP" => {
            families.entry(name.to_owned()).or_default();
            true
        }
        _ => false,
    }
}

/// The family of a sample: its own name, or its name without the suffix of a part that the family's type has.
fn family_of<'f>(metric: &str, families: &'f mut HashMap<String, Family>) -> (&'f Family, MetricType) {
    let parts: [(&str, &[MetricType]); 7] = [
        ("_bucket", &[MetricType::Histogram]),
        ("_gcount", &[MetricType::Histogram]),
        ("_gsum", &[MetricType::Histogram]),
        ("_count", &[MetricType::Histogram, MetricType::Summary]),
        ("_sum", &[MetricType::Histogram, MetricType::Summary]),
        ("_total", &[MetricType::Counter]),
        ("_info", &[MetricType::Info]),
    ];
    let of_part = parts.iter().find_map(|(suffix, types)| {
        let base = metric.strip_suffix(suffix)?;
        let declared = families.get(base)?.metric_type?;
        types.contains(&declared).then(|| base.to_owned())
    });
    let created = || {
        let base = metric.strip_suffix("_created")?;
        families.get(base)?.metric_type.map(|_| base.to_owned())
    };
    let of_created = if of_part.is_none() { created() } else { None };
    let is_created = of_created.is_some();
    let name = of_part.or(of_created).unwrap_or_else(|| metric.to_owned());
    let family = families.entry(name).or_default();
    let metric_type = if is_created { MetricType::Gauge } else { family.metric_type.unwrap_or(MetricType::Unknown) };
    (family, metric_type)
}
