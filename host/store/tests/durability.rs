//! Acknowledged means durable: over a disk that loses what was not synced, cut at every sync point; over a full disk; and
//! with many writers sharing commits.

use serde::{Deserialize, Serialize};
use tandem_domain::{
    LogRecord, Record, Timestamp,
    series::{Labels, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::TargetKey,
};
use tandem_store::{Store, StoreOptions, WriteError, testing::LossyDisk};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    name: String,
    number: u64,
}

impl Record for Note {
    const TABLE: &'static str = "notes";
    const VERSION: u16 = 1;
    type Key = String;
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl LogRecord for Note {
    const LOG: &'static str = "note_log";
    const VERSION: u16 = 1;
}

fn open(disk: &LossyDisk) -> Store {
    let disk = disk.clone();
    Store::open_with_backend(move || Box::new(disk.clone()), StoreOptions::default()).expect("opens")
}

/// Writes notes until the power goes; answers how many were acknowledged.
async fn write_until_cut(store: &Store, from: u64) -> u64 {
    let mut acknowledged = from;
    for number in from + 1..from + 200 {
        let written = store
            .write(move |tx| {
                tx.put(&Note { name: "newest".into(), number })?;
                tx.append(&Note { name: "log".into(), number })?;
                tx.set_cursor("reader", number)
            })
            .await;
        match written {
            Ok(()) => acknowledged = number,
            Err(_) => break,
        }
    }
    acknowledged
}

fn check(store: &Store, acknowledged: u64) -> u64 {
    let read = store.read().expect("reads");
    let newest = read.get::<Note>(&"newest".to_owned()).expect("reads").map_or(0, |note| note.number);
    let log: Vec<u64> =
        read.log_after::<Note>(0, usize::MAX).expect("reads").into_iter().map(|(_, note)| note.number).collect();
    assert!(newest >= acknowledged, "{acknowledged} was acknowledged and {newest} is there");
    assert_eq!(log, (1..=newest).collect::<Vec<_>>(), "table and log were committed together");
    assert_eq!(read.cursor("reader").expect("reads"), newest, "and so was the cursor");
    newest
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cut_at_every_sync_point_loses_nothing_acknowledged() {
    let mut cuts = 0;
    for leak in [None, Some(1), Some(2), Some(3)] {
        for cut in 1..40 {
            let disk = LossyDisk::default();
            let store = open(&disk);
            let start = write_until_cut_at(&store, &disk, 5).await;
            if let Some(every) = leak {
                disk.leak_every(every);
            }
            disk.cut_at_sync(disk.syncs() + cut);
            let acknowledged = write_until_cut(&store, start).await;
            assert!(disk.is_cut());
            drop(store);
            disk.restore_power();
            cuts += 1;
            let store = open(&disk);
            let newest = check(&store, acknowledged);
            // The store goes on from there.
            write_until_cut_at(&store, &disk, newest + 3).await;
            check(&store, newest + 3);
        }
    }
    assert_eq!(cuts, 4 * 39);
}

/// Writes up to a number with the power on.
async fn write_until_cut_at(store: &Store, disk: &LossyDisk, last: u64) -> u64 {
    let from = store.read().expect("reads").cursor("reader").expect("reads");
    for number in from + 1..=last {
        store
            .write(move |tx| {
                tx.put(&Note { name: "newest".into(), number })?;
                tx.append(&Note { name: "log".into(), number })?;
                tx.set_cursor("reader", number)
            })
            .await
            .expect("the power is on");
    }
    assert!(!disk.is_cut());
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_clearly_and_goes_on_when_there_is_space_again() {
    let disk = LossyDisk::default();
    let store = open(&disk);
    write_until_cut_at(&store, &disk, 5).await;
    disk.limit_bytes(Some(disk.len_bytes()));
    let big = || async { store.write(|tx| tx.put(&Note { name: "x".repeat(8 << 20), number: 1 })).await };
    let error = big().await.expect_err("there is no space");
    assert!(matches!(error, WriteError::Storage(_)), "{error}");
    assert!(error.to_string().contains("can be tried again"), "{error}");
    check(&store, 5);
    disk.limit_bytes(None);
    big().await.expect("there is space again");
    write_until_cut_at(&store, &disk, 8).await;
    check(&store, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_commits_and_a_failed_change_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let writers = (0..200u64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |tx| {
                    tx.put(&Note { name: format!("{number:03}"), number })?;
                    match number % 10 {
                        3 => Err(WriteError::Refused("no threes".into())),
                        7 => panic!("no sevens"),
                        _ => Ok(()),
                    }
                })
                .await
                .is_ok()
        })
    });
    let mut kept = 0;
    for writer in writers.collect::<Vec<_>>() {
        kept += u64::from(writer.await.expect("joins"));
    }
    assert_eq!(kept, 160);
    let read = store.read().expect("reads");
    let notes = read.scan::<Note>(.., usize::MAX).expect("reads");
    assert_eq!(notes.len(), 160);
    assert!(notes.iter().all(|note| note.number % 10 != 3 && note.number % 10 != 7));
    let metrics = store.metrics();
    assert!(metrics.commits < metrics.changes, "{metrics:?}");
}

