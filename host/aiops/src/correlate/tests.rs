//! The room over a real store: from alerts to incidents and back, restarts, failing correlators, people.

use super::{
    CorrelateConfig, CorrelateRoom, PersonAction, act,
    incidents::{Context, take_groupings},
    query::Topology,
};
use crate::{
    room::Room,
    testing::{FakeCorrelators, open, plugin, reopen, second},
};
use std::sync::Arc;
use tandem_domain::{
    Severity, Timestamp,
    alert::{Alert, AlertChange, AlertState, Fingerprint},
    entity::{Entity, EntityId},
    incident::{Incident, IncidentChange, IncidentStatus},
    ports::Grouping,
    relation::{Relation, RelationKind},
    series::Labels,
    topology::TopologyRevision,
};
use tandem_store::Store;

fn alert(name: &str, severity: Severity, at: i64) -> Alert {
    Alert {
        fingerprint: Fingerprint(name.into()),
        state: AlertState::Firing,
        code: "gpu.xid.79".into(),
        severity,
        title: format!("{name} is broken"),
        advice: String::new(),
        entity: EntityId("gpu:a".into()),
        labels: Labels::new([("site".to_owned(), "west".to_owned())]),
        started_at: second(at),
        ended_at: None,
        changed_at: second(at),
        times_fired: 1,
        source: "d".into(),
    }
}

fn over(alert: &Alert, at: i64) -> Alert {
    Alert { state: AlertState::Resolved, ended_at: Some(second(at)), changed_at: second(at), ..alert.clone() }
}

fn again(alert: &Alert, at: i64) -> Alert {
    let times_fired = alert.times_fired + 1;
    Alert { started_at: second(at), ended_at: None, changed_at: second(at), times_fired, ..alert.clone() }
}

async fn tell(store: &Store, alert: Alert) {
    store
        .write(move |tx| {
            tx.put(&alert)?;
            tx.append(&AlertChange { alert })
        })
        .await
        .unwrap();
}

fn correlators() -> Arc<FakeCorrelators> {
    let correlators = FakeCorrelators::default();
    *correlators.live.lock().unwrap() = vec![plugin("c", "1", &[])];
    Arc::new(correlators)
}

fn room(store: &Store, correlators: &Arc<FakeCorrelators>) -> CorrelateRoom {
    CorrelateRoom::new(store.clone(), correlators.clone(), CorrelateConfig::default())
}

async fn settle(room: &mut CorrelateRoom, at: i64) {
    for _ in 0..100 {
        if !room.step(second(at)).await.unwrap().worked {
            return;
        }
    }
    panic!("it never comes to rest");
}

fn incidents(store: &Store) -> Vec<Incident> {
    store.read().unwrap().scan::<Incident>(.., 100).unwrap()
}

fn statuses(store: &Store) -> Vec<(u64, IncidentStatus)> {
    let log = store.read().unwrap().log_after::<IncidentChange>(0, 100).unwrap();
    log.into_iter().map(|(_, change)| (change.incident, change.status)).collect()
}

fn entity(id: &str) -> Entity {
    let id = EntityId(id.into());
    Entity {
        kind: id.kind().into(),
        name: format!("the {}", id.kind()),
        id,
        keys: vec![],
        attributes: Labels::default(),
        first_seen_at: Timestamp(0),
        last_seen_at: Timestamp(0),
        merged_into: None,
    }
}

