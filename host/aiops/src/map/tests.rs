//! The room over a real store: bursts, failing mappers, swapped mappers, collected topology, the operator's relations.

use super::{MapConfig, MapFailure, MapRoom, RelationConfig};
use crate::{
    room::Room,
    signal::MeaningChange,
    testing::{FakeMappers, open, plugin, reopen, second},
};
use std::sync::Arc;
use tandem_domain::{
    Failure, FailureCode, Severity, Timestamp,
    collected::{CollectedEvent, CollectedTopology},
    entity::{Entity, EntityDraft, EntityId, IdentityKey, KeyStrength},
    event::Event,
    meaning::{EntitySeries, Mapping, Meaning, MeaningBody, MeaningDraft},
    plugin::Scope,
    relation::{Relation, RelationKind},
    series::{Labels, MetricType, SeriesDescription},
    target::{TargetInfo, TargetKey},
    topology::{RelationDraft, TopologyDraft},
};
use tandem_store::Store;

fn target(instance: &str) -> TargetKey {
    TargetKey { job: "node".into(), instance: instance.into() }
}

fn local(scheme: &str, value: &str) -> IdentityKey {
    IdentityKey { scheme: scheme.into(), value: value.into(), strength: KeyStrength::Local }
}

fn unique(scheme: &str, value: &str) -> IdentityKey {
    IdentityKey { strength: KeyStrength::Unique, ..local(scheme, value) }
}

fn draft(kind: &str, keys: &[IdentityKey]) -> EntityDraft {
    EntityDraft { kind: kind.into(), keys: keys.to_vec(), name: String::new(), attributes: Labels::default() }
}

fn body(name: &str) -> MeaningBody {
    MeaningBody {
        name: name.into(),
        unit: "1".into(),
        scale: 1.0,
        offset: 0.0,
        missing: vec![],
        dimensions: Labels::default(),
        fault_rules: vec![],
    }
}

/// A host and a disk per target; every series is the disk's.
fn host_and_disk(target: &TargetInfo, series: &[SeriesDescription], prefix: &str) -> Mapping {
    let host = &target.key.instance;
    let entities =
        vec![draft("host", &[local("hostname", host)]), draft("disk", &[local("device", &format!("{host}/sda"))])];
    let relations = vec![RelationDraft { dependent: 0, dependency: 1, kind: RelationKind::Contains }];
    let meaning = |(i, one): (usize, &SeriesDescription)| MeaningDraft {
        series: i as u32,
        entity: 1,
        body: body(&format!("{prefix}.{}", one.metric)),
    };
    let meanings = series.iter().enumerate().map(meaning).collect();
    Mapping { topology: TopologyDraft { entities, relations }, meanings }
}

