//! The whole server over a disk that throws away what was not synced, with the power cut at one sync after another: what was
//! acknowledged is there afterwards, predictions and samples written remotely alike, and one fault stays one incident.
//!
//! Every cut plays the whole story again, so a run takes the first syncs one by one and the later ones in steps;
//! `TANDEM_CUTS=all` takes every one.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tandem_domain::Timestamp;
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_store::{Store, StoreOptions, testing::LossyDisk};
use tandem_tests::{Peer, all_items, ask, items, pages, write_remotely};
use tandem_wire::remote_write::{OutgoingSeries, Protocol, encode};

/// Cuts that are played side by side; they mostly wait for scrapes.
const SIDE_BY_SIDE: usize = 4;
/// Where the steps between cuts begin: starting, announcing targets and the first scrapes lie before.
const EACH_UP_TO_SYNC: u64 = 12;
/// The step between later cuts: no divisor of a scrape's number of commits, so that all of them are met in turn.
const STEP_SYNCS: u64 = 13;
/// The last cut: the story is told by then.
const LAST_SYNC: u64 = 260;
/// Turns of one story until it counts as stuck.
const MAX_TURNS: u32 = 1_200;
/// How far back samples lie that are written remotely, in milliseconds: one for each turn and millisecond.
const WRITTEN_BACK_MILLIS: i64 = 60_000;
/// Between two turns.
const TURN: Duration = Duration::from_millis(100);

fn cuts() -> Vec<u64> {
    let all = std::env::var("TANDEM_CUTS").is_ok_and(|value| value == "all");
    let chosen = |sync: &u64| all || *sync <= EACH_UP_TO_SYNC || sync.is_multiple_of(STEP_SYNCS);
    (1..=LAST_SYNC).filter(chosen).collect()
}

/// One server's life after another over one disk.
struct Story {
    disk: LossyDisk,
    folder: PathBuf,
    toml: String,
    server: Option<Server>,
    lives: u32,
    sent: u64,
    acknowledged: BTreeSet<u64>,
    /// The moment of the first sample that is written remotely, in milliseconds, and how many were acknowledged.
    written_from: i64,
    written: i64,
}

/// Series that a body written remotely has a sample of.
const WRITTEN_SERIES: usize = 5;

