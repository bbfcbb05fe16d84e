//! The room over a real store: entities that are merged while a fault lasts, restarts.

use super::{AlertRoom, rules::tests::change};
use crate::{room::Room, signal::FaultChange, testing::open};
use tandem_domain::{
    Timestamp,
    alert::{Alert, AlertChange, AlertState},
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
