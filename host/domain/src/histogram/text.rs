//! A histogram as a text.

use super::{Bucket, NativeHistogram};
use std::fmt;

impl fmt::Display for NativeHistogram {
    /// Count, sum and filled buckets, as Prometheus writes them: `{count:3, sum:4.5, [-0.5,0.5]:1, (1,2]:2}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", self.count, self.sum)?;
        let mut negative: Vec<Bucket> = self.negative_buckets().filter(|bucket| bucket.count != 0.0).collect();
        negative.reverse();
        for bucket in negative {
            write!(f, ", [{},{}):{}", bucket.lower, bucket.upper, bucket.count)?;
        }
        if self.zero_count != 0.0 {
            write!(f, ", [{},{}]:{}", -self.zero_threshold, self.zero_threshold, self.zero_count)?;
        }
        for bucket in self.positive_buckets().filter(|bucket| bucket.count != 0.0) {
            let open =
                if bucket.lower == f64::NEG_INFINITY { "[-Inf".to_owned() } else { format!("({}", bucket.lower) };
            let end = if bucket.upper == f64::INFINITY { "+Inf".to_owned() } else { bucket.upper.to_string() };
            write!(f, ", {open},{end}]:{}", bucket.count)?;
        }
        f.write_str("}")
    }
}
