//! Detectors: pure over their state, however the points were cut into calls.

use crate::{Numbers, assert_unbroken, loaded};
use tandem_domain::{
    Severity, Timestamp,
    frame::{Frame, Group, GroupId, Observation, Scores},
    meaning::{Condition, FaultRule, Range},
    ports::{Detectors, Watch},
    series::MetricType,
};
use tandem_runtime::Runtime;
use tandem_tests::sandbox;

/// Points of each series.
const POINTS: usize = 600;
const INTERVAL_MILLIS: i64 = 15_000;

/// Groups of one series each: a gauge, a counter, a flag with a fault rule, and one in another unit.
fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = (1..=4).map(|id| sandbox::group(id, "host.load.1m", &format!("host:{id}"))).collect();
    groups[1].members[0].metric_type = MetricType::Counter;
    groups[2].members[0].fault_rules = vec![FaultRule {
        code: "host.broken".into(),
        condition: Condition::Within(Range { low: 1.0, high: 1.0 }),
        severity: Severity::Critical,
        title: "broken".into(),
        advice: String::new(),
        resting: None,
        rest_seconds: 0,
    }];
    groups[3].members[0].unit = "Cel".into();
    groups
}

/// What each of them shows: noise with a leap, a count that is reset, a flag that is up for a while, and values that no
/// sensor should give.
fn values(group: usize) -> Vec<f64> {
    let mut numbers = Numbers(0x5eed + group as u64);
    let mut sum = 0.0;
    (0..POINTS)
        .map(|step| match group {
            0 => 10.0 + numbers.unit() + if step > 500 { 40.0 } else { 0.0 },
            1 if step == 300 => {
                sum = 0.0;
                sum
            }
            1 => {
                sum += numbers.unit() * 100.0;
                sum
            }
            2 => f64::from(u8::from((400..450).contains(&step))),
            _ => match step % 50 {
                7 => f64::NAN,
                11 => f64::INFINITY,
                13 => f64::MAX,
                17 => -f64::MIN_POSITIVE,
                _ => numbers.unit() * 30.0,
            },
        })
        .collect()
}

fn frame(group: usize, from: usize, to: usize) -> Frame {
    Frame {
        group: GroupId(group as u32 + 1),
        at: (from..to).map(|step| Timestamp(step as i64 * INTERVAL_MILLIS)).collect(),
        value: values(group)[from..to].to_vec(),
    }
}

/// The points of all groups from one moment to another, in calls of so many moments.
async fn observe(watch: &mut Box<dyn Watch>, from: usize, to: usize, step: usize) -> Vec<Observation> {
    let mut seen = Vec::new();
    for begin in (from..to).step_by(step) {
        let frames = (0..groups().len()).map(|group| frame(group, begin, (begin + step).min(to))).collect();
        let observation = watch.observe(frames).await.expect("observed");
        assert!(observation.failed.is_empty(), "{:?}", observation.failed);
        seen.push(observation);
    }
    seen
}

/// Scores and faults as plain text, group by group, without regard to the calls they came from. Text, because NaN is a
/// value of a band that must be the same.
fn told(seen: &[Observation]) -> Vec<String> {
    let mut told = Vec::new();
    let line = |scores: &Scores, i: usize| {
        let band = scores.low.get(i).zip(scores.high.get(i));
        format!("{} {} score {:?} band {band:?}", scores.group.0, scores.at[i].0, scores.score[i])
    };
    for observation in seen {
        for scores in &observation.scores {
            told.extend((0..scores.at.len()).map(|i| line(scores, i)));
        }
        told.extend(observation.faults.iter().map(|fault| format!("{fault:?}")));
    }
    told.sort();
    told
}

async fn fresh(runtime: &Runtime, plugin: &str) -> Box<dyn Watch> {
    let mut watch = Detectors::open(runtime, plugin, Vec::new()).await.expect("opens").watch;
    watch.join(groups(), Vec::new()).await.expect("joins");
    watch
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_points_get_the_same_answers_however_they_are_cut_and_after_a_restart() {
    let (runtime, _data) = loaded().await;
    for plugin in runtime.detectors() {
        let whole = told(&observe(&mut fresh(&runtime, &plugin.name).await, 0, POINTS, POINTS).await);
        let again = told(&observe(&mut fresh(&runtime, &plugin.name).await, 0, POINTS, POINTS).await);
        assert_eq!(whole, again, "{} varies", plugin.name);
        let pieces = told(&observe(&mut fresh(&runtime, &plugin.name).await, 0, POINTS, 7).await);
        assert_eq!(whole, pieces, "{} minds how points are cut into calls", plugin.name);

        let mut before = fresh(&runtime, &plugin.name).await;
        let mut seen = observe(&mut before, 0, 410, 41).await;
        let states = before.snapshot().await.expect("states");
        let groups = groups();
        let of = |id: GroupId| groups.iter().find(|group| group.id == id).expect("a group of the watch").clone();
        let restored = states.into_iter().map(|state| (of(state.group), state)).collect();
        let mut after = Detectors::open(&runtime, &plugin.name, restored).await.expect("opens");
        assert!(after.refused.is_empty(), "{}: {:?}", plugin.name, after.refused);
        seen.extend(observe(&mut after.watch, 410, POINTS, 41).await);
        assert_eq!(whole, told(&seen), "{} does not go on from its state as if nothing had been", plugin.name);
    }
    assert_unbroken(&runtime);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_not_its_own_is_refused_and_the_group_can_join_afresh() {
    let (runtime, _data) = loaded().await;
    for plugin in runtime.detectors() {
        let mut watch = fresh(&runtime, &plugin.name).await;
        observe(&mut watch, 0, 100, 100).await;
        let group = groups().swap_remove(0);
        let states = watch.snapshot().await.expect("states");
        let Some(own) = states.into_iter().find(|state| state.group == group.id) else { continue };
        for state in [vec![0xff; 64], own.state[..own.state.len() / 2].to_vec()] {
            let state = tandem_domain::frame::GroupState { group: group.id, state };
            let opened =
                Detectors::open(&runtime, &plugin.name, vec![(group.clone(), state.clone())]).await.expect("opens");
            let mut watch = opened.watch;
            if opened.refused.is_empty() {
                // A detector without a state of its own has nothing to refuse.
                assert!(own.state.len() < 16, "{} took a broken state of {} bytes", plugin.name, state.state.len());
                continue;
            }
            watch.join(vec![group.clone()], Vec::new()).await.expect("joins afresh");
            let seen = watch.observe(vec![frame(0, 0, 10)]).await.expect("observed");
            assert!(seen.failed.is_empty(), "{}: {:?}", plugin.name, seen.failed);
        }
    }
    assert_unbroken(&runtime);
}
