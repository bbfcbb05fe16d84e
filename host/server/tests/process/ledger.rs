//! Killed without warning at random moments while senders write remotely: a ledger outside of it knows what was acknowledged,
//! and after each start every one of those samples is there, none twice, with its value.
//!
//! `TANDEM_KILLS` says how often it is killed (3 where nothing is said). How long each start took is told, not judged.

use crate::program::{Program, write_config};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tandem_domain::Timestamp;
use tandem_tests::{ask, write_remotely};
use tandem_wire::remote_write::{OutgoingSeries, Protocol, encode};
use tokio::sync::watch;

/// Targets; one body holds one sample of each of a target's series, as after a scrape.
const TARGETS: usize = 20;
/// Series of a target.
const SERIES: usize = 1_000;
/// Senders, each with targets of its own and one body under way.
const SENDERS: usize = 4;
/// Kills where nothing is said.
const KILLS: usize = 3;
/// Between two samples of a series, in milliseconds.
const STEP_MILLIS: i64 = 1_000;
/// How far back the first samples lie, in milliseconds: more than a run has steps, and less than the week that is taken.
const BACK_MILLIS: i64 = 2 * 86_400_000;
/// The longest life before a kill, in milliseconds.
const LONGEST_LIFE_MILLIS: u64 = 2_000;

/// What senders know: how many steps of each target were acknowledged, and how many were posted at all.
struct Ledger {
    begin: i64,
    acknowledged: Vec<AtomicU64>,
    posted: Vec<AtomicU64>,
    /// Where the server is; nowhere while it is down or looked at.
    server: watch::Sender<Option<String>>,
    over: watch::Sender<bool>,
}

impl Ledger {
    fn at(&self, step: u64) -> i64 {
        self.begin + step as i64 * STEP_MILLIS
    }

