//! The room over a real store: whom it asks about what, what it keeps, and what it says when it cannot ask.

use super::*;
use crate::verdicts;
use std::sync::Mutex;
use tandem_domain::{
    Severity,
    cause::{Direction, Evidence},
    entity::Entity,
    meaning::{EntitySeries, Meaning, MeaningBody},
    objective::{Indicator, Keeping, Objective, ObjectiveStanding},
    ports::BoxFuture,
    prediction::ServiceTraffic,
    relation::{Relation, RelationKind},
    series::{Labels, MetricType, SampleBatch, SeriesDescription},
    target::TargetKey,
    topology::TopologyRevision,
};
use tandem_store::{StoreOptions, WriteTx};

const MINUTE: i64 = 60_000;
const NOW: Timestamp = Timestamp(100 * MINUTE);

/// Blames the suspect with this id, or fails.
struct Blames {
    whom: Option<&'static str>,
    asked: Mutex<Vec<Case>>,
}

impl RootCauses for Blames {
    fn root_causes(&self) -> Vec<LivePlugin> {
        vec![LivePlugin {
            name: "root-cause-test".into(),
            digest: "abc".into(),
            version: "1.0.0".into(),
            interests: Vec::new(),
        }]
    }

    fn rank<'a>(&'a self, _: &'a str, case: &'a Case) -> BoxFuture<'a, Result<Ranking, Failure>> {
        self.asked.lock().expect("whole").push(case.clone());
        let place = |id: &str| case.suspects.iter().position(|one| one.id.0 == id).expect("it is a suspect") as u32;
        let outcome = match self.whom {
            None => Err(Failure::passing(FailureCode::Internal, "it trapped half-way")),
            Some(whom) => Ok(Ranking {
                onset: case.onset,
                confident: true,
                confidence: 0.8,
                causes: vec![RankedCause {
                    suspect: place(whom),
                    score: 1.0,
                    kind: CauseKind::Unknown,
                    signals: vec![Evidence { signal: 0, score: 9.0, direction: Direction::Down }],
                    changes: Vec::new(),
                    faults: Vec::new(),
                    drifted: Vec::new(),
                    path: vec![0, place(whom)],
                    sentence: "Its clock fell.".into(),
                }],
                doubt: String::new(),
            }),
        };
        Box::pin(async move { outcome })
    }
}

fn blames(whom: Option<&'static str>) -> Arc<Blames> {
    Arc::new(Blames { whom, asked: Mutex::default() })
}

fn entity(tx: &mut WriteTx<'_>, id: &str, name: &str) -> Result<(), WriteError> {
    let id = EntityId(id.into());
    tx.put(&Entity {
        kind: id.kind().into(),
        id,
        name: name.into(),
        keys: Vec::new(),
        attributes: Labels::default(),
        first_seen_at: Timestamp(0),
        last_seen_at: Timestamp(0),
        merged_into: None,
    })
}

fn relation(tx: &mut WriteTx<'_>, dependent: &str, dependency: &str) -> Result<(), WriteError> {
    tx.put(&Relation {
        dependent: EntityId(dependent.into()),
        dependency: EntityId(dependency.into()),
        kind: RelationKind::RunsOn,
        source: "test".into(),
        seen_at: Timestamp(0),
    })
}

/// A signal of an entity: its first value until a moment, the second from then on.
fn signal(
    tx: &mut WriteTx<'_>,
    entity: &str,
    name: &str,
    (before, after): (f64, f64),
    from: i64,
) -> Result<(), WriteError> {
    let target = TargetKey { job: "test".into(), instance: entity.into() };
    let description = SeriesDescription {
        metric: name.replace('.', "_"),
        metric_type: MetricType::Gauge,
        unit: String::new(),
        labels: Labels::default(),
    };
    let series = tx.register_series(&target, &description)?;
    let at: Vec<Timestamp> = (0..NOW.0 / 15_000).map(|step| Timestamp(step * 15_000)).collect();
    let value = at.iter().map(|at| if at.0 < from { before + (at.0 % 7) as f64 / 100.0 } else { after }).collect();
    tx.append_samples(&SampleBatch { series: vec![series; at.len()], at, value, ..SampleBatch::default() })?;
    let entity = EntityId(entity.into());
    tx.put(&EntitySeries { entity: entity.clone(), series })?;
    tx.put(&Meaning {
        series,
        entity,
        body: MeaningBody {
            name: name.into(),
            unit: String::new(),
            scale: 2.0,
            offset: 0.0,
            missing: Vec::new(),
            dimensions: Labels::default(),
            fault_rules: Vec::new(),
        },
        mapper: "collector-test".into(),
        mapper_digest: "d1".into(),
    })
}

