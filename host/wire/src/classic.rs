//! What a native histogram is as float series, while the store holds floats only.

use crate::remote_write::STALE_NAN;
use tandem_domain::histogram::NativeHistogram;

/// The finest schema of the classic series made of a native histogram: bounds 19 % apart, about as fine as people choose.
pub const CLASSIC_SCHEMA: i32 = 2;
/// Filled buckets of the classic series at the most; beyond it neighbours are joined, since each becomes a series.
pub const CLASSIC_BUCKETS: usize = 64;

/// A native histogram as the classic series that stand for it while the store holds floats only: suffix of the name, value
/// of label `le` (empty for none), value. `_count`, `_sum`, and `_bucket` with the filled buckets of schema
/// [`CLASSIC_SCHEMA`] or coarser; buckets that fill later appear later.
pub fn classic_series(histogram: &NativeHistogram) -> Vec<(&'static str, String, f64)> {
    let mut series = vec![("_count", String::new(), histogram.count), ("_sum", String::new(), histogram.sum)];
    // A stale marker ends the series that are there; it has no buckets that could be named.
    if histogram.sum.to_bits() == STALE_NAN {
        series[0].2 = histogram.sum;
        return series;
    }
    series.extend(
        histogram
            .classic(CLASSIC_SCHEMA, CLASSIC_BUCKETS)
            .into_iter()
            .map(|(bound, count)| ("_bucket", bound_text(bound), count)),
    );
    series
}

/// The bound of a bucket as the value of its label `le`: decimal, without exponent, as Prometheus writes OTLP's.
pub fn bound_text(bound: f64) -> String {
    if bound == f64::INFINITY { "+Inf".to_owned() } else { bound.to_string() }
}
