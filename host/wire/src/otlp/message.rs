//! The messages of OTLP as far as they are used, borrowed from the body. The same shapes are read from JSON by serde and
//! from protobuf by the module beside; names are those of `opentelemetry/proto`.

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;
use std::borrow::Cow;

type Text<'a> = Cow<'a, str>;

/// The bit of a point's flags that says that there is no value: the series ends.
pub(super) const NO_VALUE: u32 = 1;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MetricsRequest<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub resource_metrics: Vec<ResourceMetrics<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceMetrics<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub resource: Resource<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub scope_metrics: Vec<ScopeMetrics<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resource<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub attributes: Vec<KeyValue<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Scope<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub version: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ScopeMetrics<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub scope: Scope<'a>,
    /// Read one by one, so that a bad one costs itself and only one is in memory at a time.
    #[serde(borrow, deserialize_with = "nullable")]
    pub metrics: Vec<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metric<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub name: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub description: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub unit: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub metadata: Vec<KeyValue<'a>>,
    #[serde(borrow)]
    pub gauge: Option<Points<NumberPoint<'a>>>,
    #[serde(borrow)]
    pub sum: Option<Points<NumberPoint<'a>>>,
    #[serde(borrow)]
    pub histogram: Option<Points<HistogramPoint<'a>>>,
    #[serde(borrow)]
    pub exponential_histogram: Option<Points<ExponentialPoint<'a>>>,
    #[serde(borrow)]
    pub summary: Option<Points<SummaryPoint<'a>>>,
}

/// The points of a metric of any type.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Points<T> {
    #[serde(deserialize_with = "nullable")]
    pub data_points: Vec<T>,
    /// 1 is delta, 2 is cumulative.
    #[serde(deserialize_with = "nullable")]
    pub aggregation_temporality: u32,
    #[serde(deserialize_with = "nullable")]
    pub is_monotonic: bool,
}

impl<T> Default for Points<T> {
    fn default() -> Self {
        Self { data_points: Vec::new(), aggregation_temporality: 0, is_monotonic: false }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct NumberPoint<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "unsigned")]
    pub start_time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "some_double")]
    pub as_double: Option<f64>,
    #[serde(deserialize_with = "some_integer")]
    pub as_int: Option<i64>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub exemplars: Vec<Exemplar<'a>>,
    #[serde(deserialize_with = "nullable")]
    pub flags: u32,
}

/// An observation with the trace that it was made in.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Exemplar<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub filtered_attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "unsigned")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "some_double")]
    pub as_double: Option<f64>,
    #[serde(deserialize_with = "some_integer")]
    pub as_int: Option<i64>,
    /// Hexadecimal.
    #[serde(borrow, deserialize_with = "nullable")]
    pub trace_id: Text<'a>,
    /// Hexadecimal.
    #[serde(borrow, deserialize_with = "nullable")]
    pub span_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct HistogramPoint<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "unsigned")]
    pub start_time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub count: u64,
    #[serde(deserialize_with = "some_double")]
    pub sum: Option<f64>,
    #[serde(deserialize_with = "unsigneds")]
    pub bucket_counts: Vec<u64>,
    #[serde(deserialize_with = "doubles")]
    pub explicit_bounds: Vec<f64>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub exemplars: Vec<Exemplar<'a>>,
    #[serde(deserialize_with = "nullable")]
    pub flags: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ExponentialPoint<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "unsigned")]
    pub start_time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub count: u64,
    #[serde(deserialize_with = "some_double")]
    pub sum: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub scale: i32,
    #[serde(deserialize_with = "unsigned")]
    pub zero_count: u64,
    #[serde(deserialize_with = "nullable")]
    pub positive: Buckets,
    #[serde(deserialize_with = "nullable")]
    pub negative: Buckets,
    #[serde(borrow, deserialize_with = "nullable")]
    pub exemplars: Vec<Exemplar<'a>>,
    #[serde(deserialize_with = "nullable")]
    pub flags: u32,
    #[serde(deserialize_with = "some_double")]
    pub zero_threshold: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Buckets {
    #[serde(deserialize_with = "nullable")]
    pub offset: i32,
    #[serde(deserialize_with = "unsigneds")]
    pub bucket_counts: Vec<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SummaryPoint<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub attributes: Vec<KeyValue<'a>>,
    #[serde(deserialize_with = "unsigned")]
    pub start_time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub count: u64,
    #[serde(deserialize_with = "some_double")]
    pub sum: Option<f64>,
    #[serde(deserialize_with = "nullable")]
    pub quantile_values: Vec<QuantileValue>,
    #[serde(deserialize_with = "nullable")]
    pub flags: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct QuantileValue {
    #[serde(deserialize_with = "some_double")]
    pub quantile: Option<f64>,
    #[serde(deserialize_with = "some_double")]
    pub value: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogsRequest<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub resource_logs: Vec<ResourceLogs<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceLogs<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub resource: Resource<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub scope_logs: Vec<ScopeLogs<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeLogs<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub scope: Scope<'a>,
    /// Read one by one, as metrics are.
    #[serde(borrow, deserialize_with = "nullable")]
    pub log_records: Vec<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogRecord<'a> {
    #[serde(deserialize_with = "unsigned")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "unsigned")]
    pub observed_time_unix_nano: u64,
    #[serde(deserialize_with = "nullable")]
    pub severity_number: i32,
    #[serde(borrow, deserialize_with = "nullable")]
    pub severity_text: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub body: AnyValue<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub attributes: Vec<KeyValue<'a>>,
    /// Hexadecimal.
    #[serde(borrow, deserialize_with = "nullable")]
    pub trace_id: Text<'a>,
    /// Hexadecimal.
    #[serde(borrow, deserialize_with = "nullable")]
    pub span_id: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub event_name: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyValue<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub key: Text<'a>,
    #[serde(borrow, deserialize_with = "nullable")]
    pub value: AnyValue<'a>,
}

/// A value of any kind; at most one member is there.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AnyValue<'a> {
    #[serde(borrow)]
    pub string_value: Option<Text<'a>>,
    pub bool_value: Option<bool>,
    #[serde(deserialize_with = "some_integer")]
    pub int_value: Option<i64>,
    #[serde(deserialize_with = "some_double")]
    pub double_value: Option<f64>,
    #[serde(borrow)]
    pub array_value: Option<ArrayValue<'a>>,
    #[serde(borrow)]
    pub kvlist_value: Option<KeyValueList<'a>>,
    /// Base64.
    #[serde(borrow)]
    pub bytes_value: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ArrayValue<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub values: Vec<AnyValue<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyValueList<'a> {
    #[serde(borrow, deserialize_with = "nullable")]
    pub values: Vec<KeyValue<'a>>,
}

