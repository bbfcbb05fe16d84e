//! Predictions and labels as Tandem's API takes them: JSON lines or one array. Each bad item is named by its place, and costs
//! only itself.

use serde::Deserialize;
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    meaning::Range,
    prediction::{FeatureValue, Prediction, TruthLabel},
};

/// Features of one prediction; a wider model sends what it wants watched.
const MAX_FEATURES: usize = 2_000;
/// Longest name or category, in bytes.
const MAX_TEXT_BYTES: usize = 1_024;
/// How far in the future a moment may lie, in milliseconds: a clock may be a time zone off, but a number that was meant as
/// milliseconds, microseconds or nanoseconds and is read as seconds lies further.
const MAX_FUTURE_MILLIS: i64 = 86_400_000;
/// Rejected items told one by one; all are counted.
const MAX_TOLD_REJECTIONS: usize = 100;

/// What became of a payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted<T> {
    /// The good items.
    pub items: Vec<T>,
    /// Place of the first bad items (line, or position in the array, from 1) and why.
    pub rejections: Vec<(usize, String)>,
    /// How many were bad.
    pub rejected: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WirePrediction {
    service: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    version: String,
    id: String,
    at: Option<serde_json::Value>,
    #[serde(default)]
    replica: String,
    #[serde(default)]
    features: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    prediction: serde_json::Value,
    score: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireLabel {
    service: String,
    id: String,
    label: serde_json::Value,
    at: Option<serde_json::Value>,
}

/// Reads predictions; `moment` reads a moment written as text, `now` stands in where none is given.
pub fn predictions(body: &[u8], now: Timestamp, moment: impl Fn(&str) -> Option<Timestamp>) -> Accepted<Prediction> {
    read(body, |item: WirePrediction| {
        named("service", &item.service)?;
        named("id", &item.id)?;
        if item.features.len() > MAX_FEATURES {
            return Err(format!("{} features, and at most {MAX_FEATURES} are taken", item.features.len()));
        }
        let features = item.features.into_iter().map(|(name, value)| {
            named("the name of a feature", &name)?;
            Ok((name.clone(), feature(value).map_err(|problem| format!("feature {name}: {problem}"))?))
        });
        if item.score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            return Err("score is not between 0 and 1".into());
        }
        let prediction = feature(item.prediction).map_err(|problem| format!("prediction: {problem}"))?;
        Ok(Prediction {
            band: band(item.low, item.high, &prediction)?,
            features: features.collect::<Result<_, String>>()?,
            prediction,
            at: at(item.at, now, &moment)?,
            service: item.service,
            model: item.model,
            version: item.version,
            id: item.id,
            replica: item.replica,
            score: item.score,
        })
    })
}

/// Reads labels.
pub fn labels(body: &[u8], now: Timestamp, moment: impl Fn(&str) -> Option<Timestamp>) -> Accepted<TruthLabel> {
    read(body, |item: WireLabel| {
        named("service", &item.service)?;
        named("id", &item.id)?;
        let label = feature(item.label).map_err(|problem| format!("label: {problem}"))?;
        let at = at(item.at, now, &moment)?;
        Ok(TruthLabel { at, received_at: now, service: item.service, id: item.id, label })
    })
}

fn read<W: serde::de::DeserializeOwned, T>(body: &[u8], convert: impl Fn(W) -> Result<T, String>) -> Accepted<T> {
    let mut accepted = Accepted { items: Vec::new(), rejections: Vec::new(), rejected: 0 };
    let mut take =
        |place: usize, item: Result<W, serde_json::Error>| match item.map_err(|e| e.to_string()).and_then(&convert) {
            Ok(item) => accepted.items.push(item),
            Err(reason) => {
                accepted.rejected += 1;
                if accepted.rejections.len() < MAX_TOLD_REJECTIONS {
                    accepted.rejections.push((place, reason));
                }
            }
        };
    if body.trim_ascii_start().starts_with(b"[") {
        match serde_json::from_slice::<Vec<serde_json::Value>>(body) {
            Ok(items) => {
                items.into_iter().enumerate().for_each(|(index, item)| take(index + 1, serde_json::from_value(item)))
            }
            Err(error) => take(error.line(), Err(error)),
        }
        return accepted;
    }
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if !line.trim_ascii().is_empty() {
            take(index + 1, serde_json::from_slice(line));
        }
    }
    accepted
}

/// The band of a predicted number, where one was given.
fn band(low: Option<f64>, high: Option<f64>, prediction: &FeatureValue) -> Result<Option<Range>, String> {
    match (low, high, prediction) {
        (None, None, _) => Ok(None),
        (Some(low), Some(high), FeatureValue::Number(_)) if low <= high => Ok(Some(Range { low, high })),
        (Some(low), Some(high), FeatureValue::Number(_)) => Err(format!("low = {low} is above high = {high}")),
        (Some(_), Some(_), _) => Err("low and high belong to a prediction that is a number".into()),
        _ => Err("low and high are given together or not at all".into()),
    }
}

fn named(what: &str, text: &str) -> Result<(), String> {
    match text.len() {
        0 => Err(format!("{what} is empty")),
        length if length > MAX_TEXT_BYTES => Err(format!("{what} is longer than {MAX_TEXT_BYTES} bytes")),
        _ => Ok(()),
    }
}

