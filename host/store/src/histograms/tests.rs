//! Histograms against a plain model, over joining, late ones and restarts.

use super::{
    codec::tests::{bits, histogram},
    *,
};
use crate::{StoreOptions, WriteTx as Tx};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

fn store(folder: &tempfile::TempDir) -> Store {
    for _ in 0..200 {
        // The writer thread of an earlier store lets go of the file a moment after the last handle is gone.
        if let Ok(store) = Store::open(folder.path(), StoreOptions::default()) {
            return store;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the file stayed locked");
}

fn some(count: usize) -> Vec<NativeHistogram> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| histogram().new_tree(&mut runner).expect("one").current()).collect()
}

fn append(rows: Vec<(u64, i64, NativeHistogram)>) -> impl FnOnce(&mut Tx<'_>) -> Result<(), WriteError> + Send {
    let mut batch = HistogramBatch::default();
    for (series, at, histogram) in rows {
        batch.push(SeriesId(series), Timestamp(at), histogram);
    }
    move |tx| tx.append_histograms(&batch)
}

fn check(store: &Store, model: &BTreeMap<(u64, i64), NativeHistogram>) {
    let read = store.read().expect("reads");
    for series in 1..=3u64 {
        for (start, end) in [(i64::MIN, i64::MAX), (WINDOW_MILLIS - 30_000, WINDOW_MILLIS + 90_000)] {
            let found = read.histograms(SeriesId(series), Timestamp(start), Timestamp(end)).expect("reads");
            let found: Vec<_> = found.iter().map(|(at, one)| (at.0, bits(one))).collect();
            let expected = model.range((series, start)..=(series, end)).map(|((_, at), one)| (*at, bits(one)));
            assert_eq!(found, expected.collect::<Vec<_>>(), "series {series} from {start} to {end}");
        }
    }
}

#[tokio::test]
async fn histograms_survive_joining_late_ones_and_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store_now = store(&folder);
    let mut model = BTreeMap::new();
    let all = some(1_200);
    for (round, histograms) in all.chunks(300).enumerate() {
        // Later rounds overwrite some of what is joined already, and begin a window before.
        let row = |(number, one): (usize, &NativeHistogram)| {
            let at = (number as i64 / 3 + round as i64 * 70) * 30_000 + WINDOW_MILLIS - 600_000;
            (number as u64 % 3 + 1, at, one.clone())
        };
        let rows: Vec<_> = histograms.iter().enumerate().map(row).collect();
        model.extend(rows.iter().map(|(series, at, one)| ((*series, *at), one.clone())));
        store_now.write(append(rows)).await.expect("appends");
        check(&store_now, &model);
        for _ in 0..4 {
            store_now.maintain(Timestamp(20 * 3_600_000)).await.expect("maintains");
        }
        check(&store_now, &model);
        drop(store_now);
        store_now = store(&folder);
        check(&store_now, &model);
    }
    let read = store_now.read().expect("reads");
    let singles = read.raw_range(&table(SINGLES, 0), &(Bound::Unbounded, Bound::Unbounded), usize::MAX, false);
    assert!(singles.expect("reads").is_empty(), "all of a window that is over is joined");
    let pieces = read.raw_range(&table(PIECES, WINDOW_MILLIS), &(Bound::Unbounded, Bound::Unbounded), 10, false);
    assert!(!pieces.expect("reads").is_empty());
}

#[tokio::test]
async fn old_windows_are_dropped_and_a_stale_marker_is_kept_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = StoreOptions { retention_millis: 4 * 3_600_000, ..StoreOptions::default() };
    let store = Store::open(folder.path(), options).expect("opens");
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let marker = NativeHistogram { sum: stale, ..some(1).remove(0) };
    store.write(append(vec![(1, 1_000, marker)])).await.expect("appends");
    let count = |at: i64| {
        let read = store.read().expect("reads");
        let found = read.histograms(SeriesId(1), Timestamp(at), Timestamp::MAX).expect("reads");
        assert!(found.iter().all(|(_, one)| one.sum.to_bits() == stale.to_bits()));
        found.len()
    };
    assert_eq!((count(0), count(1_001)), (1, 0));
    store.maintain(Timestamp(3 * 3_600_000)).await.expect("maintains");
    assert_eq!(count(0), 1);
    store.maintain(Timestamp(24 * 3_600_000)).await.expect("maintains");
    assert_eq!(count(0), 0);
}
