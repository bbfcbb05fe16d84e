//! Reads a page in the Prometheus text format into series, so that mappers can be tested against real pages.
//! Values are kept beside the series; for a server use a full parser.

use crate::types::{Label, MetricType, Series};
use std::collections::HashMap;

/// The series of a page with their values, in the page's order; lines that are not samples are passed over.
pub fn read_page(text: &str) -> Vec<(Series, f64)> {
    let mut types: HashMap<&str, MetricType> = HashMap::new();
    let mut samples = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            if let Some((metric, name)) = rest.split_once(' ') {
                types.insert(metric, metric_type(name.trim()));
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            samples.extend(sample(line, &types));
        }
    }
    samples
}

/// The series alone, as a mapper is shown them.
pub fn read_series(text: &str) -> Vec<Series> {
    read_page(text).into_iter().map(|(series, _)| series).collect()
}

fn metric_type(name: &str) -> MetricType {
    match name {
        "counter" => MetricType::Counter,
        "gauge" => MetricType::Gauge,
        "histogram" => MetricType::Histogram,
        "summary" => MetricType::Summary,
        "info" => MetricType::Info,
        _ => MetricType::Unknown,
    }
}

fn sample(line: &str, types: &HashMap<&str, MetricType>) -> Option<(Series, f64)> {
    let end_of_name = line.find(['{', ' '])?;
    let (metric, rest) = line.split_at(end_of_name);
    let (labels, rest) = if let Some(inner) = rest.strip_prefix('{') { labels(inner)? } else { (Vec::new(), rest) };
    let value = rest.split_ascii_whitespace().next()?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        other => other.parse().ok()?,
    };
    let metric_type = types.get(metric).copied().unwrap_or(MetricType::Unknown);
    Some((Series { metric: metric.to_owned(), metric_type, unit: String::new(), labels }, value))
}

/// The labels up to the closing brace, and what follows it.
fn labels(text: &str) -> Option<(Vec<Label>, &str)> {
    let mut labels = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut signs = after.char_indices();
        let end = loop {
            match signs.next()? {
                (at, '"') => break at,
                (_, '\\') => match signs.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, sign) => value.push(sign),
            }
        };
        labels.push(Label { name: name.trim().to_owned(), value });
        rest = &after[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_escapes_and_types_are_read() {
        let page = "# TYPE a_total counter\na_total{x=\"1\",y=\"a \\\"b\\\" \\\\ c\"} 4.5 1700000000000\nb +Inf\nbroken{x=\"1\n";
        let read = read_page(page);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].0.labels[1].value, "a \"b\" \\ c");
        assert_eq!(read[0].0.metric_type, MetricType::Counter);
        assert_eq!(read[0].1, 4.5);
        assert_eq!(read[1].1, f64::INFINITY);
    }
}
