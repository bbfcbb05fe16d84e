//! The room over a real store: entities that are merged while a fault lasts, restarts.

use super::{AlertConfig, AlertRoom, rules::tests::change};
use crate::{map::topology, room::Room, signal::FaultChange, testing::open};
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertChange, AlertState, Fingerprint, HeldAlert, ToldAlert},
    entity::{Entity, EntityId},
    meaning::{EntitySeries, Meaning, MeaningBody},
    objective::OBJECTIVES,
    relation::RelationKind,
    series::{Labels, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::TargetKey,
    verdict::{BLAMES, Blame},
};

fn entity(id: &str, merged_into: Option<&str>) -> Entity {
    Entity {
        id: EntityId(id.into()),
        kind: "gpu".into(),
        name: id.into(),
        keys: vec![],
        attributes: Labels::default(),
        first_seen_at: Timestamp(0),
        last_seen_at: Timestamp(0),
        merged_into: merged_into.map(|id| EntityId(id.into())),
    }
}

#[tokio::test]
async fn the_end_finds_the_alert_that_began_though_its_entity_was_merged_meanwhile() {
    let (store, _folder) = open();
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    store.write(|tx| tx.append(&change(1, 10, true))).await.unwrap();
    room.step(Timestamp(10)).await.unwrap();
    store
        .write(|tx| {
            tx.put(&entity("gpu:a", Some("gpu:GPU-1")))?;
            tx.put(&entity("gpu:GPU-1", None))?;
            let renamed = FaultChange { entity: EntityId("gpu:GPU-1".into()), ..change(1, 20, false) };
            tx.append(&renamed)
        })
        .await
        .unwrap();
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    room.step(Timestamp(20)).await.unwrap();
    let read = store.read().unwrap();
    let alerts = read.scan::<Alert>(.., 10).unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].state, alerts[0].ended_at), (AlertState::Resolved, Some(Timestamp(20))));
    assert_eq!(read.log_after::<AlertChange>(0, 10).unwrap().len(), 2);
    drop(read);
    // From then on it is an alert of the entity's present id.
    store.write(|tx| tx.append(&change(1, 30, true))).await.unwrap();
    room.step(Timestamp(30)).await.unwrap();
    let alerts = store.read().unwrap().scan::<Alert>(.., 10).unwrap();
    let firing: Vec<_> = alerts.iter().filter(|alert| super::is_firing(alert)).collect();
    assert_eq!((firing.len(), firing[0].entity.0.as_str()), (1, "gpu:GPU-1"));
}

#[tokio::test]
async fn a_pass_without_news_writes_nothing() {
    let (store, _folder) = open();
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    store.write(|tx| tx.append(&change(1, 10, true))).await.unwrap();
    assert!(room.step(Timestamp(10)).await.unwrap().worked);
    let commits = store.commit_count();
    assert!(!room.step(Timestamp(11)).await.unwrap().worked);
    assert_eq!(store.commit_count(), commits);
}

fn told(state: AlertState, labels: &[(&str, &str)], ends_at: Option<i64>) -> ToldAlert {
    let owned = |pairs: &[(&str, &str)]| Labels::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    ToldAlert {
        source: "prometheus".into(),
        fingerprint: Fingerprint("c0ffee".into()),
        state,
        labels: owned(labels),
        annotations: owned(&[("summary", "the disk of n1 fills up")]),
        started_at: Timestamp(5),
        ends_at: ends_at.map(Timestamp),
    }
}