impl Metric<'_> {
    /// How many points it has, of whatever type.
    pub(super) fn points(&self) -> u64 {
        fn of<T>(points: &Option<Points<T>>) -> usize {
            points.as_ref().map_or(0, |points| points.data_points.len())
        }
        let numbers = of(&self.gauge) + of(&self.sum);
        (numbers + of(&self.histogram) + of(&self.exponential_histogram) + of(&self.summary)) as u64
    }
}

impl AnyValue<'_> {
    /// As text: scalars as they are, lists and maps as JSON.
    pub(super) fn text(&self) -> String {
        match self {
            Self { string_value: Some(text), .. } => text.to_string(),
            Self { array_value: None, kvlist_value: None, bytes_value: None, .. } => match self.json() {
                serde_json::Value::Null => self.double_value.map(|double| double.to_string()).unwrap_or_default(),
                scalar => scalar.to_string(),
            },
            Self { bytes_value: Some(base64), .. } => base64.to_string(),
            _ => self.json().to_string(),
        }
    }

    fn json(&self) -> serde_json::Value {
        use serde_json::Value;
        if let Some(text) = self.string_value.as_ref().or(self.bytes_value.as_ref()) {
            return Value::from(text.as_ref());
        }
        if let Some(list) = &self.array_value {
            return list.values.iter().map(AnyValue::json).collect();
        }
        if let Some(list) = &self.kvlist_value {
            let pairs = list.values.iter().map(|pair| (pair.key.to_string(), pair.value.json()));
            return Value::Object(pairs.collect());
        }
        match (self.bool_value, self.int_value, self.double_value) {
            (Some(value), ..) => value.into(),
            (_, Some(value), _) => value.into(),
            (_, _, Some(value)) => value.into(),
            _ => Value::Null,
        }
    }
}

/// `null` is the same as left out, as proto3's JSON says.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A number that may be written as text: 64 bit integers are, since JavaScript loses their last digits.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number<'a> {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    #[serde(borrow)]
    Text(Text<'a>),
}

impl Number<'_> {
    fn integer<T: std::str::FromStr + TryFrom<u64> + TryFrom<i64>>(&self) -> Option<T> {
        match self {
            Self::Unsigned(number) => T::try_from(*number).ok(),
            Self::Signed(number) => T::try_from(*number).ok(),
            // Some senders write whole numbers as 1e3.
            Self::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => T::try_from(*number as i64).ok(),
            Self::Float(_) => None,
            Self::Text(text) => text.parse().ok(),
        }
    }

    fn double(&self) -> Option<f64> {
        match self {
            Self::Unsigned(number) => Some(*number as f64),
            Self::Signed(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

fn unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match Option::<Number<'de>>::deserialize(deserializer)? {
        Some(number) => number.integer().ok_or_else(|| D::Error::custom("not an unsigned 64 bit integer")),
        None => Ok(0),
    }
}

fn some_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let number = Option::<Number<'de>>::deserialize(deserializer)?;
    number.map(|number| number.integer().ok_or_else(|| D::Error::custom("not a 64 bit integer"))).transpose()
}

fn some_double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let number = Option::<Number<'de>>::deserialize(deserializer)?;
    number.map(|number| number.double().ok_or_else(|| D::Error::custom("not a number"))).transpose()
}

fn unsigneds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    let numbers = Option::<Vec<Number<'de>>>::deserialize(deserializer)?.unwrap_or_default();
    let whole = numbers.iter().map(|number| number.integer().ok_or_else(|| D::Error::custom("not a count")));
    whole.collect()
}

fn doubles<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let numbers = Option::<Vec<Number<'de>>>::deserialize(deserializer)?.unwrap_or_default();
    numbers.iter().map(|number| number.double().ok_or_else(|| D::Error::custom("not a number"))).collect()
}
