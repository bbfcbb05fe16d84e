//! The room over a real store: findings and faults, restarts in the middle, groups and detectors that break.

use super::{DetectConfig, DetectRoom};
use crate::{
    room::Room,
    signal::{FaultChange, FindingChange, MeaningChange},
    testing::{FakeDetectors, FakeState, open, plugin, reopen, second},
};
use std::sync::Arc;
use tandem_domain::{
    Severity, Timestamp,
    entity::EntityId,
    finding::Finding,
    meaning::{Condition, FaultRule, Meaning, MeaningBody, Range},
    plugin::Scope,
    series::{Labels, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::TargetKey,
};
use tandem_store::Store;

/// Registers a series and gives it a meaning: sent in percent, a fault above 90 percent.
async fn series(store: &Store, metric: &str, entity: &str, fault: bool) -> SeriesId {
    let target = TargetKey { job: "j".into(), instance: "i:1".into() };
    let description = SeriesDescription {
        metric: metric.into(),
        metric_type: MetricType::Gauge,
        unit: "%".into(),
        labels: Labels::new([("site".to_owned(), "west".to_owned())]),
    };
    let rule = FaultRule {
        code: format!("{metric}.high"),
        condition: Condition::Within(Range { low: 1e5, high: f64::INFINITY }),
        severity: Severity::Critical,
        title: "Too high".into(),
        advice: "Look.".into(),
        resting: None,
        rest_seconds: 0,
    };
    let body = MeaningBody {
        name: metric.into(),
        unit: "1".into(),
        scale: 0.01,
        offset: 0.0,
        missing: vec![Range { low: -1.0, high: -1.0 }],
        dimensions: Labels::new([("unit".to_owned(), "0".to_owned())]),
        fault_rules: if fault { vec![rule] } else { vec![] },
    };
    let entity = EntityId(entity.into());
    store
        .write(move |tx| {
            let series = tx.register_series(&target, &description)?;
            tx.put(&Meaning { series, entity, body, mapper: "m".into(), mapper_digest: "1".into() })?;
            tx.append(&MeaningChange { series: vec![series] })?;
            Ok(series)
        })
        .await
        .unwrap()
}

async fn send(store: &Store, at: Timestamp, samples: &[(SeriesId, f64)]) {
    let mut batch = SampleBatch::default();
    samples.iter().for_each(|(series, value)| batch.push(*series, at, *value));
    store.write(move |tx| tx.append_samples(&batch)).await.unwrap();
}

fn detectors(scopes: &[Scope]) -> Arc<FakeDetectors> {
    let detectors = FakeDetectors::default();
    *detectors.live.lock().unwrap() = vec![plugin("d", "1", scopes)];
    Arc::new(detectors)
}

fn room(store: &Store, detectors: &Arc<FakeDetectors>) -> DetectRoom {
    DetectRoom::new(store.clone(), detectors.clone(), DetectConfig { quiet_points: 3, ..DetectConfig::default() })
}

async fn settle(room: &mut DetectRoom, now: Timestamp) {
    for _ in 0..1_000 {
        if !room.step(now).await.unwrap().more {
            return;
        }
    }
    panic!("it never comes to rest");
}

fn findings(store: &Store) -> Vec<Finding> {
    store.read().unwrap().scan::<Finding>(.., 100).unwrap()
}

fn faults(store: &Store) -> Vec<(String, bool)> {
    let log = store.read().unwrap().log_after::<FaultChange>(0, 100).unwrap();
    log.into_iter().map(|(_, change)| (change.code, change.active)).collect()
}

#[tokio::test]
async fn odd_points_become_a_finding_and_values_are_canonical() {
    let (store, _folder) = open();
    let one = series(&store, "load", "host:a", true).await;
    let mut room = room(&store, &detectors(&[Scope::Series]));
    settle(&mut room, second(0)).await;
    // Sent values; a hundredth of them is canonical. Odd above 100, a fault from 1000.
    let sent = [100.0, 20_000.0, 30_000.0, f64::NAN, 25_000.0, 200_000.0, 100.0, 100.0, 100.0];
    for (i, value) in sent.iter().enumerate() {
        let at = second(15 * (i as i64 + 1));
        send(&store, at, &[(one, *value)]).await;
        settle(&mut room, at).await;
    }
    let found = findings(&store);
    assert_eq!(found.len(), 1);
    let finding = &found[0];
    assert_eq!((finding.started_at, finding.ended_at), (second(30), Some(second(90))));
    assert_eq!((finding.value, finding.high, finding.points), (200.0, 100.0, 4));
    assert_eq!(
        (finding.entity.0.as_str(), finding.name.as_str(), finding.series.as_slice()),
        ("host:a", "load", &[one][..])
    );
    assert_eq!(faults(&store), [("load.high".to_owned(), true), ("load.high".to_owned(), false)]);
    let log = store.read().unwrap().log_after::<FaultChange>(0, 1).unwrap();
    let change = &log[0].1;
    assert_eq!(
        (change.value, change.telling.get("unit"), change.labels.get("site")),
        (2_000.0, Some("0"), Some("west"))
    );
    assert_eq!((change.labels.get("job"), change.labels.get("instance")), (Some("j"), Some("i:1")));
    assert_eq!(store.read().unwrap().log_after::<FindingChange>(0, 10).unwrap().len(), 2);
}

#[tokio::test]
async fn killed_at_any_moment_nothing_is_lost_or_told_twice() {
    for killed_before in 0..12 {
        let (store, folder) = open();
        let detectors = detectors(&[Scope::Series]);
        let one = series(&store, "load", "host:a", true).await;
        let mut running = room(&store, &detectors);
        settle(&mut running, second(0)).await;
        settle(&mut running, second(3)).await;
        let mut store = store;
        let sent = [1.0, 200.0, 300.0, 200.0, 2_000.0, 200.0, 1.0, 1.0, 1.0, 2_000.0, 1.0, 1.0];
        for (i, value) in sent.iter().enumerate() {
            if i == killed_before {
                // Nothing is put away; what was saved last is some points old.
                drop(running);
                drop(store);
                store = reopen(&folder);
                running = room(&store, &detectors);
            }
            let at = second(15 * (i as i64 + 1));
            send(&store, at, &[(one, value * 100.0)]).await;
            settle(&mut running, at).await;
        }
        let state = detectors.seen.lock().unwrap()["host:a/load"].clone();
        let expected = FakeState { learned: 0, observed: 12, sum: sent.iter().sum(), on: vec![] };
        assert_eq!(state, expected, "killed before point {killed_before}");
        let found = findings(&store);
        assert_eq!(found.len(), 1, "killed before point {killed_before}: {found:?}");
        assert_eq!((found[0].started_at, found[0].ended_at), (second(30), Some(second(90))));
        let on_off = [true, false, true, false].map(|active| ("load.high".to_owned(), active));
        assert_eq!(faults(&store), on_off, "killed before point {killed_before}");
    }
}

#[tokio::test]
async fn a_group_that_breaks_is_left_out_and_tried_again_while_the_others_go_on() {
    let (store, _folder) = open();
    let detectors = detectors(&[Scope::Series]);
    let (good, bad) = (series(&store, "good", "host:a", false).await, series(&store, "bad", "host:a", false).await);
    series(&store, "unjoinable", "host:a", false).await;
    detectors.broken.lock().unwrap().push("bad".into());
    let mut room = room(&store, &detectors);
    settle(&mut room, second(0)).await;
    for i in 1..4 {
        send(&store, second(i), &[(good, 100.0), (bad, 100.0)]).await;
        settle(&mut room, second(i)).await;
    }
    assert_eq!(detectors.seen.lock().unwrap()["host:a/good"].observed, 3);
    let failures = super::failures(&store, 10).unwrap();
    assert_eq!(failures.iter().map(|failure| failure.failures).collect::<Vec<_>>(), [1, 1]);
    assert!(failures.iter().any(|failure| failure.failure.message.contains("breaks the guest")));
    // It heals; after its wait it learns from history and is watched again.
    detectors.broken.lock().unwrap().clear();
    *detectors.live.lock().unwrap() = vec![plugin("d", "2", &[Scope::Series])];
    send(&store, second(30), &[(good, 100.0), (bad, 100.0)]).await;
    settle(&mut room, second(30)).await;
    let state = detectors.seen.lock().unwrap()["host:a/bad"].clone();
    assert_eq!((state.learned, state.observed), (3, 1));
}

#[tokio::test]
async fn a_detector_that_is_down_is_opened_again_and_misses_nothing() {
    let (store, _folder) = open();
    let detectors = detectors(&[Scope::Series]);
    let one = series(&store, "load", "host:a", false).await;
    *detectors.down.lock().unwrap() = true;
    let mut room = room(&store, &detectors);
    settle(&mut room, second(0)).await;
    send(&store, second(1), &[(one, 100.0)]).await;
    settle(&mut room, second(1)).await;
    assert_eq!(super::failures(&store, 10).unwrap()[0].group, "");
    *detectors.down.lock().unwrap() = false;
    settle(&mut room, second(10)).await;
    assert_eq!(super::failures(&store, 10).unwrap(), []);
    assert_eq!(detectors.seen.lock().unwrap()["host:a/load"].observed, 1);
}

#[tokio::test]
async fn a_swapped_detector_that_refuses_the_state_learns_afresh_and_old_faults_are_settled() {
    let (store, _folder) = open();
    let detectors = detectors(&[Scope::Series]);
    let one = series(&store, "load", "host:a", true).await;
    let other = series(&store, "heat", "host:a", true).await;
    let mut room = room(&store, &detectors);
    settle(&mut room, second(0)).await;
    for i in 1..6 {
        send(&store, second(i), &[(one, 200_000.0), (other, 200_000.0)]).await;
        settle(&mut room, second(i)).await;
    }
    settle(&mut room, second(40)).await;
    assert_eq!(findings(&store).iter().filter(|finding| finding.ended_at.is_none()).count(), 2);
    // Unseen by the old one, one of the two is in order again.
    send(&store, second(41), &[(other, 100.0)]).await;
    *detectors.refuses.lock().unwrap() = true;
    *detectors.live.lock().unwrap() = vec![plugin("d", "2", &[Scope::Series])];
    settle(&mut room, second(42)).await;
    assert!(findings(&store).iter().all(|finding| finding.ended_at.is_some()));
    let told = faults(&store);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[2], ("heat.high".to_owned(), false), "the fault that still is stays, the other is over");
}

