//! Sums, restarts, estimates and trimming of histograms.

use super::*;

fn histogram(schema: i32, offset: i32, counts: &[f64]) -> NativeHistogram {
    NativeHistogram {
        schema,
        zero_threshold: 0.001,
        zero_count: 1.0,
        count: counts.iter().sum::<f64>() + 1.0,
        sum: 10.0,
        positive: Buckets { spans: vec![Span { offset, length: counts.len() as u32 }], counts: counts.to_vec() },
        negative: Buckets::default(),
        custom_bounds: Vec::new(),
        reset: ResetHint::Unknown,
        whole: true,
    }
}

fn custom(bounds: &[f64], counts: &[f64]) -> NativeHistogram {
    NativeHistogram {
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: counts.iter().sum(),
        custom_bounds: bounds.to_vec(),
        ..histogram(CUSTOM_SCHEMA, 0, counts)
    }
}

fn sum(one: &NativeHistogram, two: &NativeHistogram, factor: f64) -> NativeHistogram {
    let mut sum = HistogramSum::of(one);
    sum.add(two, factor).expect("they fit");
    sum.finish()
}

#[test]
fn what_is_added_can_be_taken_away() {
    let (one, two) = (histogram(3, -4, &[1.0, 0.0, 5.0]), histogram(3, 2, &[7.0, 2.0]));
    let back = sum(&sum(&one, &two, 1.0), &two, -1.0);
    let plain = HistogramSum::of(&one).finish();
    assert_eq!((back.positive, back.count, back.zero_count), (plain.positive, one.count, one.zero_count));
}

#[test]
fn a_sum_is_as_coarse_as_its_coarsest_part() {
    // Schema 1 has two buckets for each of schema 0: 1 and 2 end at 2.
    let both = sum(&histogram(1, 1, &[2.0, 5.0]), &histogram(0, 1, &[1.0]), 1.0);
    assert_eq!((both.schema, both.positive.counts, both.count), (0, vec![8.0], 10.0));
}

#[test]
fn a_wider_zero_bucket_takes_in_what_it_covers_and_cuts_no_filled_bucket() {
    // 0.75 lies within the bucket from 0.5 to 1, so that the zero bucket reaches to 1.
    let wide = NativeHistogram { zero_threshold: 0.75, ..histogram(0, 1, &[1.0]) };
    let both = sum(&histogram(0, 0, &[4.0, 2.0]), &wide, 1.0);
    assert_eq!((both.zero_threshold, both.zero_count), (1.0, 6.0));
    assert_eq!(both.positive.counts, [3.0]);
}

#[test]
fn custom_bounds_that_differ_are_reconciled_to_those_that_all_have() {
    let mut both = HistogramSum::of(&custom(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0, 4.0]));
    both.add(&custom(&[2.0, 3.0, 4.0], &[10.0, 20.0, 30.0, 40.0]), 1.0).expect("they fit");
    assert!(both.is_reconciled());
    let both = both.finish();
    assert_eq!((both.custom_bounds, both.positive.counts), (vec![2.0, 4.0], vec![13.0, 53.0, 44.0]));
    assert_eq!(HistogramSum::of(&custom(&[1.0], &[1.0])).add(&histogram(0, 1, &[1.0]), 1.0), Err(Incompatible));
}

#[test]
fn small_numbers_outlive_large_ones_that_cancel() {
    let of = |sum: f64| NativeHistogram { sum, ..histogram(0, 1, &[1.0]) };
    let mut all = HistogramSum::of(&of(1.0));
    for value in [1e100, 1.0, -1e100] {
        all.add(&of(value), 1.0).expect("they fit");
    }
    assert_eq!(all.finish().sum, 2.0);
}

#[test]
fn hints_of_restarts_are_joined() {
    let of = |reset: ResetHint| NativeHistogram { reset, ..histogram(0, 1, &[1.0]) };
    let mut both = HistogramSum::of(&of(ResetHint::Yes));
    both.add(&of(ResetHint::No), 1.0).expect("they fit");
    assert!(both.is_collided());
    assert_eq!(both.finish().reset, ResetHint::Unknown);
    assert_eq!(sum(&of(ResetHint::No), &of(ResetHint::Gauge), 1.0).reset, ResetHint::Gauge);
}

#[test]
fn a_restart_shows_in_any_bucket() {
    let before = histogram(1, 1, &[2.0, 5.0]);
    assert!(!histogram(1, 1, &[2.0, 6.0, 1.0]).is_reset_since(&before));
    assert!(histogram(1, 1, &[1.0, 9.0]).is_reset_since(&before), "a bucket fell");
    assert!(histogram(1, 2, &[9.0]).is_reset_since(&before), "a bucket is gone");
    assert!(!histogram(0, 1, &[7.0]).is_reset_since(&before), "coarser, and nothing fell");
    assert!(histogram(2, 1, &[9.0, 9.0, 9.0, 9.0]).is_reset_since(&before), "finer");
    let known = NativeHistogram { reset: ResetHint::No, ..histogram(1, 1, &[0.0]) };
    assert!(!known.is_reset_since(&before), "what is known counts first");
    assert!(custom(&[1.0, 2.0], &[1.0, 0.0]).is_reset_since(&custom(&[1.0, 2.0], &[1.0, 1.0])));
    assert!(!custom(&[2.0], &[3.0]).is_reset_since(&custom(&[1.0, 2.0], &[1.0, 1.0])));
}

