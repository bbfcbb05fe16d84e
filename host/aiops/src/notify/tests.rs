//! Receivers over a real store: order, patience, dead receivers, restarts.

use super::{NotifyMetrics, NotifyRoom, ReceiverConfig};
use crate::{
    correlate::fixtures::incident,
    room::Room,
    testing::{FakeHttp, open, reopen, second},
};
use std::sync::Arc;
use tandem_domain::{
    Failure, FailureCode, Severity,
    incident::{Incident, IncidentChange, IncidentStatus},
};
use tandem_store::Store;

fn receiver(store: &Store, http: &Arc<FakeHttp>, name: &str) -> NotifyRoom {
    let config = ReceiverConfig::new(format!("http://{name}:80/hook"));
    let metrics = Arc::new(NotifyMetrics::default());
    NotifyRoom::new(store.clone(), http.clone(), name.into(), config, "http://tandem".into(), metrics)
}

async fn change(store: &Store, id: u64, status: IncidentStatus, severity: Severity, at: i64) {
    let record = Incident { id, severity, ..incident(status, None) };
    store
        .write(move |tx| {
            tx.put(&record)?;
            tx.append(&IncidentChange { incident: id, status, at: second(at) })
        })
        .await
        .unwrap();
}

async fn settle(room: &mut NotifyRoom, at: i64) {
    for _ in 0..100 {
        if !room.step(second(at)).await.unwrap().more {
            return;
        }
    }
    panic!("it never comes to rest");
}

fn events(http: &FakeHttp, receiver: &str) -> Vec<String> {
    let got = http.got.lock().unwrap();
    let of_it = got.iter().filter(|(host, _)| host == &format!("{receiver}:80"));
    of_it
        .map(|(_, request)| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            format!("{} {}", body["event"].as_str().unwrap(), body["incident"]["id"])
        })
        .collect()
}

#[tokio::test]
async fn people_are_told_in_order_of_what_matters_and_of_nothing_before_their_time() {
    use IncidentStatus::{Acknowledged, Open, Reopened, Resolved};
    let (store, folder) = open();
    let http = Arc::new(FakeHttp::default());
    change(&store, 1, Open, Severity::Critical, 0).await;
    let mut room = receiver(&store, &http, "ops");
    settle(&mut room, 1).await;
    assert_eq!(events(&http, "ops"), Vec::<String>::new());
    change(&store, 2, Open, Severity::Warning, 2).await;
    change(&store, 3, Open, Severity::Info, 2).await;
    change(&store, 2, Acknowledged, Severity::Warning, 3).await;
    change(&store, 2, Resolved, Severity::Warning, 4).await;
    settle(&mut room, 5).await;
    assert_eq!(events(&http, "ops"), ["open 2", "resolve 2"]);
    drop(room);
    drop(store);
    let store = reopen(&folder);
    let mut room = receiver(&store, &http, "ops");
    change(&store, 2, Reopened, Severity::Warning, 6).await;
    settle(&mut room, 7).await;
    assert_eq!(events(&http, "ops"), ["open 2", "resolve 2", "reopen 2"], "a restart tells nothing twice");
    let keys: Vec<_> = http.got.lock().unwrap().iter().map(|(_, request)| request.headers[1].clone()).collect();
    assert_eq!(keys[0], ("idempotency-key".to_owned(), b"2-2".to_vec()));
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn a_dead_receiver_is_tried_again_with_longer_waits_and_holds_up_nobody() {
    let (store, _folder) = open();
    let http = Arc::new(FakeHttp::default());
    let unreachable = Failure::passing(FailureCode::Unreachable, "nobody answers");
    http.answers.lock().unwrap().insert("dead:80".into(), Err(unreachable));
    let (mut dead, mut well) = (receiver(&store, &http, "dead"), receiver(&store, &http, "well"));
    settle(&mut dead, 0).await;
    settle(&mut well, 0).await;
    change(&store, 1, IncidentStatus::Open, Severity::Warning, 1).await;
    for at in 1..=10 {
        settle(&mut dead, at).await;
        settle(&mut well, at).await;
    }
    assert_eq!(events(&http, "well"), ["open 1"]);
    assert_eq!(events(&http, "dead").len(), 4, "at 1, 2, 4 and 8 seconds");
    assert_eq!(super::receivers(&store, 9).unwrap()[0].failures, 4);
    http.answers.lock().unwrap().clear();
    settle(&mut dead, 60).await;
    settle(&mut dead, 61).await;
    assert_eq!(events(&http, "dead").len(), 5);
    let bodies: Vec<_> = http
        .got
        .lock()
        .unwrap()
        .iter()
        .filter(|(host, _)| host == "dead:80")
        .map(|(_, r)| r.headers[1].clone())
        .collect();
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "the same notification has the same id");
    let state = super::receivers(&store, 9).unwrap().remove(0);
    assert_eq!((state.delivered, state.failures, state.failure), (1, 0, None));
}

#[tokio::test]
async fn what_is_refused_for_good_or_too_old_is_given_up() {
    let (store, _folder) = open();
    let http = Arc::new(FakeHttp::default());
    http.answers.lock().unwrap().insert("wrong:80".into(), Ok(404));
    let mut room = receiver(&store, &http, "wrong");
    settle(&mut room, 0).await;
    change(&store, 1, IncidentStatus::Open, Severity::Warning, 1).await;
    for at in 1..20 {
        settle(&mut room, at).await;
    }
    assert_eq!(events(&http, "wrong").len(), 3);
    http.answers.lock().unwrap().insert("wrong:80".into(), Ok(503));
    change(&store, 2, IncidentStatus::Open, Severity::Warning, 20).await;
    settle(&mut room, 21).await;
    settle(&mut room, 30 * 3_600).await;
    let state = super::receivers(&store, 9).unwrap().remove(0);
    assert_eq!((state.given_up, state.through, state.retry_at), (2, 2, None));
}
