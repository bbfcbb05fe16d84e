//! Scraping over the whole server: beside a real Prometheus that is given the same files and rules, of the real node_exporter,
//! and over TLS with credentials.

mod tls_target;

use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Stdio,
};
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{Answer, Peer, ask, until};
use tokio::process::{Child, Command};

async fn start(folder: &Path, toml: &str) -> (Server, String) {
    let data = folder.join("data").display().to_string();
    let text = format!("listen = \"127.0.0.1:0\"\ndata = {data:?}\ncollect = []\n{toml}");
    let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
    let server = Server::start(ServerOptions { components: Some(Vec::new()), ..ServerOptions::new(config) }).await;
    let server = server.expect("the server starts");
    let base = server.address().to_string();
    (server, base)
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("an address").port()
}

/// A program of Debian's, where it is installed.
fn program(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/local/bin"].map(|folder| Path::new(folder).join(name));
    let found = found.into_iter().find(|path| path.is_file());
    if found.is_none() {
        println!("{name} is not installed, it is not tested (Debian: apt-get install {name})");
    }
    found
}

fn run(program: &Path, arguments: &[String]) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().expect("the program starts")
}

/// The label sets that a query gives.
async fn label_sets(base: &str, prefix: &str, query: &str) -> BTreeSet<String> {
    let query: String = url_encoded(query);
    let (_, answer) = ask("GET", base, &format!("{prefix}/api/v1/query?query={query}"), "").await.unwrap_or_default();
    let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
    found.iter().map(|one| one["metric"].to_string()).collect()
}

fn url_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The rules of both sides, which are written as TOML for one and as they are for the other.
fn rules() -> Value {
    json!([
        {"source_labels": ["__meta_filepath"], "regex": ".*/([a-z]+)\\.json", "target_label": "file"},
        {"source_labels": ["away"], "regex": "yes", "action": "drop"},
        {"source_labels": ["env", "tier"], "separator": "-", "regex": "(p.*)-(f|b)(.*)", "target_label": "where",
         "replacement": "${2}.$1.$3"},
        {"source_labels": ["shard_by"], "action": "hashmod", "modulus": 7, "target_label": "shard"},
        {"regex": "copy_(.+)", "action": "labelmap", "replacement": "got_$1"},
        {"regex": "copy_.*|shard_by", "action": "labeldrop"},
        {"source_labels": ["env"], "target_label": "ENV", "action": "uppercase"},
        {"source_labels": ["tier"], "target_label": "low", "action": "lowercase"},
        {"source_labels": ["env"], "target_label": "not_this", "action": "dropequal"},
        {"source_labels": ["path_of"], "regex": "(.+)", "target_label": "__metrics_path__"},
        {"source_labels": ["name"], "target_label": "instance"}
    ])
}

fn metric_rules() -> Value {
    json!([
        {"source_labels": ["__name__"], "regex": "noise_.*", "action": "drop"},
        {"source_labels": ["__name__", "code"], "separator": "@", "regex": "requests_total@(.)..", "target_label": "class",
         "replacement": "${1}xx"},
        {"regex": "secret", "action": "labeldrop"}
    ])
}

