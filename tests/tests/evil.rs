//! Hostile guests under the whole server: one for each attack, all at work at once beside the bundled plugins. Each must be
//! told plainly, with its name, the function and what to do, and counted; the rest of the house must not notice.
//!
//! The guests stand under `tests/evil/`, a crate each, and are built from source here.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tandem_builder::{Builder, crates_in};
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{Peer, ask, items, pages, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// How long an attack may take to be told: the longest deadline of a call is 30 s.
const PATIENCE: Duration = Duration::from_secs(90);

/// An attack, and what must be said of it.
struct Attack {
    /// The folder under `tests/evil/`.
    folder: &'static str,
    /// What its last error says: the function, what happened, what to do.
    told: &'static [&'static str],
    /// The counter of its usage that must have moved.
    counted: &'static str,
}

const fn attack(folder: &'static str, told: &'static [&'static str], counted: &'static str) -> Attack {
    Attack { folder, told, counted }
}

/// Those that must not get in.
const NOT_LET_IN: [Attack; 7] = [
    attack(
        "does-not-fit",
        &["vendor:private/shell", "which this server does not offer", "build it without this import"],
        "refused_loads",
    ),
    attack("half-written", &["half written or cut off", "copy it again"], "refused_loads"),
    attack("traps-at-start", &["about.describe", "panicked", "mend the plugin"], "refused_loads"),
    attack("spins-at-start", &["about.describe", "ran out of time", "mend the plugin"], "refused_loads"),
    attack("lies-about-memory", &["about.describe", "its answer cannot be read", "tell its author"], "refused_loads"),
    attack("speaks-no-utf8", &["about.describe", "its answer cannot be read", "tell its author"], "refused_loads"),
    attack("changes-its-story", &["about.describe", "varies from call to call"], "refused_loads"),
];

/// Those that get in and misbehave at work.
const AT_WORK: [Attack; 23] = [
    attack("answers-nan", &["detector.watch.observe", "score", "is NaN", "finite number"], "contract_breaches"),
    attack("lies-about-lengths", &["detector.watch.observe", "score has", "are due"], "contract_breaches"),
    attack("travels-in-time", &["detector.watch.observe", "at"], "contract_breaches"),
    attack("answers-for-strangers", &["detector.watch.observe", "not in the watch"], "contract_breaches"),
    attack("floods-faults", &["detector.watch.observe", "faults", "20000"], "contract_breaches"),
    attack("floods-log", &[], "log_lines_left_out"),
    attack("spins", &["detector.watch.observe", "ran out of time", "mend the plugin"], "timeouts"),
    attack("sleeps-in-pure-call", &["detector.watch.observe", "time stands still", "do not sleep"], "traps"),
    attack("eats-memory", &["detector.watch.observe", "refused", "memory"], "traps"),
    attack("eats-stack", &["detector.watch.observe", "used up its stack"], "traps"),
    attack("traps", &["detector.watch.observe", "panicked", "evil_traps::Traps", "earlier version"], "traps"),
    attack("bloats-its-state", &["detector.watch.snapshot"], "calls"),
    attack("sleeps-in-host-call", &["collector.collect", "not done after", "the target is slow"], "timeouts"),
    attack("asks-ungranted-address", &["is not granted", "allow_http"], "denials"),
    attack("follows-a-redirect", &["is not granted", "allow_http"], "denials"),
    attack("dials-ungranted-address", &["is not granted", "allow_tcp"], "denials"),
    attack("reads-secrets", &["collector.collect", "/etc/passwd", "allow_files"], "denials"),
    attack("floods-samples", &["collector.collect", "points", "1000000"], "contract_breaches"),
    attack("points-nowhere", &["collector.collect", "series", "4000000000"], "contract_breaches"),
    attack("bloats-texts", &["collector.collect", "name", "at most 512"], "contract_breaches"),
    attack("spins-in-mapper", &["mapper.interpret", "ran out of time"], "timeouts"),
    attack("floods-entities", &["mapper.interpret", "entities", "20000"], "contract_breaches"),
    attack("not-a-component", &["core WebAssembly module", "plugin build"], "refused_loads"),
];

/// Builds every guest and puts its file into the folder of plugins.
fn put_guests_into(plugins: &Path) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("evil");
    let mut builder = Builder::new(std::path::absolute(workspace.join("target/guests")).expect("a path")).locked(true);
    std::fs::create_dir_all(plugins).expect("a folder");
    for folder in crates_in(&workspace.join("tests/evil")).expect("the guests") {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        if name == "honest" {
            continue;
        }
        let built = builder.build_plugin(&folder, &out).expect("the guest compiles");
        let mut bytes = std::fs::read(&built.path).expect("it was built");
        if name == "half-written" {
            bytes.truncate(bytes.len() / 2);
        }
        std::fs::write(plugins.join(format!("evil-{name}.wasm")), bytes).expect("written");
    }
    // The magic number and version of a core module, which other tools would gladly run.
    std::fs::write(plugins.join("evil-not-a-component.wasm"), b"\0asm\x01\0\0\0").expect("written");
}

