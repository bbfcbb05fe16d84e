//! `detector-robust` through the sandbox beside the same rules compiled natively, on the same points.
//!
//! The sandbox's time is the whole way of `Watch::observe`: the hop to a worker and back, conversion into the guest's types
//! and back, the copies into and out of its memory, the checks of its answer, and the snapshots by which the runtime can
//! repair it. The native side is the same crate and the SDK's `Watched`, called directly on the same frames.

use crate::{
    runtime_with,
    timing::{self, median},
};
use detector_robust::Robust;
use std::time::{Duration, Instant};
use tandem_domain::{
    Timestamp,
    frame::{Frame, GroupId},
    ports::{Detectors, Watch},
};
use tandem_sdk::{detector as sdk, types::MetricType};
use tandem_tests::sandbox;

const PLUGIN: &str = "detector-robust";
const METRIC: &str = "host.cpu.utilization";
const ENTITY: &str = "host:bench";
/// Rounds; a busy machine needs more of them than a quiet one.
const ROUNDS: usize = 25;
/// Points before the first round: the window and three blocks of the usual range are full.
const WARM_UP_POINTS: usize = 512;
/// A point every 15 s.
const STEP_MILLIS: i64 = 15_000;

/// How a call is filled.
struct Shape {
    name: &'static str,
    groups: u32,
    points: usize,
    constant: bool,
    /// Calls in a round.
    calls: usize,
}

const SHAPES: [Shape; 6] = [
    Shape { name: "1 group x 1 point", groups: 1, points: 1, constant: false, calls: 2_000 },
    Shape { name: "1 group x 100 points", groups: 1, points: 100, constant: false, calls: 500 },
    Shape { name: "1 group x 10,000 points", groups: 1, points: 10_000, constant: false, calls: 12 },
    Shape { name: "100 groups x 100 points", groups: 100, points: 100, constant: false, calls: 12 },
    Shape { name: "1,000 groups x 10 points", groups: 1_000, points: 10, constant: false, calls: 12 },
    Shape { name: "1 group x 10,000, constant", groups: 1, points: 10_000, constant: true, calls: 24 },
];

