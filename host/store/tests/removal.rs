//! Deleting: a time of some series, whole series, and series that have nothing any more; and that nothing deleted comes back
//! with a flush, a restart or a power cut, while a sender that goes on finds its series again.

use std::path::Path;
use tandem_domain::{
    Timestamp,
    series::{Labels, MetricType, SampleBatch, Series, SeriesDescription, SeriesId},
    target::TargetKey,
};
use tandem_store::{LabelFilter, Store, StoreOptions, WriteError, testing::LossyDisk};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn target() -> TargetKey {
    TargetKey { job: "node".into(), instance: "a:1".into() }
}

fn description(metric: &str) -> SeriesDescription {
    let labels = Labels::new([("device".to_owned(), "sda".to_owned())]);
    SeriesDescription { metric: metric.into(), metric_type: MetricType::Unknown, unit: String::new(), labels }
}

async fn register(store: &Store, metric: &str) -> SeriesId {
    let description = description(metric);
    store.write(move |tx| tx.register_series(&target(), &description)).await.expect("registers")
}

async fn append(store: &Store, id: SeriesId, minutes: std::ops::Range<i64>) -> Result<(), WriteError> {
    let mut batch = SampleBatch::default();
    minutes.for_each(|minute| batch.push(id, Timestamp(minute * MINUTE), minute as f64));
    store.write(move |tx| tx.append_samples(&batch).map(drop)).await
}

fn minutes(store: &Store, id: SeriesId) -> Vec<i64> {
    let points = store.read().expect("reads").points(id, Timestamp::MIN, Timestamp::MAX).expect("points");
    points.at.iter().map(|at| at.0 / MINUTE).collect()
}

fn all(store: &Store) -> Vec<SeriesId> {
    store.read().expect("reads").select_series(&LabelFilter::default())
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
async fn a_deleted_time_is_gone_before_and_after_flushes_and_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path(), StoreOptions::default()).await;
    let (one, other) = (register(&store, "one").await, register(&store, "other").await);
    append(&store, one, 0..10).await.expect("appends");
    append(&store, other, 0..10).await.expect("appends");
    for (from, to) in [(2, 3), (5, 6), (3, 4)] {
        let (from, to) = (Timestamp(from * MINUTE), Timestamp(to * MINUTE));
        store.write(move |tx| tx.delete_samples(&[one], from, to)).await.expect("deletes");
    }
    for _ in 0..2 {
        assert_eq!(minutes(&store, one), [0, 1, 7, 8, 9]);
        assert_eq!(minutes(&store, other).len(), 10);
        for _ in 0..3 {
            store.maintain(Timestamp(10 * HOUR)).await.expect("maintains");
        }
        assert_eq!(minutes(&store, one), [0, 1, 7, 8, 9]);
        drop(store);
        store = open(folder.path(), StoreOptions::default()).await;
    }
}

#[tokio::test]
async fn a_removed_series_is_gone_everywhere_and_its_sender_finds_it_again_without_what_was_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = open(folder.path(), StoreOptions::default()).await;
    let (gone, stays) = (register(&store, "gone").await, register(&store, "stays").await);
    append(&store, gone, 0..10).await.expect("appends");
    append(&store, stays, 0..10).await.expect("appends");
    let now = Timestamp(20 * MINUTE);
    assert_eq!(store.write(move |tx| tx.delete_series(&[gone, gone], now)).await.expect("deletes"), 1);
    assert_eq!(all(&store), [stays]);
    let read = store.read().expect("reads");
    assert_eq!(read.series_id(&target(), &description("gone")).expect("reads"), None);
    assert_eq!(read.get::<Series>(&gone.0).expect("reads"), None);
    assert_eq!(read.series_labels(gone), None);
    assert_eq!(read.latest(gone).expect("reads"), None);
    assert_eq!(read.label_values("__name__", &LabelFilter::default()), ["stays"]);
    assert!(minutes(&store, gone).is_empty());
    drop(read);
    // The end that a scraper tells of brings nothing back; a sample does, under the number that its door remembers.
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let end = SampleBatch {
        series: vec![gone],
        at: vec![Timestamp(21 * MINUTE)],
        value: vec![stale],
        ..SampleBatch::default()
    };
    store.write(move |tx| tx.append_samples(&end).map(drop)).await.expect("appends");
    assert_eq!(all(&store), [stays]);
    append(&store, gone, 22..24).await.expect("appends");
    assert_eq!(all(&store), [gone, stays]);
    assert_eq!(register(&store, "gone").await, gone);
    assert_eq!(minutes(&store, gone), [22, 23]);
    for _ in 0..3 {
        store.maintain(Timestamp(10 * HOUR)).await.expect("maintains");
    }
    drop(store);
    store = open(folder.path(), StoreOptions::default()).await;
    assert_eq!((all(&store), minutes(&store, gone)), (vec![gone, stays], vec![22, 23]));
}