fn feature(value: serde_json::Value) -> Result<FeatureValue, String> {
    match value {
        serde_json::Value::Null => Ok(FeatureValue::Missing),
        serde_json::Value::Bool(value) => Ok(FeatureValue::Bool(value)),
        serde_json::Value::Number(value) => value.as_f64().map(FeatureValue::Number).ok_or_else(|| "no number".into()),
        serde_json::Value::String(text) if text.len() <= MAX_TEXT_BYTES => Ok(FeatureValue::Text(text)),
        serde_json::Value::String(_) => Err(format!("longer than {MAX_TEXT_BYTES} bytes")),
        _ => Err("give a number, a text, true, false or null".into()),
    }
}

fn at(
    value: Option<serde_json::Value>,
    now: Timestamp,
    moment: &impl Fn(&str) -> Option<Timestamp>,
) -> Result<Timestamp, String> {
    let read = match value {
        None | Some(serde_json::Value::Null) => return Ok(now),
        Some(serde_json::Value::String(text)) => moment(&text),
        Some(serde_json::Value::Number(number)) => moment(&number.to_string()),
        Some(_) => None,
    };
    let read = read.ok_or("at is neither RFC 3339 nor Unix seconds")?;
    if read.millis_since(now) > MAX_FUTURE_MILLIS {
        return Err(
            "at lies more than a day in the future; a number is taken as Unix seconds, so write milliseconds as \
                    seconds with a fraction, or the moment as RFC 3339"
                .into(),
        );
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Option<Timestamp> {
        text.parse::<f64>().ok().map(|seconds| Timestamp((seconds * 1000.0) as i64))
    }

    #[test]
    fn lines_and_arrays_are_read_and_bad_items_are_named() {
        let lines = b"{\"service\":\"chat\",\"id\":\"1\",\"at\":12.5,\"features\":{\"a\":1,\"b\":\"x\",\"c\":null,\"d\":true}}\n\n\
                      {\"service\":\"chat\"}\n{\"service\":\"\",\"id\":\"2\"}\nnot json\n{\"service\":\"s\",\"id\":\"3\",\"features\":{\"a\":[1]}}";
        let accepted = predictions(lines, Timestamp(7), moment);
        assert_eq!(accepted.items.len(), 1);
        assert_eq!(accepted.items[0].at, Timestamp(12_500));
        assert_eq!(accepted.items[0].features["d"], FeatureValue::Bool(true));
        let places: Vec<usize> = accepted.rejections.iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [3, 4, 5, 6]);
        let array = predictions(
            b" [{\"service\":\"chat\",\"id\":\"1\"}, {\"service\":\"chat\",\"id\":2}]",
            Timestamp(7),
            moment,
        );
        assert_eq!((array.items.len(), array.rejections[0].0), (1, 2));
        assert_eq!(array.items[0].at, Timestamp(7));
    }

    #[test]
    fn a_number_that_can_be_no_unix_seconds_is_refused_and_not_guessed_at() {
        let now = Timestamp(1_700_000_000_000);
        let sent = |at: &str| format!("{{\"service\":\"chat\",\"id\":\"1\",\"at\":{at}}}");
        for millis_and_smaller in ["1700000000000", "1700000000000000", "1700000000000000000"] {
            let read = predictions(sent(millis_and_smaller).as_bytes(), now, moment);
            assert!(read.items.is_empty());
            assert!(read.rejections[0].1.contains("Unix seconds"), "{:?}", read.rejections);
        }
        assert_eq!(predictions(sent("1700000060").as_bytes(), now, moment).items[0].at, Timestamp(1_700_000_060_000));
    }

    #[test]
    fn a_band_is_two_ends_of_a_number() {
        let sent = |rest: &str| {
            let line = format!("{{\"service\":\"disk\",\"id\":\"1\",{rest}}}");
            let mut read = predictions(line.as_bytes(), Timestamp(7), moment);
            read.items.pop().map(|item| item.band).ok_or_else(|| read.rejections[0].1.clone())
        };
        assert_eq!(sent("\"prediction\":5,\"low\":4,\"high\":6"), Ok(Some(Range { low: 4.0, high: 6.0 })));
        assert_eq!(sent("\"prediction\":5"), Ok(None));
        for (rest, told) in [
            ("\"prediction\":5,\"low\":6,\"high\":4", "above"),
            ("\"prediction\":5,\"low\":6", "together"),
            ("\"prediction\":\"cat\",\"low\":4,\"high\":6", "a number"),
        ] {
            let refused = sent(rest).expect_err("refused");
            assert!(refused.contains(told), "{refused}");
        }
    }

    #[test]
    fn labels_are_read() {
        let accepted = labels(b"{\"service\":\"chat\",\"id\":\"1\",\"label\":\"cat\"}", Timestamp(7), moment);
        assert_eq!(accepted.items[0].label, FeatureValue::Text("cat".into()));
        assert_eq!((accepted.items[0].at, accepted.items[0].received_at), (Timestamp(7), Timestamp(7)));
    }
}
