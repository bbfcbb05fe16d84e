//! Over a real store.

use super::*;
use std::collections::BTreeMap;
use tandem_store::StoreOptions;

fn prediction(id: u64, said: &str) -> Prediction {
    Prediction {
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
    TruthLabel { service: "chat".into(), id: id.to_string(), label: FeatureValue::Text(was.into()), at: Timestamp(9) }
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
}

#[tokio::test]
async fn the_oldest_go_first_and_only_what_was_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    take_predictions(&store, (1..=3000).map(|id| prediction(id, "x")).collect()).await.expect("kept");
    let mut room = MonitorRoom::new(store.clone(), MonitorConfig { keep_predictions: 1000 });
    room.step(Timestamp(0)).await.expect("steps");
    assert_eq!(store.read().expect("reads").log_after::<Prediction>(0, 5000).expect("reads").len(), 3000);
    store.write(|tx| tx.set_cursor(crate::drift::CURSOR, 3000)).await.expect("set");
    room.step(Timestamp(0)).await.expect("steps");
    let left = store.read().expect("reads").log_after::<Prediction>(0, 5000).expect("reads");
    assert_eq!((left.len(), left[0].0), (1000, 2001));
}