/// SplitMix64 (Steele, Lea, Flood 2014) as a number from 0 to 1.
fn chance(seed: u64) -> f64 {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A load that follows the day, with noise and a spike once in a thousand points.
fn value(group: u32, index: usize, constant: bool) -> f64 {
    if constant {
        return 0.25;
    }
    let seed = (u64::from(group) << 32) + 3 * index as u64;
    let noise = chance(seed) + chance(seed + 1) - 1.0;
    let day = (index as f64 * std::f64::consts::TAU / 5_760.0).sin();
    let spike = if chance(seed + 2) < 0.001 { 0.5 } else { 0.0 };
    0.4 + 0.1 * day + 0.05 * noise + spike
}

fn batch(shape: &Shape, from: usize, points: usize) -> Vec<Frame> {
    let frame = |group: u32| Frame {
        group: GroupId(group),
        at: (from..from + points).map(|index| Timestamp(index as i64 * STEP_MILLIS)).collect(),
        value: (from..from + points).map(|index| value(group, index, shape.constant)).collect(),
    };
    (0..shape.groups).map(frame).collect()
}

fn for_sdk(frames: &[Frame]) -> Vec<sdk::Frame> {
    let frame = |frame: &Frame| sdk::Frame {
        group: frame.group.0,
        at: frame.at.iter().map(|at| at.0).collect(),
        value: frame.value.clone(),
    };
    frames.iter().map(frame).collect()
}

fn native_group(id: u32) -> sdk::Group {
    let member = sdk::Member {
        name: METRIC.into(),
        unit: "1".into(),
        metric_type: MetricType::Gauge,
        entity: ENTITY.into(),
        dimensions: Vec::new(),
        fault_rules: Vec::new(),
    };
    sdk::Group { id, members: vec![member] }
}

/// Both sides, at the same point of the same series.
struct Sides {
    sandbox: Box<dyn Watch>,
    native: sdk::Watched<Robust>,
    at: usize,
}

impl Sides {
    async fn open(runtime: &tandem_runtime::Runtime, shape: &Shape) -> Self {
        let mut sandbox = Detectors::open(runtime, PLUGIN, Vec::new()).await.expect("opens").watch;
        let groups = (0..shape.groups).map(|id| sandbox::group(id, METRIC, ENTITY)).collect();
        sandbox.join(groups, Vec::new()).await.expect("joins");
        let mut native = sdk::Watched::<Robust>::open("{}").expect("opens");
        native.join((0..shape.groups).map(native_group).collect(), Vec::new()).expect("joins");
        let mut sides = Self { sandbox, native, at: 0 };
        let frames = batch(shape, 0, WARM_UP_POINTS);
        sides.at = WARM_UP_POINTS;
        sides.agree(frames).await;
        sides
    }

    /// Shows both the same and holds their answers against each other.
    async fn agree(&mut self, frames: Vec<Frame>) {
        let native = self.native.observe(for_sdk(&frames)).expect("observes");
        let sandbox = self.sandbox.observe(frames).await.expect("observes");
        assert!(sandbox.failed.is_empty(), "{:?}", sandbox.failed);
        assert_eq!(native.scores.len(), sandbox.scores.len());
        for (one, other) in native.scores.iter().zip(&sandbox.scores) {
            assert_eq!((&one.score, &one.low, &one.high), (&other.score, &other.low, &other.high));
        }
    }

    /// Nanoseconds per point of a round on either side.
    async fn round(&mut self, shape: &Shape) -> (f64, f64) {
        let batches: Vec<Vec<Frame>> =
            (0..shape.calls).map(|call| batch(shape, self.at + call * shape.points, shape.points)).collect();
        self.at += shape.calls * shape.points;
        let native_batches: Vec<Vec<sdk::Frame>> = batches.iter().map(|frames| for_sdk(frames)).collect();
        let (mut sandbox, mut native) = (Duration::ZERO, Duration::ZERO);
        // The sides take turns call by call, so that what else the machine does falls on both.
        for (frames, native_frames) in batches.into_iter().zip(native_batches) {
            let began = Instant::now();
            let seen = self.native.observe(native_frames);
            native += began.elapsed();
            assert!(seen.is_ok(), "{seen:?}");
            let began = Instant::now();
            let seen = self.sandbox.observe(frames).await;
            sandbox += began.elapsed();
            assert!(seen.is_ok_and(|seen| seen.failed.is_empty()));
        }
        let points = (shape.calls * shape.points * shape.groups as usize) as f64;
        (sandbox.as_secs_f64() * 1e9 / points, native.as_secs_f64() * 1e9 / points)
    }
}

/// Measures and prints.
pub async fn run() {
    let data = tempfile::tempdir().expect("a folder");
    let runtime = runtime_with(data.path(), &[PLUGIN]).await;
    println!(
        "\n{PLUGIN}, noisy series: observe through the runtime beside the same crate called natively, ns per point"
    );
    println!("  {:<28} {:>10} {:>10} {:>8}   lowest and highest round", "", "sandbox", "native", "ratio");
    for shape in &SHAPES {
        let mut sides = Sides::open(&runtime, shape).await;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(sides.round(shape).await);
        }
        sides.agree(batch(shape, sides.at, shape.points)).await;
        let ratios: Vec<f64> = rounds.iter().map(|(sandbox, native)| sandbox / native).collect();
        let (lowest, highest) = timing::bounds(&ratios);
        println!(
            "  {:<28} {:>10.1} {:>10.1} {:>8.2}   {lowest:.2} to {highest:.2}",
            shape.name,
            median(rounds.iter().map(|round| round.0).collect()),
            median(rounds.iter().map(|round| round.1).collect()),
            median(ratios),
        );
    }
}
