//! The engine against a plain model, over flushes and restarts.

use crate::{Store, StoreOptions};
use std::collections::BTreeMap;
use tandem_domain::{
    Timestamp,
    series::{Labels, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::TargetKey,
};

fn description(metric: &str) -> SeriesDescription {
    SeriesDescription {
        metric: metric.into(),
        metric_type: MetricType::Gauge,
        unit: String::new(),
        labels: Labels::new([("device".to_owned(), "sda".to_owned())]),
    }
}

fn target() -> TargetKey {
    TargetKey { job: "node".into(), instance: "a:9100".into() }
}

async fn register(store: &Store, metric: &str) -> SeriesId {
    let description = description(metric);
    store.write(move |tx| tx.register_series(&target(), &description)).await.expect("registers")
}

#[tokio::test]
async fn a_series_is_registered_once_and_found_by_its_target() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let first = register(&store, "a").await;
    assert_eq!(first, register(&store, "a").await);
    let second = register(&store, "b").await;
    let read = store.read().expect("reads");
    assert_eq!(read.series_id(&target(), &description("a")).expect("reads"), Some(first));
    let of_target: Vec<SeriesId> = read.series_of_target(&target()).expect("reads").iter().map(|s| s.id).collect();
    assert_eq!(of_target, [first, second]);
    assert_eq!(read.log_after::<crate::NewSeries>(0, 10).expect("reads").len(), 2);
}

#[tokio::test]
async fn samples_survive_flushes_duplicates_and_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let series = [register(&store, "a").await, register(&store, "b").await];
    let mut model: [BTreeMap<i64, f64>; 2] = [BTreeMap::new(), BTreeMap::new()];
    for round in 0..60i64 {
        let mut batch = SampleBatch::default();
        for (which, id) in series.iter().enumerate() {
            for step in 0..10 {
                // Every third round goes back and overwrites; windows are crossed on the way.
                let at = (round - (round % 3) * 2) * 400_000 + step * 15_000;
                let value = (round * 10 + step) as f64 + which as f64 / 2.0;
                batch.push(*id, Timestamp(at), value);
                model[which].insert(at, value);
            }
        }
        store.write(move |tx| tx.append_samples(&batch)).await.expect("appends");
        if round % 7 == 0 {
            store.maintain(Timestamp(round * 400_000 + 3_600_000)).await.expect("maintains");
        }
        if round % 20 == 19 {
            drop(store);
            store = reopen(folder.path()).await;
        }
        for (which, id) in series.iter().enumerate() {
            let points = store.read().expect("reads").points(*id, Timestamp::MIN, Timestamp::MAX).expect("points");
            let expected: Vec<(i64, f64)> = model[which].iter().map(|(at, value)| (*at, *value)).collect();
            let found: Vec<(i64, f64)> = points.at.iter().map(|at| at.0).zip(points.value).collect();
            assert_eq!(found, expected, "series {which} after round {round}");
        }
    }
}

/// The writer thread lets go of the file a moment after the last handle is gone.
async fn reopen(folder: &std::path::Path) -> Store {
    for _ in 0..200 {
        if let Ok(store) = Store::open(folder, StoreOptions::default()) {
            return store;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the file stayed locked");
}

#[tokio::test]
async fn an_old_reader_misses_nothing_while_a_flush_moves_its_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let id = register(&store, "a").await;
    let mut batch = SampleBatch::default();
    (0..100).for_each(|step| batch.push(id, Timestamp(step * 1000), step as f64));
    store.write(move |tx| tx.append_samples(&batch)).await.expect("appends");
    let old_reader = store.read().expect("reads");
    let later = Timestamp(10 * 3_600_000);
    for _ in 0..3 {
        store.maintain(later).await.expect("maintains");
    }
    assert_eq!(old_reader.points(id, Timestamp::MIN, Timestamp::MAX).expect("points").at.len(), 100);
    drop(old_reader);
    store.maintain(later).await.expect("maintains");
    assert_eq!(store.metrics().head_samples, 0);
    assert_eq!(store.read().expect("reads").points(id, Timestamp::MIN, Timestamp::MAX).expect("points").at.len(), 100);
}

#[tokio::test]
async fn a_sample_reader_keeps_what_it_has_not_read_and_retention_drops_windows() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = StoreOptions { retention_millis: 4 * 3_600_000, ..StoreOptions::default() };
    let store = Store::open(folder.path(), options).expect("opens");
    let id = register(&store, "a").await;
    store.write(|tx| tx.set_cursor("samples/detect", 0)).await.expect("sets");
    let mut batch = SampleBatch::default();
    batch.push(id, Timestamp(1000), 1.0);
    store.write(move |tx| tx.append_samples(&batch)).await.expect("appends");
    store.maintain(Timestamp(2 * 3_600_000)).await.expect("maintains");
    assert_eq!(store.read().expect("reads").samples_after(0, 100).expect("reads").len(), 1);
    assert_eq!(store.read().expect("reads").points(id, Timestamp::MIN, Timestamp::MAX).expect("points").at.len(), 1);
    store.maintain(Timestamp(24 * 3_600_000)).await.expect("maintains");
    assert_eq!(store.read().expect("reads").points(id, Timestamp::MIN, Timestamp::MAX).expect("points").at.len(), 0);
}
