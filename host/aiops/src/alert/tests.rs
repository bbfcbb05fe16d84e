//! The room over a real store: entities that are merged while a fault lasts, restarts.

use super::{AlertRoom, rules::tests::change};
use crate::{room::Room, signal::FaultChange, testing::open};
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertChange, AlertState, Fingerprint, ToldAlert},
    entity::{Entity, EntityId},
    series::Labels,
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
    let mut room = AlertRoom::new(store.clone());
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
    let mut room = AlertRoom::new(store.clone());
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
    let mut room = AlertRoom::new(store.clone());
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
    let mut room = AlertRoom::new(store.clone());
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
    let mut room = AlertRoom::new(store.clone());
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