async fn topology(store: &Store) {
    store
        .write(|tx| {
            tx.put(&entity("gpu:a"))?;
            tx.put(&entity("service:chat"))?;
            tx.put(&Relation {
                dependent: EntityId("service:chat".into()),
                dependency: EntityId("gpu:a".into()),
                kind: RelationKind::RunsOn,
                source: "test".into(),
                seen_at: Timestamp(0),
            })?;
            tx.put(&TopologyRevision { revision: 1 })
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn alerts_become_one_incident_that_resolves_after_the_hold_and_comes_back() {
    let (store, _folder) = open();
    topology(&store).await;
    let correlators = correlators();
    let mut room = room(&store, &correlators);
    settle(&mut room, 0).await;
    let (one, two) = (alert("one", Severity::Warning, 10), alert("two", Severity::Critical, 11));
    tell(&store, one.clone()).await;
    settle(&mut room, 10).await;
    tell(&store, two.clone()).await;
    settle(&mut room, 11).await;
    let found = incidents(&store);
    assert_eq!(found.len(), 1);
    let incident = &found[0];
    assert_eq!((incident.severity, incident.opened_at, incident.alerts.len()), (Severity::Critical, second(10), 2));
    let entities: Vec<_> = incident.entities.iter().map(|id| id.0.as_str()).collect();
    assert_eq!(entities, ["gpu:a", "service:chat"], "the service that runs on it suffers too");
    assert_eq!(incident.causes[0].entity.0, "gpu:a");
    assert_eq!(correlators.asked.lock().unwrap()[0], "the gpu");
    tell(&store, over(&one, 20)).await;
    tell(&store, over(&two, 21)).await;
    settle(&mut room, 22).await;
    assert_eq!(incidents(&store)[0].status, IncidentStatus::Open, "the hold is not over");
    settle(&mut room, 26).await;
    let incident = incidents(&store).remove(0);
    assert_eq!((incident.status, incident.resolved_at), (IncidentStatus::Resolved, Some(second(21))));
    tell(&store, again(&one, 100)).await;
    settle(&mut room, 100).await;
    let incident = incidents(&store).remove(0);
    assert_eq!((incident.status, incident.resolved_at), (IncidentStatus::Reopened, None));
    use IncidentStatus::{Open, Reopened, Resolved};
    assert_eq!(statuses(&store), [(1, Open), (1, Resolved), (1, Reopened)]);
    let story: Vec<_> = incident.timeline.iter().map(|entry| entry.text.as_str()).collect();
    assert!(story.contains(&"one is broken on the gpu fires again."), "{story:?}");
    // Long after, it is another incident.
    tell(&store, over(&again(&one, 100), 110)).await;
    settle(&mut room, 500).await;
    tell(&store, again(&again(&one, 100), 10_000)).await;
    settle(&mut room, 10_000).await;
    assert_eq!(statuses(&store)[3..], [(1, Resolved), (2, Open)]);
}

#[tokio::test]
async fn what_comes_and_goes_is_told_until_it_is_known_to_and_once_more_when_it_is_quiet_for_long() {
    let (store, folder) = open();
    let correlators = correlators();
    let mut room = room(&store, &correlators);
    settle(&mut room, 0).await;
    let mut link = alert("link", Severity::Warning, 100);
    for at in (100..1_000).step_by(150) {
        link = if at == 100 { link } else { again(&link, at) };
        tell(&store, link.clone()).await;
        settle(&mut room, at).await;
        tell(&store, over(&link, at + 25)).await;
        settle(&mut room, at + 26).await;
        settle(&mut room, at + 60).await;
    }
    use IncidentStatus::{Open, Reopened, Resolved};
    assert_eq!(statuses(&store), [(1, Open), (1, Resolved), (1, Reopened)], "it came back five times");
    let incident = incidents(&store).remove(0);
    let told = incident.timeline.iter().filter(|entry| entry.text.starts_with("It comes and goes")).count();
    assert_eq!(told, 3, "{:?}", incident.timeline);
    // The last end was at 875, and it holds for half an hour; also over a restart.
    drop((room, store));
    let store = reopen(&folder);
    let mut room = CorrelateRoom::new(store.clone(), correlators, CorrelateConfig::default());
    settle(&mut room, 875 + 1_799).await;
    assert_eq!(statuses(&store).len(), 3);
    let progress = room.step(second(875 + 1_799)).await.unwrap();
    assert_eq!(progress.wake_at, Some(second(875 + 1_800)));
    settle(&mut room, 875 + 1_800).await;
    assert_eq!(statuses(&store)[3..], [(1, Resolved)]);
    assert_eq!(incidents(&store)[0].resolved_at, Some(second(875)));
}

#[tokio::test]
async fn what_occurs_once_is_over_at_once_whatever_joins_or_is_mere_information() {
    let (store, _folder) = open();
    let mut room = room(&store, &correlators());
    settle(&mut room, 0).await;
    // One after another, each once; and one that fires again as information.
    let (one, two, known) =
        (alert("one", Severity::Warning, 10), alert("two", Severity::Warning, 22), alert("known", Severity::Info, 11));
    for (at, told) in [
        (10, one.clone()),
        (11, known.clone()),
        (12, over(&known, 12)),
        (20, over(&one, 20)),
        (22, two.clone()),
        (30, over(&two, 30)),
        (31, again(&known, 31)),
        (32, over(&again(&known, 31), 32)),
    ] {
        tell(&store, told).await;
        settle(&mut room, at).await;
    }
    settle(&mut room, 38).await;
    use IncidentStatus::{Open, Resolved};
    assert_eq!(statuses(&store), [(1, Open), (1, Resolved)]);
}

#[tokio::test]
async fn an_alert_that_flaps_while_another_fires_on_does_not_bring_its_incident_back() {
    let (store, _folder) = open();
    let mut room = room(&store, &correlators());
    settle(&mut room, 0).await;
    let (steady, flaps) = (alert("steady", Severity::Warning, 10), alert("flaps", Severity::Warning, 11));
    let back = again(&flaps, 100);
    for (at, told) in [
        (10, steady.clone()),
        (11, flaps.clone()),
        (50, over(&flaps, 50)),
        (100, back.clone()),
        (150, over(&back, 150)),
        (160, over(&steady, 160)),
    ] {
        tell(&store, told).await;
        settle(&mut room, at).await;
    }
    settle(&mut room, 166).await;
    assert_eq!(statuses(&store).last(), Some(&(1, IncidentStatus::Resolved)));
}

#[tokio::test]
async fn what_comes_back_held_as_information_and_becomes_worse_has_come_back() {
    let (store, _folder) = open();
    let mut room = room(&store, &correlators());
    settle(&mut room, 0).await;
    let slow = alert("slow", Severity::Warning, 10);
    let held = Alert { severity: Severity::Info, ..again(&slow, 100) };
    let worse = Alert { changed_at: second(130), ..again(&slow, 100) };
    for (at, told) in
        [(10, slow.clone()), (20, over(&slow, 20)), (100, held), (130, worse.clone()), (200, over(&worse, 200))]
    {
        tell(&store, told).await;
        settle(&mut room, at).await;
        settle(&mut room, at + 6).await;
    }
    use IncidentStatus::{Open, Reopened, Resolved};
    assert_eq!(statuses(&store), [(1, Open), (1, Resolved), (1, Reopened)]);
    settle(&mut room, 500).await;
    assert_eq!(statuses(&store)[3..], [(1, Resolved)]);
}

#[tokio::test]
async fn an_alert_that_its_correlator_puts_elsewhere_does_not_bring_the_old_incident_back() {
    let (store, _folder) = open();
    let mut room = room(&store, &correlators());
    settle(&mut room, 0).await;
    let one = alert("one", Severity::Warning, 1);
    tell(&store, one.clone()).await;
    settle(&mut room, 1).await;
    tell(&store, over(&one, 10)).await;
    settle(&mut room, 20).await;
    let elsewhere = Labels::new([("site".to_owned(), "east".to_owned())]);
    tell(&store, Alert { labels: elsewhere, ..again(&one, 100) }).await;
    settle(&mut room, 100).await;
    use IncidentStatus::{Open, Resolved};
    assert_eq!(statuses(&store), [(1, Open), (1, Resolved), (2, Open)]);
}

#[tokio::test]
async fn what_is_only_worth_knowing_opens_nothing_until_it_gets_worse() {
    let (store, _folder) = open();
    let mut room = room(&store, &correlators());
    settle(&mut room, 0).await;
    tell(&store, alert("one", Severity::Info, 1)).await;
    settle(&mut room, 1).await;
    assert_eq!(incidents(&store), []);
    tell(&store, Alert { severity: Severity::Warning, ..alert("one", Severity::Info, 1) }).await;
    settle(&mut room, 2).await;
    assert_eq!(incidents(&store).len(), 1);
}

#[tokio::test]
async fn without_a_correlator_each_alert_is_its_own_and_is_taken_over_by_one_that_comes() {
    let (store, _folder) = open();
    let correlators = correlators();
    correlators.live.lock().unwrap().clear();
    let mut room = room(&store, &correlators);
    settle(&mut room, 0).await;
    tell(&store, alert("one", Severity::Warning, 1)).await;
    settle(&mut room, 5).await;
    assert_eq!(incidents(&store), [], "plugins may still be loading");
    tell(&store, alert("two", Severity::Warning, 6)).await;
    settle(&mut room, 11).await;
    let found = incidents(&store);
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().all(|incident| incident.timeline.iter().any(|entry| entry.text.contains("No correlator is live")))
    );
    *correlators.live.lock().unwrap() = vec![plugin("c", "1", &[])];
    settle(&mut room, 20).await;
    let found = incidents(&store);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].correlator.as_str(), found[0].alerts.len()), ("c", 2));
}