/// Accepts connections and never answers.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

/// Counts who connects; nobody should.
async fn forbidden() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let reached = Arc::new(AtomicU64::new(0));
    let counting = reached.clone();
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counting.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, reached)
}

/// Sends everybody elsewhere.
async fn redirecting(to: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound").to_string();
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{to}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4 << 10]).await;
            // A client that has gone away needs no answer.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    address
}

fn host_page(load: f64) -> String {
    pages::host("victim", load) + "# TYPE evil_metric gauge\nevil_metric 1\n"
}

fn gpu_page(xid: u32) -> String {
    pages::dcgm("GPU-evil-3", xid)
}

async fn plugin(base: &str, name: &str) -> serde_json::Value {
    let all = items(base, "/api/v1/plugins").await;
    all.into_iter().find(|plugin| plugin["name"] == name).unwrap_or_else(|| panic!("{name} is not in the catalogue"))
}

/// What is missing yet of what must be told and counted about an attack.
fn missing(attack: &Attack, catalogue: &[serde_json::Value]) -> Option<String> {
    let name = format!("evil-{}", attack.folder);
    let Some(status) = catalogue.iter().find(|plugin| plugin["name"] == name.as_str()) else {
        return Some(format!("{name} is not in the catalogue"));
    };
    let error = status["last_error"].as_str().unwrap_or_default();
    let named = attack.told.is_empty() || error.contains(&name);
    let untold: Vec<_> = attack.told.iter().filter(|words| !error.contains(*words)).collect();
    let counted = status["usage"][attack.counted].as_u64().unwrap_or_default() > 0;
    (!named || !untold.is_empty() || !counted)
        .then(|| format!("{name}: untold {untold:?}, {} counted: {counted}; it is {status:#}", attack.counted))
}