#[tokio::test]
async fn what_others_tell_is_an_alert_of_the_entity_it_names_until_they_stop() {
    let (store, _folder) = open();
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    let labels = [("alertname", "DiskFull"), ("instance", "n1:9100"), ("severity", "page")];
    let alerts = || store.read().unwrap().scan::<Alert>(.., 10).unwrap();
    super::told::tell(&store, vec![told(AlertState::Firing, &labels, Some(100))]).await.unwrap();
    room.step(Timestamp(10)).await.unwrap();
    let alert = alerts().remove(0);
    assert_eq!((alert.code.as_str(), alert.severity, alert.times_fired), ("DiskFull", Severity::Critical, 1));
    assert_eq!((alert.entity.0.as_str(), alert.title.as_str()), ("host:n1", "the disk of n1 fills up"));
    // Told again in time it goes on, and is no change.
    super::told::tell(&store, vec![told(AlertState::Firing, &labels, Some(200))]).await.unwrap();
    let progress = room.step(Timestamp(90)).await.unwrap();
    assert!(progress.wake_at.is_none_or(|at| at <= Timestamp(200)));
    room.step(Timestamp(150)).await.unwrap();
    assert_eq!(alerts()[0].state, AlertState::Firing);
    // Not told again it ends when it said it would.
    room.step(Timestamp(201)).await.unwrap();
    assert_eq!((alerts()[0].state, alerts()[0].ended_at), (AlertState::Resolved, Some(Timestamp(200))));
    super::told::tell(&store, vec![told(AlertState::Firing, &labels, None)]).await.unwrap();
    room.step(Timestamp(300)).await.unwrap();
    super::told::tell(&store, vec![told(AlertState::Resolved, &labels, Some(400))]).await.unwrap();
    room.step(Timestamp(410)).await.unwrap();
    let alert = alerts().remove(0);
    assert_eq!((alert.state, alert.ended_at, alert.times_fired), (AlertState::Resolved, Some(Timestamp(400)), 2));
    let changes = store.read().unwrap().log_after::<AlertChange>(0, 10).unwrap();
    assert_eq!(changes.len(), 4, "fired, ended, fired, ended: what is told again is no change");
}

#[tokio::test]
async fn an_alert_that_two_tell_is_one_and_ends_with_the_last() {
    let (store, _folder) = open();
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    let by = |source: &str, state, ends_at| ToldAlert {
        source: source.into(),
        ..told(state, &[("alertname", "DiskFull"), ("instance", "n1:9100")], ends_at)
    };
    let firing = || {
        let alerts = store.read().unwrap().scan::<Alert>(.., 10).unwrap();
        (alerts.len(), alerts[0].state, alerts[0].times_fired)
    };
    let rules = |state, ends_at| by("rules", state, ends_at);
    super::told::tell(&store, vec![by("alertmanager", AlertState::Firing, Some(100))]).await.unwrap();
    super::told::tell(&store, vec![rules(AlertState::Firing, None)]).await.unwrap();
    room.step(Timestamp(10)).await.unwrap();
    assert_eq!(firing(), (1, AlertState::Firing, 1));
    // One of them falls silent, and the other goes on.
    room.step(Timestamp(150)).await.unwrap();
    assert_eq!(firing(), (1, AlertState::Firing, 1));
    super::told::tell(&store, vec![by("alertmanager", AlertState::Firing, Some(300))]).await.unwrap();
    super::told::tell(&store, vec![rules(AlertState::Resolved, Some(200))]).await.unwrap();
    room.step(Timestamp(200)).await.unwrap();
    assert_eq!(firing(), (1, AlertState::Firing, 1));
    super::told::tell(&store, vec![by("alertmanager", AlertState::Resolved, Some(250))]).await.unwrap();
    room.step(Timestamp(260)).await.unwrap();
    assert_eq!(firing(), (1, AlertState::Resolved, 1));
}

#[test]
fn the_most_telling_label_names_the_entity() {
    let of = |pairs: &[(&str, &str)]| {
        let draft = super::told::subject(&told(AlertState::Firing, pairs, None).labels);
        format!("{}:{}", draft.kind, draft.keys[0].value)
    };
    assert_eq!(of(&[("instance", "n1:9400"), ("UUID", "GPU-1")]), "gpu:GPU-1");
    assert_eq!(of(&[("instance", "[fe80::1]:9100"), ("job", "node")]), "host:fe80::1");
    assert_eq!(of(&[("service", "chat"), ("instance", "n1:8000")]), "service:chat");
    assert_eq!(of(&[("alertname", "Watchdog")]), "rule:Watchdog");
}

