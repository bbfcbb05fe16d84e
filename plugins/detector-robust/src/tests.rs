//! The detector as the host sees it: a watch of several groups, its snapshots, its speed.

use super::*;
use std::time::Instant;
use tandem_sdk::detector::{Member, Watched};

fn group(id: u32, metric_type: MetricType) -> Group {
    let member = Member {
        name: "host.load.1m".into(),
        unit: String::new(),
        metric_type,
        entity: "host:a".into(),
        dimensions: vec![],
        fault_rules: vec![],
    };
    Group { id, members: vec![member] }
}

fn wave(id: u32, from: i64, count: i64) -> Frame {
    let at: Vec<i64> = (from..from + count).map(|i| i * 15_000).collect();
    let value = (from..from + count).map(|i| ((i + i64::from(id)) as f64 * 0.618_033_988_7).fract() + 5.0).collect();
    Frame { group: id, at, value }
}

#[test]
fn a_watch_scores_its_groups_and_goes_on_after_a_restore() {
    let groups = || vec![group(1, MetricType::Gauge), group(2, MetricType::Gauge), group(3, MetricType::Info)];
    let mut watch = Watched::<Robust>::open("{}").unwrap();
    watch.join(groups(), vec![wave(1, 0, 20)]).unwrap();
    let first = watch.observe(vec![wave(1, 20, 100), wave(2, 20, 100), wave(3, 20, 100)]).unwrap();
    let warming: Vec<(u32, u32)> = first.scores.iter().map(|scores| (scores.group, scores.warming)).collect();
    assert_eq!(warming, [(1, 12), (2, 32)], "history counts towards the warm-up, info series are not answered");
    let states = watch.snapshot(&[]).unwrap();
    let mut restored = Watched::<Robust>::restore("{}", groups(), states).unwrap();
    let mut next = wave(1, 120, 50);
    next.value[30] = 500.0;
    let answers = watch.observe(vec![next.clone()]).unwrap();
    let again = restored.observe(vec![next]).unwrap();
    let (one, other) = (&answers.scores[0], &again.scores[0]);
    assert_eq!((&one.score, &one.low, &one.high), (&other.score, &other.low, &other.high));
    assert!(one.score[30] > 10.0);
    assert_eq!(one.score.iter().filter(|score| **score >= 1.0).count(), 1);
}

#[test]
fn a_group_of_several_series_is_refused() {
    let mut two = group(1, MetricType::Gauge);
    two.members.push(two.members[0].clone());
    assert!(Robust::new(&Config::default(), &two).is_err());
}

#[test]
fn a_state_of_another_kind_of_series_is_refused() {
    let gauge = Robust::new(&Config::default(), &group(1, MetricType::Gauge)).unwrap().save();
    assert!(Robust::load(&Config::default(), &group(1, MetricType::Counter), &gauge).is_err());
}

#[test]
fn the_description_asks_for_nothing_but_series() {
    let description = Robust::describe();
    assert!(description.capabilities.is_empty());
    assert_eq!(description.name, env!("CARGO_PKG_NAME"));
}

/// Generous, since tests run unoptimised and beside others: a slip to sorting the window at each point costs 100 times that.
const LIMIT_NANOS_PER_POINT: u128 = 20_000;

#[test]
fn a_point_costs_far_less_than_sorting_the_window() {
    let mut watch = Watched::<Robust>::open("").unwrap();
    watch.join((0..100).map(|id| group(id, MetricType::Gauge)).collect(), vec![]).unwrap();
    let started = Instant::now();
    let mut points = 0;
    for round in 0..5 {
        let answers = watch.observe((0..100).map(|id| wave(id, round * 100, 100)).collect()).unwrap();
        points += answers.scores.iter().map(|scores| scores.at.len()).sum::<usize>();
    }
    let nanos = started.elapsed().as_nanos() / points as u128;
    println!("{nanos} ns per point");
    assert!(nanos < LIMIT_NANOS_PER_POINT, "{nanos} ns per point");
}
