//! Over a real store, with a clock by hand and a machine whose memory and disk are collected every 15 s.

use super::*;
use tandem_domain::{
    collected::CollectedTopology,
    entity::{Entity, EntityId, IdentityKey, KeyStrength},
    meaning::{Meaning, MeaningBody},
    prediction::ServiceTraffic,
    series::{Labels, MetricType, SampleBatch, SeriesDescription, SeriesId},
    target::{Door, THIS_MACHINE, TargetInfo, TargetKey, TargetStatus},
};
use tandem_store::StoreOptions;

const STEP_MILLIS: i64 = 15_000;
const START: i64 = 1_790_000_000_000;
const NAMES: [&str; 4] = ["host.memory.available", "host.memory.total", "filesystem.available", "filesystem.size"];

struct Bench {
    store: Store,
    room: ForecastRoom,
    _folder: tempfile::TempDir,
}

fn entity(id: &str, name: &str) -> Entity {
    let id = EntityId(id.into());
    let key = IdentityKey { scheme: "machine-id".into(), value: id.identity().into(), strength: KeyStrength::Unique };
    Entity {
        kind: id.kind().into(),
        name: name.into(),
        keys: vec![key],
        attributes: Labels::default(),
        first_seen_at: Timestamp(START),
        last_seen_at: Timestamp(START),
        merged_into: None,
        id,
    }
}

fn owner(name: &str) -> &'static str {
    if name.starts_with("host.") { "host:m1" } else { "filesystem:m1//" }
}

fn status(key: &TargetKey) -> TargetStatus {
    TargetStatus {
        info: TargetInfo { key: key.clone(), labels: Labels::default() },
        door: Door::Collect,
        plugin: Some("collector-host".into()),
        last_attempt_at: None,
        last_success_at: None,
        last_duration_millis: 0,
        last_samples: 0,
        last_rejected: 0,
        rejection: None,
        failure: None,
        failures_in_a_row: 0,
    }
}

impl Bench {
    /// A machine that is known, and has sent nothing yet.
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
        let bench = Self { room: ForecastRoom::new(store.clone(), ForecastConfig::default()), store, _folder: folder };
        bench.machine(THIS_MACHINE).await;
        bench
    }

    async fn machine(&self, instance: &str) {
        let key = TargetKey { job: "collector-host".into(), instance: instance.into() };
        let write = self.store.write(move |tx| {
            tx.put(&status(&key))?;
            for name in NAMES {
                let series = tx.register_series(&key, &description(name))?;
                let body = MeaningBody {
                    name: name.into(),
                    unit: "By".into(),
                    scale: 1.0,
                    offset: 0.0,
                    missing: Vec::new(),
                    dimensions: Labels::default(),
                    fault_rules: Vec::new(),
                };
                let (mapper, mapper_digest) = ("collector-host".into(), String::new());
                tx.put(&Meaning { series, entity: EntityId(owner(name).into()), body, mapper, mapper_digest })?;
            }
            tx.put(&entity("host:m1", "laptop"))?;
            tx.put(&entity("filesystem:m1//", "/ on laptop"))
        });
        write.await.expect("written");
    }

    /// One collection: memory goes to and fro a little, the disk fills slowly.
    async fn collect(&self, at: i64) {
        let key = TargetKey { job: "collector-host".into(), instance: THIS_MACHINE.into() };
        let step = (at - START) / STEP_MILLIS;
        let values = [5.0 + 0.05 * (step % 3) as f64, 10.0, 80.0 - 0.01 * step as f64, 100.0];
        let write = self.store.write(move |tx| {
            let mut batch = SampleBatch::default();
            for (name, value) in NAMES.iter().zip(values) {
                batch.push(tx.register_series(&key, &description(name))?, Timestamp(at), value);
            }
            tx.append_samples(&batch).map(drop)
        });
        write.await.expect("written");
    }

    /// A collection every 15 s and a pass of the room every 5 s, for some seconds.
    async fn run(&mut self, from: i64, seconds: i64) -> i64 {
        for second in (0..seconds).step_by(5) {
            let at = from + second * 1_000;
            if second % 15 == 0 {
                self.collect(at).await;
            }
            self.room.step(Timestamp(at + 200)).await.expect("steps");
        }
        from + seconds * 1_000
    }

    fn traffic(&self) -> Vec<ServiceTraffic> {
        self.store.read().expect("reads").scan::<ServiceTraffic>(.., 10).expect("reads")
    }

    fn owed(&self) -> usize {
        self.store.read().expect("reads").scan::<OwedLabel>(.., 100_000).expect("reads").len()
    }

    fn rows(&self) -> Vec<Prediction> {
        let rows = self.store.read().expect("reads").log_after::<Prediction>(0, 100_000).expect("reads");
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// As after a restart: the same store, a room that remembers nothing.
    fn restart(&mut self) {
        self.room = ForecastRoom::new(self.store.clone(), ForecastConfig::default());
    }
}

fn description(name: &str) -> SeriesDescription {
    SeriesDescription {
        metric: name.replace('.', "_"),
        metric_type: MetricType::Gauge,
        unit: String::new(),
        labels: Labels::default(),
    }
}

