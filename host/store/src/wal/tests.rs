//! The log over a disk that loses what was not synced.

use super::*;
use crate::testing::LossyDisk;
use tandem_domain::{Timestamp, series::SeriesId};

fn open(disk: &LossyDisk, known: u64) -> Wal {
    Wal::open(Box::new(disk.clone()), known, 0).expect("opens")
}

fn bytes(value: u64) -> Vec<u8> {
    let mut batch = SampleBatch::default();
    (0..3).for_each(|step| batch.push(SeriesId(value), Timestamp(step), value as f64));
    encode_batch(&batch).expect("encodes")
}

/// Writes batches with these values in one frame and confirms them.
fn write(wal: &Wal, values: &[u64], with_records: bool) -> Written {
    let batches: Vec<_> = values.iter().map(|value| bytes(*value)).collect();
    let written = wal.write(&batches, with_records).expect("writes");
    wal.confirm(written);
    written
}

/// Number and value of every batch after a number.
fn read(wal: &Wal, after: u64) -> Vec<(u64, u64)> {
    let found = wal.after(after, wal.end(), usize::MAX).expect("reads");
    found.into_iter().map(|(number, batch)| (number, batch.series[0].0)).collect()
}

#[test]
fn batches_come_back_in_order_from_any_number_and_in_pieces() {
    let wal = open(&LossyDisk::default(), 0);
    for round in 0..200 {
        write(&wal, &[round * 2, round * 2 + 1], round % 3 == 0);
        if round % 50 == 0 {
            wal.end_segment();
        }
    }
    let all: Vec<_> = (1..=400).map(|number| (number, number - 1)).collect();
    assert_eq!(read(&wal, 0), all);
    assert_eq!(read(&wal, 123), all[123..]);
    assert_eq!(read(&wal, 400), []);
    assert_eq!(wal.after(10, wal.end(), 7).expect("reads").len(), 3, "until there are seven samples");
    assert_eq!(wal.after(10, wal.end(), 0).expect("reads").len(), 1, "one at least");
    assert_eq!(wal.after(10, 12, usize::MAX).expect("reads").len(), 2, "not beyond what a snapshot knows");
}

#[test]
fn after_a_cut_what_was_confirmed_is_there_and_numbers_go_on() {
    for leak in [None, Some(1), Some(2)] {
        for cut in 1..12 {
            let disk = LossyDisk::default();
            let wal = open(&disk, 0);
            write(&wal, &[1, 2], false);
            if let Some(every) = leak {
                disk.leak_every(every);
            }
            disk.cut_at_sync(disk.syncs() + cut);
            let mut confirmed = 2;
            for value in 3..20 {
                if value % 3 == 0 {
                    wal.end_segment();
                }
                let Ok(written) = wal.write(&[bytes(value)], false) else { break };
                wal.confirm(written);
                confirmed = value;
            }
            assert!(disk.is_cut());
            let disk = disk.in_next_machine();
            let wal = open(&disk, 0);
            let found = read(&wal, 0);
            assert!(
                found.len() as u64 >= confirmed,
                "cut {cut}: {confirmed} were confirmed and {} are there",
                found.len()
            );
            assert!(found.iter().all(|(number, value)| number == value), "{found:?}");
            let next = wal.next();
            write(&wal, &[next], false);
            assert_eq!(read(&open(&disk, 0), 0).len() as u64, next);
        }
    }
}

#[test]
fn a_frame_whose_records_did_not_come_through_does_not_count() {
    let disk = LossyDisk::default();
    let wal = open(&disk, 0);
    write(&wal, &[1], true);
    write(&wal, &[2], false);
    // Written and synced, but the machine ends before the file's commit.
    wal.write(&[bytes(30)], true).expect("writes");
    assert_eq!(wal.end(), 2, "nobody sees it");
    let disk = disk.in_next_machine();
    assert_eq!(read(&open(&disk, 3), 0), [(1, 1), (2, 2), (3, 30)], "the file tells of it after all");
    let wal = open(&disk, 1);
    assert_eq!(read(&wal, 0), [(1, 1), (2, 2)]);
    write(&wal, &[3], false);
    assert_eq!(read(&open(&disk, 1), 0), [(1, 1), (2, 2), (3, 3)], "its number is given anew");
}

