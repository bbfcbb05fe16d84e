//! The registry of series: what is acknowledged is found again after a power cut, what failed never was there, and a burst of
//! series is cheap.

use std::collections::BTreeSet;
use tandem_domain::{
    Timestamp,
    series::{Labels, MetricType, SampleBatch, Series, SeriesDescription, SeriesId},
    target::TargetKey,
};
use tandem_store::{
    LabelFilter, LabelMatcher, LabelTest, NewSeries, Store, StoreOptions, WriteError, testing::LossyDisk,
};

fn target(number: u64) -> TargetKey {
    TargetKey { job: "node".into(), instance: format!("host-{number}:9100") }
}

fn description(metric: &str, disk: u64) -> SeriesDescription {
    SeriesDescription {
        metric: metric.into(),
        metric_type: MetricType::Unknown,
        unit: String::new(),
        labels: Labels::new([("device".to_owned(), format!("sd{disk}"))]),
    }
}

fn filter(name: &str, value: &str) -> LabelFilter {
    let matcher = LabelMatcher { name: name.into(), test: LabelTest::Equal(value.into()) };
    LabelFilter { sets: vec![vec![matcher]], range: None }
}

fn open(disk: &LossyDisk) -> Store {
    let disk = disk.clone();
    Store::open_with_backend(move || Box::new(disk.clone()), StoreOptions::default()).expect("opens")
}

/// What the index says is what the records say.
fn check_whole(store: &Store) -> BTreeSet<u64> {
    let read = store.read().expect("reads");
    let records = read.scan::<Series>(.., usize::MAX).expect("reads");
    let found: Vec<SeriesId> = read.select_series(&LabelFilter::default());
    assert_eq!(found, records.iter().map(|series| series.id).collect::<Vec<_>>());
    for series in &records {
        assert_eq!(read.series_id(&series.target, &series.description).expect("reads"), Some(series.id));
    }
    found.into_iter().map(|id| id.0).collect()
}