impl Story {
    /// Starts the server, unless the power is or goes off.
    async fn start(&mut self) -> Result<(), String> {
        self.lives += 1;
        let disk = self.disk.clone();
        let options = StoreOptions::default();
        let store =
            Store::open_with_backend(move || Box::new(disk.clone()), options).map_err(|error| error.to_string())?;
        let text = format!("listen = \"127.0.0.1:0\"\ndata = {:?}\n{}", self.folder.display().to_string(), self.toml);
        let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
        let options = ServerOptions { store: Some(store), ..ServerOptions::new(config) };
        self.server = Some(Server::start(options).await.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// The power comes back after a cut, and with it the server.
    async fn recover(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        self.disk = self.disk.in_next_machine();
        self.start().await.expect("the server starts again");
    }

    fn base(&self) -> String {
        self.server.as_ref().map(|server| server.address().to_string()).unwrap_or_default()
    }

    /// Sends the next five predictions; they count when the server said so.
    async fn predict(&mut self) {
        let batch = self.sent..self.sent + 5;
        let lines = pages::predictions("chat", batch.clone());
        if let Ok((200, taken)) = ask("POST", &self.base(), "/api/v1/predictions", &lines).await
            && taken["accepted"].as_u64().unwrap_or(0) + taken["duplicates"].as_u64().unwrap_or(0) == 5
        {
            self.sent = batch.end;
            self.acknowledged.extend(batch);
        }
    }

    /// Writes the next sample of some series remotely; one that was not acknowledged is written again as it was.
    async fn write(&mut self) {
        let cells: Vec<String> = (0..WRITTEN_SERIES).map(|cell| cell.to_string()).collect();
        let at = Timestamp(self.written_from + self.written);
        let series: Vec<_> = cells
            .iter()
            .map(|cell| OutgoingSeries {
                labels: vec![("__name__", "ledger_value"), ("cell", cell), ("instance", "ledger:1"), ("job", "ledger")],
                samples: vec![(at, self.written as f64)],
                ..OutgoingSeries::default()
            })
            .collect();
        let body = encode(Protocol::V1, &series).expect("a small body");
        self.written += i64::from(write_remotely(&self.base(), body).await == Ok(204));
    }
}

/// Every sample that was written remotely and acknowledged is there once; one more may be, of which nothing was heard.
async fn written_are_kept(base: &str, from: i64, written: i64, cut: u64) {
    let path = format!("/prometheus/api/v1/query?query=ledger_value%5B1h%5D&time={}", (from + written) as f64 / 1e3);
    let (_, answer) = ask("GET", base, &path, "").await.expect("the server answers");
    let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    assert!(series.len() == WRITTEN_SERIES || written == 0, "cut at sync {cut}: {answer}");
    for one in series {
        let samples = one["values"].as_array().cloned().unwrap_or_default();
        let values: Vec<i64> = samples.iter().filter_map(|sample| sample[1].as_str()?.parse().ok()).collect();
        let whole: Vec<i64> = (0..values.len() as i64).collect();
        assert_eq!(values, whole, "cut at sync {cut}: a sample is missing, or there twice");
        assert!((written..=written + 1).contains(&(values.len() as i64)), "cut at sync {cut}: {written}, {values:?}");
    }
}

/// The status of the one incident, once there is one.
async fn incident(base: &str, cut: u64) -> Option<String> {
    let (status, answer) = ask("GET", base, "/api/v1/incidents", "").await.ok()?;
    let all = answer["items"].as_array().filter(|_| status == 200)?;
    assert!(all.len() <= 1, "cut at sync {cut}: {} incidents: {answer:#}", all.len());
    all.first().and_then(|incident| incident["status"].as_str()).map(str::to_owned)
}

/// Plays the story with a cut; answers whether the cut was reached.
async fn play(cut: u64, cache: &Path) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink(cache, folder.path().join("cache")).expect("a shared cache of compiled plugins");
    let gpu = Peer::start(&pages::dcgm("GPU-cut", 0)).await;
    let toml = format!(
        "collect = []\n[[scrape]]\njob = \"dcgm\"\ntargets = [\"{}\"]\ninterval = \"200ms\"\ntimeout = \"150ms\"\n",
        gpu.address()
    );
    let disk = LossyDisk::default();
    // The file itself is made beside its place and moved there whole, which a disk without names cannot show.
    let made = disk.clone();
    drop(Store::open_with_backend(move || Box::new(made.clone()), StoreOptions::default()).expect("a store"));
    disk.cut_at_sync(disk.syncs() + cut);
    let (folder, sent) = (folder.path().to_owned(), 0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    let mut story = Story {
        disk,
        folder,
        toml,
        server: None,
        lives: 0,
        sent,
        acknowledged: BTreeSet::new(),
        written_from: now - WRITTEN_BACK_MILLIS,
        written: 0,
    };
    let mut was_cut = story.start().await.is_err();
    if was_cut {
        story.recover().await;
    }
    let mut seen_open = false;
    for turn in 0..MAX_TURNS {
        tokio::time::sleep(TURN).await;
        if story.disk.is_cut() {
            was_cut = true;
            story.recover().await;
        }
        story.predict().await;
        story.write().await;
        match incident(&story.base(), cut).await.as_deref() {
            None if turn == 10 => gpu.show(&pages::dcgm("GPU-cut", 79)),
            Some("open" | "reopened") => {
                seen_open = true;
                gpu.show(&pages::dcgm("GPU-cut", 0));
            }
            Some("resolved") if seen_open && !story.disk.is_cut() => {
                end(story, cut).await;
                return was_cut;
            }
            _ => {}
        }
    }
    panic!("cut at sync {cut}: the story does not come to its end; {} lives", story.lives);
}

/// What must be there at the end, asked of one more life.
async fn end(mut story: Story, cut: u64) {
    story.recover().await;
    let base = story.base();
    let kept: BTreeSet<u64> = all_items(&base, "/api/v1/predictions?service=chat")
        .await
        .iter()
        .filter_map(|prediction| prediction["id"].as_str()?.parse().ok())
        .collect();
    let lost: Vec<_> = story.acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "cut at sync {cut}: acknowledged and lost: {lost:?}");
    written_are_kept(&base, story.written_from, story.written, cut).await;
    let incidents = items(&base, "/api/v1/incidents").await;
    assert_eq!(incidents.len(), 1, "cut at sync {cut}: {incidents:#?}");
    assert_eq!(incidents[0]["alerts"][0]["code"], "gpu.xid.79", "cut at sync {cut}");
    if let Some(server) = story.server.take() {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_sync_the_power_is_cut_at_nothing_acknowledged_is_lost_and_one_fault_is_one_incident() {
    let cache = tempfile::tempdir().expect("a folder");
    // Compiles the plugins once for all.
    play(LAST_SYNC * 1_000, cache.path()).await;
    let (mut playing, mut reached) = (tokio::task::JoinSet::new(), 0);
    let cuts = cuts();
    let played = cuts.len();
    for cut in cuts {
        if playing.len() == SIDE_BY_SIDE {
            reached += u32::from(playing.join_next().await.expect("one plays").expect("no cut loses anything"));
        }
        let cache = cache.path().to_owned();
        playing.spawn(async move { play(cut, &cache).await });
    }
    while let Some(ended) = playing.join_next().await {
        reached += u32::from(ended.expect("no cut loses anything"));
    }
    eprintln!("{played} stories, the power was cut in {reached} of them");
    assert!(
        reached as usize > played / 2,
        "only {reached} of {played} cuts were reached: the story has fewer syncs now"
    );
}
