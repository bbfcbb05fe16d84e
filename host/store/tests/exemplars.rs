//! Exemplars: what is taken of them, how many are kept, and that they outlive a restart and a power cut, and go with their series
//! and with the retention.

use std::path::Path;
use tandem_domain::{
    Timestamp,
    exemplar::Exemplar,
    series::{Labels, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::TargetKey,
};
use tandem_store::{ExemplarsAppended, Store, StoreOptions, testing::LossyDisk};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn labelled(trace: &str) -> Labels {
    Labels::new([("trace_id".to_owned(), trace.to_owned()), ("empty".to_owned(), String::new())])
}

fn exemplar(at: i64, trace: &str) -> Exemplar {
    Exemplar { labels: labelled(trace), value: at as f64, at: Timestamp(at), timed: true }
}

async fn register(store: &Store, metric: &str) -> SeriesId {
    let target = TargetKey { job: "api".into(), instance: "a:1".into() };
    let description = SeriesDescription {
        metric: metric.into(),
        metric_type: MetricType::Unknown,
        unit: String::new(),
        labels: Labels::default(),
    };
    store.write(move |tx| tx.register_series(&target, &description)).await.expect("registers")
}

async fn append(store: &Store, batch: Vec<(SeriesId, Exemplar)>) -> ExemplarsAppended {
    store.write(move |tx| tx.append_exemplars(batch)).await.expect("appends")
}

fn moments(store: &Store, id: SeriesId) -> Vec<i64> {
    let found = store.read().expect("reads").exemplars(id, Timestamp::MIN, Timestamp::MAX).expect("exemplars");
    found.iter().map(|exemplar| exemplar.at.0).collect()
}

async fn open(folder: &Path, options: StoreOptions) -> Store {
    for _ in 0..200 {
        // The writer thread of an earlier store lets go of the file a moment after the last handle is gone.
        if let Ok(store) = Store::open(folder, options.clone()) {
            return store;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the file stayed locked");
}

#[tokio::test]
async fn what_prometheus_takes_is_taken_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path(), StoreOptions::default()).await;
    let (one, other) = (register(&store, "one").await, register(&store, "other").await);
    let taken = append(
        &store,
        vec![
            (one, exemplar(10, "a")),
            (one, exemplar(10, "a")),
            (one, exemplar(10, "b")),
            (one, exemplar(9, "c")),
            (one, exemplar(11, "d")),
            (one, exemplar(12, &"x".repeat(121))),
            (other, exemplar(5, &"x".repeat(120))),
        ],
    )
    .await;
    let expected = ExemplarsAppended { kept: 3, duplicates: 1, out_of_order: 2, too_long: 1, without_series: 0 };
    assert_eq!(taken, expected);
    for _ in 0..2 {
        let read = store.read().expect("reads");
        let found = read.exemplars(one, Timestamp(11), Timestamp(11)).expect("exemplars");
        let labels = Labels::new([("trace_id".to_owned(), "d".to_owned())]);
        assert_eq!(found, [Exemplar { labels, ..exemplar(11, "d") }], "an empty label is none");
        assert!(read.has_exemplars(other));
        drop(read);
        assert_eq!((moments(&store, one), store.metrics().exemplars), (vec![10, 11], 3));
        // The newest is known again: the same is a duplicate, and what is older stays out.
        let again = append(&store, vec![(one, exemplar(11, "d")), (one, exemplar(8, "e"))]).await;
        assert_eq!((again.duplicates, again.out_of_order, again.kept), (1, 1, 0));
        drop(store);
        store = open(folder.path(), StoreOptions::default()).await;
    }
}

#[tokio::test]
async fn one_without_a_time_is_kept_once_however_often_it_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), StoreOptions::default()).await;
    let one = register(&store, "one").await;
    let shown = |at, value| Exemplar { labels: labelled("a"), value, at: Timestamp(at), timed: false };
    for (at, value, kept) in [(10, 1.0, 1), (20, 1.0, 0), (30, 2.0, 1), (40, 2.0, 0)] {
        assert_eq!(append(&store, vec![(one, shown(at, value))]).await.kept, kept, "at {at}");
    }
    assert_eq!(moments(&store, one), [10, 30]);
}

#[tokio::test]
async fn there_are_as_many_as_there_may_be_in_total_and_of_one_series() {
    let folder = tempfile::tempdir().expect("a folder");
    let few = StoreOptions { max_exemplars: 4, ..StoreOptions::default() };
    let store = open(folder.path(), few.clone()).await;
    let (one, other) = (register(&store, "one").await, register(&store, "other").await);
    append(&store, vec![(other, exemplar(1, "first"))]).await;
    for at in 1..=3 {
        append(&store, vec![(one, exemplar(at, "a"))]).await;
    }
    assert_eq!((moments(&store, other).len(), moments(&store, one).len()), (1, 3));
    append(&store, vec![(one, exemplar(4, "a"))]).await;
    assert_eq!(
        (moments(&store, other), moments(&store, one)),
        (vec![], vec![1, 2, 3, 4]),
        "the oldest arrival is gone"
    );
    // More at once than there may be.
    append(&store, (10..20).map(|at| (other, exemplar(at, "b"))).collect()).await;
    for _ in 0..2 {
        assert_eq!(store.metrics().exemplars, 4);
    }
    assert_eq!((moments(&store, one), moments(&store, other)), (vec![], vec![16, 17, 18, 19]));
    drop(store);
    let store = open(folder.path(), few).await;
    assert_eq!(
        (store.metrics().exemplars, moments(&store, other)),
        (4, vec![16, 17, 18, 19]),
        "nothing evicted is left"
    );
    drop(store);

    let store = open(folder.path(), StoreOptions::default()).await;
    for from in [100, 700, 1_300] {
        append(&store, (from..from + 600).map(|at| (one, exemplar(at, "c"))).collect()).await;
    }
    assert_eq!((moments(&store, one).len(), moments(&store, one)[0]), (1_000, 900), "of one series the oldest go");
    assert_eq!(store.metrics().exemplars, 1_004);
    append(&store, (2_000..4_000).map(|at| (one, exemplar(at, "d"))).collect()).await;
    assert_eq!((moments(&store, one).len(), moments(&store, one)[0]), (1_000, 3_000), "in one change too");
    drop(store);

    let none = open(folder.path(), StoreOptions { max_exemplars: 0, ..StoreOptions::default() }).await;
    assert_eq!(append(&none, vec![(one, exemplar(9_000, "e"))]).await, ExemplarsAppended::default());
}

