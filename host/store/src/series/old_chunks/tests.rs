//! Files as formats 1 and 2 wrote them, opened by this server: every sample, series and stream position is there, and a power
//! cut while they are migrated leaves the old file or the new one.

use super::*;
use crate::{
    Disk, LabelFilter, Store, StoreOptions, envelope,
    file::{ErasedBackend, FILE_NAME, FORMAT, META},
    testing::LossyDisk,
};
use pco::ChunkConfig;
use redb::{Database, ReadableDatabase};
use roaring::RoaringTreemap;
use std::collections::BTreeMap;
use tandem_domain::{
    Record,
    series::{Labels, MetricType, Series, SeriesDescription},
    target::TargetKey,
};

/// Length of a window, then as now, in milliseconds.
const WINDOW: i64 = 2 * 3_600_000;
/// Batches shorter than this were stored plainly.
const COMPRESS_FROM_SAMPLES: usize = 64;
/// Series of the file.
const SERIES: u64 = 40;
/// The last batch of each of the two flushes, and the last batch of all.
const FLUSHES: [u64; 2] = [30, 60];
const LAST: u64 = 75;
/// How far a room had read.
const READ_THROUGH: u64 = 52;

fn put_column<T: pco::data_types::Number>(bytes: &mut Vec<u8>, column: &[T]) {
    let config = ChunkConfig::default().with_compression_level(6);
    let column = standalone::simple_compress(column, &config).expect("compresses");
    bytes.extend((column.len() as u32).to_be_bytes());
    bytes.extend(column);
}

/// A batch as it was stored: a count, a byte for plain or compressed, three columns.
fn old_batch(batch: &SampleBatch) -> Vec<u8> {
    let mut bytes = (batch.len() as u32).to_be_bytes().to_vec();
    if batch.len() < COMPRESS_FROM_SAMPLES {
        bytes.push(0);
        for row in 0..batch.len() {
            bytes.extend(batch.series[row].0.to_be_bytes());
            bytes.extend(batch.at[row].0.to_be_bytes());
            bytes.extend(batch.value[row].to_bits().to_be_bytes());
        }
        return bytes;
    }
    bytes.push(1);
    put_column(&mut bytes, &batch.series.iter().map(|series| series.0).collect::<Vec<_>>());
    put_column(&mut bytes, &batch.at.iter().map(|at| at.0).collect::<Vec<_>>());
    put_column(&mut bytes, &batch.value);
    bytes
}

/// A chunk as it was stored: the flush that wrote it, the last moment in it, a count, two columns.
fn old_chunk(flush: u64, samples: &[(i64, f64)]) -> Vec<u8> {
    let (at, value): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
    let mut bytes = flush.to_be_bytes().to_vec();
    bytes.extend(at.iter().max().expect("a sample").to_be_bytes());
    bytes.extend((at.len() as u32).to_be_bytes());
    put_column(&mut bytes, &at);
    put_column(&mut bytes, &value);
    bytes
}

fn series(id: u64) -> Series {
    let description = SeriesDescription {
        metric: format!("metric_{}", id % 7),
        metric_type: MetricType::Gauge,
        unit: "celsius".into(),
        labels: Labels::new([("disk".to_owned(), id.to_string())]),
    };
    let target = TargetKey { job: "node".into(), instance: format!("host-{}", id % 3) };
    Series { id: SeriesId(id), target, description }
}

/// What was sent: a few samples of each series in turn, from before 1970 to after, some late, some for a moment that had one
/// already, some that are no numbers. Every fifth batch is short.
fn batch(number: u64) -> SampleBatch {
    let mut batch = SampleBatch::default();
    let rows = if number.is_multiple_of(5) { 1 } else { SERIES * 3 };
    for row in 0..rows {
        let id = row % SERIES + 1;
        let step = number * 3 + row / SERIES;
        let late = if (row + number).is_multiple_of(11) { 9 } else { 0 };
        let at = (step as i64 - 100 - late) * 300_000;
        let value = match step % 13 {
            7 => f64::from_bits(0x7ff0_0000_0000_0002),
            8 => f64::NEG_INFINITY,
            _ => (id * step) as f64 / 8.0,
        };
        batch.push(SeriesId(id), Timestamp(at), value);
    }
    batch
}

type Samples = BTreeMap<u64, BTreeMap<i64, u64>>;