/// A step of the story of samples: every third step also writes a record, every seventh registers the series anew.
async fn sample(store: &Store, number: u64) -> Result<(), WriteError> {
    let description = SeriesDescription {
        metric: "m".into(),
        metric_type: MetricType::Gauge,
        unit: String::new(),
        labels: Labels::default(),
    };
    let target = TargetKey { job: "j".into(), instance: "i".into() };
    store
        .write(move |tx| {
            let id = if number % 7 == 1 { tx.register_series(&target, &description)? } else { SeriesId(1) };
            let mut batch = SampleBatch::default();
            (0..50).for_each(|step| batch.push(id, Timestamp((number * 50 + step) as i64 * 1_000), number as f64));
            tx.append_samples(&batch)?;
            if number.is_multiple_of(3) {
                tx.put(&Note { name: "newest".into(), number })?;
            }
            Ok(())
        })
        .await
}

/// What is there after a cut: every sample of what was acknowledged, none twice, the stream as the points, and no record without
/// the samples of its change.
fn check_samples(store: &Store, acknowledged: u64, when: &str) -> u64 {
    let read = store.read().expect("reads");
    let points = read.points(SeriesId(1), Timestamp::MIN, Timestamp::MAX).expect("points");
    assert_eq!(points.at.len() % 50, 0, "{when}: batches are kept whole");
    let last = points.at.len() as u64 / 50;
    assert!(last >= acknowledged, "{when}: {acknowledged} were acknowledged and {last} are there");
    let expected: Vec<(i64, f64)> =
        (50..(last + 1) * 50).map(|sample| (sample as i64 * 1_000, (sample / 50) as f64)).collect();
    let found: Vec<(i64, f64)> = points.at.iter().map(|at| at.0).zip(points.value).collect();
    assert_eq!(found, expected, "{when}");
    assert_eq!(read.samples_end().expect("reads"), last, "{when}: each batch has its number");
    let stream = read.samples_after(0, usize::MAX).expect("reads");
    assert!(stream.iter().all(|(number, batch)| batch.value[0] == *number as f64), "{when}");
    assert_eq!(stream.last().map_or(last, |(number, _)| *number), last, "{when}");
    let newest = read.get::<Note>(&"newest".to_owned()).expect("reads").map_or(0, |note| note.number);
    assert_eq!(newest, last - last % 3, "{when}: a record and its samples come together");
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cut_at_every_sync_point_loses_no_sample_and_keeps_none_twice() {
    let mut reached = 0;
    for leak in [None, Some(1), Some(2), Some(3)] {
        for cut in 1..45 {
            let disk = LossyDisk::default();
            let store = open(&disk);
            sample(&store, 1).await.expect("the power is on");
            if let Some(every) = leak {
                disk.leak_every(every);
            }
            disk.cut_at_sync(disk.syncs() + cut);
            let mut acknowledged = 1;
            for number in 2..40 {
                // Flushes and merges come in between, and the log is trimmed.
                let upkeep = async {
                    store.flush().await?;
                    store.maintain(Timestamp(10 * 3_600_000)).await
                };
                if number % 5 == 0 && upkeep.await.is_err() {
                    break;
                }
                if sample(&store, number).await.is_err() {
                    break;
                }
                acknowledged = number;
            }
            reached += u32::from(disk.is_cut());
            drop(store);
            disk.restore_power();
            let store = open(&disk);
            let when = format!("cut at {cut}, leak {leak:?}");
            let last = check_samples(&store, acknowledged, &when);
            for number in last + 1..=last + 4 {
                sample(&store, number).await.expect("the power is on");
            }
            store.flush().await.expect("flushes");
            check_samples(&store, last + 4, &when);
        }
    }
    assert!(reached > 4 * 30, "only {reached} cuts were reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_loses_no_acknowledged_sample() {
    let disk = LossyDisk::default();
    let store = open(&disk);
    for number in 1..=4 {
        sample(&store, number).await.expect("there is space");
    }
    disk.limit_bytes(Some(disk.len_bytes() + 1_000));
    let mut acknowledged = 4;
    while sample(&store, acknowledged + 1).await.is_ok() {
        acknowledged += 1;
        assert!(acknowledged < 100, "the disk has an end");
    }
    check_samples(&store, acknowledged, "full");
    disk.limit_bytes(None);
    sample(&store, acknowledged + 1).await.expect("there is space again");
    check_samples(&store, acknowledged + 1, "after");
    drop(store);
    check_samples(&open(&disk.in_next_machine()), acknowledged + 1, "after a restart");
}
