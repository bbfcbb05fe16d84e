//! Two answers side by side.

use serde_json::Value;
use std::collections::BTreeMap;
use tandem_domain::series::Labels;
use tandem_query::{Answer, Outcome, QueryError, Sample};

/// Series by their labels, with values by their moments in milliseconds.
pub type Series = BTreeMap<Labels, BTreeMap<i64, f64>>;

/// Numbers this near to each other, as a share of the larger, are the same: sums are made in other orders and with other
/// compensation.
const TOLERANCE: f64 = 1e-7;
/// What is left of numbers that cancel each other out, beside numbers up to a million.
const NOISE: f64 = 1e-6;

fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()) + NOISE
}

/// What Prometheus answers.
pub fn theirs(answer: &Value) -> Result<Series, String> {
    if answer["status"] != "success" {
        return Err(answer["error"].as_str().unwrap_or("?").to_owned());
    }
    let point = |pair: &Value| {
        let at = (pair[0].as_f64().unwrap_or(f64::NAN) * 1000.0).round() as i64;
        (at, pair[1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN))
    };
    let result = &answer["data"]["result"];
    if answer["data"]["resultType"] == "scalar" {
        return Ok(Series::from([(Labels::default(), BTreeMap::from([point(result)]))]));
    }
    let mut found = Series::new();
    for series in result.as_array().into_iter().flatten() {
        let labels = series["metric"].as_object().into_iter().flatten();
        let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
        let points = match series["values"].as_array() {
            Some(values) => values.iter().map(point).collect(),
            None => BTreeMap::from([point(&series["value"])]),
        };
        found.insert(labels.collect(), points);
    }
    Ok(found)
}

/// What we answer.
pub fn ours(answer: Result<Answer, QueryError>) -> Result<Series, String> {
    let value = |sample: &Sample| (sample.at, sample.value.float().unwrap_or(f64::NAN));
    Ok(match answer.map_err(|error| error.message)?.outcome {
        Outcome::Scalar(at, value) => Series::from([(Labels::default(), BTreeMap::from([(at, value)]))]),
        Outcome::Text(..) => Series::new(),
        Outcome::Vector(series) => {
            series.iter().map(|(labels, sample)| (labels.clone(), BTreeMap::from([value(sample)]))).collect()
        }
        Outcome::Matrix(series) => {
            series.iter().map(|one| (one.labels.clone(), one.samples.iter().map(value).collect())).collect()
        }
    })
}

/// The first difference, in words.
pub fn difference(theirs: &Result<Series, String>, ours: &Result<Series, String>) -> Option<String> {
    let (theirs, ours) = match (theirs, ours) {
        (Err(_), Err(_)) => return None,
        (Err(error), Ok(_)) => return Some(format!("only Prometheus refuses: {error}")),
        (Ok(_), Err(error)) => return Some(format!("only we refuse: {error}")),
        (Ok(theirs), Ok(ours)) => (theirs, ours),
    };
    for (labels, points) in theirs {
        let Some(own) = ours.get(labels) else { return Some(format!("we have no {labels:?}")) };
        for (at, value) in points {
            match own.get(at) {
                None => return Some(format!("we have no value at {at} of {labels:?}, which is {value}")),
                Some(own) if !close(*own, *value) => {
                    return Some(format!("at {at} of {labels:?} we say {own} and Prometheus {value}"));
                }
                Some(_) => {}
            }
        }
        if let Some((at, value)) = own.iter().find(|(at, _)| !points.contains_key(at)) {
            return Some(format!("only we have {value} at {at} of {labels:?}"));
        }
    }
    let only = ours.keys().find(|labels| !theirs.contains_key(labels));
    only.map(|labels| format!("only we have {labels:?}"))
}