#[tokio::test]
async fn series_of_one_entity_are_shown_in_rows_and_a_lost_meaning_ends_its_faults() {
    let (store, _folder) = open();
    let detectors = detectors(&[Scope::Entity]);
    let (one, two) = (series(&store, "a", "host:a", true).await, series(&store, "b", "host:a", true).await);
    let mut room = room(&store, &detectors);
    settle(&mut room, second(0)).await;
    for cell in 1..4 {
        send(&store, second(cell * 15), &[(one, 100.0)]).await;
        settle(&mut room, second(cell * 15)).await;
        send(&store, second(cell * 15 + 5), &[(two, 200_000.0)]).await;
        settle(&mut room, second(cell * 15 + 5)).await;
    }
    let state = detectors.seen.lock().unwrap()["host:a/a"].clone();
    assert_eq!((state.observed, state.sum), (3, 3.0 * 2_001.0));
    assert_eq!(faults(&store), [("b.high".to_owned(), true)]);
    store
        .write(move |tx| {
            tx.remove::<Meaning>(&two.0)?;
            tx.append(&MeaningChange { series: vec![two] })
        })
        .await
        .unwrap();
    settle(&mut room, second(60)).await;
    assert_eq!(faults(&store)[1], ("b.high".to_owned(), false));
}

/// Not a check but a measurement: `cargo test --release -p tandem-aiops -- --ignored --nocapture idle_cost`.
#[tokio::test]
#[ignore = "a measurement"]
async fn idle_cost_of_two_thousand_series() {
    let (store, _folder) = open();
    let detectors = detectors(&[Scope::Series]);
    let mut all = Vec::new();
    for number in 0..2_000 {
        all.push(series(&store, &format!("m{number}"), &format!("host:{}", number % 20), false).await);
    }
    let mut room = room(&store, &detectors);
    settle(&mut room, second(0)).await;
    let mut spent = std::time::Duration::ZERO;
    for scrape in 1..=40 {
        let samples: Vec<_> = all.iter().map(|id| (*id, 100.0)).collect();
        for part in samples.chunks(100) {
            send(&store, second(scrape * 15), part).await;
            let started = std::time::Instant::now();
            settle(&mut room, second(scrape * 15)).await;
            spent += started.elapsed();
        }
    }
    println!("{:.3} % of one core", spent.as_secs_f64() / (40.0 * 15.0) * 100.0);
}