#[tokio::test]
async fn a_correlator_that_fails_is_waited_for_and_then_passed_by() {
    let (store, _folder) = open();
    let correlators = correlators();
    let mut room = room(&store, &correlators);
    settle(&mut room, 0).await;
    *correlators.down.lock().unwrap() = true;
    tell(&store, alert("one", Severity::Critical, 1)).await;
    settle(&mut room, 1).await;
    assert_eq!(incidents(&store), []);
    settle(&mut room, 12).await;
    let found = incidents(&store);
    assert_eq!((found.len(), found[0].correlator.as_str()), (1, "pass-through"));
    assert!(
        found[0].timeline.iter().any(|entry| entry.text.contains("the detector trapped")),
        "{:?}",
        found[0].timeline
    );
    *correlators.down.lock().unwrap() = false;
    settle(&mut room, 60).await;
    let found = incidents(&store);
    assert_eq!((found.len(), found[0].correlator.as_str(), found[0].title.as_str()), (1, "c", "Trouble at west"));
    assert_eq!(statuses(&store).len(), 1, "people are told once");
}

#[tokio::test]
async fn a_restart_in_the_middle_tells_nothing_twice_and_a_swapped_correlator_goes_on() {
    let (store, folder) = open();
    let correlators = correlators();
    let mut first = room(&store, &correlators);
    settle(&mut first, 0).await;
    tell(&store, alert("one", Severity::Warning, 1)).await;
    settle(&mut first, 1).await;
    tell(&store, alert("two", Severity::Warning, 2)).await;
    drop(first);
    drop(store);
    let store = reopen(&folder);
    *correlators.live.lock().unwrap() = vec![plugin("c", "2", &[])];
    let mut second_room = room(&store, &correlators);
    settle(&mut second_room, 3).await;
    let found = incidents(&store);
    assert_eq!((found.len(), found[0].alerts.len()), (1, 2));
    assert_eq!(statuses(&store).len(), 1);
    let told: usize = correlators.deltas.lock().unwrap().iter().map(|delta| delta.alerts.len()).sum();
    assert_eq!(told, 2);
}

