//! Points of metrics as samples of series.

use super::{
    Encoding, OtlpError,
    message::{
        ExponentialPoint, HistogramPoint, KeyValue, Metric, MetricsRequest, NO_VALUE, NumberPoint, Points, Resource,
        Scope, SummaryPoint,
    },
    moment,
    names::{self, Naming},
    protobuf::{self, Budget},
    resource::{self, Options, ResourceInfo},
};
use crate::{
    classic::bound_text,
    described::describe,
    limits::WireLimits,
    protobuf::{Malformed, Reader},
    rejected::{Reason, Rejection, Rejections},
    remote_write::STALE_NAN,
    series_key::{KeySeed, SeriesKey},
};
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    histogram::{Buckets, NativeHistogram, ResetHint, SCHEMAS, Span},
    series::{MetricType, SeriesDescription},
};

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// All since the series began, or a value that counts nothing.
    Total,
    /// What came since the moment given: to be added up by an [`super::Accumulator`].
    Increment {
        /// When counting began.
        since: Timestamp,
    },
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleRow {
    /// Index into [`MetricsBatch::resources`].
    pub resource: u32,
    /// Over name, labels, `job` and `instance`.
    pub key: SeriesKey,
    /// Its series, without `job` and `instance`.
    pub series: SeriesDescription,
    /// What its value counts.
    pub counting: Counting,
    /// When.
    pub at: Timestamp,
    /// How much; [`STALE_NAN`] ends the series.
    pub value: f64,
}

/// One exponential histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramRow {
    /// Index into [`MetricsBatch::resources`].
    pub resource: u32,
    /// As [`SampleRow::key`].
    pub key: SeriesKey,
    /// Name without suffix.
    pub series: SeriesDescription,
    /// What it counts.
    pub counting: Counting,
    /// When.
    pub at: Timestamp,
    /// The distribution.
    pub histogram: NativeHistogram,
}

/// A request as samples.
#[derive(Debug, Default)]
pub struct MetricsBatch {
    /// Who sends.
    pub resources: Vec<ResourceInfo>,
    /// In the request's order; `target_info` after the samples of its resource.
    pub samples: Vec<SampleRow>,
    /// Exponential histograms.
    pub histograms: Vec<HistogramRow>,
    /// Data points that were taken.
    pub points: u64,
    /// Data points that were not, by reason; a metric that cannot be read counts as one.
    pub rejections: Rejections,
}

/// Decodes an opened body.
///
/// # Errors
/// When it is no request at all.
pub fn decode_metrics(
    encoding: Encoding,
    body: &[u8],
    options: &Options,
    seed: KeySeed,
    limits: &WireLimits,
) -> Result<MetricsBatch, OtlpError> {
    let mut converter = Converter {
        batch: MetricsBatch::default(),
        options,
        limits,
        seed,
        left: limits.items,
        common: Vec::new(),
        scraped: false,
        latest: None,
    };
    match encoding {
        Encoding::Protobuf => {
            let mut budget = Budget(limits.items);
            converter.protobuf(body, &mut budget).map_err(|error| OtlpError::NoRequest(error.to_string()))?;
        }
        Encoding::Json => converter.json(body)?,
    }
    Ok(converter.batch)
}

struct Converter<'l> {
    batch: MetricsBatch,
    options: &'l Options,
    limits: &'l WireLimits,
    seed: KeySeed,
    /// Samples that may still come.
    left: usize,
    /// Labels of each series of the scope at hand.
    common: Vec<(String, String)>,
    /// Whether the scope at hand passes on what was scraped from Prometheus endpoints.
    scraped: bool,
    /// The latest moment of the resource at hand.
    latest: Option<Timestamp>,
}

/// What a point's series have in common.
struct Head<'p> {
    name: &'p str,
    unit: &'p str,
    metric_type: MetricType,
    labels: BTreeMap<String, String>,
    at: Timestamp,
    counting: Counting,
    stale: bool,
}

fn malformed(error: &dyn std::fmt::Display) -> Rejection {
    Rejection { reason: Reason::Malformed, text: format!("a metric is malformed: {error}") }
}