fn standing(keeping: Keeping) -> ObjectiveStanding {
    ObjectiveStanding {
        service: "chat".into(),
        objective: Objective { indicator: Indicator::Latency { within_seconds: 0.3 }, target: 0.99 },
        at: NOW,
        keeping,
        severity: Some(Severity::Warning),
        since: Timestamp(92 * MINUTE),
        counted: Vec::new(),
        sentence: "half of all requests took longer than 0.3 s".into(),
        of: Vec::new(),
        learned: None,
    }
}

/// A service of two replicas that need each other and a GPU, so that the graph goes in a circle; its users wait since minute 92.
async fn troubled() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    store
        .write(|tx| {
            for (id, name) in
                [("service:chat", "chat"), ("replica:a", "chat-0"), ("replica:b", "chat-1"), ("gpu:0", "GPU 0")]
            {
                entity(tx, id, name)?;
            }
            for (dependent, dependency) in [
                ("service:chat", "replica:a"),
                ("service:chat", "replica:b"),
                ("replica:a", "replica:b"),
                ("replica:b", "replica:a"),
                ("replica:a", "gpu:0"),
            ] {
                relation(tx, dependent, dependency)?;
            }
            signal(tx, "gpu:0", "gpu.clock.sm", (1_500.0, 400.0), 91 * MINUTE)?;
            signal(tx, "gpu:0", "gpu.memory.total", (80.0, 80.0), 0)?;
            tx.put(&standing(Keeping::Burning))
        })
        .await
        .expect("written");
    (folder, store)
}

#[tokio::test]
async fn a_service_in_trouble_is_asked_about_with_what_lies_below_it() {
    let (_folder, store) = troubled().await;
    let plugin = blames(Some("gpu:0"));
    let mut room = AskRoom::new(store.clone(), plugin.clone());
    let asking = room.step(NOW).await.expect("steps");
    assert_eq!(asking, Asking { more: false, wake_at: Some(NOW.plus_millis(30_000)) });
    room.step(NOW.plus_millis(1_000)).await.expect("steps");
    let cases = plugin.asked.lock().expect("whole").clone();
    let [case] = cases.as_slice() else { panic!("asked {} times", cases.len()) };
    assert_eq!(case.onset, Some(Timestamp(92 * MINUTE - 90_000)));
    let ids: Vec<&str> = case.suspects.iter().map(|one| one.id.0.as_str()).collect();
    assert_eq!(ids[0], "service:chat");
    assert_eq!(ids.len(), 4, "each once, though the graph goes in a circle: {ids:?}");
    let names: Vec<&str> = case.signals().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["gpu.clock.sm"], "what never moves is no evidence");
    let told: Vec<f64> = case.frames[0].value.iter().copied().filter(|value| value.is_finite()).collect();
    assert_eq!(told.last(), Some(&800.0), "in canonical units");
    let verdict = verdicts(&store.read().expect("reads"), Some("chat"), NOW).expect("verdicts").remove(0);
    assert_eq!((verdict.cause, verdict.cause_entity), (CauseKind::Infrastructure, Some(EntityId("gpu:0".into()))));
    assert!(verdict.sentence.contains("Its clock fell, reached through GPU 0"), "{}", verdict.sentence);
    let grounds = verdict.grounds;
    assert!(grounds.confident && grounds.doubt.is_empty());
    assert_eq!(grounds.candidates[0].signals[0].series.len(), 1);
    let suggestion = grounds.suggestion.expect("something to do");
    assert_eq!(suggestion.action, "drain-node");
    assert!(suggestion.sentence.contains("GPU 0"), "{}", suggestion.sentence);
}

