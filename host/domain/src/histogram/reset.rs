//! Whether a counter restarted between two histograms.

use super::{
    CUSTOM_SCHEMA, NativeHistogram, ResetHint,
    buckets::{bound, coarser_index},
    sum::{common_bounds, rebounded, widened},
};

impl NativeHistogram {
    /// Whether the counter restarted since `before`: what was counted has become less, or is counted more finely. What is known
    /// of it already counts first.
    pub fn is_reset_since(&self, before: &Self) -> bool {
        match self.reset {
            ResetHint::Yes => return true,
            ResetHint::No => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < before.count {
            return true;
        }
        if self.is_custom() != before.is_custom() {
            return true;
        }
        if self.is_custom() {
            return self.custom_has_less_than(before);
        }
        if self.schema > before.schema || self.zero_threshold < before.zero_threshold {
            return true;
        }
        let (positive, negative): (Vec<_>, Vec<_>) =
            (before.positive.indexed().collect(), before.negative.indexed().collect());
        let (zero_count, threshold) =
            widened(before.schema, before.zero_count, before.zero_threshold, self.zero_threshold, &positive, &negative);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let steps = (before.schema - self.schema).unsigned_abs();
        [(&self.positive, positive), (&self.negative, negative)].into_iter().any(|(now, before)| {
            let mut joined: Vec<(i64, f64)> = Vec::with_capacity(before.len());
            for (index, count) in before {
                let index = coarser_index(index, steps);
                match joined.last_mut() {
                    Some(last) if last.0 == index => last.1 += count,
                    _ => joined.push((index, count)),
                }
            }
            joined.retain(|(index, _)| bound(self.schema, *index) > self.zero_threshold);
            has_less(now.indexed(), &joined)
        })
    }

    fn custom_has_less_than(&self, before: &Self) -> bool {
        debug_assert!(self.schema == CUSTOM_SCHEMA && before.schema == CUSTOM_SCHEMA);
        let before_counts: Vec<(i64, f64)> = before.positive.indexed().collect();
        if self.custom_bounds == before.custom_bounds {
            return has_less(self.positive.indexed(), &before_counts);
        }
        let common = common_bounds(&self.custom_bounds, &before.custom_bounds);
        let now = rebounded(self.positive.indexed(), &self.custom_bounds, &common);
        let before = rebounded(before_counts.into_iter(), &before.custom_bounds, &common);
        has_less(now.into_iter(), &before)
    }
}

/// Whether any bucket holds less than it did. Both ascend.
fn has_less(now: impl Iterator<Item = (i64, f64)>, before: &[(i64, f64)]) -> bool {
    let mut now = now.peekable();
    before.iter().filter(|(_, count)| *count != 0.0).any(|(index, count)| {
        while now.next_if(|(other, _)| other < index).is_some() {}
        match now.peek() {
            Some((other, held)) if other == index => held < count,
            _ => true,
        }
    })
}
