//! One story with one seed: the server with its rooms by hand, and everything that a step shows sent through its doors.

use super::{Funnel, Judge, Played, Telling, client::Client, faults, follow::Follow, symptoms::Symptoms};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};
use tandem_domain::{Timestamp, time::Clock};
use tandem_server::{Rooms, Server, ServerOptions, config::Config};
use tandem_story::{About, Library, Play, Sender};
use tandem_tests::{Answer, Peer};

/// Midnight of the day on which stories are played: 3 March 2026, a Tuesday, UTC.
const MIDNIGHT: i64 = 1_772_496_000_000;
const HOUR_MILLIS: f64 = 3_600_000.0;
/// Predictions or labels in one body.
const ROWS_AT_ONCE: usize = 2_000;
/// Moments between two steps at which the rooms wanted to be woken and are; a room that wishes for more waits for the step.
const MOST_WAKINGS: usize = 8;

/// A clock that is moved.
#[derive(Debug)]
struct MovedClock(AtomicI64);

impl MovedClock {
    fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A model repository that loads whatever it is asked for.
async fn repository() -> (Peer, Arc<Mutex<BTreeSet<(String, String)>>>) {
    let loaded: Arc<Mutex<BTreeSet<(String, String)>>> = Arc::default();
    let shown = loaded.clone();
    let peer = Peer::answering(move |asked| {
        if !asked.path.ends_with("/index") {
            return Answer::ok("{}");
        }
        let loaded = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = |(model, version): &(String, String)| serde_json::json!({"name": model, "version": version, "state": "READY"});
        Answer::ok(serde_json::Value::Array(loaded.iter().map(entry).collect()).to_string())
    });
    (peer.await, loaded)
}

fn config(folder: &Path, hook: &str, play: &Play) -> Config {
    let mut text = format!(
        "listen = \"127.0.0.1:0\"\ndata = {:?}\ncollect = []\nlog = \"error\"\n[notify.bench]\nurl = \"http://{hook}/hook\"\n",
        folder.display().to_string()
    );
    for relation in play.relations() {
        let kind = serde_json::to_value(relation.kind).expect("a kind has a name");
        text.push_str(&format!(
            "[[relation]]\ndependent = {:?}\ndependency = {:?}\nkind = {kind}\n",
            relation.dependent, relation.dependency
        ));
    }
    Config::parse(Path::new("story.toml"), &text).unwrap_or_else(|error| panic!("{error}"))
}

/// Steps the rooms to quiet at a moment, then at each at which they asked to be woken before the next step.
async fn settle(rooms: &mut Rooms, clock: &MovedClock, at: Timestamp, next: Timestamp) {
    clock.set(at);
    for _ in 0..=MOST_WAKINGS {
        let settled = rooms.settle().await.unwrap_or_else(|error| panic!("a room failed: {error}"));
        assert!(settled.quiet, "the rooms found no rest at {}", clock.now().0);
        match settled.wake_at.filter(|wake| *wake > clock.now() && *wake < next) {
            Some(wake) => clock.set(wake),
            None => return,
        }
    }
}

/// Plays one, or its first hours.
pub(super) async fn play(
    library: &Library,
    about: &About,
    seed: u64,
    folder: &Path,
    (telling, hours): (Telling, Option<u32>),
) -> Played {
    let start = Timestamp(MIDNIGHT + (about.hour * HOUR_MILLIS) as i64);
    let mut play = Play::new(library, &about.name, seed, start).unwrap_or_else(|error| panic!("{error}"));
    let sender = Sender::new(&play);
    let hook = Peer::start("").await;
    let (triton, loaded) = repository().await;
    let own = tempfile::tempdir_in(folder).expect("a folder");
    let config = config(folder, &hook.address(), &play);
    let store = tandem_store::Store::open(own.path(), config.store.options(&config.limits)).expect("a store");
    let clock = Arc::new(MovedClock(AtomicI64::new(start.0)));
    let options = ServerOptions { store: Some(store), clock: clock.clone(), ..ServerOptions::new(config) };
    let (server, mut rooms) = Server::start_by_hand(options).await.unwrap_or_else(|error| panic!("{error}"));
    let mut client = Client::new(server.address().to_string());
    let whole = play.step_millis() * play.steps() as i64;
    let ends = hours.map_or(whole, |hours| whole.min(i64::from(hours) * HOUR_MILLIS as i64));
    let mut judge = Judge::new(&play, start, ends);
    let mut symptoms = Symptoms::new(&play, start, ends);
    let mut follow = Follow::new(&hook, start, telling);
    let mut steps = 0;
    let target = format!("http://{}", triton.address());
    while let Some(shown) = play.step().filter(|shown| shown.at.millis_since(start) < ends) {
        steps += 1;
        clock.set(shown.at);
        client.remote_write(sender.remote_write(&shown).expect("a body")).await;
        for body in sender.predictions(&shown, ROWS_AT_ONCE) {
            client.lines("/api/v1/predictions", body).await;
        }
        for body in sender.labels(&shown, ROWS_AT_ONCE) {
            client.lines("/api/v1/labels", body).await;
        }
        for deployment in &shown.deployments {
            let model = (deployment.model.clone(), deployment.version.clone());
            loaded.lock().unwrap_or_else(PoisonError::into_inner).insert(model);
            client.deploy(deployment, &target).await;
        }
        let next = shown.at.plus_millis(play.step_millis());
        settle(&mut rooms, &clock, shown.at, next).await;
        judge.look(&mut client, shown.at, telling).await;
        symptoms.look(&client, shown.at, telling).await;
        follow.look(&client, shown.at).await;
    }
    let seconds = follow.worked().as_secs_f64();
    let [findings, alerts, incidents] = client.counts().await;
    let (notified, resolutions) = follow.told();
    let funnel = Funnel { findings, alerts, incidents, notifications: notified.len(), resolutions };
    let cases = judge.cases();
    let (faults, for_nothing) = faults::outcomes(&play, ends, &cases, &notified, &mut client).await;
    drop(rooms);
    server.stop().await;
    Played {
        story: about.name.clone(),
        cases,
        felt: symptoms.felt(),
        funnel,
        seconds,
        series: play.series().len(),
        steps,
        faults,
        for_nothing,
    }
}