#[tokio::test]
async fn whom_it_blames_with_confidence_is_written_down_until_the_trouble_is_over() {
    let (_folder, store) = troubled().await;
    let blamed = || store.read().expect("reads").get::<Blame>(&"chat".to_owned()).expect("reads");
    let mut room = AskRoom::new(store.clone(), blames(None));
    room.step(NOW).await.expect("asks");
    room.step(NOW).await.expect("judges");
    let blame = blamed().expect("it was asked");
    assert!(blame.settled && blame.entity.is_none(), "nobody can answer: {blame:?}");
    let mut room = AskRoom::new(store.clone(), blames(Some("gpu:0")));
    let later = NOW.plus_millis(1_000);
    room.step(later).await.expect("asks");
    room.step(later).await.expect("judges");
    let blame = blamed().expect("it was asked");
    assert_eq!((blame.settled, &blame.entity), (true, &Some(EntityId("gpu:0".into()))));
    assert_eq!(blame.sentence, "Its clock fell.");
    // One answer blames once, whatever becomes of the verdict.
    let other = Blame { entity: None, ..blame };
    store
        .write({
            let other = other.clone();
            move |tx| tx.put(&other)
        })
        .await
        .expect("written");
    room.step(later.plus_millis(1_000)).await.expect("judges");
    assert_eq!(blamed(), Some(other));
    store.write(|tx| tx.put(&standing(Keeping::Kept))).await.expect("written");
    room.step(NOW.plus_millis(MINUTE)).await.expect("steps");
    assert_eq!(blamed(), None);
}

#[tokio::test]
async fn entities_are_read_again_when_the_topology_has_changed() {
    let (_folder, store) = troubled().await;
    let raise = |revision| store.write(move |tx| tx.put(&TopologyRevision { revision }));
    raise(1).await.expect("written");
    let mut room = AskRoom::new(store.clone(), blames(Some("gpu:0")));
    room.step(NOW).await.expect("steps");
    let first = room.ground.clone().expect("it was read");
    store.write(|tx| relation(tx, "replica:b", "gpu:0")).await.expect("written");
    room.step(NOW.plus_millis(1_000)).await.expect("steps");
    assert!(room.ground.as_ref().is_some_and(|known| Arc::ptr_eq(known, &first)), "nobody said that it changed");
    raise(2).await.expect("written");
    room.step(NOW.plus_millis(2_000)).await.expect("steps");
    let second = room.ground.clone().expect("it was read");
    assert_eq!(second.relations.len(), first.relations.len() + 1);
}

#[tokio::test]
async fn an_answer_can_be_explained_and_asked_again_after_the_trouble_is_over() {
    let (_folder, store) = troubled().await;
    let plugin = blames(Some("gpu:0"));
    let mut room = AskRoom::new(store.clone(), plugin.clone());
    room.step(NOW).await.expect("steps");
    let case = store.read().expect("reads").get::<Diagnosis>(&"chat".to_owned()).expect("reads").expect("is kept").case;
    store.write(|tx| tx.put(&standing(Keeping::Kept))).await.expect("written");
    room.step(NOW.plus_millis(MINUTE)).await.expect("steps");
    let read = store.read().expect("reads");
    assert_eq!(read.get::<Diagnosis>(&"chat".to_owned()).expect("reads"), None);
    let verdict = verdicts(&read, Some("chat"), NOW).expect("verdicts").remove(0);
    assert_eq!((verdict.cause, verdict.grounds.case), (CauseKind::None, None));
    let explanation = explain(&read, case).expect("reads").expect("is kept");
    assert!(!explanation.is_current);
    let followed = &explanation.followed[0];
    assert!(followed.before > 2_900.0 && followed.after == 800.0, "{} {}", followed.before, followed.after);
    let origin = &followed.origins[0];
    assert_eq!(origin.meaning.as_ref().map(|one| one.mapper_digest.as_str()), Some("d1"));
    let again = ask_again(plugin.as_ref(), &explanation.kept).await.expect("asked");
    assert!(again.same_plugin && again.same_answer);
    let other = ask_again(blames(Some("replica:a")).as_ref(), &explanation.kept).await.expect("asked");
    assert!(!other.same_answer);
    assert_eq!(explain(&read, case + 1).expect("reads"), None);
}

/// The GPU of `troubled`, whose samples a clock dates that is so far off.
async fn with_a_gpu_off_by(millis: i64) -> (tempfile::TempDir, Store) {
    let (folder, store) = troubled().await;
    store
        .write(move |tx| {
            let target = TargetKey { job: "dcgm".into(), instance: "node-7".into() };
            let description = SeriesDescription {
                metric: "DCGM_FI_DEV_POWER_USAGE".into(),
                metric_type: MetricType::Gauge,
                unit: String::new(),
                labels: Labels::default(),
            };
            let series = tx.register_series(&target, &description)?;
            let moments: Vec<i64> = (0..=NOW.0 / 15_000).map(|step| step * 15_000).collect();
            let value = moments.iter().map(|at| if *at < 91 * MINUTE { 300.0 + (at % 7) as f64 } else { 90.0 });
            let value = value.collect();
            let at: Vec<Timestamp> = moments.iter().map(|at| Timestamp(at + millis)).collect();
            tx.append_samples(&SampleBatch { series: vec![series; at.len()], at, value, ..SampleBatch::default() })?;
            let entity = EntityId("gpu:0".into());
            tx.put(&EntitySeries { entity: entity.clone(), series })?;
            let meaning = tx.scan::<Meaning>(.., 1)?.remove(0);
            let body = MeaningBody { name: "gpu.power".into(), scale: 1.0, ..meaning.body.clone() };
            tx.put(&Meaning { series, body, ..meaning })
        })
        .await
        .expect("written");
    (folder, store)
}

