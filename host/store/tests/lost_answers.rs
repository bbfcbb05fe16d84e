//! A commit of which the disk answers that it failed may have come through all the same: what is in memory is then what the
//! file tells, without a restart, and whoever tries again finds what was there.

use serde::{Deserialize, Serialize};
use tandem_domain::{
    LogRecord, Record, Timestamp,
    exemplar::Exemplar,
    histogram::{Buckets, NativeHistogram, ResetHint, Span},
    series::{HistogramBatch, Labels, MetricType, SampleBatch, Series, SeriesDescription, SeriesId},
    target::TargetKey,
};
use tandem_store::{LabelFilter, NewSeries, Store, StoreOptions, WriteError, WriteTx, testing::LossyDisk};

/// Length of the store's windows, in milliseconds.
const WINDOW: i64 = 2 * 3_600_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    step: u64,
}

impl Record for Note {
    const TABLE: &'static str = "notes";
    const VERSION: u16 = 1;
    type Key = u64;
    fn key(&self) -> u64 {
        self.step
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

fn register(tx: &mut WriteTx<'_>, metric: &str, metric_type: MetricType) -> Result<SeriesId, WriteError> {
    let description = SeriesDescription {
        metric: metric.into(),
        metric_type,
        unit: String::new(),
        labels: Labels::new([("of".to_owned(), metric.to_owned())]),
    };
    tx.register_series(&TargetKey { job: "j".into(), instance: metric.into() }, &description)
}

fn append(tx: &mut WriteTx<'_>, id: SeriesId, step: u64) -> Result<(), WriteError> {
    let mut batch = SampleBatch::default();
    (0..20).for_each(|row| batch.push(id, Timestamp((step as i64 * 20 + row) * 60_000), row as f64));
    tx.append_samples(&batch).map(drop)
}

fn histogram(sum: f64) -> NativeHistogram {
    NativeHistogram {
        schema: 1,
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: 3.0,
        sum,
        positive: Buckets { spans: vec![Span { offset: 0, length: 2 }], counts: vec![1.0, 2.0] },
        negative: Buckets::default(),
        custom_bounds: Vec::new(),
        reset: ResetHint::Unknown,
        whole: true,
    }
}

/// The steps of the story: together they do all that changes the registry.
const STEPS: u64 = 9;
/// The step that turns samples into blocks, which notes in which windows their series are.
const FLUSH: u64 = 5;

async fn step(store: &Store, step: u64) -> Result<(), WriteError> {
    match step {
        FLUSH => store.flush().await,
        _ => store.write(move |tx| work(tx, step)).await,
    }
}

fn work(tx: &mut WriteTx<'_>, step: u64) -> Result<(), WriteError> {
    let unknown = MetricType::Unknown;
    match step {
        0 => {
            for metric in ["a", "b"] {
                let id = register(tx, metric, unknown)?;
                append(tx, id, step)?;
                exemplar(tx, id, step)?;
            }
        }
        1 => {
            let id = register(tx, "native", unknown)?;
            let mut batch = HistogramBatch::default();
            (0..3).for_each(|row| batch.push(id, Timestamp(row * WINDOW), histogram(row as f64)));
            tx.append_histograms(&batch)?;
        }
        // Described anew.
        2 => register(tx, "a", MetricType::Counter).map(drop)?,
        3 => {
            let id = register(tx, "a", unknown)?;
            tx.delete_samples(&[id], Timestamp(0), Timestamp(5 * 60_000))?;
        }
        4 => {
            let id = register(tx, "b", unknown)?;
            tx.delete_series(&[id], Timestamp(WINDOW))?;
        }
        // A door that remembers the number of what was removed.
        6 => append(tx, SeriesId(2), 40)?,
        7 => {
            let id = register(tx, "c", unknown)?;
            append(tx, id, step)?;
        }
        _ => {
            let id = register(tx, "a", unknown)?;
            append(tx, id, step)?;
            exemplar(tx, id, step)?;
        }
    }
    tx.put(&Note { step })
}

/// The same again is there already.
fn exemplar(tx: &mut WriteTx<'_>, id: SeriesId, step: u64) -> Result<(), WriteError> {
    // Beyond the time that is deleted.
    let at = Timestamp(10 * 60_000 + step as i64);
    let exemplar = Exemplar { labels: Labels::default(), value: 1.0, at, timed: true };
    tx.append_exemplars(vec![(id, exemplar)]).map(drop)
}

/// What a reader finds of a series: its record, its labels, its samples with their bits, and how many histograms it has.
type OfSeries = (Series, Labels, Vec<(i64, u64)>, usize);

/// All that a reader finds.
#[derive(Debug, PartialEq)]
struct Picture {
    series: Vec<OfSeries>,
    exemplars: Vec<(SeriesId, Timestamp)>,
    found: Vec<SeriesId>,
    found_by_window: Vec<Vec<SeriesId>>,
    values: Vec<String>,
    notes: Vec<Note>,
    samples_end: u64,
}

fn picture(store: &Store) -> Picture {
    let read = store.read().expect("reads");
    let series = read.scan::<Series>(.., usize::MAX).expect("reads").into_iter().map(|series| {
        let id = read.series_id(&series.target, &series.description).expect("reads");
        assert_eq!(id, Some(series.id), "a record is found by its identity");
        assert_eq!(read.series_of_target(&series.target).expect("reads"), std::slice::from_ref(&series));
        let points = read.points(series.id, Timestamp::MIN, Timestamp::MAX).expect("reads");
        let points = points.at.iter().zip(&points.value).map(|(at, value)| (at.0, value.to_bits())).collect();
        let histograms = read.histograms(series.id, Timestamp::MIN, Timestamp::MAX).expect("reads").len();
        let labels = read.series_labels(series.id).expect("it is there");
        (series, labels, points, histograms)
    });
    let within = |window: i64| {
        let range = Some((Timestamp(window * WINDOW), Timestamp((window + 1) * WINDOW - 1)));
        read.select_series(&LabelFilter { range, ..LabelFilter::default() })
    };
    let found = read.select_series(&LabelFilter::default());
    let of = |id: &SeriesId| {
        let (id, all) = (*id, read.exemplars(*id, Timestamp::MIN, Timestamp::MAX).expect("reads"));
        all.into_iter().map(move |one| (id, one.at))
    };
    let exemplars: Vec<_> = found.iter().flat_map(of).collect();
    assert_eq!(store.metrics().exemplars, exemplars.len() as u64);
    Picture {
        series: series.collect(),
        exemplars,
        found,
        found_by_window: (0..9).map(within).collect(),
        values: read.label_values("of", &LabelFilter::default()),
        notes: read.scan::<Note>(.., usize::MAX).expect("reads"),
        samples_end: read.samples_end().expect("reads"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_as_the_file_tells_after_a_commit_that_failed_and_came_through() {
    let (mut came_through, mut taken_back) = (0, 0);
    for sync in 1..60 {
        let disk = LossyDisk::default();
        let store = open(&disk);
        disk.lose_answer_of_sync(disk.syncs() + sync);
        for number in 0..STEPS {
            if step(&store, number).await.is_ok() {
                continue;
            }
            let living = picture(&store);
            match living.notes.iter().any(|note| note.step == number) {
                true => came_through += 1,
                // A flush leaves no note.
                false => taken_back += u32::from(number != FLUSH),
            }
            drop(store);
            let opened = picture(&open(&disk.in_next_machine()));
            assert_eq!(living, opened, "step {number}, when the answer of sync {sync} is lost");
            break;
        }
    }
    assert!(came_through >= 6, "only {came_through} commits came through");
    assert!(taken_back >= 6, "only {taken_back} commits were taken back");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_again_finds_the_series_that_it_registered() {
    let mut failed = 0;
    for sync in 1..60 {
        let disk = LossyDisk::default();
        let store = open(&disk);
        disk.lose_answer_of_sync(disk.syncs() + sync);
        let seen = store.commit_count();
        for number in 0..STEPS {
            if step(&store, number).await.is_err() {
                failed += 1;
                step(&store, number).await.unwrap_or_else(|error| panic!("step {number} again, {sync}: {error}"));
            }
        }
        assert!(store.commit_count() > seen);
        let (living, metrics) = (picture(&store), store.metrics());
        assert_eq!(living.values, ["a", "b", "c", "native"], "each once, when the answer of sync {sync} is lost");
        assert_eq!(metrics.series, 4, "when the answer of sync {sync} is lost");
        assert_eq!(living.found.len(), 4);
        let minutes: Vec<i64> = living.series[0].2.iter().map(|(at, _)| at / 60_000).collect();
        let expected: Vec<i64> = (6..20).chain(160..180).collect();
        assert_eq!(minutes, expected, "what was not deleted, when the answer of sync {sync} is lost");
        let told = store.read().expect("reads").log_after::<NewSeries>(0, usize::MAX).expect("reads");
        assert!(told.iter().any(|(_, new)| new.target.instance == "c"), "the map room is told");
        drop(store);
        assert_eq!(living, picture(&open(&disk.in_next_machine())), "when the answer of sync {sync} is lost");
    }
    assert!(failed >= 12, "only {failed} commits failed");
}
