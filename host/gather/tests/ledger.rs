//! Senders over a disk that throws away what was not synced, with the power cut at one sync after another: while series are
//! registered, while samples come, while the store moves them into chunks. What was acknowledged is there afterwards, once,
//! with its value, and nothing is there that was never sent.
//!
//! A run takes every third sync; `TANDEM_CUTS=all` takes every one.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use tandem_domain::{Timestamp, target::TargetKey, time::Clock};
use tandem_gather::sent::SentReceiver;
use tandem_store::{Store, StoreOptions, testing::LossyDisk};
use tandem_wire::remote_write::{OutgoingSeries, Protocol, encode};

/// Senders at work at once, each with series of its own; their bodies share commits.
const SENDERS: usize = 3;
/// Series of a sender at first; each tenth step brings one more.
const SERIES: usize = 12;
/// Steps after which the store is maintained, with the clock far enough ahead that it flushes.
const MAINTAIN_EVERY: usize = 7;
/// The last step of a life that is not cut.
const STEPS: usize = 60;
/// The last cut: by then most lives have seen some flushes.
const LAST_SYNC: u64 = 60;
/// Between two steps, in milliseconds: some of them bring the head to an age at which it is flushed.
const STEP_MILLIS: i64 = 4 * 60_000;
const BEGIN: i64 = 1_790_000_000_000;

/// A clock that the story moves.
#[derive(Default)]
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// Moment and bits of the value of each sample, by sender and series.
type Ledger = BTreeMap<(usize, usize), BTreeMap<i64, u64>>;

struct Life {
    store: Store,
    receiver: Arc<SentReceiver>,
    clock: Arc<Moved>,
}

impl Life {
    fn begin(disk: &LossyDisk, clock: &Arc<Moved>) -> Self {
        let disk = disk.clone();
        let store =
            Store::open_with_backend(move || Box::new(disk.clone()), StoreOptions::default()).expect("it opens");
        let receiver = Arc::new(SentReceiver::new(store.clone(), clock.clone(), Arc::default()));
        Self { store, receiver, clock: clock.clone() }
    }

    /// One step of all senders, and maintenance where it is time; whether all of it was acknowledged. What was sent and what
    /// was acknowledged goes into the ledgers.
    async fn step(&self, step: usize, sent: &mut Ledger, acknowledged: &mut Ledger) -> bool {
        let at = BEGIN + step as i64 * STEP_MILLIS;
        self.clock.0.store(at, Ordering::SeqCst);
        let posting = (0..SENDERS).map(|sender| {
            let (receiver, body) = (self.receiver.clone(), body(sender, step));
            tokio::spawn(async move { receiver.remote_write(None, None, &body).await })
        });
        let mut all = true;
        for (sender, answer) in posting.collect::<Vec<_>>().into_iter().enumerate() {
            let answer = answer.await.expect("a sender gets an answer");
            if let Ok(written) = &answer {
                assert_eq!((written.written.samples, written.rejections.total()), (series_at(step) as u64, 0));
            }
            all &= answer.is_ok();
            for series in 0..series_at(step) {
                let bits = value(sender, series, step).to_bits();
                sent.entry((sender, series)).or_default().insert(at, bits);
                if answer.is_ok() {
                    acknowledged.entry((sender, series)).or_default().insert(at, bits);
                }
            }
        }
        if step.is_multiple_of(MAINTAIN_EVERY) {
            all &= self.store.maintain(Timestamp(at)).await.is_ok();
        }
        all
    }

    /// All samples that the store gives back.
    fn kept(&self) -> Ledger {
        let read = self.store.read().expect("a snapshot");
        let mut kept = Ledger::new();
        for sender in 0..SENDERS {
            let target = TargetKey { job: "ledger".into(), instance: sender.to_string() };
            for series in read.series_of_target(&target).expect("read") {
                let cell = series.description.labels.get("cell").expect("a cell").parse().expect("a number");
                let points = read.points(series.id, Timestamp::MIN, Timestamp::MAX).expect("read");
                let mut of_series = BTreeMap::new();
                for (at, value) in points.at.iter().zip(&points.value) {
                    assert!(of_series.insert(at.0, value.to_bits()).is_none(), "{series:?} has {at:?} twice");
                }
                let twice = kept.insert((sender, cell), of_series);
                assert!(twice.is_none(), "{series:?} is registered twice");
            }
        }
        kept
    }
}