/// Waits until every attack was told and counted.
async fn all_told_and_counted(base: &str) {
    let began = Instant::now();
    let mut open: Vec<&Attack> = NOT_LET_IN.iter().chain(&AT_WORK).collect();
    loop {
        let catalogue = items(base, "/api/v1/plugins").await;
        open.retain(|attack| missing(attack, &catalogue).is_some());
        if open.is_empty() {
            return;
        }
        let complaints = || open.iter().filter_map(|attack| missing(attack, &catalogue)).collect::<Vec<_>>().join("\n");
        assert!(began.elapsed() < PATIENCE, "waited {} s in vain for\n{}", PATIENCE.as_secs(), complaints());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_is_told_and_counted_and_nobody_else_is_hurt() {
    let folder = tempfile::tempdir().expect("a folder");
    let plugins = folder.path().join("plugins");
    let into = plugins.clone();
    tokio::task::spawn_blocking(move || put_guests_into(&into)).await.expect("the guests are built");
    let (host, gpu, granted) =
        (Peer::start(&host_page(0.5)).await, Peer::start(&gpu_page(0)).await, Peer::start("fine").await);
    let silent = silent().await;
    let (forbidden, reached) = forbidden().await;
    let redirecting = redirecting(&forbidden).await;
    let mut toml = format!(
        "listen = \"127.0.0.1:0\"\ndata = {:?}\n\
         [plugins.evil-dials-ungranted-address]\nallow_tcp = [\"{}\"]\n\
         [plugins.evil-reads-secrets]\nallow_files = [\"/proc/loadavg\"]\n",
        folder.path().display().to_string(),
        granted.address(),
    );
    for (job, peer) in [("node", &host), ("dcgm", &gpu)] {
        toml += &format!(
            "[[scrape]]\njob = \"{job}\"\ntargets = [\"{}\"]\ninterval = \"500ms\"\ntimeout = \"400ms\"\n",
            peer.address()
        );
    }
    for (name, target) in [
        ("sleeps-in-host-call", format!("http://{silent}/")),
        ("asks-ungranted-address", format!("http://{}/?elsewhere={forbidden}", granted.address())),
        ("follows-a-redirect", format!("http://{redirecting}/")),
        ("dials-ungranted-address", format!("http://{forbidden}/").replace("127.0.0.1", "127.0.0.2")),
        ("reads-secrets", String::new()),
        ("floods-samples", String::new()),
        ("points-nowhere", String::new()),
        ("bloats-texts", String::new()),
    ] {
        toml += &format!("[[collect]]\nplugin = \"evil-{name}\"\ntarget = \"{target}\"\ninterval = \"1s\"\n");
    }
    let config = Config::parse(Path::new("test.toml"), &toml).expect("a configuration");
    let server =
        Server::start(ServerOptions::new(config)).await.expect("evil guests do not keep the server from starting");
    let base = server.address().to_string();

    all_told_and_counted(&base).await;
    for attack in &NOT_LET_IN {
        let status = plugin(&base, &format!("evil-{}", attack.folder)).await;
        assert_eq!(status["state"], "quarantined", "{status:#}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0, "an address that was not granted was reached");

    // The rest of the house works on: the same series have their meaning, a fault becomes an incident.
    let load = items(&base, "/api/v1/series?name=host.load.1m").await;
    assert!(!load.is_empty(), "the honest mapper was heard beside the evil ones");
    gpu.show(&gpu_page(79));
    until("the fault of a GPU becomes an incident", || async {
        let incidents = items(&base, "/api/v1/incidents").await;
        incidents.iter().any(|incident| incident.to_string().contains("gpu.xid.79")).then_some(())
    })
    .await;
    let entities = items(&base, "/api/v1/entities?limit=1000").await;
    assert!(!entities.iter().any(|entity| entity.to_string().contains("ghost-")), "entities of a flood were kept");
    let all = items(&base, "/api/v1/plugins").await;
    let honest: Vec<_> = all.iter().filter(|plugin| plugin["origin"] == "bundled").collect();
    assert!(honest.len() >= 12, "{} bundled plugins", honest.len());
    for plugin in honest {
        assert_eq!(plugin["state"], "live", "{plugin:#}");
        assert_eq!(plugin["usage"]["traps"], 0, "{plugin:#}");
    }
    let (status, _) = ask("GET", &base, "/readyz", "").await.expect("answers");
    assert_eq!(status, 200);
    server.stop().await;
}

#[test]
fn every_guest_has_its_attack_in_the_table() {
    let guests = crates_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("evil")).expect("the guests");
    let known: Vec<&str> = NOT_LET_IN.iter().chain(&AT_WORK).map(|attack| attack.folder).collect();
    for guest in guests {
        let name = guest.file_name().expect("a name").to_string_lossy().into_owned();
        assert!(name == "honest" || known.contains(&name.as_str()), "tests/evil/{name} is not in the table of evil.rs");
    }
    assert!(known.len() >= 16, "{} attacks", known.len());
}