#[tokio::test]
async fn a_door_that_remembers_a_number_writes_to_the_series_that_was_registered_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path(), StoreOptions::default()).await;
    let old = register(&store, "m").await;
    append(&store, old, 0..5).await.expect("appends");
    // Removed and registered in one change, as a busy commit may have it.
    let new = store
        .write(move |tx| {
            tx.delete_series(&[old], Timestamp(10 * MINUTE))?;
            tx.register_series(&target(), &description("m"))
        })
        .await
        .expect("writes");
    assert_ne!(old, new);
    append(&store, old, 11..13).await.expect("appends");
    append(&store, new, 13..14).await.expect("appends");
    assert_eq!((all(&store), minutes(&store, new)), (vec![new], vec![11, 12, 13]));
}

#[tokio::test]
async fn a_series_without_samples_in_the_retention_is_forgotten_and_comes_back_with_its_next_sample() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = StoreOptions { retention_millis: 4 * HOUR, ..StoreOptions::default() };
    let store = open(folder.path(), options).await;
    let (silent, lively) = (register(&store, "silent").await, register(&store, "lively").await);
    append(&store, silent, 0..5).await.expect("appends");
    for hour in 0..24 {
        append(&store, lively, hour * 60..hour * 60 + 2).await.expect("appends");
        for _ in 0..4 {
            store.maintain(Timestamp(hour * HOUR + 10 * MINUTE)).await.expect("maintains");
        }
    }
    assert_eq!(all(&store), [lively]);
    assert_eq!(store.metrics().series, 1);
    append(&store, silent, 24 * 60..24 * 60 + 1).await.expect("appends");
    assert_eq!(all(&store), [silent, lively]);
    assert_eq!(minutes(&store, silent), [24 * 60]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_undoes_no_removal_that_was_acknowledged() {
    for cut in 1..12 {
        let disk = LossyDisk::default();
        let of_disk = disk.clone();
        let open = move || {
            let disk = of_disk.clone();
            Store::open_with_backend(move || Box::new(disk.clone()), StoreOptions::default()).expect("opens")
        };
        let store = open();
        let mut ids = Vec::new();
        for number in 0..12 {
            ids.push(register(&store, &format!("m{number}")).await);
            append(&store, ids[number], 0..3).await.expect("appends");
        }
        disk.cut_at_sync(disk.syncs() + cut);
        let mut removed = Vec::new();
        for id in ids.clone() {
            let done = store.write(move |tx| tx.delete_series(&[id], Timestamp(HOUR))).await;
            if done.is_err() {
                break;
            }
            removed.push(id);
        }
        drop(store);
        disk.restore_power();
        let store = open();
        let found = all(&store);
        assert!(removed.iter().all(|id| !found.contains(id)), "{removed:?} were removed, and {found:?} are there");
        assert!(found.iter().all(|id| minutes(&store, *id) == [0, 1, 2]));
        assert!(found.len() + removed.len() + 1 >= ids.len(), "only what was asked for is gone");
    }
}
