//! Over a real store.

use super::*;
use std::collections::BTreeMap;
use tandem_domain::prediction::FeatureValue;
use tandem_store::StoreOptions;

fn prediction(id: u64, said: &str) -> Prediction {
    Prediction {
        band: None,
        service: "chat".into(),
        model: "m".into(),
        version: "1".into(),
        id: id.to_string(),
        at: Timestamp(id as i64),
        replica: String::new(),
        features: BTreeMap::new(),
        prediction: FeatureValue::Text(said.into()),
        score: None,
    }
}

fn label(id: u64, was: &str) -> TruthLabel {
    let label = FeatureValue::Text(was.into());
    TruthLabel { service: "chat".into(), id: id.to_string(), label, at: Timestamp(9), received_at: Timestamp(9) }
}

fn few() -> MonitorConfig {
    MonitorConfig { keep_predictions: 1000, ..MonitorConfig::default() }
}

fn labels_left(store: &Store) -> (usize, u64) {
    let read = store.read().expect("reads");
    let log = read.log_after::<TruthLabel>(0, 5000).expect("reads").len();
    (log, read.count::<UnjoinedLabel>().expect("reads"))
}

fn traffic(store: &Store) -> ServiceTraffic {
    let all = store.read().expect("reads").scan::<ServiceTraffic>(.., 10).expect("reads");
    assert_eq!(all.len(), 1);
    all.into_iter().next().expect("one")
}

#[tokio::test]
async fn predictions_are_kept_once_and_labels_join_whichever_comes_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    take_labels(&store, vec![label(2, "dog")]).await.expect("kept");
    let sent = vec![prediction(1, "cat"), prediction(2, "cat"), prediction(1, "other")];
    let taken = take_predictions(&store, sent.clone()).await.expect("kept");
    assert_eq!((taken.accepted, taken.duplicates), (2, 1));
    let again = take_predictions(&store, sent).await.expect("kept");
    assert_eq!((again.accepted, again.duplicates), (0, 3));
    take_labels(&store, vec![label(1, "cat"), label(1, "dog")]).await.expect("kept");
    let traffic = traffic(&store);
    assert_eq!((traffic.predictions, traffic.labels, traffic.agreed), (2, 2, 1));
    assert_eq!((traffic.first_at, traffic.last_at), (Timestamp(1), Timestamp(2)));
    let recent = traffic.recent(Timestamp(10));
    assert_eq!((recent.predictions, recent.labels, recent.agreed), (2, 2, 1), "joined either way, they are recent");
    assert_eq!(traffic.recent(Timestamp(3_600_000)).predictions, 0);
}

#[tokio::test]
async fn the_oldest_go_first_and_only_what_was_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    take_predictions(&store, (1..=3000).map(|id| prediction(id, "x")).collect()).await.expect("kept");
    let mut room = MonitorRoom::new(store.clone(), few());
    room.step(Timestamp(0)).await.expect("steps");
    assert_eq!(store.read().expect("reads").log_after::<Prediction>(0, 5000).expect("reads").len(), 3000);
    store.write(|tx| tx.set_cursor(crate::drift::CURSOR, 3000)).await.expect("set");
    room.step(Timestamp(0)).await.expect("steps");
    let left = store.read().expect("reads").log_after::<Prediction>(0, 5000).expect("reads");
    assert_eq!((left.len(), left[0].0), (1000, 2001));
}

#[tokio::test]
async fn labels_of_predictions_that_never_come_do_not_pile_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    take_labels(&store, (1..=3000).map(|id| label(id, "x")).collect()).await.expect("kept");
    let mut room = MonitorRoom::new(store.clone(), few());
    room.step(Timestamp(0)).await.expect("steps");
    assert_eq!(labels_left(&store), (1000, 1000));
    assert_eq!((room.counts.labels_dropped.get(), room.counts.labels_waiting.get()), (2000, 1000));
    assert_eq!(room.counts.labels.get(), 3000);
    take_predictions(&store, vec![prediction(2999, "x"), prediction(1, "x")]).await.expect("kept");
    assert_eq!(traffic(&store).labels, 1, "what still waits is joined, what was dropped is not");
}

#[tokio::test]
async fn labels_go_by_the_age_since_they_were_sent_and_joined_ones_are_not_counted_as_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let day = |count: i64| Timestamp(count * 86_400_000);
    let sent = |id: u64, at: Timestamp| TruthLabel { received_at: at, ..label(id, "x") };
    take_predictions(&store, vec![prediction(1, "x")]).await.expect("kept");
    take_labels(&store, vec![sent(1, day(1)), sent(2, day(1)), sent(3, day(20))]).await.expect("kept");
    let mut room = MonitorRoom::new(store.clone(), few());
    room.step(day(31)).await.expect("steps");
    assert_eq!(labels_left(&store), (3, 2), "thirty days old, and not older");
    room.step(day(32)).await.expect("steps");
    assert_eq!(labels_left(&store), (1, 1));
    assert_eq!(room.counts.labels_dropped.get(), 1);
    assert_eq!(traffic(&store).labels, 1, "what a label has told stays");
}
