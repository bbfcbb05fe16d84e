//! Measures the engine alone: `cargo run --release -p tandem-store --example ingest -- [series] [steps] [samples a body] [writers]`.
//! Writers append what a fleet of exporters shows at fifteen seconds, each its own series, and wait for each body to be durable;
//! upkeep runs beside them as in the server. Prints the rate, processor time, peak memory, bytes for a sample on disk after
//! everything is flushed, the time to open again after being cut off, and what reading costs.

use std::{
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tandem_domain::{
    Timestamp,
    series::{SampleBatch, SeriesId},
};
use tandem_store::{Store, StoreOptions};

/// Between two samples of a series, in milliseconds.
const STEP_MILLIS: i64 = 15_000;
/// The first moment: a window's beginning.
const START: i64 = 1_764_000_000_000 / 7_200_000 * 7_200_000;

/// A series' values one after another.
struct Values {
    kind: u64,
    last: f64,
    random: u64,
}

impl Values {
    fn new(series: u64) -> Self {
        Self {
            kind: series % 20,
            last: (series % 977) as f64 * 1_000.0,
            random: series.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// Evenly from 0 to 1.
    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A quarter counts seconds in hundredths, two fifths count whole numbers with bursts, a sixth wander, the others stay.
    fn next(&mut self) -> f64 {
        let chance = self.chance();
        self.last = match self.kind {
            0..5 => ((self.last + chance * 4.0) * 100.0).round() / 100.0,
            5..13 => self.last + (chance * 400.0 * if self.chance() < 0.02 { 10.0 } else { 1.0 }).floor(),
            13..16 => ((self.last + (chance - 0.5) * 3.0).clamp(20.0, 90.0) * 10.0).round() / 10.0,
            _ => self.last,
        };
        self.last
    }
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) >> 10
}

/// Length and allocated bytes of all files in a folder.
fn on_disk(folder: &Path) -> (u64, u64) {
    let mut sums = (0, 0);
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(data) = entry.metadata() else { continue };
        let (length, allocated) =
            if data.is_dir() { on_disk(&entry.path()) } else { (data.len(), data.blocks() * 512) };
        sums = (sums.0 + length, sums.1 + allocated);
    }
    sums
}

async fn write_series(store: Store, series: std::ops::Range<u64>, steps: i64, per_body: usize) -> u64 {
    let mut values: Vec<Values> = series.clone().map(Values::new).collect();
    let mut refused = 0;
    for step in 0..steps {
        let at = Timestamp(START + step * STEP_MILLIS);
        for (first, part) in series.clone().step_by(per_body).zip(values.chunks_mut(per_body)) {
            let mut batch = SampleBatch::default();
            (first..).zip(part.iter_mut()).for_each(|(id, value)| batch.push(SeriesId(id), at, value.next()));
            loop {
                let body = batch.clone();
                match store.write(move |tx| tx.append_samples(&body)).await {
                    Ok(_) => break,
                    Err(tandem_store::WriteError::Crowded) => refused += 1,
                    Err(error) => panic!("{error}"),
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
    refused
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let mut argument = |default: u64| arguments.next().unwrap_or(default);
    let (series, steps, per_body, writers) = (argument(20_000), argument(960), argument(2_000), argument(8));
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let done = Arc::new(AtomicBool::new(false));
    let upkeep = tokio::spawn({
        let (store, done) = (store.clone(), done.clone());
        async move {
            while !done.load(Ordering::Relaxed) {
                let _ = tokio::time::timeout(std::time::Duration::from_secs(1), store.head_filled()).await;
                while store.maintain(Timestamp(START + steps as i64 * STEP_MILLIS)).await.expect("maintains") {}
            }
        }
    });
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let own = 1 + series * writer / writers..1 + series * (writer + 1) / writers;
            tokio::spawn(write_series(store.clone(), own, steps as i64, per_body as usize))
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        refused += task.await.expect("writes");
    }
    let (seconds, used) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let samples = (series * steps) as f64;
    let before = store.metrics();
    println!(
        "{:.2} M samples/s, {seconds:.1} s, {used:.1} CPU s (the generator's among them), {refused} bodies refused for a while",
        samples / seconds / 1e6
    );
    println!(
        "{} commits of {} bodies; peak memory {} MiB; {} samples not in blocks, write-ahead log {:.1} MiB",
        before.commits,
        before.changes,
        peak_mib(),
        before.head_samples,
        before.wal_bytes as f64 / 1048576.0
    );
    done.store(true, Ordering::Relaxed);
    upkeep.await.expect("upkeep");
    drop(store);
    let (opened, store) = reopen(folder.path()).await;
    println!("opened again in {opened:.3} s with {} samples in memory", store.metrics().head_samples);
    store.flush().await.expect("flushes");
    store.maintain(Timestamp(START + steps as i64 * STEP_MILLIS)).await.expect("maintains");
    let (length, allocated) = on_disk(folder.path());
    println!(
        "flushed: {:.2} bytes a sample by length, {:.2} by what is allocated",
        length as f64 / samples,
        allocated as f64 / samples
    );
    let read = store.read().expect("reads");
    let all: Vec<SeriesId> = (1..=series).step_by(20).map(SeriesId).collect();
    let started = Instant::now();
    let points: usize =
        all.iter().map(|id| read.points(*id, Timestamp::MIN, Timestamp::MAX).expect("points").at.len()).sum();
    println!(
        "read {} series one by one: {:.0} ns a sample",
        all.len(),
        started.elapsed().as_nanos() as f64 / points as f64
    );
    let started = Instant::now();
    let many = read.points_of_many(&all, Timestamp::MIN, Timestamp::MAX).expect("points");
    assert_eq!(many.iter().map(|points| points.at.len()).sum::<usize>(), points);
    assert_eq!(points, all.len() * steps as usize, "every sample is there");
    println!("read them together: {:.0} ns a sample", started.elapsed().as_nanos() as f64 / points as f64);
}

async fn reopen(folder: &Path) -> (f64, Store) {
    loop {
        let started = Instant::now();
        match Store::open(folder, StoreOptions::default()) {
            Ok(store) => return (started.elapsed().as_secs_f64(), store),
            Err(tandem_store::OpenError::Locked { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await
            }
            Err(error) => panic!("{error}"),
        }
    }
}
