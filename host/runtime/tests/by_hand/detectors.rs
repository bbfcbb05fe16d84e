//! Detectors on the runtime: shards, repair from snapshots, culprits, swaps, deadlines and limits, with a guest written by
//! hand whose score is the number of points it has counted.

use crate::support::{Bench, ByHand, frame, group, last_scores};
use tandem_domain::{
    FailureCode,
    frame::{GroupId, GroupState, Observation},
    plugin::PluginState,
    ports::{Detectors, Watch},
};
use tandem_runtime::PluginSettings;

const NAME: &str = "detector-by-hand";

async fn bench() -> Bench {
    let bench = Bench::new();
    load(&bench, ByHand::default()).await;
    bench
}

async fn load(bench: &Bench, by_hand: ByHand) {
    let loaded = bench.runtime.load_bytes("file", "test", by_hand.component(), PluginSettings::default()).await;
    assert_eq!(loaded.as_deref(), Ok(NAME));
}

async fn watch_of(bench: &Bench, groups: u32) -> Box<dyn Watch> {
    let mut watch = bench.runtime.open(NAME, Vec::new()).await.expect("opens").watch;
    watch.join((0..groups).map(group).collect(), vec![frame(0, -3, &[1.0, 1.0])]).await.expect("joins");
    watch
}