/// A service `chat` with replicas, each with the series that says whether it answers.
async fn replicas(store: &tandem_store::Store, count: u64) -> Vec<SeriesId> {
    store
        .write(move |tx| {
            let target = TargetKey { job: "vllm".into(), instance: "a:8000".into() };
            tx.put(&Entity { kind: "service".into(), name: "chat".into(), ..entity("service:chat", None) })?;
            let mut all = Vec::new();
            for number in 0..count {
                let id = format!("replica:{number}");
                tx.put(&Entity { kind: "replica".into(), ..entity(&id, None) })?;
                let description = SeriesDescription {
                    metric: "up".into(),
                    metric_type: MetricType::Gauge,
                    unit: String::new(),
                    labels: Labels::new([("replica".to_owned(), number.to_string())]),
                };
                let series = tx.register_series(&target, &description)?;
                let (service, replica) = (EntityId("service:chat".into()), EntityId(id));
                topology::confirm(tx, &service, &replica, RelationKind::DependsOn, "test", Timestamp(0))?;
                let body = MeaningBody {
                    name: "replica.up".into(),
                    unit: "1".into(),
                    scale: 1.0,
                    offset: 0.0,
                    missing: Vec::new(),
                    dimensions: Labels::default(),
                    fault_rules: Vec::new(),
                };
                tx.put(&EntitySeries { entity: replica.clone(), series })?;
                let (mapper, mapper_digest) = ("m".into(), "d".into());
                tx.put(&Meaning { series, entity: replica, body, mapper, mapper_digest })?;
                all.push(series);
            }
            Ok(all)
        })
        .await
        .unwrap()
}

/// What each replica says at a moment, and the change of the first.
async fn at(store: &tandem_store::Store, series: &[SeriesId], minute: i64, up: &[f64], active: Option<bool>) {
    let mut batch = SampleBatch::default();
    for (series, value) in series.iter().zip(up) {
        batch.push(*series, Timestamp(minute * 60_000), *value);
    }
    let (first, at) = (series[0], Timestamp(minute * 60_000));
    store
        .write(move |tx| {
            tx.append_samples(&batch)?;
            let Some(active) = active else { return Ok(()) };
            let entity = EntityId("replica:0".into());
            let down = FaultChange {
                at,
                series: first,
                entity,
                code: "replica.down".into(),
                active,
                ..self::change(1, 0, true)
            };
            tx.append(&down).map(drop)
        })
        .await
        .unwrap();
}

fn only(store: &tandem_store::Store) -> (Alert, Option<HeldAlert>) {
    let read = store.read().unwrap();
    let alert = read.scan::<Alert>(.., 10).unwrap().remove(0);
    let held = read.get::<HeldAlert>(&alert.fingerprint.0).unwrap();
    (alert, held)
}

#[tokio::test]
async fn a_replica_that_restarts_beside_others_is_seen_and_nobody_is_told() {
    let (store, _folder) = open();
    let series = replicas(&store, 3).await;
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    at(&store, &series, 1, &[0.0, 1.0, 1.0], Some(true)).await;
    let progress = room.step(Timestamp(60_000)).await.unwrap();
    let (alert, held) = only(&store);
    assert_eq!((alert.state, alert.severity), (AlertState::Firing, Severity::Info));
    let held = held.expect("it is held");
    assert_eq!((held.severity, held.until), (Severity::Critical, Timestamp(16 * 60_000)));
    assert!(held.why.starts_with("2 of 3 replicas of chat answer"), "{}", held.why);
    assert!(progress.wake_at.is_some());
    at(&store, &series, 3, &[1.0, 1.0, 1.0], Some(false)).await;
    room.step(Timestamp(180_000)).await.unwrap();
    let (alert, held) = only(&store);
    assert_eq!((alert.state, alert.severity, held), (AlertState::Resolved, Severity::Info, None));
    // Away again, and for good.
    at(&store, &series, 10, &[0.0, 1.0, 1.0], Some(true)).await;
    room.step(Timestamp(600_000)).await.unwrap();
    assert_eq!(only(&store).0.severity, Severity::Info);
    at(&store, &series, 25, &[0.0, 1.0, 1.0], None).await;
    room.step(Timestamp(25 * 60_000)).await.unwrap();
    let (alert, held) = only(&store);
    assert_eq!((alert.severity, alert.started_at, held), (Severity::Critical, Timestamp(600_000), None));
}

