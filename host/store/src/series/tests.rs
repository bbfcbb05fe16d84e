//! The engine against a plain model, over flushes and restarts.

use crate::{Appended, Store, StoreOptions};
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

#[tokio::test]
async fn runs_of_a_window_that_is_over_become_one_and_nothing_changes_for_readers() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = StoreOptions { head_bytes: 1 << 20, ..StoreOptions::default() };
    let mut store = Store::open(folder.path(), options.clone()).expect("opens");
    let ids: Vec<SeriesId> = registered(&store, 300).await;
    let mut expected: Vec<BTreeMap<i64, u64>> = vec![BTreeMap::new(); ids.len()];
    for step in 0..120i64 {
        let mut batch = SampleBatch::default();
        for (place, id) in ids.iter().enumerate().filter(|(place, _)| !(step as usize + place).is_multiple_of(7)) {
            let value = if step == 60 { f64::NAN } else { (step * place as i64) as f64 / 10.0 };
            batch.push(*id, Timestamp(step * 120_000), value);
            expected[place].insert(step * 120_000, value.to_bits());
        }
        store.write(move |tx| tx.append_samples(&batch)).await.expect("appends");
        if step % 9 == 8 {
            store.flush().await.expect("flushes");
        }
    }
    let check = |store: &Store, when: &str| {
        let read = store.read().expect("reads");
        let found = read.points_of_many(&ids, Timestamp::MIN, Timestamp::MAX).expect("points");
        for (place, points) in found.iter().enumerate() {
            let found: BTreeMap<i64, u64> =
                points.at.iter().zip(&points.value).map(|(at, value)| (at.0, value.to_bits())).collect();
            assert_eq!(found, expected[place], "series {place} {when}");
            assert!(points.at.is_sorted_by(|a, b| a < b));
        }
        let some = read.points(ids[200], Timestamp(3_600_000), Timestamp(9_000_000)).expect("points");
        let inside = expected[200].range(3_600_000..=9_000_000).count();
        assert_eq!(some.at.len(), inside, "a part of one series {when}");
    };
    let runs = |store: &Store| {
        let read = store.read().expect("reads");
        read.windows().expect("windows").iter().map(|window| window.runs().len()).collect::<Vec<_>>()
    };
    check(&store, "before");
    assert!(runs(&store).iter().all(|runs| *runs > 1), "{:?}", runs(&store));
    let old_reader = store.read().expect("reads");
    while store.maintain(Timestamp(6 * 3_600_000)).await.expect("maintains") {}
    assert_eq!(runs(&store), [1, 1]);
    check(&store, "after");
    assert!(old_reader.points(ids[0], Timestamp::MIN, Timestamp::MAX).expect("points").at.len() > 90, "an old reader");
    drop(old_reader);
    drop(store);
    store = reopen(folder.path()).await;
    check(&store, "after a restart");
    assert_eq!((store.metrics().head_samples, store.metrics().wal_bytes), (0, 0), "nothing is read twice");
}

/// Registers so many series.
async fn registered(store: &Store, count: usize) -> Vec<SeriesId> {
    let all = move |tx: &mut crate::WriteTx<'_>| {
        (0..count).map(|number| tx.register_series(&target(), &description(&format!("metric_{number}")))).collect()
    };
    store.write(all).await.expect("registers")
}

