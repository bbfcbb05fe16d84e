//! `detector-robust` through the sandbox against the same rule compiled natively, in turns over the same points.
//!
//! The sandboxed side is the whole way that the detect room takes: frames in the host's types, the hop to a worker, the copy
//! into linear memory, the guest, the copy back and the check of every score. The native side is the plugin's own crate,
//! linked into this program and driven as the guest drives it.

use std::time::{Duration, Instant};
use tandem_bench::{bundled, median, nanos_each};
use tandem_domain::{
    Timestamp,
    frame::{Frame, GroupId},
    ports::{Detectors, Watch},
};
use tandem_sdk::{
    detector::{self as guest, Watched},
    types::MetricType,
};
use tandem_tests::sandbox;

const INTERVAL_MILLIS: i64 = 15_000;
/// Points that are fed before anything is measured, so that windows and blocks are full.
const WARM_UP_POINTS: usize = 4_000;
/// Points of one side in one turn, at least.
const POINTS_PER_TURN: usize = 60_000;
/// Turns of both sides; their median is told.
const TURNS: usize = 15;

/// How points come: so many groups with so many points each in one call.
struct Shape {
    what: &'static str,
    groups: usize,
    points: usize,
    constant: bool,
}

const SHAPES: [Shape; 6] = [
    Shape { what: "1 point a call", groups: 1, points: 1, constant: false },
    Shape { what: "100 points a call", groups: 1, points: 100, constant: false },
    Shape { what: "10,000 points a call", groups: 1, points: 10_000, constant: false },
    Shape { what: "100 series x 100 points a call", groups: 100, points: 100, constant: false },
    Shape { what: "10,000 series x 1 point a call", groups: 10_000, points: 1, constant: false },
    Shape { what: "10,000 constant points a call", groups: 1, points: 10_000, constant: true },
];

/// Readings as an exporter gives them: a level that wanders, noise, now and then a leap, three digits (xorshift64).
struct Readings {
    state: u64,
    level: f64,
}

impl Readings {
    fn new(seed: usize) -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15 ^ (seed as u64 + 1), level: 50.0 }
    }

    fn next(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let unit = (self.state >> 11) as f64 / (1_u64 << 53) as f64;
        self.level += (unit - 0.5) * 0.2;
        let leap = if self.state.is_multiple_of(997) { 40.0 } else { 0.0 };
        ((self.level + (unit * 7_919.0).fract() * 4.0 + leap) * 1_000.0).round() / 1_000.0
    }
}

/// The points of one call, for both sides.
struct Batches {
    readings: Vec<Readings>,
    at: i64,
    constant: bool,
}

impl Batches {
    fn new(shape: &Shape) -> Self {
        Self { readings: (0..shape.groups).map(Readings::new).collect(), at: 0, constant: shape.constant }
    }

    fn next(&mut self, points: usize) -> Vec<Frame> {
        let at: Vec<Timestamp> = (0..points as i64).map(|i| Timestamp((self.at + i) * INTERVAL_MILLIS)).collect();
        self.at += points as i64;
        let constant = self.constant;
        let value =
            |readings: &mut Readings| (0..points).map(|_| if constant { 7.0 } else { readings.next() }).collect();
        let frame = |(id, readings)| Frame { group: GroupId(id as u32), at: at.clone(), value: value(readings) };
        self.readings.iter_mut().enumerate().map(frame).collect()
    }
}

type Native = Watched<detector_robust::Robust>;

fn native_frames(frames: &[Frame]) -> Vec<guest::Frame> {
    let at = |frame: &Frame| frame.at.iter().map(|at| at.0).collect();
    frames.iter().map(|f| guest::Frame { group: f.group.0, at: at(f), value: f.value.clone() }).collect()
}

fn native_watch(groups: usize) -> Native {
    let member = || guest::Member {
        name: "host.load.1m".into(),
        unit: "1".into(),
        metric_type: MetricType::Gauge,
        entity: "host:a".into(),
        dimensions: Vec::new(),
        fault_rules: Vec::new(),
    };
    let groups = (0..groups).map(|id| guest::Group { id: id as u32, members: vec![member()] });
    let mut watch = Native::open("").expect("opens");
    watch.join(groups.collect(), Vec::new()).expect("joins");
    watch
}

async fn sandboxed_watch(runtime: &tandem_runtime::Runtime, groups: usize) -> Box<dyn Watch> {
    let mut watch = Detectors::open(runtime, "detector-robust", Vec::new()).await.expect("opens").watch;
    let groups = (0..groups).map(|id| sandbox::group(id as u32, "host.load.1m", "host:a"));
    watch.join(groups.collect(), Vec::new()).await.expect("joins");
    watch
}

/// One turn of both sides over the same points; time of each. Frames are made beforehand; giving them away is part of a call.
async fn turn(native: &mut Native, sandboxed: &mut Box<dyn Watch>, calls: Vec<Vec<Frame>>) -> (Duration, Duration) {
    let own: Vec<_> = calls.iter().map(|frames| native_frames(frames)).collect();
    let began = Instant::now();
    let mut native_answers = Vec::with_capacity(own.len());
    for batch in own {
        native_answers.push(native.observe(batch).expect("observes"));
    }
    let native_time = began.elapsed();
    let began = Instant::now();
    let mut answers = Vec::with_capacity(calls.len());
    for batch in calls {
        answers.push(sandboxed.observe(batch).await.expect("observes"));
    }
    let sandboxed_time = began.elapsed();
    for (own, answer) in native_answers.iter().zip(&answers) {
        assert!(answer.failed.is_empty(), "{:?}", answer.failed);
        for scores in &own.scores {
            let other = answer.scores.iter().find(|other| other.group.0 == scores.group);
            assert_eq!(Some(&scores.score), other.map(|other| &other.score), "both sides say the same");
        }
    }
    (native_time, sandboxed_time)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let data = tempfile::tempdir().expect("a folder");
    let runtime = bundled(&["detector-robust"], data.path()).await;
    println!("detector-robust, ns per point, median of {TURNS} turns");
    println!("{:<34} {:>9} {:>9} {:>7}", "", "native", "sandbox", "ratio");
    for shape in &SHAPES {
        let mut batches = Batches::new(shape);
        let mut native = native_watch(shape.groups);
        let mut sandboxed = sandboxed_watch(&runtime, shape.groups).await;
        let warm_up = (0..WARM_UP_POINTS.div_ceil(100)).map(|_| batches.next(100)).collect::<Vec<_>>();
        for frames in warm_up {
            turn(&mut native, &mut sandboxed, vec![frames]).await;
        }
        let points_a_call = shape.groups * shape.points;
        let calls = POINTS_PER_TURN.div_ceil(points_a_call).min(6_000);
        let (mut natives, mut sandboxes) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let frames = (0..calls).map(|_| batches.next(shape.points)).collect();
            let (native_time, sandboxed_time) = turn(&mut native, &mut sandboxed, frames).await;
            natives.push(native_time);
            sandboxes.push(sandboxed_time);
        }
        let points = calls * points_a_call;
        let (native, sandbox) = (nanos_each(median(natives), points), nanos_each(median(sandboxes), points));
        println!("{:<34} {native:>9.1} {sandbox:>9.1} {:>6.2}x", shape.what, sandbox / native);
    }
}
