//! OTLP over HTTP: metrics and logs, in protobuf and in JSON.
//!
//! Metrics become series as Prometheus' own OTLP endpoint makes them (names with underscores and unit suffixes, `job` and
//! `instance` from `service.*`, `target_info` for the other attributes of the resource): sums and gauges one series each,
//! histograms `_bucket`, `_sum` and `_count`, summaries with label `quantile`, exponential histograms native histograms,
//! which [`crate::classic`] turns into float series. Points of delta temporality are marked, and the caller's
//! [`Accumulator`] adds them up. Exemplars go with their series, those of a histogram with the bucket that counts them, and what is
//! declared of a metric beside them. What has no place in a series (minimum and maximum) is not kept.
//!
//! A metric, point or record that cannot be used costs itself; the answer tells the sender how many were (partial success).
//! Specifications: "OTLP 1.x", "OTLP/HTTP", "Prometheus and OpenMetrics compatibility" of OpenTelemetry.

mod answer;
mod delta;
mod logs;
mod message;
mod metrics;
mod names;
mod protobuf;
mod resource;
#[cfg(test)]
mod tests;

pub use answer::{Encoding, Signal, accepted, refused};
pub use delta::{Accumulator, MAX_DELTA_SERIES};
pub use logs::{LogsBatch, decode_logs};
pub use metrics::{Counting, HistogramRow, MetricsBatch, SampleRow, decode_metrics};
pub use resource::{Options, ResourceInfo};

/// The body is refused as a whole (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// The content type is neither of the two (415).
    #[error("content type {0:?} is not taken; send application/x-protobuf or application/json")]
    ContentType(String),
    /// A JSON body beyond the limit (413).
    #[error("the JSON body is longer than {limit} bytes; send less at once, or protobuf")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// It is no request of the format.
    #[error("the body is no OTLP request: {0}")]
    NoRequest(String),
}

/// Nanoseconds since the epoch as milliseconds.
fn moment(nanos: u64) -> tandem_domain::Timestamp {
    tandem_domain::Timestamp((nanos / 1_000_000) as i64)
}
