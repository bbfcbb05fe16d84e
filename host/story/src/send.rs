//! What a story shows, in the formats that a server takes: remote write, exporters' pages, predictions and labels.

use crate::{Play, Shown};
use serde_json::{Value, json};
use std::fmt::Write as _;
use tandem_domain::{
    Timestamp,
    prediction::{FeatureValue, Prediction, TruthLabel},
    series::MetricType,
};
use tandem_wire::{
    compressed::CompressionError,
    remote_write::{Metadata, OutgoingSeries, Protocol, encode},
};

/// The label sets of a story's series, made once.
#[derive(Debug, Clone)]
pub struct Sender {
    /// By series, sorted by name.
    labels: Vec<Vec<(String, String)>>,
    types: Vec<MetricType>,
    /// What is declared: the family of each series.
    families: Vec<String>,
    targets: Vec<usize>,
}

impl Sender {
    /// For one story.
    pub fn new(play: &Play) -> Self {
        let labels = play.series().iter().map(|series| {
            let target = &play.targets()[series.target];
            let own = [("__name__", &*series.metric), ("job", &*target.job), ("instance", &*target.instance)];
            let labels = own.into_iter().chain(series.labels.iter()).chain(target.labels.iter());
            let mut labels: Vec<_> = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            labels.sort_by(|a, b| a.0.cmp(&b.0));
            // What a series says of itself stands before what its target says.
            labels.dedup_by(|later, earlier| later.0 == earlier.0);
            labels
        });
        Self {
            labels: labels.collect(),
            types: play.series().iter().map(|series| series.metric_type).collect(),
            families: play.series().iter().map(|series| family(&series.metric, series.metric_type)).collect(),
            targets: play.series().iter().map(|series| series.target).collect(),
        }
    }

    /// A body of remote write 1.0 with the samples of a step.
    ///
    /// # Errors
    /// When it is too long to be compressed.
    pub fn remote_write(&self, shown: &Shown) -> Result<Vec<u8>, CompressionError> {
        let series = shown.samples.iter().map(|(number, value)| {
            let number = *number as usize;
            OutgoingSeries {
                labels: self.labels[number].iter().map(|(name, value)| (&**name, &**value)).collect(),
                samples: vec![(shown.at, *value)],
                metadata: Some(Metadata {
                    family: &self.families[number],
                    metric_type: self.types[number],
                    help: "",
                    unit: "",
                }),
                ..OutgoingSeries::default()
            }
        });
        encode(Protocol::V1, &series.collect::<Vec<_>>())
    }

    /// The page of one target as an exporter shows it; none when it does not answer.
    pub fn page(&self, play: &Play, shown: &Shown, target: usize) -> Option<String> {
        let mut page = String::new();
        let mut declared = "";
        for (number, value) in &shown.samples {
            let number = *number as usize;
            if self.targets[number] != target {
                continue;
            }
            let series = &play.series()[number];
            if series.metric == "up" {
                if *value == 0.0 {
                    return None;
                }
                continue;
            }
            if declared != self.families[number] {
                declared = &self.families[number];
                let _ = writeln!(page, "# TYPE {declared} {}", type_name(series.metric_type));
            }
            let labels = series.labels.iter().map(|(name, value)| format!("{name}={:?}", value));
            let labels = labels.collect::<Vec<_>>().join(",");
            let _ = writeln!(page, "{}{{{labels}}} {value}", series.metric);
        }
        Some(page)
    }

    /// Predictions as JSON lines, in parts of at most so many.
    pub fn predictions(&self, shown: &Shown, at_once: usize) -> Vec<String> {
        parts(&shown.predictions, at_once, prediction)
    }

    /// Labels as JSON lines.
    pub fn labels(&self, shown: &Shown, at_once: usize) -> Vec<String> {
        parts(&shown.labels, at_once, label)
    }
}

fn parts<T>(items: &[T], at_once: usize, written: fn(&T) -> Value) -> Vec<String> {
    let part = |items: &[T]| items.iter().map(|item| format!("{}\n", written(item))).collect();
    items.chunks(at_once.max(1)).map(part).collect()
}

/// The name under which a type is declared.
fn family(metric: &str, metric_type: MetricType) -> String {
    if metric_type != MetricType::Histogram {
        return metric.to_owned();
    }
    let parts = ["_bucket", "_sum", "_count"];
    parts.iter().find_map(|part| metric.strip_suffix(part)).unwrap_or(metric).to_owned()
}

fn type_name(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Counter => "counter",
        MetricType::Histogram => "histogram",
        _ => "gauge",
    }
}

/// Unix seconds.
fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1_000.0
}

fn value(value: &FeatureValue) -> Value {
    match value {
        FeatureValue::Bool(is) => json!(is),
        FeatureValue::Number(number) => json!(number),
        FeatureValue::Text(text) => json!(text),
        FeatureValue::Missing => Value::Null,
    }
}

fn prediction(one: &Prediction) -> Value {
    let features: serde_json::Map<String, Value> =
        one.features.iter().map(|(name, told)| (name.clone(), value(told))).collect();
    let mut written = json!({
        "service": one.service, "model": one.model, "version": one.version, "id": one.id, "at": seconds(one.at),
        "replica": one.replica, "features": features, "prediction": value(&one.prediction),
    });
    if let Some(score) = one.score {
        written["score"] = json!(score);
    }
    written
}

fn label(one: &TruthLabel) -> Value {
    json!({"service": one.service, "id": one.id, "label": value(&one.label), "at": seconds(one.at)})
}