#[test]
fn a_failed_commit_is_settled_by_what_the_file_tells() {
    let wal = open(&LossyDisk::default(), 0);
    write(&wal, &[1], true);
    wal.write(&[bytes(20), bytes(21)], true).expect("writes");
    assert!(wal.write(&[bytes(9)], false).is_err(), "nothing is written while that is open");
    assert!(wal.settle(1).expect("settles").is_none());
    assert_eq!(read(&wal, 0), [(1, 1)]);
    wal.write(&[bytes(2), bytes(3)], true).expect("writes");
    let kept = wal.settle(3).expect("settles").expect("the commit came through");
    assert_eq!((kept.first, kept.last), (2, 3));
    assert!(wal.settle(3).expect("settles").is_some(), "asked again until it is confirmed");
    wal.confirm(kept);
    assert_eq!(read(&wal, 0), [(1, 1), (2, 2), (3, 3)]);
    assert!(wal.settle(3).expect("nothing is open").is_none());
}

#[test]
fn a_write_that_fails_for_want_of_space_leaves_nothing() {
    let disk = LossyDisk::default();
    let wal = open(&disk, 0);
    write(&wal, &[1], false);
    disk.limit_bytes(Some(disk.len_bytes()));
    assert!(wal.write(&[bytes(2)], false).is_err());
    assert!(wal.settle(0).expect("settles").is_none());
    assert!(wal.write(&[bytes(2)], false).is_err());
    disk.limit_bytes(None);
    assert!(wal.settle(0).expect("settles").is_none());
    write(&wal, &[2], false);
    assert_eq!(read(&open(&disk.in_next_machine(), 0), 0), [(1, 1), (2, 2)]);
}

#[test]
fn segments_go_when_they_are_flushed_and_read() {
    let disk = LossyDisk::default();
    let wal = open(&disk, 0);
    for value in 1..=9 {
        write(&wal, &[value], false);
        if value % 3 == 0 {
            wal.end_segment();
        }
    }
    let segments = || disk.names().expect("names").len();
    assert_eq!(segments(), 3);
    wal.trim(6, 2).expect("trims");
    assert_eq!((segments(), read(&wal, 0).len()), (3, 9), "a reader has come to the second batch");
    wal.trim(2, 9).expect("trims");
    assert_eq!(segments(), 3, "the third is not flushed");
    wal.trim(6, 9).expect("trims");
    assert_eq!((segments(), read(&wal, 0)), (1, vec![(7, 7), (8, 8), (9, 9)]));
    // What is flushed is not looked through at start, and what goes on from there is.
    let wal = Wal::open(Box::new(disk.clone()), 0, 9).expect("opens");
    assert_eq!((wal.end(), wal.next()), (9, 10));
    wal.trim(9, 9).expect("trims");
    disk.limit_bytes(Some(20));
    assert!(wal.write(&[bytes(10)], false).is_err(), "a segment is begun, and then there is no space");
    assert_eq!(read(&wal, 0), [], "nothing is left, and that is no damage");
    disk.limit_bytes(None);
    wal.settle(0).expect("settles");
    let wal = Wal::open(Box::new(disk), 0, 9).expect("opens");
    assert_eq!((wal.next(), wal.bytes()), (10, 0), "numbers go on when nothing is left");
}

#[test]
fn damage_in_the_midst_is_refused_and_named() {
    let disk = LossyDisk::default();
    let wal = open(&disk, 0);
    for value in 1..=4 {
        write(&wal, &[value], false);
        if value == 2 {
            wal.end_segment();
        }
    }
    let names = disk.names().expect("names");
    let damaged = |disk: &LossyDisk, name: &str| {
        let disk = disk.in_next_machine();
        let file = disk.open(name).expect("opens");
        file.write(60, &[0xAA; 8]).expect("writes");
        file.sync_data().expect("syncs");
        disk
    };
    let disk = damaged(&disk, &names[1]);
    assert_eq!(Wal::open(Box::new(disk.clone()), 0, 0).expect("the end may be torn").end(), 2);
    let refused = Wal::open(Box::new(damaged(&disk, &names[0])), 0, 0).expect_err("refused");
    assert!(refused.contains(&names[0]) && refused.contains("move it"), "{refused}");
}

#[test]
fn an_end_that_the_file_tells_of_is_not_cut_off_silently() {
    let disk = LossyDisk::default();
    let wal = open(&disk, 0);
    write(&wal, &[1], true);
    write(&wal, &[2], true);
    let file = disk.open(&disk.names().expect("names")[0]).expect("opens");
    file.set_len(file.len().expect("a length") - 1).expect("shortens");
    let refused = Wal::open(Box::new(disk.clone()), 2, 0).expect_err("refused");
    assert!(refused.contains("damaged"), "{refused}");
    assert_eq!(Wal::open(Box::new(disk), 1, 0).expect("nobody was told of the second").end(), 1);
}
