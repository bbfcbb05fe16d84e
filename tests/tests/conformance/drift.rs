//! Drift metrics: the same sample has not drifted, a moved one has, and how rows were cut into chunks does not matter.

use crate::{Numbers, assert_unbroken, loaded};
use tandem_domain::{
    drift::{Chunk, ColumnDescription, ColumnType, ColumnValues, Drift},
    ports::DriftMetrics,
};

const ROWS: usize = 3_000;

fn columns() -> Vec<ColumnDescription> {
    let categories = ["a", "b", "c"].map(str::to_owned).to_vec();
    vec![
        ColumnDescription { name: "x".into(), column_type: ColumnType::Numeric, width: 1, categories: Vec::new() },
        ColumnDescription { name: "kind".into(), column_type: ColumnType::Categorical, width: 1, categories },
    ]
}

/// Rows from a normal distribution (Box and Muller 1958) and from three categories; one in fifty is missing.
fn rows(seed: u64, shift: f64) -> (Vec<f64>, Vec<u32>) {
    let mut numbers = Numbers(seed);
    let mut row = || {
        let (radius, angle) = ((-2.0 * numbers.unit().max(1e-300).ln()).sqrt(), std::f64::consts::TAU * numbers.unit());
        let missing = numbers.next().is_multiple_of(50);
        let number = if missing { f64::NAN } else { radius * angle.cos() + shift };
        let bound = 0.5 - shift * 0.3;
        let code = if missing { u32::MAX } else { u32::from(numbers.unit() > bound) + u32::from(numbers.unit() > 0.9) };
        (number, code)
    };
    (0..ROWS).map(|_| row()).unzip()
}

fn chunks(seed: u64, shift: f64, rows_each: usize) -> Vec<Chunk> {
    let (numbers, codes) = rows(seed, shift);
    let cut = numbers.chunks(rows_each).zip(codes.chunks(rows_each));
    cut.map(|(numbers, codes)| Chunk {
        columns: vec![ColumnValues::Numbers(numbers.to_vec()), ColumnValues::Codes(codes.to_vec())],
    })
    .collect()
}

fn values(results: &[Drift]) -> Vec<(Option<u32>, f64, bool, u64, u64)> {
    results.iter().map(|r| (r.column, r.value, r.drifted, r.reference_count, r.current_count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_has_not_drifted_the_moved_has_and_chunks_do_not_matter() {
    let (runtime, _data) = loaded().await;
    let columns = columns();
    for plugin in runtime.drift_metrics() {
        let name = &plugin.name;
        let fitted = runtime.fit(name, &columns, chunks(1, 0.0, ROWS), 7).await.expect("fits");
        let pieces = runtime.fit(name, &columns, chunks(1, 0.0, 101), 7).await.expect("fits");
        for (shift, drifted) in [(0.0, false), (1.0, true)] {
            let whole = runtime.compare(name, &columns, &fitted, chunks(2, shift, ROWS), 7).await.expect("compares");
            let cut = runtime.compare(name, &columns, &pieces, chunks(2, shift, 97), 7).await.expect("compares");
            assert_eq!(values(&whole), values(&cut), "{name} minds how rows are cut into chunks");
            assert!(!whole.is_empty(), "{name} says nothing");
            for result in whole {
                assert_eq!(result.drifted, drifted, "{name}, shift {shift}: {result:?}");
                assert!(result.value.is_finite() && result.threshold.is_finite(), "{name}: {result:?}");
                assert!(result.p_value.is_none_or(|p| (0.0..=1.0).contains(&p)), "{name}: {result:?}");
                assert!(
                    result.reference_count <= ROWS as u64 && result.current_count <= ROWS as u64,
                    "{name}: {result:?}"
                );
                assert!(
                    !result.method.id.is_empty() && !result.method.version.is_empty(),
                    "{name}: {:?}",
                    result.method
                );
            }
        }
    }
    assert_unbroken(&runtime);
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_that_tell_nothing_are_refused_or_said_to_tell_nothing() {
    let (runtime, _data) = loaded().await;
    let column = |numbers: Vec<f64>| vec![Chunk { columns: vec![ColumnValues::Numbers(numbers)] }];
    let columns = [columns().swap_remove(0)];
    for plugin in runtime.drift_metrics() {
        let name = &plugin.name;
        for reference in [vec![], vec![f64::NAN; 100], vec![1.0; 100], vec![f64::INFINITY, f64::NEG_INFINITY]] {
            match runtime.fit(name, &columns, column(reference.clone()), 7).await {
                Ok(fitted) => {
                    for current in [vec![], vec![f64::NAN; 100], vec![2.0; 100]] {
                        match runtime.compare(name, &columns, &fitted, column(current), 7).await {
                            Ok(results) => assert!(results.iter().all(|r| !r.value.is_nan()), "{name}: {results:?}"),
                            Err(failure) => assert!(failure.message.contains(name.as_str()), "{failure}"),
                        }
                    }
                }
                Err(failure) => assert!(failure.message.contains(name.as_str()), "{failure}"),
            }
        }
        let broken = runtime.compare(name, &columns, &[0xff; 40], column(vec![1.0; 100]), 7).await;
        assert!(broken.is_err(), "{name} takes a reference that is not its own");
    }
    assert_unbroken(&runtime);
}