/// What is to be found: of two samples of one moment the later arrival.
fn expected() -> Samples {
    let mut all = Samples::new();
    for number in 1..=LAST {
        let batch = batch(number);
        for row in 0..batch.len() {
            let of = all.entry(batch.series[row].0).or_default();
            of.insert(batch.at[row].0, batch.value[row].to_bits());
        }
    }
    all
}

fn number(value: u64) -> [u8; 8] {
    value.to_be_bytes()
}

/// Writes what a server of an older format left.
fn write_old(transaction: &WriteTransaction, format: u64) -> Result<(), redb::Error> {
    let put = |table: &str, key: &[u8], value: &[u8]| -> Result<(), redb::Error> {
        transaction.open_table(raw(table))?.insert(key, value)?;
        Ok(())
    };
    for id in 1..=SERIES {
        let record = envelope::wrap(Series::VERSION, &series(id)).expect("wraps");
        put("record/series", &number(id), &record)?;
        if format == 1 {
            put("series_identity", format!("identity of {id}").as_bytes(), &number(id))?;
            put("series_by_target", format!("target of {id}").as_bytes(), &number(id))?;
        }
    }
    put(SEQUENCES, b"series", &number(SERIES))?;
    put(SEQUENCES, SAMPLES.as_bytes(), &number(LAST))?;
    put(CURSORS, FLUSHED.as_bytes(), &number(FLUSHES[1]))?;
    put(CURSORS, b"samples/detect", &number(READ_THROUGH))?;
    let mut first = 1;
    for flush in FLUSHES {
        let mut chunks: BTreeMap<(i64, u64), Vec<(i64, f64)>> = BTreeMap::new();
        for batch in (first..=flush).map(batch) {
            for row in 0..batch.len() {
                let window = batch.at[row].0.div_euclid(WINDOW) * WINDOW;
                chunks.entry((window, batch.series[row].0)).or_default().push((batch.at[row].0, batch.value[row]));
            }
        }
        for ((window, id), samples) in chunks {
            put(&format!("chunks/{window}"), &[number(id), number(flush)].concat(), &old_chunk(flush, &samples))?;
            if format == 2 {
                let key = presence::key(window);
                let table = transaction.open_table(raw("series_in_window"))?;
                let known = table.get(key.as_slice())?.map(|bytes| presence::from_bytes(bytes.value()).expect("whole"));
                drop(table);
                let all = known.unwrap_or_default() | RoaringTreemap::from([id]);
                put("series_in_window", &key, &presence::to_bytes(&all))?;
            }
        }
        first = flush + 1;
    }
    // What was flushed and not read by all stayed.
    for kept in READ_THROUGH + 1..=LAST {
        put("samples", &number(kept), &old_batch(&batch(kept)))?;
    }
    transaction.open_table(META)?.insert("format", format)?;
    Ok(())
}

/// The file on a disk as it lies there, without a migration.
fn as_it_lies(disk: &LossyDisk) -> Database {
    let file = disk.open(FILE_NAME).expect("opens");
    disk.sync_names().expect("syncs");
    redb::Builder::new().create_with_backend(ErasedBackend(file)).expect("a redb file")
}

fn old_disk(format: u64) -> LossyDisk {
    let disk = LossyDisk::default();
    let database = as_it_lies(&disk);
    let transaction = database.begin_write().expect("writes");
    write_old(&transaction, format).expect("writes");
    transaction.commit().expect("commits");
    disk
}

fn open(disk: &LossyDisk) -> Result<Store, crate::OpenError> {
    let disk = disk.clone();
    Store::open_with_backend(move || Box::new(disk.clone()), StoreOptions::default())
}