fn toml_of(value: &Value) -> String {
    match value {
        Value::Array(all) => format!("[{}]", all.iter().map(toml_of).collect::<Vec<_>>().join(", ")),
        Value::Object(all) => {
            let pairs: Vec<String> = all.iter().map(|(name, value)| format!("{name} = {}", toml_of(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

const PAGE: &str = "# TYPE requests_total counter\nrequests_total{code=\"200\",secret=\"s\"} 1\nrequests_total{code=\"503\"} 2\n\
                    noise_a 1\nclash{job=\"mine\",env=\"its\",exported_env=\"more\"} 3\nnan_now NaN\nodd{v=\"a\\\"b\\\\c\\nd\"} +Inf\n";

/// The jobs of both sides, as this server's configuration.
fn our_jobs(files: &str, address: &str) -> String {
    format!(
        "[[scrape]]\njob = \"files\"\ninterval = \"1s\"\nfile_sd_configs = [{{ files = [{files:?}] }}]\n\
         relabel_configs = {}\nmetric_relabel_configs = {}\n\
         [[scrape]]\njob = \"honoured\"\ninterval = \"1s\"\nhonor_labels = true\ntargets = [{address:?}]\n\
         labels = {{ env = \"prod\" }}\n",
        toml_of(&rules()),
        toml_of(&metric_rules())
    )
}

/// A Prometheus with the same jobs, and where it listens.
fn run_prometheus(program: &Path, folder: &Path, files: &str, address: &str) -> (Child, String) {
    let yaml = json!({"global": {"scrape_interval": "1s"}, "scrape_configs": [
        {"job_name": "files", "file_sd_configs": [{"files": [files]}], "relabel_configs": rules(),
         "metric_relabel_configs": metric_rules()},
        {"job_name": "honoured", "honor_labels": true,
         "static_configs": [{"targets": [address], "labels": {"env": "prod"}}]}]});
    std::fs::write(folder.join("prometheus.yml"), yaml.to_string()).expect("written");
    let there = format!("127.0.0.1:{}", free_port());
    let arguments = [
        format!("--config.file={}", folder.join("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", folder.join("tsdb").display()),
        format!("--web.listen-address={there}"),
    ];
    (run(program, &arguments), there)
}

/// What a page of targets says of those that are scraped, and how many were dropped; none before each was visited.
async fn targets_of(base: &str, prefix: &str) -> Option<(BTreeSet<String>, usize)> {
    let (_, answer) = ask("GET", base, &format!("{prefix}/api/v1/targets"), "").await.ok()?;
    let told = |one: &Value| {
        // Without `discoveredLabels`: 2.42 shows there what relabelling has made of them already.
        let of = ["labels", "scrapeUrl", "health", "scrapePool", "scrapeInterval", "scrapeTimeout"];
        json!(of.map(|name| one[name].clone())).to_string()
    };
    let active: BTreeSet<String> = answer["data"]["activeTargets"].as_array()?.iter().map(told).collect();
    let is_known = active.len() == 4 && !active.iter().any(|one| one.contains("\"unknown\""));
    is_known.then(|| (active, answer["data"]["droppedTargets"].as_array().map_or(0, Vec::len)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_files_and_rules_give_the_same_labels_as_a_real_prometheus() {
    let Some(prometheus) = program("prometheus") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let peer = Peer::answering(|asked| match asked.path.as_str() {
        "/metrics" | "/other" => Answer::ok(PAGE),
        _ => Answer::with(404, ""),
    })
    .await;
    let address = peer.address();
    let targets = |all: Value| std::fs::write(folder.path().join("targets.json"), all.to_string()).expect("written");
    let all = json!([
        {"targets": [address], "labels": {"name": "one", "env": "prod", "tier": "Front", "copy_a": "1", "shard_by": "x"}},
        {"targets": [address], "labels": {"name": "two", "env": "test", "tier": "back", "path_of": "/other", "shard_by": "y"}},
        {"targets": [address], "labels": {"name": "away", "away": "yes"}},
        {"targets": [address], "labels": {"name": "gone", "path_of": "/nowhere", "env": "prod", "tier": "bin"}}
    ]);
    targets(all.clone());
    let files = folder.path().join("*.json").display().to_string();
    let (server, base) = start(folder.path(), &our_jobs(&files, &address)).await;
    let (_running, there) = run_prometheus(&prometheus, folder.path(), &files, &address);
    let query = "{__name__=~\"up|scrape_.*|requests_total|clash|nan_now|odd|noise_.*\"}";
    let (here, theirs) = until("both have scraped all targets", || async {
        let (here, theirs) = (label_sets(&base, "/prometheus", query).await, label_sets(&there, "", query).await);
        let count = |sets: &BTreeSet<String>| sets.iter().filter(|one| one.contains("\"requests_total\"")).count();
        (count(&theirs) == 6 && count(&here) == 6 && theirs.len() == here.len()).then_some((here, theirs))
    })
    .await;
    assert_eq!(here, theirs);
    for part in ["\"where\":\"b.prod.in\"", "\"got_a\":\"1\"", "\"exported_exported_env\":\"its\"", "\"class\":\"5xx\""]
    {
        assert!(here.iter().any(|one| one.contains(part)), "{part}: {here:#?}");
    }
    // The pages of targets agree too.
    let (here, theirs) = until("both know how each target is", || async {
        targets_of(&base, "/prometheus").await.zip(targets_of(&there, "").await)
    })
    .await;
    assert_eq!(here, theirs);
    // A target that leaves the file ends on both sides.
    targets(json!([all[0].clone()]));
    until("both have one left", || async {
        let query = "up{job=\"files\"}";
        let (here, theirs) = (label_sets(&base, "/prometheus", query).await, label_sets(&there, "", query).await);
        (here.len() == 1 && here == theirs).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_node_exporter_is_scraped_and_known() {
    let Some(exporter) = program("prometheus-node-exporter") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let address = format!("127.0.0.1:{}", free_port());
    let _running = run(&exporter, &[format!("--web.listen-address={address}")]);
    let toml = format!("[[scrape]]\njob = \"node\"\ninterval = \"1s\"\ntargets = [{address:?}]\n");
    let (server, base) = start(folder.path(), &toml).await;
    until("it is up and its series are there", || async {
        let up = label_sets(&base, "/prometheus", "up{job=\"node\"} == 1").await;
        let load = label_sets(&base, "/prometheus", "node_load1").await;
        (up.len() == 1 && load.len() == 1).then_some(())
    })
    .await;
    let (_, answer) = ask("GET", &base, "/prometheus/api/v1/targets?state=active", "").await.expect("answers");
    assert_eq!(answer["data"]["activeTargets"][0]["health"], "up", "{answer}");
    let (_, pools) = ask("GET", &base, "/prometheus/api/v1/scrape_pools", "").await.expect("answers");
    assert_eq!(pools["data"]["scrapePools"], json!(["node"]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_behind_tls_and_credentials_are_scraped_and_refusals_say_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = tls_target::start(folder.path(), "ann", "top secret").await;
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("password"), "wrong\n").expect("written");
    let job = |name: &str, tls: &str, auth: &str| {
        format!(
            "[[scrape]]\njob = {name:?}\ninterval = \"500ms\"\nscheme = \"https\"\ntargets = [{:?}]\n\
             tls_config = {{ {tls} }}\n{auth}\n",
            target.address
        )
    };
    let (ca, identity) = (
        format!("ca_file = {:?}", path("ca.pem")),
        format!("cert_file = {:?}, key_file = {:?}", path("client.pem"), path("client.key")),
    );
    let named = "server_name = \"exporter.example\"";
    let auth = format!("basic_auth = {{ username = \"ann\", password_file = {:?} }}", path("password"));
    let toml = [
        job("good", &format!("{ca}, {identity}, {named}, min_version = \"TLS13\""), &auth),
        job("unverified", &format!("insecure_skip_verify = true, {identity}"), &auth),
        job("nameless", &format!("{ca}, {identity}"), &auth),
        job("unknown-authority", &format!("{identity}, {named}"), &auth),
        job("no-identity", &format!("{ca}, {named}"), &auth),
    ];
    let (server, base) = start(folder.path(), &toml.concat()).await;
    let errors = async || {
        let (_, answer) = ask("GET", &base, "/prometheus/api/v1/targets", "").await.expect("answers");
        let active = answer["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
        let of = |job: &str| {
            let one = active.iter().find(|one| one["scrapePool"] == job).cloned().unwrap_or_default();
            (
                one["health"].as_str().unwrap_or_default().to_owned(),
                one["lastError"].as_str().unwrap_or_default().to_owned(),
            )
        };
        ["good", "unverified", "nameless", "unknown-authority", "no-identity"].map(of)
    };
    let all = until("the password is refused", || async {
        let all = errors().await;
        (all[0].1.contains("401") && all.iter().all(|(health, _)| health == "down")).then_some(all)
    })
    .await;
    assert!(all[1].1.contains("401"), "{all:#?}");
    for refused in &all[2..] {
        assert!(
            !refused.1.contains("401") && refused.1.contains("no connection") || refused.1.contains("broke"),
            "{all:#?}"
        );
    }
    std::fs::write(path("password"), "top secret").expect("written");
    until("the rotated password is read", || async {
        let all = errors().await;
        (all[0].0 == "up" && all[1].0 == "up" && all[2..].iter().all(|(health, _)| health == "down")).then_some(())
    })
    .await;
    let shown = serde_json::to_string(&ask("GET", &base, "/prometheus/api/v1/targets", "").await.expect("answers").1)
        .expect("JSON");
    assert!(!shown.contains("top secret"), "no page shows a password");
    server.stop().await;
}
