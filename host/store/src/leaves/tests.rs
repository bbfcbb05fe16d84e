//! Leaves beside a plain map: whatever is put and removed in whatever order, both say the same.

use super::{
    codec::{self, Plain},
    *,
};
use crate::read::{ByteBounds, raw};
use proptest::prelude::*;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, backends::InMemoryBackend};
use std::{collections::BTreeMap, ops::Bound};

const TABLE: &str = "leaves/tried";

type Change = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn database() -> Database {
    Database::builder().create_with_backend(InMemoryBackend::new()).expect("a database in memory")
}

fn change(database: &Database, changes: Change) {
    let transaction = database.begin_write().expect("begins");
    rewrite(&mut transaction.open_table(raw(TABLE)).expect("opens"), TABLE, changes).expect("rewrites");
    transaction.commit().expect("commits");
}

/// All that a table says, in every way it can be asked.
fn check(database: &Database, model: &BTreeMap<Vec<u8>, Vec<u8>>, absent: &[Vec<u8>]) {
    let read = database.begin_read().expect("reads");
    let table = read.open_table(raw(TABLE)).expect("opens");
    let expected: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let all: ByteBounds = (Bound::Unbounded, Bound::Unbounded);
    assert_eq!(range(&table, TABLE, &all, usize::MAX, false).expect("reads"), expected);
    let backwards: Vec<_> = expected.iter().rev().cloned().collect();
    assert_eq!(range(&table, TABLE, &all, usize::MAX, true).expect("reads"), backwards);
    let mut last = LastLeaves::default();
    for (key, value) in model {
        assert_eq!(get(&table, TABLE, key, &mut last).expect("reads").as_ref(), Some(value));
    }
    for key in absent.iter().filter(|key| !model.contains_key(*key)) {
        assert_eq!(get(&table, TABLE, key, &mut last).expect("reads"), None);
    }
    let mut counted = 0;
    for row in table.iter().expect("reads") {
        let (first, row) = row.expect("reads");
        counted += records_in(TABLE, row.value()).expect("counts");
        let plain = codec::unpack(TABLE, row.value()).expect("unpacks");
        let mut begins = None;
        codec::visit(TABLE, &plain, |key, _| {
            begins = Some(key.to_vec());
            false
        })
        .expect("is whole");
        assert_eq!(begins.as_deref(), Some(first.value()), "a row's key is that of its first record");
    }
    assert_eq!(counted, model.len() as u64);
}

/// Bytes that do not shrink, the same for the same number.
fn noise(number: u64, length: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn key(number: u64) -> Vec<u8> {
    format!("entity/{:03}/{number}", number % 41).into_bytes()
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (any::<u64>(), 0..300_usize).prop_map(|(number, length)| noise(number, length)),
        4 => (any::<u8>(), 0..600_usize).prop_map(|(byte, length)| vec![byte; length]),
        1 => (any::<u64>(), 4_000..9_000_usize).prop_map(|(number, length)| noise(number, length)),
    ]
}

fn batch() -> impl Strategy<Value = Change> {
    let changes =
        || prop::collection::btree_map((0_u64..600).prop_map(key), prop::option::weighted(0.7, value()), 1..200);
    let few = prop::collection::btree_map((0_u64..600).prop_map(key), prop::option::weighted(0.7, value()), 1..4);
    prop_oneof![changes(), few]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn they_say_what_a_map_says(batches in prop::collection::vec(batch(), 1..12), start in 0_u64..600, end in 0_u64..600,
        limit in 0_usize..80, open: bool) {
        let (database, mut model) = (database(), BTreeMap::new());
        for changes in batches {
            for (key, value) in &changes {
                match value {
                    Some(value) => model.insert(key.clone(), value.clone()),
                    None => model.remove(key),
                };
            }
            change(&database, changes);
        }
        check(&database, &model, &(0..600).map(key).collect::<Vec<_>>());
        let (start, end) = (key(start).min(key(end)), key(start).max(key(end)));
        prop_assume!(start < end);
        let bounds: ByteBounds = if open { (Bound::Excluded(start), Bound::Excluded(end)) }
            else { (Bound::Included(start), Bound::Included(end)) };
        let read = database.begin_read().expect("reads");
        let table = read.open_table(raw(TABLE)).expect("opens");
        let slices = (bounds.0.as_ref().map(Vec::as_slice), bounds.1.as_ref().map(Vec::as_slice));
        let expected = || model.range::<[u8], _>(slices).map(|(key, value)| (key.clone(), value.clone()));
        prop_assert_eq!(range(&table, TABLE, &bounds, limit, false).unwrap(), expected().take(limit).collect::<Vec<_>>());
        prop_assert_eq!(range(&table, TABLE, &bounds, limit, true).unwrap(), expected().rev().take(limit).collect::<Vec<_>>());
    }
}

#[test]
fn rows_fit_their_pages_whether_records_come_in_order_or_not() {
    let record = |number: u64| [noise(number, 40), b"node_cpu_seconds_total{mode=\"idle\"}".to_vec()].concat();
    let in_order: Vec<u64> = (0..6_000).collect();
    let scattered: Vec<u64> = (0..6_000).map(|place| place * 1_789 % 6_000).collect();
    for (name, order, most_pages) in [("in order", in_order, 1.1), ("scattered", scattered, 1.9)] {
        let database = database();
        for part in order.chunks(50) {
            change(&database, part.iter().map(|n| (n.to_be_bytes().to_vec(), Some(record(*n)))).collect());
        }
        let read = database.begin_read().expect("reads");
        let stats = read.open_table(raw(TABLE)).expect("opens").stats().expect("knows");
        let pages = stats.leaf_pages() as f64 * 4_096.0 / stats.stored_bytes() as f64;
        assert!(pages < most_pages, "{name}: pages take {pages:.2} times what is in them");
    }
}

#[test]
fn what_is_left_after_removals_is_joined() {
    let database = database();
    let put = |n: u64| (n.to_be_bytes().to_vec(), Some(noise(n, 200)));
    change(&database, (0..2_000).map(put).collect());
    let before = database.begin_read().expect("reads").open_table(raw(TABLE)).expect("opens").len().expect("counts");
    for part in (0..2_000_u64).filter(|n| n % 20 != 0).collect::<Vec<_>>().chunks(100) {
        change(&database, part.iter().map(|n| (n.to_be_bytes().to_vec(), None)).collect());
    }
    let after = database.begin_read().expect("reads").open_table(raw(TABLE)).expect("opens").len().expect("counts");
    assert!(after * 6 < before, "{before} leaves became {after} for a twentieth of the records");
}

#[test]
fn a_damaged_leaf_is_an_error() {
    let mut plain = Plain::default();
    (0..50_u64).for_each(|n| plain.push(&n.to_be_bytes(), &noise(n, 30)));
    let row = plain.pack();
    assert!(codec::unpack(TABLE, &row[..1]).is_err());
    assert!(codec::unpack(TABLE, &row[..2]).is_err());
    assert!(codec::unpack(TABLE, &[0, 1, 9, 9]).unwrap_err().to_string().contains("not known"));
    for damaged in [vec![9, 1, 1, 7], vec![0, 200, 1, 7], vec![0, 1, 200, 7], vec![0x80; 12]] {
        assert!(codec::visit(TABLE, &damaged, |_, _| true).is_err(), "{damaged:?}");
    }
}