async fn register(store: &Store, instance: &str, metrics: std::ops::Range<usize>) {
    let target = target(instance);
    store
        .write(move |tx| {
            for number in metrics {
                let description = SeriesDescription {
                    metric: format!("m{number}"),
                    metric_type: MetricType::Gauge,
                    unit: String::new(),
                    labels: Labels::default(),
                };
                tx.register_series(&target, &description)?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

fn room(store: &Store, mappers: &Arc<FakeMappers>, relations: Vec<RelationConfig>) -> MapRoom {
    MapRoom::new(store.clone(), mappers.clone(), MapConfig::default(), relations)
}

/// Passes until nothing is left to do at once; answers how many.
async fn settle(room: &mut MapRoom, now: Timestamp) -> usize {
    for pass in 1..1_000 {
        if !room.step(now).await.unwrap().more {
            return pass;
        }
    }
    panic!("it never comes to rest");
}

#[tokio::test]
async fn a_burst_of_new_series_is_mapped_in_bounded_passes_and_rests_afterwards() {
    let (store, _folder) = open();
    let mappers = FakeMappers::new(vec![plugin("m", "1", &[Scope::Target])], |_, target, series| {
        Ok(host_and_disk(target, series, "disk"))
    });
    let mut room = room(&store, &mappers, vec![]);
    for host in ["a", "b", "c"] {
        register(&store, host, 0..7_000).await;
    }
    settle(&mut room, second(0)).await;
    assert_eq!(mappers.calls.lock().unwrap().len(), 0, "the series of a scrape are waited for");
    settle(&mut room, second(1)).await;
    assert_eq!(*mappers.calls.lock().unwrap(), vec![("m".to_owned(), 7_000); 3]);
    let read = store.read().unwrap();
    assert_eq!(read.count::<Meaning>().unwrap(), 21_000);
    assert_eq!(read.count::<EntitySeries>().unwrap(), 21_000);
    assert_eq!(read.count::<Entity>().unwrap(), 6);
    assert_eq!(read.count::<Relation>().unwrap(), 3);
    let changes = read.log_after::<MeaningChange>(0, 100).unwrap();
    assert_eq!(changes.iter().map(|(_, change)| change.series.len()).sum::<usize>(), 21_000);
    assert!(changes.iter().all(|(_, change)| change.series.len() <= 5_000));
    let commits = store.commit_count();
    settle(&mut room, second(2)).await;
    assert_eq!(store.commit_count(), commits, "a room at rest writes nothing");
    // One more series: all of its target are shown again, and only the new one is written.
    register(&store, "b", 7_000..7_001).await;
    settle(&mut room, second(3)).await;
    settle(&mut room, second(4)).await;
    assert_eq!(mappers.calls.lock().unwrap().last().unwrap().1, 7_001);
    let last = store.read().unwrap().log_after::<MeaningChange>(changes.len() as u64, 10).unwrap();
    assert_eq!(last.iter().map(|(_, change)| change.series.len()).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn a_mapper_that_fails_is_noted_tried_again_and_holds_up_nobody() {
    let (store, _folder) = open();
    let live = vec![plugin("bad", "1", &[Scope::Target]), plugin("good", "1", &[Scope::Target])];
    let mappers = FakeMappers::new(live, |name, target, series| match name {
        "bad" => Err(Failure::lasting(FailureCode::Malformed, "it cannot")),
        _ => Ok(host_and_disk(target, series, "good")),
    });
    let mut room = room(&store, &mappers, vec![]);
    register(&store, "a", 0..3).await;
    settle(&mut room, second(0)).await;
    settle(&mut room, second(1)).await;
    assert_eq!(store.read().unwrap().count::<Meaning>().unwrap(), 3);
    let failures = super::failures(&store, 10).unwrap();
    assert_eq!((failures.len(), failures[0].plugin.as_str(), failures[0].failures), (1, "bad", 1));
    let calls = mappers.calls.lock().unwrap().len();
    settle(&mut room, second(2)).await;
    assert_eq!(mappers.calls.lock().unwrap().len(), calls, "not before its wait is over");
    settle(&mut room, second(7)).await;
    assert_eq!(super::failures(&store, 10).unwrap()[0].failures, 2);
    *mappers.interpret.lock().unwrap() = Box::new(|name, target, series| Ok(host_and_disk(target, series, name)));
    settle(&mut room, second(60)).await;
    assert_eq!(store.read().unwrap().count::<MapFailure>().unwrap(), 0);
    // Both know three series now: the name decides.
    let meanings = store.read().unwrap().scan::<Meaning>(.., 10).unwrap();
    assert!(meanings.iter().all(|meaning| meaning.mapper == "bad"));
}

#[tokio::test]
async fn a_swapped_mapper_maps_everything_anew_even_after_a_restart() {
    let (store, folder) = open();
    let mappers = FakeMappers::new(vec![plugin("m", "1", &[Scope::Target])], |_, target, series| {
        Ok(host_and_disk(target, series, "old"))
    });
    let mut first = room(&store, &mappers, vec![]);
    register(&store, "a", 0..3).await;
    settle(&mut first, second(0)).await;
    settle(&mut first, second(1)).await;
    drop(first);
    drop(store);
    let store = reopen(&folder);
    *mappers.live.lock().unwrap() = vec![plugin("m", "2", &[Scope::Target])];
    *mappers.interpret.lock().unwrap() = Box::new(|_, target, series| Ok(host_and_disk(target, &series[..2], "new")));
    let mut second_room = room(&store, &mappers, vec![]);
    settle(&mut second_room, second(10)).await;
    settle(&mut second_room, second(11)).await;
    let meanings = store.read().unwrap().scan::<Meaning>(.., 10).unwrap();
    let names: Vec<_> = meanings.iter().map(|meaning| meaning.body.name.as_str()).collect();
    assert_eq!(names, ["new.m0", "new.m1"], "what it no longer says is taken back");
    assert!(meanings.iter().all(|meaning| meaning.mapper_digest == "2"));
}

fn collected(
    at: i64,
    entities: Vec<EntityDraft>,
    relations: Vec<RelationDraft>,
    events: Vec<CollectedEvent>,
) -> CollectedTopology {
    CollectedTopology {
        target: TargetInfo { key: target("local"), labels: Labels::default() },
        plugin: "collector-host".into(),
        at: second(at),
        topology: TopologyDraft { entities, relations },
        events,
    }
}

#[tokio::test]
async fn a_promoted_entity_takes_its_series_and_relations_along() {
    let (store, _folder) = open();
    let mappers = FakeMappers::new(vec![plugin("m", "1", &[Scope::Target])], |_, target, series| {
        Ok(host_and_disk(target, series, "disk"))
    });
    let relations = vec![RelationConfig {
        dependent: "host:hostname:a".into(),
        dependency: "ups:rack7".into(),
        kind: RelationKind::PoweredBy,
    }];
    let mut room = room(&store, &mappers, relations);
    register(&store, "a", 0..2).await;
    settle(&mut room, second(0)).await;
    settle(&mut room, second(1)).await;
    let ends = |store: &Store| {
        let relations = store.read().unwrap().scan::<Relation>(.., 10).unwrap();
        relations.iter().map(|r| (r.dependent.0.clone(), r.dependency.0.clone())).collect::<Vec<_>>()
    };
    assert_eq!(ends(&store), [("host:a".to_owned(), "disk:a/sda".to_owned())], "the UPS is not known yet");
    // A collector knows the host's machine-id, the disk's WWN, and the UPS.
    let entities = vec![
        draft("host", &[unique("machine-id", "4c4c"), local("hostname", "a")]),
        draft("disk", &[unique("wwn", "0x5000"), local("device", "a/sda")]),
        draft("ups", &[local("name", "rack7")]),
    ];
    let event = CollectedEvent {
        at: second(2),
        entity: 1,
        code: "disk.media-errors".into(),
        severity: Severity::Warning,
        title: "Media errors".into(),
        attributes: Labels::default(),
    };
    let report = collected(2, entities, vec![], vec![event.clone(), CollectedEvent { entity: 9, ..event }]);
    store.write(move |tx| tx.append(&report)).await.unwrap();
    settle(&mut room, second(3)).await;
    settle(&mut room, second(4)).await;
    let expected = [("host:4c4c", "disk:0x5000"), ("host:4c4c", "ups:rack7")];
    assert_eq!(ends(&store), expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    let read = store.read().unwrap();
    let meanings = read.scan::<Meaning>(.., 10).unwrap();
    assert!(meanings.iter().all(|meaning| meaning.entity == EntityId("disk:0x5000".into())));
    let index = read.scan::<EntitySeries>(.., 10).unwrap();
    assert!(index.iter().all(|entry| entry.entity.0 == "disk:0x5000"));
    let events = read.log_after::<Event>(0, 10).unwrap();
    assert_eq!(events.len(), 1, "an event of an entity that is not there is dropped");
    assert_eq!(events[0].1.entity.0, "disk:0x5000");
    let old = read.get::<Entity>(&"host:a".to_owned()).unwrap().unwrap();
    assert_eq!(old.merged_into, Some(EntityId("host:4c4c".into())));
}

#[tokio::test]
async fn what_nobody_reports_any_more_is_forgotten_after_its_time() {
    let (store, _folder) = open();
    let mappers = FakeMappers::new(vec![], |_, _, _| Ok(Mapping::default()));
    let mut room = room(&store, &mappers, vec![]);
    let pod = |gpu: &str| {
        let entities = vec![draft("pod", &[local("pod", "ns/p")]), draft("gpu", &[local("index", gpu)])];
        let runs_on = RelationDraft { dependent: 0, dependency: 1, kind: RelationKind::RunsOn };
        (entities, vec![runs_on])
    };
    for (at, gpu) in [(0, "a/0"), (10, "a/1"), (3_700, "a/1")] {
        let (entities, relations) = pod(gpu);
        let report = collected(at, entities, relations, vec![]);
        store.write(move |tx| tx.append(&report)).await.unwrap();
        settle(&mut room, second(at)).await;
    }
    let relations = store.read().unwrap().scan::<Relation>(.., 10).unwrap();
    assert_eq!(relations.iter().map(|r| r.dependency.0.as_str()).collect::<Vec<_>>(), ["gpu:a/1"]);
}

/// Not a check but a measurement: `cargo test --release -p tandem-aiops -- --ignored --nocapture hundred_thousand`.
#[tokio::test]
#[ignore = "a measurement"]
async fn time_to_map_a_hundred_thousand_series() {
    let (store, _folder) = open();
    let mappers = FakeMappers::new(vec![plugin("m", "1", &[Scope::Target])], |_, target, series| {
        Ok(host_and_disk(target, series, "disk"))
    });
    let mut room = room(&store, &mappers, vec![]);
    for host in 0..50 {
        register(&store, &format!("h{host}"), 0..2_000).await;
    }
    let started = std::time::Instant::now();
    let mut longest = std::time::Duration::ZERO;
    for at in [0, 1] {
        loop {
            let pass = std::time::Instant::now();
            let more = room.step(second(at)).await.unwrap().more;
            longest = longest.max(pass.elapsed());
            if !more {
                break;
            }
        }
    }
    println!("{:?} in all, the longest pass {longest:?}", started.elapsed());
    assert_eq!(store.read().unwrap().count::<Meaning>().unwrap(), 100_000);
}
