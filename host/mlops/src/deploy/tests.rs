//! The state machine over a real store, with a target that says what a test tells it.

use super::*;
use std::sync::Mutex;
use tandem_domain::{
    FailureCode,
    deployment::{RevisionPhase, RevisionState, TargetAbilities},
    ports::{BoxFuture, LivePlugin},
};
use tandem_store::StoreOptions;

/// Answers with a phase, or not at all; counts what it was asked to apply.
struct Told {
    phase: Mutex<Option<RevisionPhase>>,
    /// A version that is loading, whatever the others do.
    slow: Mutex<Option<&'static str>>,
    applied: Mutex<Vec<String>>,
}

fn silent<T>() -> Result<T, Failure> {
    Err(Failure::passing(FailureCode::Unreachable, "nobody there"))
}

impl DeploymentTargets for Told {
    fn deployment_targets(&self) -> Vec<LivePlugin> {
        Vec::new()
    }
    fn abilities<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Timestamp,
    ) -> BoxFuture<'a, Result<TargetAbilities, Failure>> {
        Box::pin(async { silent() })
    }
    fn apply<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Timestamp,
        revision: &'a Revision,
        key: &'a str,
    ) -> BoxFuture<'a, Result<String, Failure>> {
        self.applied.lock().expect("a lock").push(key.to_owned());
        let up = self.phase.lock().expect("a lock").is_some();
        Box::pin(async move { if up { Ok(format!("{}:{}", revision.model, revision.version)) } else { silent() } })
    }
    fn observe<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Timestamp,
        _: &'a str,
    ) -> BoxFuture<'a, Result<TargetObservation, Failure>> {
        let Some(phase) = *self.phase.lock().expect("a lock") else { return Box::pin(async { silent() }) };
        let revision = |version: &str| RevisionState {
            id: format!("m:{version}"),
            model: "m".into(),
            version: version.into(),
            phase: if *self.slow.lock().expect("a lock") == Some(version) { RevisionPhase::Loading } else { phase },
            ready_replicas: 1,
            desired_basis_points: 10_000,
            observed_basis_points: 10_000,
            message: "out of memory".into(),
        };
        let observation =
            TargetObservation { generation: 1, revisions: vec![revision("1"), revision("2")], endpoints: Vec::new() };
        Box::pin(async move { Ok(observation) })
    }
    fn set_traffic<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Timestamp,
        _: &'a str,
        _: &'a [(String, u32)],
        _: u64,
    ) -> BoxFuture<'a, Result<u64, Failure>> {
        Box::pin(async { silent() })
    }
    fn abort<'a>(&'a self, _: &'a str, _: &'a str, _: Timestamp, _: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
    fn retire<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: Timestamp,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}

struct Scene {
    store: Store,
    target: Arc<Told>,
    room: DeployRoom,
    _folder: tempfile::TempDir,
}

fn scene(phase: Option<RevisionPhase>) -> Scene {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), StoreOptions::default()).expect("opens");
    let target = Arc::new(Told { phase: Mutex::new(phase), slow: Mutex::default(), applied: Mutex::default() });
    let room = DeployRoom::new(store.clone(), target.clone(), DeployConfig::default());
    Scene { store, target, room, _folder: folder }
}

impl Scene {
    async fn ask(&self, version: &str) -> u64 {
        let revision =
            Revision { service: "chat".into(), model: "m".into(), version: version.into(), parameters: Vec::new() };
        request(&self.store, "target-test".into(), "http://t".into(), revision, Timestamp(0)).await.expect("written").id
    }
    async fn pass(&mut self, seconds: i64) {
        self.room.step(Timestamp(seconds * 1000)).await.expect("steps");
    }
    fn deployment(&self, id: u64) -> Deployment {
        self.store.read().expect("reads").get::<Deployment>(&id).expect("reads").expect("there")
    }
    fn status(&self, id: u64) -> DeploymentStatus {
        self.deployment(id).status
    }
}

#[tokio::test]
async fn a_deployment_goes_live_and_takes_the_place_of_the_one_before() {
    let mut scene = scene(Some(RevisionPhase::Loading));
    let first = scene.ask("1").await;
    scene.pass(0).await;
    scene.pass(2).await;
    assert_eq!(scene.status(first), DeploymentStatus::Applying);
    *scene.target.phase.lock().expect("a lock") = Some(RevisionPhase::Ready);
    scene.pass(4).await;
    assert_eq!(scene.status(first), DeploymentStatus::Live);
    let second = scene.ask("2").await;
    scene.pass(5).await;
    scene.pass(7).await;
    assert_eq!((scene.status(first), scene.status(second)), (DeploymentStatus::Superseded, DeploymentStatus::Live));
    let events = scene.store.read().expect("reads").log_after::<Event>(0, 10).expect("reads");
    assert!(events.iter().any(|(_, event)| event.code == "deployment.live" && event.entity.0 == "service:chat"));
}

