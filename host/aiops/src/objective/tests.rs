//! The room over a real store, with the alert room behind it and the time passed in.

use super::*;
use crate::{
    alert::{AlertConfig, AlertRoom},
    testing::{open, reopen},
};
use tandem_domain::{
    alert::Alert,
    entity::{Entity, EntityId},
    meaning::{Meaning, MeaningBody},
    series::{MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::TargetKey,
};

/// Between two scrapes, in milliseconds.
const STEP: i64 = 15_000;
const BEGIN: i64 = 1_700_000_000_000 / STEP * STEP;

/// A service with one replica that counts what it answered and what failed, and its room.
struct World {
    store: Store,
    folder: tempfile::TempDir,
    room: ObjectiveRoom,
    alerts: AlertRoom,
    services: Vec<ServiceConfig>,
    series: [SeriesId; 3],
    counts: [f64; 3],
    /// Seconds of a request.
    mean: f64,
    now: i64,
}

fn entity(kind: &str, name: &str, service: Option<&str>) -> Entity {
    Entity {
        id: EntityId(format!("{kind}:name:{name}")),
        kind: kind.into(),
        name: name.into(),
        keys: Vec::new(),
        attributes: Labels::new(service.map(|service| ("service".to_owned(), service.to_owned()))),
        first_seen_at: Timestamp(0),
        last_seen_at: Timestamp(0),
        merged_into: None,
    }
}

/// What a series counts: requests that ended in some way, or the seconds that all took.
fn meaning(series: SeriesId, outcome: &str) -> Meaning {
    let is_time = outcome == "seconds";
    Meaning {
        series,
        entity: EntityId("model:name:chat/llama".into()),
        body: MeaningBody {
            name: if is_time { "model.latency.sum" } else { "model.requests" }.into(),
            unit: if is_time { "s" } else { "{request}" }.into(),
            scale: 1.0,
            offset: 0.0,
            missing: Vec::new(),
            dimensions: Labels::new([("outcome".to_owned(), outcome.to_owned())]),
            fault_rules: Vec::new(),
        },
        mapper: "collector-model".into(),
        mapper_digest: "d".into(),
    }
}

fn rooms(store: &Store, services: &[ServiceConfig]) -> (ObjectiveRoom, AlertRoom) {
    (
        ObjectiveRoom::new(store.clone(), ObjectiveConfig::default(), services),
        AlertRoom::new(store.clone(), AlertConfig::default()),
    )
}

impl World {
    async fn new(services: Vec<ServiceConfig>) -> Self {
        let (store, folder) = open();
        let series = store
            .write(|tx| {
                tx.put(&entity("service", "chat", None))?;
                tx.put(&entity("model", "chat/llama", Some("chat")))?;
                let target = TargetKey { job: "vllm".into(), instance: "a:8000".into() };
                let mut ids = Vec::new();
                for outcome in ["success", "failure", "seconds"] {
                    let description = SeriesDescription {
                        metric: format!("requests_{outcome}_total"),
                        metric_type: MetricType::Counter,
                        unit: String::new(),
                        labels: Labels::default(),
                    };
                    let id = tx.register_series(&target, &description)?;
                    tx.put(&meaning(id, outcome))?;
                    ids.push(id);
                }
                Ok([ids[0], ids[1], ids[2]])
            })
            .await
            .expect("written");
        let (room, alerts) = rooms(&store, &services);
        Self { store, folder, room, alerts, services, series, counts: [0.0; 3], mean: 0.02, now: BEGIN }
    }

    /// A quarter of a minute on, with so many requests, of which so many failed; then what the rooms make of it.
    async fn step(&mut self, requests: f64, failed: f64) {
        self.now += STEP;
        let seconds = self.counts[2] + requests * self.mean;
        self.counts = [self.counts[0] + requests - failed, self.counts[1] + failed, seconds];
        let mut batch = SampleBatch::default();
        for (series, count) in self.series.iter().zip(self.counts) {
            batch.push(*series, Timestamp(self.now), count);
        }
        self.store.write(move |tx| tx.append_samples(&batch)).await.expect("written");
        self.settle().await;
    }

    /// The same after the server was stopped and started.
    fn restarted(self) -> Self {
        let World { store, folder, room, alerts, services, series, counts, mean, now } = self;
        drop((store, room, alerts));
        let store = reopen(&folder);
        let (room, alerts) = rooms(&store, &services);
        World { store, folder, room, alerts, services, series, counts, mean, now }
    }

    async fn settle(&mut self) {
        let now = Timestamp(self.now + GRACE_MILLIS);
        while self.room.step(now).await.expect("steps").more {}
        while self.alerts.step(now).await.expect("steps").more {}
    }

    fn standing(&self, indicator: &str) -> ObjectiveStanding {
        let key = ("chat".to_owned(), indicator.to_owned());
        self.store.read().expect("reads").get::<ObjectiveStanding>(&key).expect("reads").expect("it is watched")
    }

    fn firing(&self) -> Vec<Alert> {
        let mut alerts = self.store.read().expect("reads").scan::<Alert>(.., 100).expect("reads");
        alerts.retain(|alert| alert.state == AlertState::Firing);
        alerts
    }
}

#[tokio::test]
async fn a_service_that_fails_is_told_within_minutes_and_resolved_after() {
    let mut world = World::new(Vec::new()).await;
    for _ in 0..80 {
        world.step(100.0, 0.0).await;
    }
    assert_eq!(world.standing("availability").keeping, Keeping::Kept, "it was found, and is expected to answer");
    let mut waited = 0;
    // It stands as information until somebody has been asked why, or for a minute.
    while world.firing().iter().all(|alert| alert.severity == Severity::Info) {
        world.step(100.0, 60.0).await;
        waited += 1;
        assert!(waited < 40, "not told after ten minutes: {:?}", world.standing("availability"));
    }
    let alert = world.firing().remove(0);
    assert_eq!((alert.code.as_str(), alert.severity), ("objective.availability", Severity::Critical));
    assert!(alert.entity.0.starts_with("service:") && alert.entity.0.ends_with("chat"), "{}", alert.entity);
    assert!(alert.title.contains("requests failed"), "{}", alert.title);
    let since = world.standing("availability").since;
    world.step(100.0, 60.0).await;
    assert_eq!((world.firing().len(), world.standing("availability").since), (1, since));
    for _ in 0..250 {
        world.step(100.0, 0.0).await;
    }
    assert_eq!(world.firing(), [], "{:?}", world.standing("availability"));
    assert_eq!(world.standing("availability").keeping, Keeping::Kept);
}

#[tokio::test]
async fn what_was_counted_survives_a_restart_and_nothing_is_counted_twice() {
    let mut world = World::new(Vec::new()).await;
    for _ in 0..40 {
        world.step(10.0, 1.0).await;
    }
    let before = world.standing("availability").counted;
    world.settle().await;
    assert_eq!(world.standing("availability").counted, before);
    let mut world = world.restarted();
    world.step(10.0, 1.0).await;
    let hour = |counted: &[tandem_domain::objective::Counted]| counted.iter().find(|one| one.minutes == 60).copied();
    let (earlier, later) =
        (hour(&before).expect("an hour"), hour(&world.standing("availability").counted).expect("an hour"));
    assert_eq!((later.total - earlier.total, later.good - earlier.good), (10.0, 9.0));
}

#[tokio::test]
async fn requests_that_take_longer_than_usual_are_told_without_any_objective_also_after_a_restart() {
    let mut world = World::new(Vec::new()).await;
    for _ in 0..130 {
        world.step(100.0, 0.0).await;
    }
    assert_eq!(world.standing("latency").keeping, Keeping::Kept);
    world.mean = 0.03;
    for _ in 0..9 {
        world.step(100.0, 0.0).await;
    }
    let burning = world.standing("latency");
    assert_eq!((burning.keeping, burning.severity), (Keeping::Burning, Some(Severity::Critical)));
    let learned = burning.learned.clone().expect("it is learned");
    assert!((learned.usual - 0.02).abs() < 1e-6 && (learned.now - 0.03).abs() < 1e-6, "{learned:?}");
    let began = world.now - 8 * STEP;
    assert!((burning.since.0 - began).abs() <= STEP, "{} is not about {began}", burning.since.0);
    assert_eq!(world.firing()[0].code, "objective.latency");
    let mut world = world.restarted();
    world.step(100.0, 0.0).await;
    let after = world.standing("latency");
    assert_eq!((after.keeping, after.since, after.learned), (Keeping::Burning, burning.since, burning.learned));
    world.mean = 0.02;
    for _ in 0..24 {
        world.step(100.0, 0.0).await;
    }
    assert_eq!((world.standing("latency").keeping, world.firing()), (Keeping::Kept, Vec::new()));
}

#[tokio::test]
async fn labels_that_disagree_burn_the_objective_of_quality() {
    let service = ServiceConfig { name: "chat".into(), availability: None, latency: None, quality: Some(95.0) };
    let mut world = World::new(vec![service]).await;
    let mut traffic = ServiceTraffic {
        service: "chat".into(),
        model: "llama".into(),
        version: "1".into(),
        predictions: 0,
        labels: 500,
        agreed: 10,
        first_at: Timestamp(0),
        last_at: Timestamp(0),
        minutes: Vec::new(),
    };
    let put = |world: &World, traffic: &ServiceTraffic| {
        let (store, traffic) = (world.store.clone(), traffic.clone());
        async move { store.write(move |tx| tx.put(&traffic)).await.expect("written") }
    };
    put(&world, &traffic).await;
    world.step(1.0, 0.0).await;
    assert_eq!(world.standing("quality").keeping, Keeping::Unknown, "what came before it was asked is no news");
    for _ in 0..30 {
        (traffic.labels, traffic.agreed) = (traffic.labels + 20, traffic.agreed + 2);
        put(&world, &traffic).await;
        world.step(1.0, 0.0).await;
    }
    assert_eq!(world.standing("quality").keeping, Keeping::Burning);
    assert!(world.firing()[0].title.contains("disagreed with their label"), "{}", world.firing()[0].title);
    // The operator takes the objective away: what it told is over.
    (world.room, _) = rooms(&world.store, &[]);
    world.step(1.0, 0.0).await;
    assert_eq!(world.firing(), []);
}

#[test]
fn nonsense_in_the_configuration_is_told() {
    let service = |availability, quality| ServiceConfig { name: "chat".into(), availability, latency: None, quality };
    assert!(service(None, None).validate().expect_err("no objective").contains("has no objective"));
    assert!(service(Some(100.0), None).validate().expect_err("all").contains("below 100"));
    assert!(service(None, Some(f64::NAN)).validate().is_err());
    assert_eq!(service(Some(99.9), Some(90.0)).validate(), Ok(()));
}