#[tokio::test]
async fn a_service_without_a_replica_is_told_at_once() {
    let (store, _folder) = open();
    let series = replicas(&store, 2).await;
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    at(&store, &series, 1, &[0.0, 1.0], Some(true)).await;
    room.step(Timestamp(60_000)).await.unwrap();
    assert_eq!(only(&store).0.severity, Severity::Info);
    at(&store, &series, 2, &[0.0, 0.0], None).await;
    room.step(Timestamp(120_000)).await.unwrap();
    let (alert, held) = only(&store);
    assert_eq!((alert.severity, held), (Severity::Critical, None));
    // Told is told: that the other answers again does not take it back.
    at(&store, &series, 3, &[0.0, 1.0], Some(true)).await;
    room.step(Timestamp(180_000)).await.unwrap();
    assert_eq!(only(&store).0.severity, Severity::Critical);
}

/// What an objective of a service tells that burns.
async fn felt(store: &tandem_store::Store, room: &mut AlertRoom, service: &str, at: Timestamp) {
    let labels = [("alertname", "objective.latency"), ("service", service), ("severity", "critical")];
    let told = ToldAlert { source: OBJECTIVES.into(), ..told(AlertState::Firing, &labels, None) };
    let fingerprint = Fingerprint::of_labels(&told.labels);
    store.write(move |tx| tx.append(&ToldAlert { fingerprint, ..told })).await.unwrap();
    room.step(at).await.unwrap();
}

async fn blame(store: &tandem_store::Store, service: &str, (settled, entity): (bool, Option<&str>)) {
    let blame = Blame {
        service: service.into(),
        asked_at: Timestamp(0),
        settled,
        entity: entity.map(|id| EntityId(id.into())),
        within: Vec::new(),
        sentence: "It loses packets.".into(),
    };
    store.write(move |tx| tx.put(&blame)).await.unwrap();
}

/// Firing alerts: severity, entity and who tells them.
fn firing(store: &tandem_store::Store) -> Vec<(Severity, String, String)> {
    let alerts = store.read().unwrap().scan::<Alert>(.., 10).unwrap();
    let mut firing: Vec<_> = alerts
        .into_iter()
        .filter(super::is_firing)
        .map(|alert| (alert.severity, alert.entity.0, alert.source))
        .collect();
    firing.sort_by(|a, b| a.1.cmp(&b.1));
    firing
}

#[tokio::test]
async fn what_users_feel_waits_for_the_verdict_and_what_that_blames_is_one_alert_for_all_who_feel_it() {
    let (store, _folder) = open();
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    felt(&store, &mut room, "chat", Timestamp(1_000)).await;
    felt(&store, &mut room, "fraud", Timestamp(1_000)).await;
    let of = |severity, service: &str| (severity, format!("service:{service}"), OBJECTIVES.to_owned());
    assert_eq!(firing(&store), [of(Severity::Info, "chat"), of(Severity::Info, "fraud")]);
    blame(&store, "chat", (false, Some("switch:a"))).await;
    room.step(Timestamp(2_000)).await.unwrap();
    let doubtful = (Severity::Info, "switch:a".to_owned(), BLAMES.to_owned());
    assert!(
        firing(&store).iter().all(|(severity, ..)| *severity == Severity::Info),
        "a doubtful answer is waited with"
    );
    assert_eq!(firing(&store)[2], doubtful);
    blame(&store, "fraud", (false, Some("switch:a"))).await;
    room.step(Timestamp(3_000)).await.unwrap();
    let switch = (Severity::Warning, "switch:a".to_owned(), BLAMES.to_owned());
    assert_eq!(firing(&store), [of(Severity::Critical, "chat"), of(Severity::Critical, "fraud"), switch.clone()]);
    let read = store.read().unwrap();
    let order: Vec<String> =
        read.log_after::<AlertChange>(0, 10).unwrap().into_iter().map(|(_, change)| change.alert.entity.0).collect();
    assert_eq!((order.len(), order[3].as_str()), (6, "switch:a"), "what joins them comes first");
    assert_eq!(read.scan::<HeldAlert>(.., 10).unwrap(), []);
    drop(read);
    store.write(|tx| tx.remove::<Blame>(&"chat".to_owned())).await.unwrap();
    room.step(Timestamp(4_000)).await.unwrap();
    assert!(firing(&store).contains(&doubtful), "one alone is in doubt");
    let alert =
        store.read().unwrap().scan::<Alert>(.., 10).unwrap().into_iter().find(|one| one.source == BLAMES).unwrap();
    assert_eq!((alert.times_fired, alert.started_at), (1, Timestamp(2_000)), "it has gone on all the time");
    blame(&store, "fraud", (true, Some("switch:a"))).await;
    room.step(Timestamp(4_500)).await.unwrap();
    assert!(firing(&store).contains(&switch), "one that is sure is enough");
    blame(&store, "fraud", (true, None)).await;
    room.step(Timestamp(5_000)).await.unwrap();
    assert!(!firing(&store).contains(&switch));
    // Asked already, it is told at once.
    felt(&store, &mut room, "fraud", Timestamp(6_000)).await;
    assert!(firing(&store).contains(&of(Severity::Critical, "fraud")));
}