#[tokio::test]
async fn a_silent_target_is_tried_again_with_the_same_key_and_given_up_in_the_end() {
    let mut scene = scene(None);
    let id = scene.ask("1").await;
    for seconds in 0..400 {
        scene.pass(seconds).await;
    }
    assert_eq!(scene.status(id), DeploymentStatus::Failed);
    let tries = scene.target.applied.lock().expect("a lock").clone();
    assert_eq!(tries.len(), 8, "{tries:?}");
    assert!(tries.iter().all(|key| *key == format!("tandem-{id}")));
}

#[tokio::test]
async fn what_the_target_says_failed_has_failed_and_what_is_aborted_stays_so() {
    let mut scene = scene(Some(RevisionPhase::Failed));
    let id = scene.ask("1").await;
    scene.pass(0).await;
    scene.pass(2).await;
    let failed = scene.store.read().expect("reads").get::<Deployment>(&id).expect("reads").expect("there");
    assert_eq!(failed.status, DeploymentStatus::Failed);
    assert!(failed.failure.expect("why").message.contains("out of memory"));
    let other = scene.ask("2").await;
    let aborted = abort(&scene.store, scene.target.as_ref(), other, Timestamp(3000)).await.expect("written");
    assert!(matches!(aborted, Aborting::Done(_)));
    scene.pass(10).await;
    assert_eq!(scene.status(other), DeploymentStatus::Aborted);
    let late = abort(&scene.store, scene.target.as_ref(), id, Timestamp(4000)).await.expect("written");
    assert_eq!(late, Aborting::TooLate(DeploymentStatus::Failed));
}

#[tokio::test]
async fn an_older_deployment_that_is_still_loading_gives_way_when_a_newer_one_goes_live() {
    let mut scene = scene(Some(RevisionPhase::Ready));
    *scene.target.slow.lock().expect("a lock") = Some("1");
    let older = scene.ask("1").await;
    scene.pass(0).await;
    let newer = scene.ask("2").await;
    scene.pass(1).await;
    scene.pass(3).await;
    assert_eq!((scene.status(older), scene.status(newer)), (DeploymentStatus::Superseded, DeploymentStatus::Live));
    *scene.target.slow.lock().expect("a lock") = None;
    for seconds in 4..100 {
        scene.pass(seconds).await;
    }
    assert_eq!((scene.status(older), scene.status(newer)), (DeploymentStatus::Superseded, DeploymentStatus::Live));
    let events = scene.store.read().expect("reads").log_after::<Event>(0, 10).expect("reads");
    assert!(events.iter().any(|(_, event)| event.code == "deployment.superseded"));
    let counts = &scene.room.counts;
    assert_eq!((counts.superseded.get(), counts.went_live.get(), counts.live.get()), (1, 1, 1));
    assert_eq!(counts.under_way.get(), 0);
}

#[tokio::test]
async fn an_older_deployment_that_was_not_applied_yet_is_not_applied_over_a_newer_one() {
    let mut scene = scene(None);
    let older = scene.ask("1").await;
    for seconds in 0..4 {
        scene.pass(seconds).await;
    }
    *scene.target.phase.lock().expect("a lock") = Some(RevisionPhase::Ready);
    scene.target.applied.lock().expect("a lock").clear();
    let newer = scene.ask("2").await;
    // The older one waits longer with each failure; the newer is applied and live meanwhile.
    for seconds in 4..30 {
        scene.pass(seconds).await;
    }
    assert_eq!((scene.status(older), scene.status(newer)), (DeploymentStatus::Superseded, DeploymentStatus::Live));
    assert_eq!(*scene.target.applied.lock().expect("a lock"), [format!("tandem-{newer}")]);
}

#[tokio::test]
async fn a_deployment_that_is_ready_after_a_newer_one_went_live_is_too_late() {
    let mut scene = scene(Some(RevisionPhase::Ready));
    let older = scene.ask("1").await;
    let newer = scene.ask("2").await;
    let mut live = scene.deployment(newer);
    live.status = DeploymentStatus::Live;
    live.revision_id = Some("m:2".into());
    scene.store.write(move |tx| tx.put(&live)).await.expect("written");
    scene.pass(1).await;
    scene.pass(3).await;
    assert_eq!((scene.status(older), scene.status(newer)), (DeploymentStatus::Superseded, DeploymentStatus::Live));
}

#[tokio::test]
async fn what_loads_for_ever_is_given_up_with_the_reason() {
    let mut scene = scene(Some(RevisionPhase::Loading));
    let id = scene.ask("1").await;
    scene.pass(0).await;
    scene.pass(3_599).await;
    assert_eq!(scene.status(id), DeploymentStatus::Applying);
    scene.pass(3_601).await;
    let given_up = scene.deployment(id);
    assert_eq!(given_up.status, DeploymentStatus::Failed);
    let why = given_up.failure.expect("why").message;
    assert!(why.contains("`loading` 3601 s") && why.contains("give_up_loading_after_millis"), "{why}");
    assert_eq!(scene.room.counts.failed.get(), 1);
}
