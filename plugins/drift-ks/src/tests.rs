//! The metric as the host uses it: fit in chunks, keep, compare.

use super::*;

fn columns(types: &[ColumnType]) -> Vec<ColumnDescription> {
    let column = |(i, column_type): (usize, &ColumnType)| ColumnDescription {
        name: format!("column {i}"),
        column_type: *column_type,
        width: 1,
        categories: vec![],
    };
    types.iter().enumerate().map(column).collect()
}

fn chunk(values: &[f64]) -> Chunk {
    Chunk { columns: vec![Values::Numbers(values.to_vec())] }
}

fn weyl(count: usize, step: f64) -> Vec<f64> {
    (1..=count).map(|i| (i as f64 * step) % 1.0).collect()
}

fn run(config: &Config, reference: &[f64], current: &[f64], chunk_rows: usize) -> Drift {
    let columns = columns(&[ColumnType::Numeric]);
    let mut fitting = KolmogorovSmirnov::fit(config, &columns, 1).unwrap();
    for part in reference.chunks(chunk_rows) {
        KolmogorovSmirnov::feed_reference(&mut fitting, &chunk(part)).unwrap();
    }
    let fitted = KolmogorovSmirnov::finish_reference(fitting).unwrap();
    let state = KolmogorovSmirnov::save(&fitted);
    let restored = KolmogorovSmirnov::load(config, &columns, &state).unwrap();
    let mut comparison = KolmogorovSmirnov::compare(&restored, 1).unwrap();
    for part in current.chunks(chunk_rows) {
        KolmogorovSmirnov::feed_current(&mut comparison, &chunk(part)).unwrap();
    }
    KolmogorovSmirnov::finish_current(comparison).unwrap().remove(0)
}

#[test]
fn chunks_and_a_kept_reference_change_nothing() {
    let (reference, current) = (weyl(500, 0.618_033_988_749_894_9), weyl(400, 0.414_213_562_373_095_15));
    let whole = run(&Config::default(), &reference, &current, 1_000);
    let parts = run(&Config::default(), &reference, &current, 7);
    assert_eq!((whole.value, whole.p_value), (parts.value, parts.p_value));
    assert!(!whole.drifted);
    assert_eq!((whole.reference_count, whole.current_count), (500, 400));
}

#[test]
fn a_tiny_difference_of_large_samples_is_significant_and_no_drift() {
    let reference = weyl(60_000, 0.618_033_988_749_894_9);
    let current: Vec<f64> = weyl(60_000, 0.414_213_562_373_095_15).iter().map(|v| v + 0.02).collect();
    let found = run(&Config::default(), &reference, &current, 10_000);
    assert!(found.p_value.unwrap() < 0.001 && !found.drifted, "{found:?}");
    let strict = Config { min_distance: 0.0, ..Config::default() };
    assert!(run(&strict, &reference, &current, 10_000).drifted);
}

#[test]
fn missing_values_do_not_count() {
    let found = run(&Config::default(), &[1.0, f64::NAN, 2.0], &[1.0, 2.0, f64::INFINITY, 3.0], 10);
    assert_eq!((found.reference_count, found.current_count), (2, 3));
}

#[test]
fn columns_that_are_not_numeric_get_no_answer() {
    let kinds = [ColumnType::Categorical, ColumnType::Numeric];
    let refused = KolmogorovSmirnov::fit(&Config::default(), &columns(&kinds[..1]), 0).err().unwrap();
    assert_eq!(refused.code, tandem_sdk::types::FailureCode::Unsupported);
    assert!(refused.message.contains("column 0"));
    let mut fitting = KolmogorovSmirnov::fit(&Config::default(), &columns(&kinds), 0).unwrap();
    let mixed = Chunk { columns: vec![Values::Codes(vec![0, 1]), Values::Numbers(vec![1.0, 2.0])] };
    KolmogorovSmirnov::feed_reference(&mut fitting, &mixed).unwrap();
    let fitted = KolmogorovSmirnov::finish_reference(fitting).unwrap();
    let mut comparison = KolmogorovSmirnov::compare(&fitted, 0).unwrap();
    KolmogorovSmirnov::feed_current(&mut comparison, &mixed).unwrap();
    let drifts = KolmogorovSmirnov::finish_current(comparison).unwrap();
    assert_eq!(drifts.iter().map(|drift| drift.column).collect::<Vec<_>>(), [Some(1)]);
}

#[test]
fn samples_without_values_fail() {
    let columns = columns(&[ColumnType::Numeric]);
    let mut fitting = KolmogorovSmirnov::fit(&Config::default(), &columns, 0).unwrap();
    KolmogorovSmirnov::feed_reference(&mut fitting, &chunk(&[f64::NAN])).unwrap();
    assert!(KolmogorovSmirnov::finish_reference(fitting).is_err());
}

#[test]
fn a_broken_state_is_refused() {
    let columns = columns(&[ColumnType::Numeric]);
    let load = |bytes: &[u8]| KolmogorovSmirnov::load(&Config::default(), &columns, bytes).err();
    let good = Fitted { columns: vec![Some(ColumnReference { seen: 2, values: vec![1.0, 2.0] })] }.save();
    assert!(load(&good).is_none());
    assert!(load(&[]).is_some() && load(&[7]).is_some() && load(&good[..good.len() - 1]).is_some());
    let unsorted = Fitted { columns: vec![Some(ColumnReference { seen: 2, values: vec![2.0, 1.0] })] }.save();
    assert!(load(&unsorted).is_some());
    assert!(check(&Config { p_value: 0.0, ..Config::default() }).is_err());
    assert_eq!(KolmogorovSmirnov::describe().name, env!("CARGO_PKG_NAME"));
}

#[test]
fn large_samples_are_sampled_and_say_so() {
    let values = weyl(MAX_VALUES_PER_COLUMN + 1, 0.618_033_988_749_894_9);
    let found = run(&Config::default(), &values, &values[..1_000], 100_000);
    assert!(found.details.iter().any(|detail| detail.name == "reference sampled"), "{:?}", found.details);
    assert!(!found.drifted);
}