/// Everything the old file held is found.
fn check(store: &Store, expected: &Samples, when: &str) {
    let read = store.read().expect("reads");
    for id in 1..=SERIES {
        let known = series(id);
        assert_eq!(read.get::<Series>(&id).expect("reads").as_ref(), Some(&known), "{when}");
        let found = read.series_id(&known.target, &known.description).expect("reads");
        assert_eq!(found, Some(SeriesId(id)), "{when}");
        let points = read.points(SeriesId(id), Timestamp::MIN, Timestamp::MAX).expect("reads");
        let found: Vec<(i64, u64)> =
            points.at.iter().map(|at| at.0).zip(points.value.iter().map(|v| v.to_bits())).collect();
        let of = expected[&id].iter().map(|(at, value)| (*at, *value)).collect::<Vec<_>>();
        assert_eq!(found, of, "series {id}, {when}");
    }
    for start in (-20..20).map(|window| window * WINDOW) {
        let range = (Timestamp(start), Timestamp(start + WINDOW - 1));
        let found = read.select_series(&LabelFilter { range: Some(range), ..LabelFilter::default() });
        let of = expected.iter().filter(|(_, samples)| samples.range(range.0.0..=range.1.0).next().is_some());
        assert_eq!(found, of.map(|(id, _)| SeriesId(*id)).collect::<Vec<_>>(), "window {start}, {when}");
    }
    assert_eq!(read.cursor("samples/detect").expect("reads"), READ_THROUGH, "{when}");
    assert!(read.samples_after(READ_THROUGH, usize::MAX).expect("reads").iter().all(|(number, _)| *number > LAST));
}

fn tables_of(disk: &LossyDisk) -> (u64, Vec<String>) {
    let database = as_it_lies(disk);
    let read = database.begin_read().expect("reads");
    let format = read.open_table(META).expect("meta").get("format").expect("reads").expect("a format").value();
    (format, read.list_tables().expect("lists").map(|table| table.name().to_owned()).collect())
}

fn is_old(name: &String) -> bool {
    name == BATCHES || name.starts_with(CHUNKS) || name == "series_identity" || name == "series_by_target"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_an_older_format_is_opened_with_all_that_it_held() {
    let expected = expected();
    for format in [1, 2] {
        let disk = old_disk(format);
        assert!(tables_of(&disk).1.iter().any(is_old));
        let store = open(&disk).expect("migrates");
        check(&store, &expected, "at first");
        assert_eq!(store.read().expect("reads").samples_end().expect("reads"), LAST);
        // The stream goes on where it was, and so do the numbers of series.
        let (at, value) = (Timestamp(80 * WINDOW), 4.25);
        let id = store
            .write(move |tx| {
                let new = series(SERIES + 1);
                let id = tx.register_series(&new.target, &new.description)?;
                let mut batch = SampleBatch::default();
                batch.push(id, at, value);
                tx.append_samples(&batch)?;
                Ok(id)
            })
            .await
            .expect("writes");
        assert_eq!(id, SeriesId(SERIES + 1));
        let stream = store.read().expect("reads").samples_after(LAST, usize::MAX).expect("reads");
        assert_eq!(stream.iter().map(|(number, batch)| (*number, batch.len())).collect::<Vec<_>>(), [(LAST + 1, 1)]);
        // Merging reads what the migration wrote.
        store.flush().await.expect("flushes");
        while store.maintain(Timestamp(82 * WINDOW)).await.expect("maintains") {}
        check(&store, &expected, "after merging");
        drop(store);
        let disk = disk.in_next_machine();
        check(&open(&disk).expect("opens"), &expected, "after a restart");
        let (format, tables) = tables_of(&disk.in_next_machine());
        assert_eq!(format, FORMAT);
        assert!(!tables.iter().any(is_old), "{tables:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_while_a_file_is_migrated_leaves_the_old_file_or_the_new_one() {
    let expected = expected();
    let (mut left_old, mut left_new) = (0, 0);
    for format in [1, 2] {
        let template = old_disk(format);
        let old_tables = tables_of(&template).1;
        for leak in [None, Some(1), Some(2), Some(3)] {
            for cut in 1..12 {
                let disk = template.in_next_machine();
                if let Some(every) = leak {
                    disk.leak_every(every);
                }
                disk.cut_at_sync(disk.syncs() + cut);
                drop(open(&disk));
                if !disk.is_cut() {
                    continue;
                }
                let disk = disk.in_next_machine();
                let (found, tables) = tables_of(&disk);
                match found {
                    FORMAT => {
                        left_new += 1;
                        assert!(!tables.iter().any(is_old), "{tables:?}");
                    }
                    _ => {
                        left_old += 1;
                        assert_eq!((found, &tables), (format, &old_tables));
                    }
                }
                let when = format!("format {format}, cut at {cut}, leak {leak:?}");
                check(&open(&disk.in_next_machine()).expect("opens"), &expected, &when);
            }
        }
    }
    assert!(left_old > 0 && left_new > 0, "{left_old} files were left old and {left_new} new");
}