#[tokio::test]
async fn people_take_and_resolve_and_what_fired_all_along_does_not_bring_it_back() {
    let (store, _folder) = open();
    let mut room = room(&store, &correlators());
    settle(&mut room, 0).await;
    tell(&store, alert("one", Severity::Warning, 1)).await;
    settle(&mut room, 1).await;
    let taken = act(&store, 1, PersonAction::Acknowledge, "ada", second(2)).await.unwrap();
    assert_eq!(taken.status, IncidentStatus::Acknowledged);
    let resolved = act(&store, 1, PersonAction::Resolve, "ada", second(3)).await.unwrap();
    assert_eq!(resolved.timeline.last().unwrap().text, "Resolved while 1 of its alerts still fire.");
    assert!(act(&store, 1, PersonAction::Acknowledge, "ada", second(4)).await.is_err());
    assert!(act(&store, 9, PersonAction::Acknowledge, "ada", second(4)).await.is_err());
    settle(&mut room, 30).await;
    assert_eq!(incidents(&store)[0].status, IncidentStatus::Resolved);
    let one = alert("one", Severity::Warning, 1);
    tell(&store, over(&one, 40)).await;
    settle(&mut room, 40).await;
    tell(&store, again(&one, 50)).await;
    settle(&mut room, 50).await;
    assert_eq!(incidents(&store)[0].status, IncidentStatus::Reopened);
}

#[tokio::test]
async fn an_incident_that_turns_out_to_be_part_of_another_goes_up_into_it() {
    let (store, _folder) = open();
    for name in ["one", "two"] {
        tell(&store, alert(name, Severity::Warning, 1)).await;
    }
    let grouping = |key: &str, member: &str, into: Option<&str>| Grouping {
        key: key.into(),
        title: format!("{key}!"),
        fingerprints: vec![member.into(), "unknown".into()],
        findings: vec![],
        causes: vec![],
        merged_into: into.map(str::to_owned),
    };
    let context = || Context {
        correlator: "c".into(),
        topology: Arc::new(Topology::default()),
        config: CorrelateConfig::default(),
        now: second(2),
        remark: None,
    };
    let first = [grouping("a", "one", None), grouping("b", "two", None)];
    let then = [grouping("a", "one", Some("b")), grouping("b", "two", None), grouping("ghost", "one", Some("nowhere"))];
    store
        .write(move |tx| {
            take_groupings(tx, &context(), &first)?;
            take_groupings(tx, &context(), &then)
        })
        .await
        .unwrap();
    let found = incidents(&store);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].merged_into, found[0].status), (Some(2), IncidentStatus::Resolved));
    assert_eq!((found[1].status, found[1].alerts.len()), (IncidentStatus::Open, 2));
    assert_eq!(statuses(&store)[2], (1, IncidentStatus::Resolved));
}