#[tokio::test]
async fn within_two_minutes_there_are_rows_for_drift_labels_for_accuracy_and_a_host_below() {
    let mut bench = Bench::new().await;
    bench.run(START, 125).await;
    let traffic = bench.traffic();
    let windows = windows();
    let first = windows.reference_rows.expect("own") as u64 + windows.first_report_rows.expect("own");
    assert_eq!((traffic.len(), traffic[0].service.as_str(), traffic[0].version.as_str()), (1, SERVICE, "1"));
    assert!(traffic[0].predictions >= first, "{traffic:?}");
    assert!(traffic[0].labels > 10 && traffic[0].agreed > 0, "{traffic:?}");
    let told = bench.store.read().expect("reads").log_after::<CollectedTopology>(0, 10).expect("reads");
    assert_eq!(told.len(), 1, "once in a while");
    let topology = &told[0].1.topology;
    assert_eq!((topology.entities[0].name.as_str(), topology.entities[1].keys[0].value.as_str()), (SERVICE, "m1"));
    let row = bench.rows().pop().expect("one");
    let band = row.band.expect("a band");
    assert!(matches!(row.prediction, FeatureValue::Number(value) if band.contains(value)), "{row:?}");
    let names: Vec<&str> = row.features.keys().map(String::as_str).collect();
    assert_eq!(names, ["direction", "horizon_seconds", "level_tenths", "signal", "step_seconds", "steps_missed"]);
}

#[tokio::test]
async fn an_hour_is_forecast_well_and_in_a_bounded_number_of_rows() {
    let mut bench = Bench::new().await;
    bench.run(START, 3_600).await;
    let traffic = bench.traffic();
    let (labels, agreed) = traffic.iter().fold((0, 0), |(l, a), one| (l + one.labels, a + one.agreed));
    assert!(labels > 500, "{labels}");
    assert!(agreed as f64 > 0.85 * labels as f64, "{agreed} of {labels}");
    assert_eq!(traffic.len(), 2, "fitted on nothing at first, and again when there was something to see: {traffic:?}");
    let per_round = 2 * HORIZONS_SECONDS.len() as u64;
    let rounds = traffic.iter().map(|one| one.predictions).sum::<u64>() / per_round;
    assert!((60..=90).contains(&rounds), "{rounds} rounds: quick at the beginning of two fits, then one a minute");
    assert!(bench.owed() as u64 <= 17 * per_round, "{}", bench.owed());
}

#[tokio::test]
async fn labels_are_owed_over_a_restart_and_a_version_lives_on() {
    let mut bench = Bench::new().await;
    let at = bench.run(START, 120).await;
    let (before, owed) = (bench.traffic()[0].clone(), bench.owed());
    assert!(owed > 0);
    bench.restart();
    bench.run(at, 90).await;
    let after = bench.traffic();
    assert_eq!(after.len(), 1, "no fit for a restart");
    assert!(after[0].labels > before.labels, "{before:?} {after:?}");
}

#[tokio::test]
async fn what_nobody_saw_is_given_up_and_not_made_up() {
    let mut bench = Bench::new().await;
    let at = bench.run(START, 120).await;
    let labels = bench.traffic()[0].labels;
    let rows = bench.rows().len();
    // The collections stop; the room is asked on.
    for second in (0..1_200).step_by(5) {
        bench.room.step(Timestamp(at + second * 1_000)).await.expect("steps");
    }
    assert_eq!(bench.owed(), 0);
    assert_eq!(bench.rows().len(), rows, "nothing new was seen, and nothing is said");
    let after = bench.traffic()[0].labels;
    assert!(after - labels <= 10, "only what had a value on both sides: {labels}, {after}");
    assert!(bench.room.counts.given_up.get() > 0);
}

#[tokio::test]
async fn clocks_that_jump_cost_what_was_owed_and_nothing_else() {
    let mut bench = Bench::new().await;
    let at = bench.run(START, 120).await;
    let minutes = 60_000;
    // Back by twenty minutes (what lies further behind the store does not take): what was said for later is not waited for,
    // and forecasting goes on.
    let before = bench.rows().len();
    let back = bench.run(at - 20 * minutes, 180).await;
    assert!(bench.rows().len() > before);
    let latest = bench.store.read().expect("reads").scan_back::<OwedLabel>(.., 1).expect("reads");
    assert!(latest[0].due_at <= Timestamp(back + 920_000), "{latest:?}");
    // And a day ahead.
    let ahead = bench.run(back + 24 * 60 * minutes, 180).await;
    let first = bench.store.read().expect("reads").scan::<OwedLabel>(.., 1).expect("reads");
    assert!(first[0].due_at > Timestamp(ahead - 180_000), "{first:?}");
    let labels: u64 = bench.traffic().iter().map(|one| one.labels).sum();
    assert!(labels > 0 && bench.room.counts.given_up.get() > 0);
}

#[tokio::test]
async fn a_machine_elsewhere_or_a_switch_leaves_the_store_alone() {
    let mut bench = Bench::new().await;
    bench.collect(START).await;
    bench.collect(START + STEP_MILLIS).await;
    let off = ForecastConfig { enabled: false };
    let commits = bench.store.commit_count();
    ForecastRoom::new(bench.store.clone(), off).step(Timestamp(START + 20_000)).await.expect("steps");
    assert_eq!(bench.store.commit_count(), commits);
    bench.room.step(Timestamp(START + 20_000)).await.expect("steps");
    assert!(bench.store.commit_count() > commits, "and it is the switch that made the difference");

    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let elsewhere = Bench { room: ForecastRoom::new(store.clone(), ForecastConfig::default()), store, _folder: folder };
    elsewhere.machine("10.0.0.7").await;
    let (mut room, commits) = (elsewhere.room, elsewhere.store.commit_count());
    for second in 0..100 {
        room.step(Timestamp(START + second * 1_000)).await.expect("steps");
    }
    assert_eq!(elsewhere.store.commit_count(), commits, "its own telemetry is others' business");
}

#[test]
fn only_series_with_a_course_of_their_own_are_signals() {
    let series = |id| SeriesId(id);
    let named = BTreeMap::from([("filesystem.available".to_owned(), series(1))]);
    assert_eq!(signals::signals("x", &named, 1.0), [], "a disk of unknown size");
}