fn series_at(step: usize) -> usize {
    SERIES + step / 10
}

fn value(sender: usize, series: usize, step: usize) -> f64 {
    (sender * 1_000_000 + series * 1_000 + step) as f64 / 8.0
}

fn body(sender: usize, step: usize) -> Vec<u8> {
    let (instance, at) = (sender.to_string(), Timestamp(BEGIN + step as i64 * STEP_MILLIS));
    let cells: Vec<String> = (0..series_at(step)).map(|series| series.to_string()).collect();
    let series: Vec<_> = cells
        .iter()
        .enumerate()
        .map(|(series, cell)| OutgoingSeries {
            labels: vec![("__name__", "kept"), ("cell", cell), ("instance", &instance), ("job", "ledger")],
            samples: vec![(at, value(sender, series, step))],
            ..OutgoingSeries::default()
        })
        .collect();
    encode(Protocol::V1, &series).expect("a small body")
}

/// Everything of `less` is in `more`, bit for bit.
fn assert_within(less: &Ledger, more: &Ledger, what: &str) {
    for (series, samples) in less {
        let there = more.get(series);
        for (at, bits) in samples {
            let found = there.and_then(|there| there.get(at));
            assert_eq!(found, Some(bits), "{what}: series {series:?} at {at}");
        }
    }
}

/// Plays a life until its power is cut and another after it; answers whether the cut was reached, and was one of a flush.
async fn play(cut: u64, leak: Option<u64>) -> bool {
    let disk = LossyDisk::default();
    let clock = Arc::new(Moved::default());
    let (mut sent, mut acknowledged) = (Ledger::new(), Ledger::new());
    let life = Life::begin(&disk, &clock);
    if let Some(every) = leak {
        disk.leak_every(every);
    }
    disk.cut_at_sync(disk.syncs() + cut);
    let mut step = 0;
    while step < STEPS && life.step(step, &mut sent, &mut acknowledged).await {
        step += 1;
    }
    let was_cut = disk.is_cut();
    drop(life);
    let disk = disk.in_next_machine();
    let life = Life::begin(&disk, &clock);
    let told = format!("cut at sync {cut}, leaking every {leak:?}, at step {step}");
    let kept = life.kept();
    assert_within(&acknowledged, &kept, &format!("{told}: acknowledged and lost"));
    assert_within(&kept, &sent, &format!("{told}: kept and never sent"));
    // A sender sends again what was not acknowledged, and goes on; all is there, once, and after one more start too.
    for step in step..step + 2 * MAINTAIN_EVERY {
        assert!(life.step(step, &mut sent, &mut acknowledged).await, "{told}: the power is on");
    }
    assert_eq!(life.kept(), sent, "{told}: it goes on");
    drop(life);
    assert_eq!(Life::begin(&disk.in_next_machine(), &clock).kept(), sent, "{told}: and on");
    was_cut
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_sync_the_power_is_cut_at_samples_that_were_acknowledged_are_there_once() {
    let all = std::env::var("TANDEM_CUTS").is_ok_and(|value| value == "all");
    let (mut played, mut reached) = (0, 0);
    for leak in [None, Some(1), Some(2), Some(3)] {
        for cut in (1..=LAST_SYNC).filter(|cut| all || cut % 3 == leak.unwrap_or(0) % 3) {
            played += 1;
            reached += usize::from(play(cut, leak).await);
        }
    }
    eprintln!("{played} lives, the power was cut in {reached} of them");
    assert!(reached > played / 2, "only {reached} of {played} cuts were reached: a life has fewer syncs now");
}
