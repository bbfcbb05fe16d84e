//! What each kind of point becomes: one sample, the series of a histogram or summary, or a native histogram.

use super::{Converter, Head, HistogramRow, exemplars::exemplars};
use crate::{
    classic::bound_text,
    otlp::message::{self, ExponentialPoint, HistogramPoint, KeyValue, NumberPoint, SummaryPoint},
    rejected::{Reason, Rejection},
    remote_write::STALE_NAN,
};
use tandem_domain::histogram::{Buckets, NativeHistogram, ResetHint, SCHEMAS, Span};

impl Converter<'_> {
    pub(super) fn number(&mut self, head: &Head<'_>, point: &NumberPoint<'_>) -> Result<(), Rejection> {
        match point.as_double.or(point.as_int.map(|int| int as f64)) {
            Some(value) => self.emit(head, "", None, value)?,
            None if head.stale => self.emit(head, "", None, 0.0)?,
            None => return Err(Rejection { reason: Reason::Malformed, text: "a point has no value".into() }),
        }
        if let Some(row) = self.batch.samples.last_mut() {
            row.exemplars = exemplars(&point.exemplars, head.at);
        }
        Ok(())
    }

    pub(super) fn histogram(&mut self, head: &Head<'_>, point: &HistogramPoint<'_>) -> Result<(), Rejection> {
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
        let (mut total, first) = (0_u64, self.batch.samples.len());
        for (bound, count) in bounds.iter().zip(counts).filter(|(bound, _)| **bound != f64::INFINITY) {
            total = total.saturating_add(*count);
            self.emit(head, "_bucket", Some(("le", &bound_text(*bound))), total as f64)?;
        }
        self.emit(head, "_bucket", Some(("le", "+Inf")), point.count as f64)?;
        for exemplar in exemplars(&point.exemplars, head.at) {
            // It belongs to the first bucket that counts it.
            let bucket = bounds.partition_point(|bound| *bound < exemplar.value && *bound != f64::INFINITY);
            if let Some(row) = self.batch.samples.get_mut(first + bucket) {
                row.exemplars.push(exemplar);
            }
        }
        self.emit(head, "_count", None, point.count as f64)?;
        point.sum.map_or(Ok(()), |sum| self.emit(head, "_sum", None, sum))
    }

    pub(super) fn summary(&mut self, head: &Head<'_>, point: &SummaryPoint<'_>) -> Result<(), Rejection> {
        for value in &point.quantile_values {
            let quantile = value.quantile.unwrap_or_default().to_string();
            self.emit(head, "", Some(("quantile", &quantile)), value.value.unwrap_or_default())?;
        }
        self.emit(head, "_count", None, point.count as f64)?;
        self.emit(head, "_sum", None, point.sum.unwrap_or_default())
    }

    /// Finer scales than native histograms have are made coarser, which loses nothing but detail.
    pub(super) fn exponential(&mut self, head: &Head<'_>, point: &ExponentialPoint<'_>) -> Result<(), Rejection> {
        let bad = |text: String| Rejection { reason: Reason::BadHistogram, text };
        let buckets = point.positive.bucket_counts.len().max(point.negative.bucket_counts.len());
        if buckets > self.limits.buckets {
            return Err(bad(format!("{buckets} buckets, and {} are taken", self.limits.buckets)));
        }
        if point.scale < *SCHEMAS.start() {
            return Err(bad(format!("scale {} is coarser than a native histogram can be", point.scale)));
        }
        let side = |side: &message::Buckets| Buckets {
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
        let (counting, at, exemplars) = (head.counting, head.at, exemplars(&point.exemplars, head.at));
        let row = HistogramRow { resource, key, series, counting, at, histogram, exemplars };
        self.batch.histograms.push(row);
        Ok(())
    }
}

/// Where and when a point stands.
pub(super) struct Place<'p> {
    pub attributes: &'p [KeyValue<'p>],
    pub start: u64,
    pub nanos: u64,
    pub flags: u32,
}

/// A point of any kind.
pub(super) trait Placed {
    /// Where and when it stands.
    fn place(&self) -> Place<'_>;
}

macro_rules! placed {
    ($($point:ident),*) => {
        $(impl Placed for $point<'_> {
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