#[test]
fn quantiles_and_shares_are_each_others_inverse() {
    let one = histogram(2, -3, &[1.0, 4.0, 2.0, 8.0, 3.0]);
    for q in [0.1, 0.3, 0.5, 0.9] {
        let Estimate::Sound(value) = one.quantile(q) else { panic!("it is sound") };
        let Estimate::Sound(share) = one.fraction(f64::NEG_INFINITY, value) else { panic!("it is sound") };
        assert!((share - q).abs() < 1e-9, "{share} and not {q}");
    }
    let with_nan = NativeHistogram { sum: f64::NAN, count: 100.0, ..one };
    assert_eq!(with_nan.quantile(0.99), Estimate::Lost);
    assert!(matches!(with_nan.quantile(0.1), Estimate::Skewed(_)));
}

#[test]
fn trimming_below_and_above_share_all_observations() {
    for one in [histogram(1, -2, &[1.0, 4.0, 2.0]), custom(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0, 4.0])] {
        let (below, above) = (one.trimmed(1.3, Kept::Below), one.trimmed(1.3, Kept::Above));
        let beyond = if one.is_custom() { 4.0 } else { 0.0 };
        // Of a bucket without end, nothing is known below a value within it.
        assert!((below.count + above.count - one.count).abs() < 1e-9 || beyond > 0.0);
        assert_eq!(one.trimmed(f64::INFINITY, Kept::Below), one);
    }
}

#[test]
fn it_is_written_with_its_filled_buckets() {
    assert_eq!(histogram(0, 1, &[2.0, 0.0]).to_string(), "{count:3, sum:10, [-0.001,0.001]:1, (1,2]:2}");
    assert_eq!(custom(&[1.0], &[1.0, 2.0]).to_string(), "{count:3, sum:10, [-Inf,1]:1, (1,+Inf]:2}");
}

#[test]
fn classic_buckets_accumulate_with_the_bounds_of_the_schema() {
    let classic = histogram(0, 1, &[2.0, 0.0, 3.0]).classic(2, 64);
    let expected = [(-0.001, 0.0), (0.001, 1.0), (1.0, 1.0), (2.0, 3.0), (4.0, 3.0), (8.0, 6.0), (f64::INFINITY, 6.0)];
    assert_eq!(classic, expected);
}

#[test]
fn a_finer_schema_is_joined_to_bounds_of_a_coarser_one() {
    // Schema 1 has bounds at 2^(i/2): buckets 1 and 2 are the one of schema 0 that ends at 2.
    let classic = histogram(1, 1, &[2.0, 5.0, 1.0]).classic(0, 64);
    assert_eq!(classic[2..], [(1.0, 1.0), (2.0, 8.0), (4.0, 9.0), (f64::INFINITY, 9.0)]);
    let many = histogram(8, -300, &[1.0; 600]).classic(8, 20);
    assert!(many.len() <= 24, "{}", many.len());
}

#[test]
fn histograms_add_up_in_the_coarser_schema() {
    let sum = histogram(1, 1, &[2.0, 5.0]).plus(&histogram(0, 2, &[3.0]));
    assert_eq!((sum.schema, sum.count, sum.zero_count), (0, 12.0, 2.0));
    assert_eq!(sum.positive.spans, [Span { offset: 1, length: 2 }]);
    assert_eq!(sum.positive.counts, [7.0, 3.0]);
    assert_eq!(sum.check(), Ok(()));
}

#[test]
fn what_contradicts_itself_is_told() {
    assert_eq!(histogram(0, 1, &[1.0]).check(), Ok(()));
    assert!(histogram(9, 1, &[1.0]).check().is_err());
    assert!(histogram(0, 1, &[-1.0]).check().is_err());
    assert!(NativeHistogram { count: 0.0, ..histogram(0, 1, &[1.0]) }.check().is_err());
    let mut short = histogram(0, 1, &[1.0]);
    short.positive.counts.clear();
    assert!(short.check().is_err());
}

#[test]
fn custom_bounds_are_told_as_they_are() {
    let custom = NativeHistogram {
        zero_count: 0.0,
        custom_bounds: vec![1.0, 5.0],
        ..histogram(CUSTOM_SCHEMA, 0, &[1.0, 2.0, 4.0])
    };
    assert_eq!(custom.check(), Ok(()));
    assert_eq!(custom.classic(2, 64), [(1.0, 1.0), (5.0, 3.0), (f64::INFINITY, 8.0)]);
    assert!(NativeHistogram { custom_bounds: vec![5.0, 1.0], ..custom }.check().is_err());
}
