//! Points of metrics as samples of series: what a request becomes, and what its metrics have in common. Beside it lie the walk
//! through a request ([`walk`]) and what each kind of point becomes ([`points`]).

mod exemplars;
mod points;
mod walk;

use super::{
    Encoding, OtlpError,
    message::{Metric, NO_VALUE, Points},
    moment,
    names::{self, Naming},
    protobuf::Budget,
    resource::{self, Options, ResourceInfo},
};
use crate::{
    described::describe,
    limits::WireLimits,
    rejected::{Reason, Rejection, Rejections},
    remote_write::STALE_NAN,
    series_key::{KeySeed, SeriesKey},
};
use points::{Place, Placed};
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    exemplar::Exemplar,
    histogram::NativeHistogram,
    metadata::MetricMetadata,
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
    /// By rising moments.
    pub exemplars: Vec<Exemplar>,
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
    /// By rising moments.
    pub exemplars: Vec<Exemplar>,
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
    /// What is declared of metrics of which a point was taken.
    pub metadata: Vec<MetricMetadata>,
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

impl Converter<'_> {
    fn metric(&mut self, metric: &Metric<'_>) {
        if metric.name.len().max(metric.unit.len()) > self.limits.name_bytes {
            let text = format!("a metric's name or unit is longer than {} bytes", self.limits.name_bytes);
            return self.batch.rejections.add(Rejection { reason: Reason::BadName, text }, metric.points());
        }
        let scraped = self.scraped || metric.metadata.iter().any(|pair| names::tells_prometheus(&pair.key));
        let plain = |naming| names::metric(&metric.name, &metric.unit, if scraped { Naming::Scraped } else { naming });
        let unit = names::unit(&metric.unit);
        let family = |name: String, metric_type| {
            let (unit, help) = (unit.clone(), metric.description.to_string());
            MetricMetadata { family: name, metric_type, unit, help }
        };
        if let Some(points) = &metric.gauge {
            let family = family(plain(Naming::Gauge), MetricType::Gauge);
            self.points(points, family, Some(2), Self::number);
        }
        if let Some(points) = &metric.sum {
            let (naming, metric_type) = match points.is_monotonic {
                true => (Naming::Counter, MetricType::Counter),
                false => (Naming::Other, MetricType::Gauge),
            };
            self.points(points, family(plain(naming), metric_type), Some(points.aggregation_temporality), Self::number);
        }
        let distribution = || family(plain(Naming::Other), MetricType::Histogram);
        if let Some(points) = &metric.histogram {
            self.points(points, distribution(), Some(points.aggregation_temporality), Self::histogram);
        }
        if let Some(points) = &metric.exponential_histogram {
            self.points(points, distribution(), Some(points.aggregation_temporality), Self::exponential);
        }
        if let Some(points) = &metric.summary {
            self.points(points, family(plain(Naming::Other), MetricType::Summary), Some(2), Self::summary);
        }
    }

    /// Takes in each point whole or not at all.
    fn points<T: Placed>(
        &mut self,
        points: &Points<T>,
        family: MetricMetadata,
        temporality: Option<u32>,
        take: impl Fn(&mut Self, &Head<'_>, &T) -> Result<(), Rejection>,
    ) {
        let taken = self.batch.points;
        for point in &points.data_points {
            let samples = self.batch.samples.len();
            let head = self.head(&family, temporality, point.place());
            match head.and_then(|head| take(self, &head, point)) {
                Ok(()) => self.batch.points += 1,
                Err(rejection) => {
                    self.batch.samples.truncate(samples);
                    let text = format!("{}: {}", family.family, rejection.text);
                    self.batch.rejections.add(Rejection { text, ..rejection }, 1);
                }
            }
        }
        if self.batch.points > taken {
            self.batch.metadata.push(family);
        }
    }

    fn head<'p>(
        &mut self,
        family: &'p MetricMetadata,
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
        let (name, unit, metric_type) = (family.family.as_str(), family.unit.as_str(), family.metric_type);
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
        let (counting, at, exemplars) = (head.counting, head.at, Vec::new());
        self.batch.samples.push(SampleRow { resource, key, series, counting, at, value, exemplars });
        Ok(())
    }
}