    /// Writes step after step of some targets until it is over; a body that was not acknowledged is posted again as it was.
    async fn keep_sending(self: Arc<Self>, targets: Range<usize>) {
        let mut server = self.server.subscribe();
        for step in 0.. {
            for target in targets.clone() {
                let body = self.body(target, step);
                self.posted[target].store(step + 1, Ordering::SeqCst);
                loop {
                    let base = server.wait_for(Option::is_some).await.expect("the ledger lives").clone();
                    if write_remotely(&base.unwrap_or_default(), body.clone()).await == Ok(204) {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                self.acknowledged[target].store(step + 1, Ordering::SeqCst);
            }
            if *self.over.borrow() {
                return;
            }
        }
    }

    fn body(&self, target: usize, step: u64) -> Vec<u8> {
        let (instance, at) = (instance(target), Timestamp(self.at(step)));
        let cells: Vec<String> = (0..SERIES).map(cell).collect();
        let series: Vec<_> = cells
            .iter()
            .enumerate()
            .map(|(series, cell)| OutgoingSeries {
                labels: vec![("__name__", "ledger_value"), ("cell", cell), ("instance", &instance), ("job", "ledger")],
                samples: vec![(at, value(target, series, step))],
                ..OutgoingSeries::default()
            })
            .collect();
        encode(Protocol::V1, &series).expect("a small body")
    }

    /// Every series of every target has what was acknowledged and at most what was posted beyond, and its values add up.
    async fn check(&self, base: &str, round: usize) {
        for target in 0..TARGETS {
            let posted = self.posted[target].load(Ordering::SeqCst);
            let acknowledged = self.acknowledged[target].load(Ordering::SeqCst);
            let selector = format!("ledger_value{{instance=\"{}\"}}[3d]", instance(target));
            let counts = self.find(base, &format!("count_over_time({selector})")).await;
            let sums = self.find(base, &format!("sum_over_time({selector})")).await;
            let expected = if acknowledged == 0 { counts.len() } else { SERIES };
            assert_eq!((counts.len(), sums.len()), (expected, expected), "round {round}: series of target {target}");
            for (found, sum) in counts.iter().zip(&sums) {
                let (series, count) = (series_of(found), number(&found["value"][1]));
                assert!(
                    (acknowledged as f64..=posted as f64).contains(&count),
                    "round {round}: series {series} of target {target} has {count} samples; {acknowledged} were \
                     acknowledged and {posted} were posted"
                );
                let expected: f64 = (0..count as u64).map(|step| value(target, series, step)).sum();
                assert_eq!((series_of(sum), number(&sum["value"][1])), (series, expected), "round {round}: its sum");
            }
        }
    }

    /// Every sample of every series, moment and value, is the one that was posted.
    async fn check_each(&self, base: &str) -> u64 {
        let mut checked = 0;
        for target in 0..TARGETS {
            let steps = self.acknowledged[target].load(Ordering::SeqCst);
            for hundred in 0..SERIES / 100 {
                let query = format!("ledger_value{{instance=\"{}\",cell=~\"{hundred:02}..\"}}[3d]", instance(target));
                let found = self.find(base, &query).await;
                assert_eq!(found.len(), 100, "{query}");
                for one in &found {
                    let series = series_of(one);
                    let samples = one["values"].as_array().expect("samples");
                    assert_eq!(samples.len() as u64, steps, "series {series} of target {target}");
                    for (step, sample) in (0..).zip(samples) {
                        let at = (sample[0].as_f64().expect("a moment") * 1e3).round() as i64;
                        assert_eq!((at, number(&sample[1])), (self.at(step), value(target, series, step)), "{query}");
                    }
                    checked += steps;
                }
            }
        }
        checked
    }

    /// The series that an instant query finds, sorted by their cell.
    async fn find(&self, base: &str, query: &str) -> Vec<serde_json::Value> {
        let newest = self.posted.iter().map(|steps| steps.load(Ordering::SeqCst)).max().unwrap_or(0);
        let time = self.at(newest) as f64 / 1e3;
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/prometheus/api/v1/query?time={time}&query={encoded}");
        let (status, answer) = ask("GET", base, &path, "").await.expect("it answers");
        assert_eq!(status, 200, "{query}: {answer}");
        let mut found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        found.sort_by_key(series_of);
        found
    }
}

fn instance(target: usize) -> String {
    format!("10.0.0.{target}:9100")
}

fn cell(series: usize) -> String {
    format!("{series:04}")
}

/// Whole numbers, so that sums are exact.
fn value(target: usize, series: usize, step: u64) -> f64 {
    (target * 1_000_003 + series * 1_009) as f64 + (step * 7 % 1_000) as f64
}

fn series_of(found: &serde_json::Value) -> usize {
    found["metric"]["cell"].as_str().and_then(|cell| cell.parse().ok()).expect("a cell")
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).expect("a number")
}

/// A number of milliseconds below `most` that nobody can foresee.
fn at_random(most: u64) -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").subsec_nanos();
    u64::from(nanos).wrapping_mul(0x9E37_79B9_7F4A_7C15) % most
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_senders_write_it_loses_nothing_that_it_acknowledged_and_keeps_nothing_twice() {
    let kills = std::env::var("TANDEM_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let mut program = Program::start(folder.path()).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let ledger = Arc::new(Ledger {
        begin: now - BACK_MILLIS,
        acknowledged: (0..TARGETS).map(|_| AtomicU64::new(0)).collect(),
        posted: (0..TARGETS).map(|_| AtomicU64::new(0)).collect(),
        server: watch::Sender::new(Some(program.base.clone())),
        over: watch::Sender::new(false),
    });
    let mut sending = tokio::task::JoinSet::new();
    let share = TARGETS / SENDERS;
    (0..SENDERS)
        .for_each(|sender| _ = sending.spawn(ledger.clone().keep_sending(sender * share..(sender + 1) * share)));
    let mut starts = Vec::new();
    for round in 0..kills {
        tokio::time::sleep(Duration::from_millis(50 + at_random(LONGEST_LIFE_MILLIS))).await;
        program.kill().await;
        ledger.server.send_replace(None);
        let began = Instant::now();
        program = Program::start(folder.path()).await;
        starts.push(began.elapsed());
        ledger.check(&program.base, round).await;
        ledger.server.send_replace(Some(program.base.clone()));
    }
    // The last bodies are acknowledged; then it is killed once more, and each sample is looked at.
    ledger.over.send_replace(true);
    while let Some(ended) = sending.join_next().await {
        ended.expect("a sender ends");
    }
    program.kill().await;
    program = Program::start(folder.path()).await;
    let checked = ledger.check_each(&program.base).await;
    starts.sort();
    eprintln!(
        "killed {kills} times; {checked} acknowledged samples of {} series are there once; ready again after {:?} in the \
         median, {:?} at most",
        TARGETS * SERIES,
        starts[starts.len() / 2],
        starts[starts.len() - 1],
    );
    assert!(checked >= (TARGETS * SERIES) as u64, "only {checked} samples were acknowledged");
    drop(program);
}