#[tokio::test]
async fn a_series_is_found_by_its_labels_after_its_commit_and_never_when_that_failed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let refused = store
        .write(|tx| {
            tx.register_series(&target(1), &description("lost", 1))?;
            Err::<(), _>(WriteError::Refused("not this one".into()))
        })
        .await;
    assert!(refused.is_err());
    let id = store
        .write(|tx| {
            let id = tx.register_series(&target(1), &description("kept", 1))?;
            assert_eq!(tx.register_series(&target(1), &description("kept", 1))?, id, "once in one change");
            Ok(id)
        })
        .await
        .expect("registers");
    let read = store.read().expect("reads");
    assert_eq!(read.select_series(&filter("__name__", "kept")), [id]);
    assert_eq!(read.select_series(&filter("instance", "host-1:9100")), [id]);
    assert!(read.select_series(&filter("__name__", "lost")).is_empty());
    assert_eq!(read.label_values("device", &LabelFilter::default()), ["sd1"]);
    assert_eq!(read.label_names(&LabelFilter::default()), ["__name__", "device", "instance", "job"]);
    let gauge = SeriesDescription { metric_type: MetricType::Gauge, ..description("kept", 1) };
    let described = gauge.clone();
    let again = store.write(move |tx| tx.register_series(&target(1), &described)).await.expect("describes");
    assert_eq!(again, id);
    let told = store.read().expect("reads").log_after::<NewSeries>(0, 10).expect("reads");
    assert_eq!(told.len(), 2, "registered, and described anew");
    assert_eq!(store.read().expect("reads").series_of_target(&target(1)).expect("reads")[0].description, gauge);
    check_whole(&store);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_commit_see_each_others_series() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let writers = (0..100u64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |tx| {
                    let id = tx.register_series(&target(1), &description("same", number % 5))?;
                    if number % 7 == 3 { Err(WriteError::Refused("no".into())) } else { Ok(id) }
                })
                .await
        })
    });
    let mut ids = BTreeSet::new();
    for writer in writers.collect::<Vec<_>>() {
        ids.extend(writer.await.expect("joins").ok().map(|id| id.0));
    }
    assert_eq!(ids.len(), 5, "one number for each of five series");
    assert_eq!(check_whole(&store), ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_at_any_sync_leaves_registry_and_records_alike() {
    for cut in 1..25 {
        let disk = LossyDisk::default();
        let store = open(&disk);
        disk.cut_at_sync(disk.syncs() + cut);
        let mut acknowledged = BTreeSet::new();
        for number in 0..30u64 {
            let written =
                store.write(move |tx| tx.register_series(&target(number % 3), &description("m", number))).await;
            match written {
                Ok(id) => acknowledged.insert(id.0),
                Err(_) => break,
            };
        }
        assert!(disk.is_cut());
        drop(store);
        disk.restore_power();
        let found = check_whole(&open(&disk));
        assert!(acknowledged.is_subset(&found), "{acknowledged:?} were acknowledged, and {found:?} are there");
    }
}

#[tokio::test]
async fn a_series_is_found_in_the_time_of_its_samples_before_and_after_a_flush_and_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let hour = 3_600_000;
    store
        .write(move |tx| {
            let mut batch = SampleBatch::default();
            for number in 0..2i64 {
                let id = tx.register_series(&target(1), &description("m", number as u64))?;
                (0..10).for_each(|step| batch.push(id, Timestamp(number * 10 * hour + step * 60_000), 1.0));
            }
            tx.append_samples(&batch).map(drop)
        })
        .await
        .expect("writes");
    for round in 0..3 {
        let found = |start: i64, end: i64| {
            let range = Some((Timestamp(start), Timestamp(end)));
            let read = store.read().expect("reads");
            read.select_series(&LabelFilter { range, ..LabelFilter::default() })
                .into_iter()
                .map(|id| id.0)
                .collect::<Vec<_>>()
        };
        let expected: [(i64, i64, Vec<u64>); 4] = [
            (0, hour, vec![1]),
            (10 * hour, 11 * hour, vec![2]),
            (0, 11 * hour, vec![1, 2]),
            (5 * hour, 6 * hour, vec![]),
        ];
        for (start, end, ids) in expected {
            assert_eq!(found(start, end), ids, "from {start} to {end} in round {round}");
        }
        for _ in 0..3 {
            store.maintain(Timestamp(30 * hour)).await.expect("maintains");
        }
        if round == 1 {
            drop(store);
            store = loop {
                // The writer thread lets go of the file a moment after the last handle is gone.
                match Store::open(folder.path(), StoreOptions::default()) {
                    Ok(store) => break store,
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
                }
            };
        }
    }
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// Time on the processor, which other work on the machine does not lengthen, in milliseconds.
fn cpu_millis() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

/// A measurement: `cargo test --release -p tandem-store --test registry -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn two_hundred_thousand_series_in_a_burst() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let (before, began, cpu) = (resident_bytes(), std::time::Instant::now(), cpu_millis());
    for batch in 0..100u64 {
        let register = move |tx: &mut tandem_store::WriteTx<'_>| {
            for number in 0..2_000u64 {
                let mut one = description("node_network_receive_bytes_total", number % 8);
                let more = [
                    ("cluster", "production-eu-west".to_owned()),
                    ("namespace", format!("team-{}", number % 40)),
                    ("pod", format!("service-{}-7d9f8b6c5-{number:05}", batch)),
                    ("container", format!("app-{}", number % 200)),
                    ("node", format!("node-{}", number % 100)),
                ];
                let own = one.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                one.labels = Labels::new(own.chain(more.map(|(name, value)| (name.to_owned(), value))));
                tx.register_series(&target(batch), &one)?;
            }
            Ok(())
        };
        store.write(register).await.expect("registers");
    }
    let took = began.elapsed();
    let file = std::fs::metadata(folder.path().join("tandem.redb")).expect("a file").len();
    println!("registered 200,000 series in {took:?}, {} ms of them on the processor", cpu_millis() - cpu);
    println!("the file has {} MiB", file >> 20);
    println!("{} bytes of memory per series, page cache included", (resident_bytes() - before) / 200_000);
    drop(store);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (before, began, cpu) = (resident_bytes(), std::time::Instant::now(), cpu_millis());
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    println!("opened in {:?}, {} ms on the processor", began.elapsed(), cpu_millis() - cpu);
    println!("{} bytes of memory per series", (resident_bytes().saturating_sub(before)) / 200_000);
    let read = store.read().expect("reads");
    let pattern =
        |text: &str| tandem_store::Pattern::anchored(regex::Regex::new(&format!("^(?s:{text})$")).expect("one"));
    for (name, text) in [("pod", "service-7-.*"), ("pod", ".*-00042"), ("node", "node-1|node-2"), ("job", ".+")] {
        let began = std::time::Instant::now();
        let matcher = LabelMatcher { name: name.into(), test: LabelTest::Fits(pattern(text)) };
        let found = read.select_series(&LabelFilter { sets: vec![vec![matcher]], range: None }).len();
        println!("{name}=~{text:?} finds {found} in {:?}", began.elapsed());
    }
    let began = std::time::Instant::now();
    println!("{} values of pod in {:?}", read.label_values("pod", &LabelFilter::default()).len(), began.elapsed());
}