#[tokio::test]
async fn what_repeats_is_kept_once_and_what_comes_too_late_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let id = register(&store, "a").await;
    let append = |rows: &[(i64, f64)]| {
        let mut batch = SampleBatch::default();
        rows.iter().for_each(|(minute, value)| batch.push(id, Timestamp(minute * 60_000), *value));
        let store = store.clone();
        async move { store.write(move |tx| tx.append_samples(&batch)).await.expect("appends") }
    };
    let points = || {
        let read = store.read().expect("reads");
        let points = read.points(id, Timestamp::MIN, Timestamp::MAX).expect("points");
        points.at.iter().map(|at| at.0 / 60_000).zip(points.value).collect::<Vec<_>>()
    };
    assert_eq!(append(&[(100, 1.0), (101, 2.0)]).await, Appended { kept: 2, ..Appended::default() });
    assert_eq!(append(&[(101, 2.0)]).await, Appended { duplicates: 1, ..Appended::default() });
    let late = append(&[(70, 7.0), (71, 7.5), (101, 2.0), (102, 3.0)]).await;
    assert_eq!(late, Appended { kept: 2, duplicates: 1, too_late: 1 }, "at most thirty minutes behind the newest");
    append(&[(71, 7.5), (100, 1.5)]).await;
    let expected = [(71, 7.5), (100, 1.5), (101, 2.0), (102, 3.0)];
    assert_eq!(points(), expected, "of one moment the later arrival counts");
    store.flush().await.expect("flushes");
    assert_eq!(points(), expected);
    let mut found = 0;
    for window in store.read().expect("reads").windows().expect("windows") {
        found += window.runs().iter().map(|(_, run)| run.samples).sum::<u64>();
    }
    assert_eq!(found, 4, "and nothing stands there twice");
}

#[tokio::test]
async fn the_oldest_windows_go_when_there_is_too_much() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = StoreOptions { max_bytes: Some(20_000), ..StoreOptions::default() };
    let store = Store::open(folder.path(), options).expect("opens");
    let id = register(&store, "a").await;
    for window in 0..8i64 {
        let mut batch = SampleBatch::default();
        let noise =
            |step: i64| f64::from_bits(0x3ff0_0000_0000_0000 | (step as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 12);
        (0..1_000).for_each(|step| batch.push(id, Timestamp(window * 7_200_000 + step * 7_000), noise(step)));
        store.write(move |tx| tx.append_samples(&batch)).await.expect("appends");
        store.flush().await.expect("flushes");
        store.maintain(Timestamp(window * 7_200_000)).await.expect("maintains");
    }
    let read = store.read().expect("reads");
    let windows = read.windows().expect("windows");
    let bytes: u64 = windows.iter().map(|window| window.bytes()).sum();
    assert!(bytes <= 20_000 && (1..=4).contains(&windows.len()), "{} windows of {bytes} bytes", windows.len());
    let points = read.points(id, Timestamp::MIN, Timestamp::MAX).expect("points");
    assert_eq!(points.at.len(), windows.len() * 1_000);
    assert_eq!(points.at.last(), Some(&Timestamp(7 * 7_200_000 + 999 * 7_000)), "the newest are kept");
}

#[tokio::test]
async fn a_head_that_is_not_flushed_refuses_in_the_end_and_takes_in_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = StoreOptions { head_bytes: 1 << 20, ..StoreOptions::default() };
    let store = Store::open(folder.path(), options).expect("opens");
    let id = register(&store, "a").await;
    let mut refused = None;
    for round in 0..100i64 {
        let mut batch = SampleBatch::default();
        (0..10_000).for_each(|step| batch.push(id, Timestamp(round * 10_000 + step), step as f64));
        if let Err(error) = store.write(move |tx| tx.append_samples(&batch)).await {
            refused = Some((round, error));
            break;
        }
    }
    let (round, error) = refused.expect("memory is bounded");
    assert!(matches!(error, crate::WriteError::Crowded) && store.is_crowded(), "{error}");
    assert!((10..40).contains(&round), "after {round} rounds of 170 kB");
    tokio::time::timeout(std::time::Duration::from_secs(60), store.head_filled()).await.expect("it was told");
    store.maintain(Timestamp(0)).await.expect("maintains");
    assert!(!store.is_crowded());
    store
        .write(move |tx| {
            tx.append_samples(&SampleBatch {
                series: vec![id],
                at: vec![Timestamp(0)],
                value: vec![1.0],
                ..SampleBatch::default()
            })
        })
        .await
        .expect("taken");
    let kept = store.read().expect("reads").points(id, Timestamp::MIN, Timestamp::MAX).expect("points").at.len();
    assert_eq!(kept as i64, round * 10_000, "the late one is out of its window");
}