#[tokio::test(flavor = "multi_thread")]
async fn points_are_counted_over_calls_and_history_counts() {
    let bench = bench().await;
    let mut watch = watch_of(&bench, 3).await;
    let seen =
        watch.observe(vec![frame(0, 0, &[1.0]), frame(1, 0, &[1.0, 1.0]), frame(2, 0, &[1.0])]).await.expect("seen");
    assert_eq!(last_scores(&seen), [(0, 3.0), (1, 2.0), (2, 1.0)]);
    assert!(seen.failed.is_empty(), "{:?}", seen.failed);
    let usage = bench.status(NAME).usage;
    assert!(usage.calls >= 3 && usage.traps == 0 && usage.instances > 0 && usage.memory_bytes > 0, "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_costs_the_culprit_only_and_the_others_keep_their_counts() {
    let bench = bench().await;
    let mut watch = watch_of(&bench, 40).await;
    for round in 0..3 {
        let frames = (0..40).map(|id| frame(id, round, &[1.0])).collect();
        watch.observe(frames).await.expect("seen");
    }
    let frames = (0..40).map(|id| frame(id, 3, &[if id == 17 { 666.0 } else { 1.0 }])).collect();
    let seen = watch.observe(frames).await.expect("one group never fails the whole");
    let failed: Vec<_> = seen.failed.iter().map(|(group, _)| group.0).collect();
    assert_eq!(failed, [17]);
    let failure = &seen.failed[0].1;
    assert!(failure.message.contains("plugin detector-by-hand, detector.watch.observe: panicked"), "{failure}");
    assert!(failure.message.contains("left out until it joins again"), "{failure}");
    let scores = last_scores(&seen);
    assert_eq!(scores.len(), 39);
    for (group, score) in scores {
        assert_eq!(score, if group == 0 { 6.0 } else { 4.0 }, "group {group} kept its count");
    }
    assert_eq!(bench.status(NAME).state, PluginState::Live);
    assert!(bench.status(NAME).usage.traps >= 2);
    // The culprit joins again and counts from nothing; a frame of a group that is not in the watch is named.
    watch.join(vec![group(17)], Vec::new()).await.expect("joins again");
    let seen = watch.observe(vec![frame(17, 4, &[1.0]), frame(99, 4, &[1.0])]).await.expect("seen");
    assert_eq!(last_scores(&seen), [(17, 1.0)]);
    assert_eq!(seen.failed.len(), 1);
    assert_eq!(seen.failed[0].0, GroupId(99));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spinning_group_is_stopped_and_named_as_out_of_time() {
    let bench = bench().await;
    let mut watch = watch_of(&bench, 4).await;
    let began = std::time::Instant::now();
    let seen = watch
        .observe((0..4).map(|id| frame(id, 0, &[if id == 2 { 777.0 } else { 1.0 }])).collect())
        .await
        .expect("the others go on");
    assert_eq!(seen.failed.len(), 1, "{:?}", seen.failed);
    assert!(seen.failed[0].1.message.contains("ran out of time"), "{}", seen.failed[0].1);
    assert_eq!(last_scores(&seen), [(0, 3.0), (1, 1.0), (3, 1.0)]);
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    assert!(bench.status(NAME).usage.timeouts >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stack_memory_lies_and_failures_each_get_their_own_words() {
    for (value, words) in [
        (555.0, "used up its stack"),
        (444.0, "refused"),
        (888.0, "score has 0 values where 1 are due"),
        (999.0, "asked to fail"),
    ] {
        let bench = bench().await;
        let mut watch = watch_of(&bench, 2).await;
        let seen = watch.observe(vec![frame(0, 0, &[1.0]), frame(1, 0, &[value])]).await.expect("the other goes on");
        assert_eq!(seen.failed.len(), 1, "{value}: {:?}", seen.failed);
        assert_eq!(seen.failed[0].0, GroupId(1));
        assert!(seen.failed[0].1.message.contains(words), "{value}: {}", seen.failed[0].1);
        assert_eq!(last_scores(&seen), [(0, 3.0)], "{value}");
        // The server is unharmed and the watch goes on.
        let seen = watch.observe(vec![frame(0, 1, &[1.0])]).await.expect("goes on");
        assert_eq!(last_scores(&seen), [(0, 4.0)], "{value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_breaks_while_it_learns_is_named_later_and_the_others_join() {
    let bench = bench().await;
    let mut watch = bench.runtime.open(NAME, Vec::new()).await.expect("opens").watch;
    watch
        .join((0..8).map(group).collect(), vec![frame(3, 0, &[666.0]), frame(4, 0, &[1.0])])
        .await
        .expect("the others join");
    let seen = watch.observe((0..8).map(|id| frame(id, 1, &[1.0])).collect()).await.expect("seen");
    assert_eq!(seen.failed.iter().map(|(group, _)| group.0).collect::<Vec<_>>(), [3]);
    assert_eq!(last_scores(&seen).len(), 7);
    assert!(last_scores(&seen).contains(&(4, 2.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn states_go_through_a_restart_and_a_refused_state_is_named() {
    let bench = bench().await;
    let mut watch = watch_of(&bench, 3).await;
    watch.observe((0..3).map(|id| frame(id, 0, &[1.0, 1.0])).collect()).await.expect("seen");
    let mut states = watch.snapshot().await.expect("states");
    assert_eq!(states.len(), 3);
    assert!(watch.snapshot().await.expect("states").is_empty(), "only what was observed since");
    states.sort_by_key(|state| state.group);
    states[2] = GroupState { group: GroupId(2), state: vec![1, 2, 3] };
    let restored = states.into_iter().map(|state| (group(state.group.0), state)).collect();
    let opened = bench.runtime.open(NAME, restored).await.expect("opens");
    assert_eq!(opened.refused.len(), 1);
    assert_eq!(opened.refused[0].0, GroupId(2));
    assert_eq!(opened.refused[0].1.code, FailureCode::Unsupported);
    let mut watch = opened.watch;
    let seen = watch.observe(vec![frame(0, 9, &[1.0]), frame(1, 9, &[1.0])]).await.expect("seen");
    assert_eq!(last_scores(&seen), [(0, 5.0), (1, 3.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_takes_the_watch_along_with_its_state() {
    let bench = bench().await;
    let mut watch = watch_of(&bench, 2).await;
    watch.observe(vec![frame(0, 0, &[1.0]), frame(1, 0, &[1.0])]).await.expect("seen");
    let before = bench.runtime.detectors()[0].digest.clone();
    load(&bench, ByHand { version: "1.1.0", ..ByHand::default() }).await;
    assert_ne!(bench.runtime.detectors()[0].digest, before);
    assert_eq!(bench.runtime.detectors()[0].version, "1.1.0");
    let seen = watch.observe(vec![frame(0, 1, &[1.0]), frame(1, 1, &[1.0])]).await.expect("seen");
    assert_eq!(last_scores(&seen), [(0, 4.0), (1, 2.0)]);
    assert!(seen.failed.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_keeps_breaking_is_quarantined_and_the_last_good_one_comes_back() {
    let bench = bench().await;
    load(&bench, ByHand { version: "2.0.0", ..ByHand::default() }).await;
    let mut watch = watch_of(&bench, 2).await;
    for round in 0..5 {
        watch.join(vec![group(1)], Vec::new()).await.expect("joins");
        let seen = watch.observe(vec![frame(0, round, &[1.0]), frame(1, round, &[666.0])]).await.expect("seen");
        assert_eq!(seen.failed.len(), 1, "round {round}");
        bench.clock.pass(1_000);
    }
    let status = bench.status(NAME);
    assert_eq!(status.description.expect("known").version, "1.0.0");
    assert_eq!(status.state, PluginState::Live);
    let seen = watch.observe(vec![frame(0, 9, &[1.0])]).await.expect("goes on with the earlier version");
    assert_eq!(last_scores(&seen), [(0, 8.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_earlier_version_a_plugin_that_keeps_breaking_is_put_aside() {
    let bench = bench().await;
    let mut watch = watch_of(&bench, 1).await;
    for round in 0..5 {
        watch.join(vec![group(0)], Vec::new()).await.expect("joins");
        watch.observe(vec![frame(0, round, &[666.0])]).await.expect("named");
    }
    assert!(matches!(bench.status(NAME).state, PluginState::Quarantined { .. }));
    let refused = watch.observe(vec![frame(0, 9, &[1.0])]).await.expect_err("refused");
    assert_eq!(refused.code, FailureCode::Unreachable);
    assert!(refused.retry && refused.message.contains("in quarantine"), "{refused}");
    assert!(bench.runtime.detectors().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_are_checkpointed_and_recycled_without_a_gap() {
    let bench = bench().await;
    let mut watch = watch_of(&bench, 1).await;
    for round in 0..5_000 {
        let seen = watch.observe(vec![frame(0, round, &[1.0])]).await.expect("seen");
        assert_eq!(last_scores(&seen), [(0, 3.0 + round as f64)]);
    }
    assert!(bench.status(NAME).usage.recycled >= 1);
    assert_eq!(bench.status(NAME).usage.traps, 0);
}

fn answered(seen: &Observation) -> Vec<u32> {
    last_scores(seen).into_iter().map(|(group, _)| group).collect()
}

/// More than fit into the two shards that a watch of two processors begins with.
const MANY_GROUPS: u32 = 70_000;

#[tokio::test(flavor = "multi_thread")]
async fn further_instances_come_with_further_groups_and_go_with_them() {
    let bench = bench().await;
    let mut watch = watch_of(&bench, 4).await;
    let few = bench.status(NAME).usage.instances;
    for first in (4..MANY_GROUPS).step_by(2_000) {
        watch.join((first..MANY_GROUPS.min(first + 2_000)).map(group).collect(), Vec::new()).await.expect("joins");
    }
    assert!(bench.status(NAME).usage.instances >= 9, "{} after {few}", bench.status(NAME).usage.instances);
    for round in 0..2 {
        let seen = watch.observe((0..MANY_GROUPS).map(|id| frame(id, round, &[1.0])).collect()).await.expect("seen");
        assert!(seen.failed.is_empty(), "{:?}", seen.failed.first());
        assert_eq!(last_scores(&seen).len(), MANY_GROUPS as usize);
    }
    let states = watch.snapshot().await.expect("states");
    assert_eq!(states.len(), MANY_GROUPS as usize);
    let restored = states.into_iter().map(|state| (group(state.group.0), state)).collect();
    let mut again = bench.runtime.open(NAME, restored).await.expect("opens");
    assert!(again.refused.is_empty());
    let seen = again.watch.observe(vec![frame(69_999, 2, &[1.0]), frame(3, 2, &[1.0])]).await.expect("seen");
    // The guest has one counter for several of so many groups: that each is answered is what counts here.
    assert_eq!(answered(&seen), [3, 69_999]);
    watch.leave((100..MANY_GROUPS).map(GroupId).collect()).await.expect("leaves");
    drop(again);
    assert!(bench.status(NAME).usage.instances <= 8, "{}", bench.status(NAME).usage.instances);
    let seen = watch.observe(vec![frame(7, 2, &[1.0]), frame(100, 2, &[1.0])]).await.expect("seen");
    assert_eq!((answered(&seen), seen.failed.len()), (vec![7], 1));
}
