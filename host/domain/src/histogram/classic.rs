//! A native histogram as classic buckets.

use super::{CUSTOM_SCHEMA, NativeHistogram, buckets::bound};
use std::collections::BTreeMap;

impl NativeHistogram {
    /// The histogram as classic buckets: upper bound and how much lies at or below it, ascending, ending with +Inf. It is
    /// made coarser (neighbours joined) to `finest` and further, until at most `most` buckets are filled; bounds of a coarser
    /// schema are among those of a finer one, so that successive values keep comparable bounds. The lower bound of a bucket
    /// after a gap is told too, since quantiles are interpolated from it.
    pub fn classic(&self, finest: i32, most: usize) -> Vec<(f64, f64)> {
        let mut found: Vec<(f64, f64)> = Vec::new();
        let mut total = 0.0;
        if self.schema == CUSTOM_SCHEMA {
            let counts: BTreeMap<i64, f64> = self.positive.indexed().collect();
            for (index, bound) in self.custom_bounds.iter().enumerate() {
                total += counts.get(&(index as i64)).unwrap_or(&0.0);
                found.push((*bound, total));
            }
            found.push((f64::INFINITY, self.count));
            return found;
        }
        let mut coarser = self.schema.saturating_sub(finest).clamp(0, 32) as u32;
        let filled = |coarser| self.positive.joined(coarser).len() + self.negative.joined(coarser).len();
        // At 2^-32 all buckets of one side are one.
        while coarser < 32 && filled(coarser) > most.max(2) {
            coarser += 1;
        }
        let schema = self.schema.saturating_sub(coarser as i32);
        let mut add = |lower: f64, upper: f64, count: f64| {
            if found.last().is_none_or(|(last, _)| *last < lower) && lower.is_finite() {
                found.push((lower, total));
            }
            total += count;
            if upper.is_finite() {
                found.push((upper, total));
            }
        };
        for (index, count) in self.negative.joined(coarser).into_iter().rev() {
            add(-bound(schema, index), -bound(schema, index - 1), count);
        }
        if self.zero_count > 0.0 {
            add(-self.zero_threshold, self.zero_threshold, self.zero_count);
        }
        for (index, count) in self.positive.joined(coarser) {
            add(bound(schema, index - 1), bound(schema, index), count);
        }
        // A zero bucket may reach over its neighbours, and the smallest bounds are zero: bounds rise strictly.
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = earlier.1.max(later.1);
            }
            same
        });
        found.push((f64::INFINITY, self.count));
        found
    }
}