#[tokio::test]
async fn a_clock_that_is_minutes_ahead_is_put_right_and_told() {
    let (_folder, store) = with_a_gpu_off_by(5 * MINUTE).await;
    let plugin = blames(Some("gpu:0"));
    AskRoom::new(store.clone(), plugin.clone()).step(NOW).await.expect("steps");
    let case = plugin.asked.lock().expect("whole").remove(0);
    let place = case.signals().position(|signal| signal.name == "gpu.power").expect("it moved");
    let frame = &case.frames[0];
    let column = &frame.value[place * frame.at.len()..][..frame.at.len()];
    let fell = column.iter().position(|value| *value == 90.0).expect("it fell");
    assert_eq!(frame.at[fell], Timestamp(91 * MINUTE), "when it fell, and not when its clock says so");
    assert_eq!(column.iter().rposition(|value| value.is_finite()), Some(frame.at.len() - 1), "up to now");
    let verdict = verdicts(&store.read().expect("reads"), Some("chat"), NOW).expect("verdicts").remove(0);
    let expected = "the clock of dcgm at node-7 is up to 5 minutes ahead; what it shows was moved back by as much";
    assert_eq!(verdict.grounds.caveats, [expected]);
}

#[tokio::test]
async fn a_clock_that_is_minutes_behind_is_told_from_no_silence_and_no_trouble_is_invented() {
    let (_folder, store) = with_a_gpu_off_by(-5 * MINUTE).await;
    AskRoom::new(store.clone(), blames(Some("gpu:0"))).step(NOW).await.expect("steps");
    let verdict = verdicts(&store.read().expect("reads"), Some("chat"), NOW).expect("verdicts").remove(0);
    assert_eq!(
        verdict.grounds.caveats,
        ["dcgm at node-7 showed nothing for up to 5 minutes: it is silent, or its clock is behind"]
    );
    let kept = explain(&store.read().expect("reads"), verdict.grounds.case.expect("asked")).expect("reads");
    assert_eq!(kept.expect("kept").kept.caveats, verdict.grounds.caveats);
}

#[tokio::test]
async fn where_nobody_can_be_asked_the_verdict_says_so() {
    let (_folder, store) = troubled().await;
    AskRoom::new(store.clone(), blames(None)).step(NOW).await.expect("steps");
    let verdict = verdicts(&store.read().expect("reads"), Some("chat"), NOW).expect("verdicts").remove(0);
    assert_eq!(verdict.cause, CauseKind::Unknown);
    assert!(!verdict.grounds.confident);
    assert!(verdict.grounds.doubt.contains("it trapped half-way"), "{}", verdict.grounds.doubt);
    assert!(verdict.sentence.contains("half of all requests"), "{}", verdict.sentence);
}

#[tokio::test]
async fn a_service_that_nothing_is_known_below_is_asked_about_all_the_same() {
    let (_folder, store) = troubled().await;
    let traffic = |version: &str, first_at: i64| ServiceTraffic {
        service: "lone".into(),
        model: "m".into(),
        version: version.into(),
        predictions: 50,
        labels: 0,
        agreed: 0,
        first_at: Timestamp(first_at * MINUTE),
        last_at: NOW,
        minutes: Vec::new(),
    };
    let versions = [traffic("1", 0), traffic("2", 91)];
    store
        .write(move |tx| {
            versions.iter().try_for_each(|one| tx.put(one))?;
            tx.put(&ObjectiveStanding { service: "lone".into(), ..standing(Keeping::Burning) })
        })
        .await
        .expect("written");
    let plugin = blames(Some("model-version:m@2"));
    store.write(|tx| tx.put(&standing(Keeping::Kept))).await.expect("written");
    AskRoom::new(store.clone(), plugin.clone()).step(NOW).await.expect("steps");
    let cases = plugin.asked.lock().expect("whole").clone();
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].changes[0].code, "version.first-prediction");
    assert!(cases[0].frames.is_empty());
}
