//! The server as the program that operators run: killed without warning at any moment, and set before a real exporter.

mod ledger;
#[path = "../program/mod.rs"]
mod program;

use program::{Program, write_config};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tandem_tests::{Peer, all_items, ask, items, own_metric, pages, until};
use tokio::process::Command;

/// What clients were told is kept.
#[derive(Clone, Default)]
struct Acknowledged {
    base: Arc<Mutex<String>>,
    ids: Arc<Mutex<BTreeSet<u64>>>,
    stop: Arc<AtomicBool>,
}

impl Acknowledged {
    fn lead_to(&self, base: &str) {
        *self.base.lock().unwrap_or_else(PoisonError::into_inner) = base.to_owned();
    }

    fn ids(&self) -> BTreeSet<u64> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends batch after batch, whether somebody listens or not.
    async fn keep_sending(self, writer: u64) {
        let mut next = writer * 1_000_000;
        while !self.stop.load(Ordering::SeqCst) {
            let base = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let batch = next..next + 20;
            let lines = pages::predictions("chat", batch.clone());
            if let Ok((200, _)) = ask("POST", &base, "/api/v1/predictions", &lines).await {
                next = batch.end;
                self.ids.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
            } else {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Shows a load that wobbles, a new value for each scrape.
async fn wobble(host: Peer, stop: Arc<AtomicBool>) {
    let mut step = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        step += 1;
        host.show(&pages::host("node-7", 2.0 + ((step * 7_919) % 13) as f64 / 100.0));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a detector went on from the states that it had saved; tells what the server says of it when it does not.
async fn goes_on_from_its_state(program: &Program, folder: &Path) {
    let restored = async || own_metric(&program.base, "tandem_detect_restored_states_total", "detector-robust").await;
    let began = std::time::Instant::now();
    while restored().await <= 0.0 {
        if began.elapsed() > Duration::from_secs(60) {
            let page = tandem_tests::ask_text(&program.base, "/metrics").await;
            let detect: Vec<&str> = page.lines().filter(|line| line.starts_with("tandem_detect_")).collect();
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            panic!("no detector goes on from its state: {detect:#?}, the log backwards: {tail:#?}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_keeps_what_it_acknowledged_what_it_learned_and_its_one_incident() {
    let folder = tempfile::tempdir().expect("a folder");
    let (gpu, host) = (Peer::start(&pages::dcgm("GPU-kill", 0)).await, Peer::start(&pages::host("node-7", 2.0)).await);
    let mut toml = String::from("[aiops.detect]\nsnapshot_seconds = 1\n");
    for (job, peer) in [("dcgm", &gpu), ("node", &host)] {
        let address = peer.address();
        toml += &format!(
            "[[scrape]]\njob = \"{job}\"\ntargets = [\"{address}\"]\ninterval = \"200ms\"\ntimeout = \"150ms\"\n"
        );
    }
    write_config(folder.path(), &toml);
    let mut program = Program::start(folder.path()).await;
    let clients = Acknowledged::default();
    clients.lead_to(&program.base);
    let mut sending = tokio::task::JoinSet::new();
    (1..=3).for_each(|writer| _ = sending.spawn(clients.clone().keep_sending(writer)));
    sending.spawn(wobble(host.clone(), clients.stop.clone()));
    until("the detector has learned and saved", || async {
        (own_metric(&program.base, "tandem_detect_saved_states_total", "detector-robust").await > 0.0).then_some(())
    })
    .await;

    let mut incident = None;
    for (round, moment) in [130_u64, 570, 1_010, 1_690, 2_350].into_iter().enumerate() {
        tokio::time::sleep(Duration::from_millis(moment)).await;
        if round == 2 {
            gpu.show(&pages::dcgm("GPU-kill", 79));
            let open = until("an incident opens", || async { items(&program.base, "/api/v1/incidents").await.pop() });
            incident = Some(open.await["id"].clone());
        }
        let acknowledged = clients.ids();
        program.kill().await;
        program = Program::start(folder.path()).await;
        clients.lead_to(&program.base);
        let kept: BTreeSet<u64> = all_items(&program.base, "/api/v1/predictions?service=chat")
            .await
            .iter()
            .filter_map(|prediction| prediction["id"].as_str()?.parse().ok())
            .collect();
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "round {round}: {} of {} lost: {lost:?}", lost.len(), acknowledged.len());
        goes_on_from_its_state(&program, folder.path()).await;
        assert_eq!(own_metric(&program.base, "tandem_detect_refused_states_total", "").await, 0.0);
    }
    clients.stop.store(true, Ordering::SeqCst);
    while let Some(ended) = sending.join_next().await {
        ended.expect("a client ends");
    }
    assert!(clients.ids().len() > 100, "only {} predictions were acknowledged", clients.ids().len());
    let incidents = items(&program.base, "/api/v1/incidents").await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    assert_eq!(Some(&incidents[0]["id"]), incident.as_ref(), "it is the one from before the kills");
    gpu.show(&pages::dcgm("GPU-kill", 0));
    until("the incident resolves", || async {
        items(&program.base, "/api/v1/incidents").await.into_iter().find(|incident| incident["status"] == "resolved")
    })
    .await;
}

/// Debian's node_exporter, where it is installed.
fn node_exporter() -> Option<PathBuf> {
    let found = ["/usr/bin/prometheus-node-exporter", "/usr/local/bin/node_exporter", "/usr/bin/node_exporter"];
    found.iter().map(PathBuf::from).find(|path| path.is_file())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_node_exporter_becomes_a_host_with_series_that_have_a_meaning() {
    let Some(exporter) = node_exporter() else {
        eprintln!(
            "node_exporter is not installed, it is not tested (Debian: apt-get install prometheus-node-exporter)"
        );
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let address = format!("127.0.0.1:{port}");
    let _exporter = Command::new(exporter)
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the exporter starts");
    write_config(
        folder.path(),
        &format!(
            "[[scrape]]\njob = \"node\"\ntargets = [\"{address}\", \"127.0.0.1:9\"]\ninterval = \"1s\"\ntimeout = \"900ms\"\n"
        ),
    );
    let program = Program::start(folder.path()).await;
    let base = program.base.clone();
    until("the exporter's page is read", || async {
        let targets = items(&base, "/api/v1/targets").await;
        targets.iter().any(|target| target["instance"] == address.as_str() && target["up"] == true).then_some(())
    })
    .await;
    until("the dead target beside it is told as such", || async {
        let targets = items(&base, "/api/v1/targets").await;
        let dead = targets.iter().find(|target| target["instance"] == "127.0.0.1:9")?;
        (dead["up"] == false && !dead["failure"].is_null()).then_some(())
    })
    .await;
    for metric in ["host.load.1m", "host.memory.available", "host.cpu.time", "filesystem.available"] {
        let path = format!("/api/v1/series?name={metric}");
        let series = until(metric, || async { items(&base, &path).await.into_iter().next() }).await;
        let path = format!("/api/v1/series/{}/points", series["id"]);
        let (_, points) = ask("GET", &base, &path, "").await.expect("answers");
        assert!(
            points["value"].as_array().is_some_and(|values| values.iter().any(serde_json::Value::is_number)),
            "{points}"
        );
    }
    let nodename = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
    let nodename = nodename.trim().to_lowercase();
    let hosts: Vec<_> = items(&base, "/api/v1/entities?kind=host&limit=100").await;
    assert!(
        hosts.iter().any(|host| host["name"].as_str().is_some_and(|name| name.to_lowercase() == nodename)),
        "no host is called {nodename}: {hosts:#?}"
    );
    let telemetry = own_metric(&base, "tandem_plugin_traps_total", "").await;
    assert_eq!(telemetry, 0.0, "a plugin trapped on a real page");
}
