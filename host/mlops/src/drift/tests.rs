//! Over a real store, with a metric made of the difference of means and one that always fails.

use super::*;
use crate::monitor::take_predictions;
use tandem_domain::{
    FailureCode,
    drift::{Chunk, ColumnType, ColumnValues, DriftState, Method},
    ports::BoxFuture,
    prediction::FeatureValue,
};
use tandem_store::StoreOptions;

struct Means;

fn mean(chunks: &[Chunk]) -> f64 {
    let ColumnValues::Numbers(values) = &chunks[0].columns[0] else { return 0.0 };
    values.iter().sum::<f64>() / values.len() as f64
}

impl DriftMetrics for Means {
    fn drift_metrics(&self) -> Vec<LivePlugin> {
        let live = |name: &str| LivePlugin {
            name: name.into(),
            digest: "d".into(),
            version: "1".into(),
            interests: Vec::new(),
        };
        vec![live("drift-broken"), live("drift-mean")]
    }
    fn fit<'a>(
        &'a self,
        plugin: &'a str,
        columns: &'a [ColumnDescription],
        reference: Vec<Chunk>,
        _: u64,
    ) -> BoxFuture<'a, Result<Vec<u8>, Failure>> {
        Box::pin(async move {
            if plugin == "drift-broken" || columns[0].column_type != ColumnType::Numeric {
                return Err(Failure::lasting(FailureCode::Unsupported, "not this column"));
            }
            Ok(mean(&reference).to_be_bytes().to_vec())
        })
    }
    fn compare<'a>(
        &'a self,
        _: &'a str,
        _: &'a [ColumnDescription],
        fitted: &'a [u8],
        current: Vec<Chunk>,
        _: u64,
    ) -> BoxFuture<'a, Result<Vec<Drift>, Failure>> {
        let value = (mean(&current) - f64::from_be_bytes(fitted.try_into().expect("eight bytes"))).abs();
        let method = Method {
            id: "mean".into(),
            version: "1".into(),
            binning: String::new(),
            log_base: String::new(),
            smoothing: String::new(),
        };
        let drift = Drift {
            column: Some(0),
            value,
            p_value: None,
            threshold: 1.0,
            drifted: value > 1.0,
            reference_count: 0,
            current_count: 0,
            method,
            details: Vec::new(),
        };
        Box::pin(async move { Ok(vec![drift]) })
    }
}

fn rows(from: u64, count: u64, level: f64) -> Vec<Prediction> {
    let row = |id: u64| Prediction {
        service: "chat".into(),
        model: "m".into(),
        version: "1".into(),
        id: id.to_string(),
        at: Timestamp(id as i64),
        replica: String::new(),
        features: [("x".to_owned(), FeatureValue::Number(level + (id % 3) as f64))].into(),
        prediction: FeatureValue::Text("yes".into()),
        score: None,
    };
    (from..from + count).map(row).collect()
}

fn reports(store: &Store) -> Vec<DriftReport> {
    store.read().expect("reads").scan::<DriftReport>(.., 100).expect("reads")
}

#[tokio::test]
async fn a_shift_is_reported_a_failed_metric_is_a_failed_line_and_nothing_is_reported_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let config = DriftConfig { reference_rows: 60, window_rows: 60, report_every_rows: 30, drifted_share: 0.5 };
    let mut room = DriftRoom::new(store.clone(), Arc::new(Means), config);
    take_predictions(&store, rows(1, 80, 0.0)).await.expect("kept");
    room.step(Timestamp(1)).await.expect("steps");
    assert!(reports(&store).is_empty(), "twenty rows in the window are not enough");
    take_predictions(&store, rows(81, 20, 0.0)).await.expect("kept");
    room.step(Timestamp(2)).await.expect("steps");
    room.step(Timestamp(3)).await.expect("steps");
    assert_eq!(reports(&store).iter().map(|r| r.state).collect::<Vec<_>>(), [DriftState::Stable]);
    take_predictions(&store, rows(101, 60, 9.0)).await.expect("kept");
    room.step(Timestamp(4)).await.expect("steps");
    let all = reports(&store);
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].state, DriftState::Drifted);
    assert_eq!(all[1].reference, (Timestamp(1), Timestamp(60)));
    let failed: Vec<&ColumnDrift> = all[1].columns.iter().filter(|line| line.outcome.is_err()).collect();
    assert_eq!(failed.len(), 3, "the broken metric fails for both columns, the other for the categorical one");
}
