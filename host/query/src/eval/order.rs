//! Sorting by value and by labels.

use crate::value::StepSeries;
use std::cmp::Ordering;

/// By value at the first step, NaN last; histograms are left out.
pub(super) fn by_value(mut series: Vec<StepSeries>, descending: bool) -> Vec<StepSeries> {
    let first = |one: &StepSeries| one.values.first().and_then(|value| value.as_ref()?.float());
    series.retain(|one| first(one).is_some());
    series.sort_by(|a, b| {
        let (a, b) = (first(a).unwrap_or(f64::NAN), first(b).unwrap_or(f64::NAN));
        let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
        a.is_nan().cmp(&b.is_nan()).then(if descending { order.reverse() } else { order })
    });
    series
}

/// By the values of labels, numbers in them by size; series equal in all of them by all labels.
pub(super) fn by_label(mut series: Vec<StepSeries>, names: &[String], descending: bool) -> Vec<StepSeries> {
    series.sort_by(|a, b| {
        let value = |one: &StepSeries, name: &str| one.labels.get(name).unwrap_or_default().to_owned();
        let by_names = names.iter().map(|name| natural(&value(a, name), &value(b, name)));
        let order = by_names.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels));
        if descending { order.reverse() } else { order }
    });
    series
}

/// Texts as people sort them: `node2` before `node10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let (in_a, in_b) = (digits(a), digits(b));
        if in_a > 0 && in_b > 0 {
            let number = |text: &str| text.trim_start_matches('0').to_owned();
            let (one, two) = (number(&a[..in_a]), number(&b[..in_b]));
            let order = one.len().cmp(&two.len()).then_with(|| one.cmp(&two)).then(in_a.cmp(&in_b));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[in_a..], &b[in_b..]);
        } else {
            let (mut one, mut two) = (a.chars(), b.chars());
            let order = one.next().cmp(&two.next());
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (one.as_str(), two.as_str());
        }
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Datum;

    #[test]
    fn numbers_in_texts_sort_by_size() {
        assert_eq!(natural("node2", "node10"), Ordering::Less);
        assert_eq!(natural("a", "a1"), Ordering::Less);
        assert_eq!(natural("b1", "a2"), Ordering::Greater);
        assert_eq!(natural("é2", "é2"), Ordering::Equal);
    }

    #[test]
    fn histograms_have_no_place_among_sorted_values() {
        let one = StepSeries::bare([1.0]);
        let none = StepSeries { values: vec![None::<Datum>], ..one.clone() };
        assert_eq!(by_value(vec![none, one], false).len(), 1);
    }
}