#[tokio::test]
async fn services_that_name_different_parts_of_one_whole_agree_on_it() {
    let (store, _folder) = open();
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    let within = |service: &'static str, entity: &'static str, whole: &'static str| {
        let store = store.clone();
        async move {
            blame(&store, service, (false, Some(entity))).await;
            let known = store.read().unwrap().get::<Blame>(&service.to_owned()).unwrap().unwrap();
            let known = Blame { within: vec![EntityId(whole.into())], ..known };
            store.write(move |tx| tx.put(&known)).await.unwrap();
        }
    };
    felt(&store, &mut room, "chat", Timestamp(1_000)).await;
    felt(&store, &mut room, "fraud", Timestamp(1_000)).await;
    within("chat", "interface:a/1", "switch:a").await;
    within("fraud", "interface:b/1", "switch:b").await;
    room.step(Timestamp(2_000)).await.unwrap();
    assert!(
        firing(&store).iter().all(|(severity, ..)| *severity == Severity::Info),
        "two wholes: {:?}",
        firing(&store)
    );
    within("fraud", "interface:a/2", "switch:a").await;
    room.step(Timestamp(3_000)).await.unwrap();
    let blamed = |store| firing(store).into_iter().filter(|(.., source)| source == BLAMES).map(|(_, entity, _)| entity);
    assert_eq!(blamed(&store).collect::<Vec<_>>(), ["switch:a"], "and no longer the parts");
    assert!(firing(&store).contains(&(Severity::Critical, "service:chat".into(), OBJECTIVES.into())), "told at once");
    // One that names the whole itself agrees as well.
    blame(&store, "fraud", (true, Some("switch:a"))).await;
    room.step(Timestamp(4_000)).await.unwrap();
    assert_eq!(blamed(&store).collect::<Vec<_>>(), ["switch:a"]);
    store.write(|tx| tx.remove::<Blame>(&"fraud".to_owned())).await.unwrap();
    room.step(Timestamp(5_000)).await.unwrap();
    assert_eq!(blamed(&store).collect::<Vec<_>>(), ["interface:a/1"], "what one alone names, in doubt");
}

#[tokio::test]
async fn what_nobody_can_explain_is_told_after_a_minute() {
    let (store, _folder) = open();
    let mut room = AlertRoom::new(store.clone(), AlertConfig::default());
    felt(&store, &mut room, "chat", Timestamp(1_000)).await;
    blame(&store, "chat", (false, None)).await;
    room.step(Timestamp(60_999)).await.unwrap();
    let (alert, held) = only(&store);
    assert_eq!(alert.severity, Severity::Info);
    assert!(held.is_some_and(|held| held.why.contains("the verdict is asked")));
    room.step(Timestamp(61_000)).await.unwrap();
    let (alert, held) = only(&store);
    assert_eq!((alert.severity, held), (Severity::Critical, None));
}