#[tokio::test]
async fn changes_of_one_commit_see_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), StoreOptions { max_exemplars: 20, ..StoreOptions::default() }).await;
    let one = register(&store, "one").await;
    // Held up, so that those after it share a commit.
    let writes: Vec<_> = (0..100)
        .map(|at| {
            let store = store.clone();
            tokio::spawn(async move { append(&store, vec![(one, exemplar(at, "a")), (one, exemplar(at, "a"))]).await })
        })
        .collect();
    let (mut kept, mut duplicates, mut late) = (0, 0, 0);
    for write in writes {
        let taken = write.await.expect("no panic");
        (kept, duplicates, late) = (kept + taken.kept, duplicates + taken.duplicates, late + taken.out_of_order);
    }
    assert_eq!(kept + duplicates + late, 200);
    let found = moments(&store, one);
    assert_eq!(found.len() as u64, kept.min(20));
    assert!(found.is_sorted_by(|earlier, later| earlier < later), "{found:?}");
    assert_eq!(store.metrics().exemplars, kept.min(20));
}

#[tokio::test]
async fn they_go_with_their_series_with_a_deleted_time_and_with_the_retention() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path(), StoreOptions { retention_millis: 4 * HOUR, ..StoreOptions::default() }).await;
    let (one, other) = (register(&store, "one").await, register(&store, "other").await);
    let both = |at| vec![(one, exemplar(at, "a")), (other, exemplar(at, "a"))];
    for minute in [1, 60, 120, 300] {
        append(&store, both(minute * MINUTE)).await;
    }
    store
        .write(move |tx| tx.delete_samples(&[other], Timestamp(50 * MINUTE), Timestamp(70 * MINUTE)))
        .await
        .expect("deletes");
    assert_eq!(moments(&store, other), [MINUTE, 120 * MINUTE, 300 * MINUTE]);
    store.maintain(Timestamp(5 * HOUR + 30 * MINUTE)).await.expect("maintains");
    assert_eq!(moments(&store, one), [120 * MINUTE, 300 * MINUTE], "beyond the retention");
    store.write(move |tx| tx.delete_series(&[one], Timestamp(5 * HOUR)).map(drop)).await.expect("deletes");
    for _ in 0..2 {
        assert_eq!((moments(&store, one).len(), moments(&store, other).len()), (0, 2));
        assert_eq!(store.metrics().exemplars, 2);
        drop(store);
        store = open(folder.path(), StoreOptions { retention_millis: 4 * HOUR, ..StoreOptions::default() }).await;
    }
}

#[tokio::test]
async fn an_exemplar_alone_brings_no_removed_series_back_and_one_after_a_sample_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), StoreOptions::default()).await;
    let one = register(&store, "one").await;
    append(&store, vec![(one, exemplar(1, "a"))]).await;
    store.write(move |tx| tx.delete_series(&[one], Timestamp(5)).map(drop)).await.expect("deletes");
    let alone = append(&store, vec![(one, exemplar(10, "b"))]).await;
    assert_eq!((alone.kept, alone.without_series), (0, 1));
    let together = store
        .write(move |tx| {
            let mut batch = SampleBatch::default();
            batch.push(one, Timestamp(20), 1.0);
            tx.append_samples(&batch)?;
            tx.append_exemplars(vec![(one, exemplar(20, "c"))])
        })
        .await
        .expect("writes");
    assert_eq!((together.kept, moments(&store, one)), (1, vec![20]));
}

#[tokio::test]
async fn what_is_acknowledged_outlives_a_power_cut_at_any_sync() {
    let mut cuts = 0;
    for cut_at in 1..60 {
        let disk = LossyDisk::default();
        let machine = disk.clone();
        let opened = Store::open_with_backend(move || Box::new(machine.clone()), StoreOptions::default());
        let Ok(store) = opened else { panic!("an empty disk can be opened") };
        let one = register(&store, "one").await;
        disk.cut_at_sync(disk.syncs() + cut_at);
        let mut acknowledged = Vec::new();
        for at in 1..=20 {
            let kept = store.write(move |tx| tx.append_exemplars(vec![(one, exemplar(at, "a"))])).await;
            if kept.is_ok_and(|taken| taken.kept == 1) {
                acknowledged.push(at);
            }
        }
        cuts += u32::from(disk.is_cut() && acknowledged.len() < 20);
        let next = disk.in_next_machine();
        drop(store);
        let store = Store::open_with_backend(move || Box::new(next.clone()), StoreOptions::default()).expect("opens");
        let found = moments(&store, one);
        assert!(acknowledged.iter().all(|at| found.contains(at)), "cut at {cut_at}: {acknowledged:?} {found:?}");
        assert!(found.is_sorted_by(|earlier, later| earlier < later));
    }
    assert!(cuts > 15, "the power was cut in the midst {cuts} times");
}