impl Converter<'_> {
    fn json(&mut self, body: &[u8]) -> Result<(), OtlpError> {
        if body.len() > self.limits.json_bytes {
            return Err(OtlpError::TooLong { limit: self.limits.json_bytes });
        }
        let request: MetricsRequest<'_> =
            serde_json::from_slice(body).map_err(|error| OtlpError::NoRequest(error.to_string()))?;
        for group in &request.resource_metrics {
            self.begin(&group.resource);
            for scoped in &group.scope_metrics {
                self.enter(&group.resource, &scoped.scope);
                for raw in &scoped.metrics {
                    match serde_json::from_str(raw.get()) {
                        Ok(metric) => self.metric(&metric),
                        Err(error) => self.batch.rejections.add(malformed(&error), 1),
                    }
                }
            }
            self.end();
        }
        Ok(())
    }

    fn protobuf(&mut self, body: &[u8], budget: &mut Budget) -> Result<(), Malformed> {
        let mut reader = Reader::new(body);
        while let Some((number, field)) = reader.field()? {
            if number == 1
                && let Err(error) = self.group(field.message()?, budget)
            {
                self.batch.rejections.add(malformed(&error), 1);
            }
        }
        Ok(())
    }

    /// The metrics of one resource, which is looked for first, since a message's fields come in any order.
    fn group(&mut self, group: Reader<'_>, budget: &mut Budget) -> Result<(), Malformed> {
        let mut sender = Resource::default();
        let mut first = group;
        while let Some((number, field)) = first.field()? {
            if number == 1 {
                sender = protobuf::resource(field.message()?, budget)?;
            }
        }
        self.begin(&sender);
        let mut second = group;
        let mut scopes = || -> Result<(), Malformed> {
            while let Some((number, field)) = second.field()? {
                if number == 2 {
                    self.scope(&sender, field.message()?, budget)?;
                }
            }
            Ok(())
        };
        let read = scopes();
        self.end();
        read
    }

    fn scope(&mut self, sender: &Resource<'_>, scoped: Reader<'_>, budget: &mut Budget) -> Result<(), Malformed> {
        let mut scope = Scope::default();
        let mut first = scoped;
        while let Some((number, field)) = first.field()? {
            if number == 1 {
                scope = protobuf::scope(field.message()?)?;
            }
        }
        self.enter(sender, &scope);
        let mut second = scoped;
        while let Some((number, field)) = second.field()? {
            if number != 2 {
                continue;
            }
            match protobuf::metric(field.message()?, budget) {
                Ok(metric) => self.metric(&metric),
                Err(error) => self.batch.rejections.add(malformed(&error), 1),
            }
        }
        Ok(())
    }

    fn enter(&mut self, sender: &Resource<'_>, scope: &Scope<'_>) {
        self.common = resource::common(sender, scope, self.options, self.limits);
        self.scraped = names::is_scraping(&scope.name);
    }

    fn begin(&mut self, sender: &Resource<'_>) {
        self.batch.resources.push(resource::info(sender, self.limits));
        self.latest = None;
    }

    /// Tells the resource itself, at the moment of its latest point; one without points is forgotten.
    fn end(&mut self) {
        if self.latest.is_none() {
            self.batch.resources.pop();
        }
        let (Some(info), Some(at)) = (self.batch.resources.last(), self.latest) else { return };
        let known = !info.target.job.is_empty() || !info.target.instance.is_empty();
        if info.labels.is_empty() || !known {
            return;
        }
        let labels = info.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let head = Head {
            name: "target_info",
            unit: "",
            metric_type: MetricType::Info,
            labels,
            at,
            counting: Counting::Total,
            stale: false,
        };
        // It was held to the limits as a resource; what is left is the bound of the whole, and then it is not missed.
        let _ = self.emit(&head, "", None, 1.0);
    }

    fn metric(&mut self, metric: &Metric<'_>) {
        if metric.name.len().max(metric.unit.len()) > self.limits.name_bytes {
            let text = format!("a metric's name or unit is longer than {} bytes", self.limits.name_bytes);
            return self.batch.rejections.add(Rejection { reason: Reason::BadName, text }, metric.points());
        }
        let scraped = self.scraped || metric.metadata.iter().any(|pair| names::tells_prometheus(&pair.key));
        let plain = |naming| names::metric(&metric.name, &metric.unit, if scraped { Naming::Scraped } else { naming });
        let unit = names::unit(&metric.unit);
        if let Some(points) = &metric.gauge {
            let name = plain(Naming::Gauge);
            self.points(points, &name, |converter, point| {
                let head = converter.head(&name, &unit, MetricType::Gauge, Some(2), point.place())?;
                converter.number(&head, point)
            });
        }
        if let Some(points) = &metric.sum {
            let (naming, metric_type) = match points.is_monotonic {
                true => (Naming::Counter, MetricType::Counter),
                false => (Naming::Other, MetricType::Gauge),
            };
            let name = plain(naming);
            let temporality = Some(points.aggregation_temporality);
            self.points(points, &name, |converter, point| {
                let head = converter.head(&name, &unit, metric_type, temporality, point.place())?;
                converter.number(&head, point)
            });
        }
        let name = plain(Naming::Other);
        if let Some(points) = &metric.histogram {
            let temporality = Some(points.aggregation_temporality);
            self.points(points, &name, |converter, point| {
                let head = converter.head(&name, &unit, MetricType::Histogram, temporality, point.place())?;
                converter.histogram(&head, point)
            });
        }
        if let Some(points) = &metric.exponential_histogram {
            let temporality = Some(points.aggregation_temporality);
            self.points(points, &name, |converter, point| {
                let head = converter.head(&name, &unit, MetricType::Histogram, temporality, point.place())?;
                converter.exponential(&head, point)
            });
        }
        if let Some(points) = &metric.summary {
            self.points(points, &name, |converter, point| {
                let head = converter.head(&name, &unit, MetricType::Summary, Some(2), point.place())?;
                converter.summary(&head, point)
            });
        }
    }

    /// Takes in each point whole or not at all.
    fn points<T>(
        &mut self,
        points: &Points<T>,
        name: &str,
        mut take: impl FnMut(&mut Self, &T) -> Result<(), Rejection>,
    ) {
        for point in &points.data_points {
            let samples = self.batch.samples.len();
            match take(self, point) {
                Ok(()) => self.batch.points += 1,
                Err(rejection) => {
                    self.batch.samples.truncate(samples);
                    let text = format!("{name}: {}", rejection.text);
                    self.batch.rejections.add(Rejection { text, ..rejection }, 1);
                }
            }
        }
    }

    fn head<'p>(
        &mut self,
        name: &'p str,
        unit: &'p str,
        metric_type: MetricType,
        temporality: Option<u32>,
        place: Place<'_>,
    ) -> Result<Head<'p>, Rejection> {
        if place.nanos == 0 {
            return Err(Rejection { reason: Reason::BadTime, text: "a point says no time".into() });
        }
        let counting = match temporality {
            Some(1) => Counting::Increment { since: moment(place.start) },
            Some(2) => Counting::Total,
            _ => {
                let text = "a point is neither of delta nor of cumulative temporality".into();
                return Err(Rejection { reason: Reason::Unsupported, text });
            }
        };
        let mut labels = resource::labels(place.attributes, self.limits)?;
        for (name, value) in &self.common {
            labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let at = moment(place.nanos);
        self.latest = self.latest.max(Some(at));
        Ok(Head { name, unit, metric_type, labels, at, counting, stale: place.flags & NO_VALUE != 0 })
    }

    fn series(
        &self,
        head: &Head<'_>,
        suffix: &str,
        extra: Option<(&str, &str)>,
    ) -> Result<(SeriesKey, SeriesDescription), Rejection> {
        let name = format!("{}{suffix}", head.name);
        let own = |name: &str| extra.is_some_and(|(own, _)| own == name) || ["job", "instance"].contains(&name);
        let mut pairs: Vec<(&str, &str)> =
            head.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(|(n, _)| !own(n)).collect();
        pairs.extend(extra);
        if !name.is_empty() {
            pairs.push(("__name__", &name));
        }
        let mut series = describe(pairs.clone(), self.limits)?;
        (series.metric_type, series.unit) = (head.metric_type, head.unit.to_owned());
        if let Some(info) = self.batch.resources.last() {
            pairs.extend([("job", info.target.job.as_str()), ("instance", info.target.instance.as_str())]);
        }
        pairs.retain(|(_, value)| !value.is_empty());
        pairs.sort_unstable();
        Ok((self.seed.of_pairs(pairs, &mut Vec::new()), series))
    }

    fn spend(&mut self, items: usize) -> Result<(), Rejection> {
        self.left = self.left.checked_sub(items).ok_or_else(|| Rejection {
            reason: Reason::TooMany,
            text: format!("a request may hold {} samples; send the rest in another", self.limits.items),
        })?;
        Ok(())
    }

    fn emit(
        &mut self,
        head: &Head<'_>,
        suffix: &str,
        extra: Option<(&str, &str)>,
        value: f64,
    ) -> Result<(), Rejection> {
        self.spend(1)?;
        let (key, series) = self.series(head, suffix, extra)?;
        let value = if head.stale { f64::from_bits(STALE_NAN) } else { value };
        let resource = self.batch.resources.len().saturating_sub(1) as u32;
        self.batch.samples.push(SampleRow { resource, key, series, counting: head.counting, at: head.at, value });
        Ok(())
    }

    fn number(&mut self, head: &Head<'_>, point: &NumberPoint<'_>) -> Result<(), Rejection> {
        match point.as_double.or(point.as_int.map(|int| int as f64)) {
            Some(value) => self.emit(head, "", None, value),
            None if head.stale => self.emit(head, "", None, 0.0),
            None => Err(Rejection { reason: Reason::Malformed, text: "a point has no value".into() }),
        }
    }

    fn histogram(&mut self, head: &Head<'_>, point: &HistogramPoint<'_>) -> Result<(), Rejection> {
        let bad = |text: &str| Err(Rejection { reason: Reason::BadHistogram, text: text.into() });
        let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
        if counts.len() > self.limits.buckets {
            return bad("more buckets than the limit");
        }
        if counts.len() != bounds.len() + 1 && !(counts.is_empty() && bounds.is_empty()) {
            return bad("bounds and counts do not fit");
        }
        if bounds.iter().any(|bound| bound.is_nan()) || bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
            return bad("the bounds do not rise");
        }
        let mut total = 0_u64;
        for (bound, count) in bounds.iter().zip(counts).filter(|(bound, _)| **bound != f64::INFINITY) {
            total = total.saturating_add(*count);
            self.emit(head, "_bucket", Some(("le", &bound_text(*bound))), total as f64)?;
        }
        self.emit(head, "_bucket", Some(("le", "+Inf")), point.count as f64)?;
        self.emit(head, "_count", None, point.count as f64)?;
        point.sum.map_or(Ok(()), |sum| self.emit(head, "_sum", None, sum))
    }

    fn summary(&mut self, head: &Head<'_>, point: &SummaryPoint<'_>) -> Result<(), Rejection> {
        for value in &point.quantile_values {
            let quantile = value.quantile.unwrap_or_default().to_string();
            self.emit(head, "", Some(("quantile", &quantile)), value.value.unwrap_or_default())?;
        }
        self.emit(head, "_count", None, point.count as f64)?;
        self.emit(head, "_sum", None, point.sum.unwrap_or_default())
    }

    /// Finer scales than native histograms have are made coarser, which loses nothing but detail.
    fn exponential(&mut self, head: &Head<'_>, point: &ExponentialPoint<'_>) -> Result<(), Rejection> {
        let bad = |text: String| Rejection { reason: Reason::BadHistogram, text };
        let buckets = point.positive.bucket_counts.len().max(point.negative.bucket_counts.len());
        if buckets > self.limits.buckets {
            return Err(bad(format!("{buckets} buckets, and {} are taken", self.limits.buckets)));
        }
        if point.scale < *SCHEMAS.start() {
            return Err(bad(format!("scale {} is coarser than a native histogram can be", point.scale)));
        }
        let side = |side: &super::message::Buckets| Buckets {
            spans: match side.bucket_counts.len() {
                0 => Vec::new(),
                // Bucket i of OTLP begins at base^i, that of a native histogram ends there.
                length => vec![Span { offset: side.offset.saturating_add(1), length: length as u32 }],
            },
            counts: side.bucket_counts.iter().map(|count| *count as f64).collect(),
        };
        let mut histogram = NativeHistogram {
            schema: point.scale,
            zero_threshold: point.zero_threshold.unwrap_or_default(),
            zero_count: point.zero_count as f64,
            count: point.count as f64,
            sum: point.sum.unwrap_or_default(),
            positive: side(&point.positive),
            negative: side(&point.negative),
            custom_bounds: Vec::new(),
            reset: ResetHint::Unknown,
            whole: true,
        }
        .coarsened(*SCHEMAS.end());
        if head.stale {
            histogram.sum = f64::from_bits(STALE_NAN);
        }
        histogram.check().map_err(|error| bad(error.to_string()))?;
        self.spend(16)?;
        let (key, series) = self.series(head, "", None)?;
        let resource = self.batch.resources.len().saturating_sub(1) as u32;
        let row = HistogramRow { resource, key, series, counting: head.counting, at: head.at, histogram };
        self.batch.histograms.push(row);
        Ok(())
    }
}

/// Where and when a point stands.
struct Place<'p> {
    attributes: &'p [KeyValue<'p>],
    start: u64,
    nanos: u64,
    flags: u32,
}

macro_rules! placed {
    ($($point:ident),*) => {
        $(impl<'a> $point<'a> {
            fn place(&self) -> Place<'_> {
                Place {
                    attributes: &self.attributes,
                    start: self.start_time_unix_nano,
                    nanos: self.time_unix_nano,
                    flags: self.flags,
                }
            }
        })*
    };
}
placed!(NumberPoint, HistogramPoint, ExponentialPoint, SummaryPoint);
