//! What a server answers, and how far two answers agree.

use serde_json::Value;
use std::collections::BTreeMap;

/// Values that differ by a smaller share are the same: sums are added up in different orders.
const SAME: f64 = 1e-9;

/// Labels of a series, and its values by moment in milliseconds.
type Found = BTreeMap<BTreeMap<String, String>, BTreeMap<i64, f64>>;

/// An answer.
#[derive(Debug)]
pub enum Answer {
    /// Series with samples, or names and label sets without any.
    Found(Found),
    /// It failed.
    Failed(String),
}

impl Answer {
    /// Reads an answer of Prometheus' API.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return Self::Failed(format!("{status}, no JSON"));
        };
        if status != 200 {
            return Self::Failed(format!("{status}: {}", answer["error"].as_str().unwrap_or_default()));
        }
        let data = &answer["data"];
        if let Some(list) = data.as_array() {
            return Self::Found(list.iter().map(|item| (label_set(item), BTreeMap::new())).collect());
        }
        let series = data["result"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of = |one: &Value| {
            let several = one["values"].as_array().map(Vec::as_slice).unwrap_or_default();
            let samples = several.iter().chain(one.get("value"));
            let samples = samples.filter_map(|pair| {
                let at = (pair[0].as_f64()? * 1e3).round() as i64;
                Some((at, pair[1].as_str()?.parse::<f64>().ok()?))
            });
            (label_set(&one["metric"]), samples.collect())
        };
        Self::Found(series.iter().map(of).collect())
    }

    /// How many series or names were found.
    pub fn size(&self) -> usize {
        match self {
            Self::Found(found) => found.len(),
            Self::Failed(_) => 0,
        }
    }
}

/// The labels of an item; a bare name counts as one.
fn label_set(item: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match item {
        Value::Object(labels) => labels.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        name => BTreeMap::from([("name".to_owned(), text(name))]),
    }
}

/// How far two answers agree.
#[derive(Debug)]
pub enum Agreement {
    /// In all.
    Same,
    /// In which series and moments there are; values differ by up to this share.
    Values(f64),
    /// Series or moments that only the first or only the second has; and the largest share by which common values differ.
    Shape { only_first: usize, only_second: usize, values: f64 },
    /// One of them failed.
    Failed(String),
}

impl Agreement {
    /// Sets two answers beside each other. Names of metrics do not count: VictoriaMetrics keeps them where Prometheus drops
    /// them.
    pub fn between(first: &Answer, second: &Answer) -> Self {
        let (first, second) = match (first, second) {
            (Answer::Found(first), Answer::Found(second)) => (flat(first), flat(second)),
            (Answer::Failed(why), _) => return Self::Failed(why.clone()),
            (_, Answer::Failed(why)) => return Self::Failed(format!("the other: {why}")),
        };
        let only_first = first.keys().filter(|key| !second.contains_key(*key)).count();
        let only_second = second.keys().filter(|key| !first.contains_key(*key)).count();
        let common = first.iter().filter_map(|(key, value)| Some((*value, *second.get(key)?)));
        let values = common.map(|(one, other)| share(one, other)).fold(0.0, f64::max);
        match (only_first + only_second, values) {
            (0, values) if values <= SAME => Self::Same,
            (0, values) => Self::Values(values),
            (_, values) => Self::Shape { only_first, only_second, values },
        }
    }

    /// In a few words.
    pub fn told(&self) -> String {
        match self {
            Self::Same => "same".into(),
            Self::Values(share) => format!("within {:.2} %", share * 100.0),
            Self::Shape { only_first, only_second, values } => {
                format!("{only_first} only here, {only_second} there; {:.1} %", values * 100.0)
            }
            Self::Failed(why) => format!("FAILED {why}"),
        }
    }
}

/// Values by labels and moment; a series without samples stands for itself.
fn flat(found: &Found) -> BTreeMap<(BTreeMap<String, String>, i64), f64> {
    let mut all = BTreeMap::new();
    for (labels, samples) in found {
        let mut labels = labels.clone();
        if !samples.is_empty() {
            labels.remove("__name__");
        }
        let samples = samples.iter().map(|(at, value)| (*at, *value));
        all.extend(samples.chain([(i64::MIN, 0.0)]).map(|(at, value)| ((labels.clone(), at), value)));
    }
    all
}

/// By which share two values differ.
fn share(one: f64, other: f64) -> f64 {
    if one == other || (one.is_nan() && other.is_nan()) {
        return 0.0;
    }
    let share = (one - other).abs() / one.abs().max(other.abs());
    if share.is_nan() { f64::INFINITY } else { share }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        Answer::read(200, text.as_bytes())
    }

    #[test]
    fn answers_are_the_same_differ_in_values_or_in_what_they_find() {
        let one = |value: &str| {
            let text = r#"{"data":{"result":[{"metric":{"a":"b"},"value":[1.5,"VALUE"]}]}}"#;
            answer(&text.replace("VALUE", value))
        };
        assert!(matches!(Agreement::between(&one("2"), &one("2.0000000000001")), Agreement::Same));
        assert!(matches!(Agreement::between(&one("NaN"), &one("NaN")), Agreement::Same));
        assert!(matches!(Agreement::between(&one("2"), &one("1")), Agreement::Values(share) if share == 0.5));
        let nothing = answer(r#"{"data":{"result":[]}}"#);
        let shape = Agreement::between(&nothing, &one("1"));
        assert!(matches!(shape, Agreement::Shape { only_first: 0, only_second: 2, .. }), "{shape:?}");
        let names = (answer(r#"{"data":["x","y"]}"#), answer(r#"{"data":["y","x"]}"#));
        assert!(matches!(Agreement::between(&names.0, &names.1), Agreement::Same));
        assert!(matches!(Agreement::between(&Answer::read(422, b"{}"), &names.0), Agreement::Failed(_)));
    }
}
