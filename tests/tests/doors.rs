//! The doors before real senders, and one meaning whichever door: a page of a GPU exporter that is scraped, written remotely by
//! a real Prometheus and sent by OTLP comes to the same entities, relations, units and incident.

use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Stdio,
    time::{SystemTime, UNIX_EPOCH},
};
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{Peer, ask, get, items, own_metric, pages, until};
use tokio::process::{Child, Command};

const GPU: &str = "GPU-doors-1";

async fn start(folder: &Path, toml: &str) -> (Server, String) {
    let data = folder.join("data").display().to_string();
    let text = format!("listen = \"127.0.0.1:0\"\ndata = {data:?}\ncollect = []\n{toml}");
    let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
    let server = Server::start(ServerOptions::new(config)).await.expect("the server starts");
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

/// A Prometheus that scrapes a page every second and writes what it reads to a server.
fn prometheus(program: &Path, folder: &Path, target: &str, base: &str) -> (Child, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let config = format!(
        "global: {{ scrape_interval: 1s }}\n\
         scrape_configs:\n- job_name: dcgm\n  static_configs: [{{ targets: ['{target}'] }}]\n\
         remote_write:\n- url: http://{base}/prometheus/api/v1/write\n  queue_config: {{ batch_send_deadline: 500ms }}\n\
         \x20 metadata_config: {{ send_interval: 2s }}\n\
         alerting:\n  alertmanagers:\n  - path_prefix: /alertmanager\n    static_configs: [{{ targets: ['{base}'] }}]\n\
         rule_files: ['{}']\n",
        folder.join("rules.yml").display()
    );
    let rules = "groups:\n- name: test\n  interval: 1s\n  rules:\n  - alert: GpuFell\n    expr: DCGM_FI_DEV_XID_ERRORS == 79\n    \
                 labels: { severity: page }\n    annotations: { summary: 'a GPU has fallen off the bus' }\n";
    std::fs::write(folder.join("rules.yml"), rules).expect("written");
    std::fs::write(folder.join("prometheus.yml"), config).expect("written");
    let arguments = [
        format!("--config.file={}", folder.join("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", folder.join("tsdb").display()),
        format!("--web.listen-address={address}"),
    ];
    (run(program, &arguments), address)
}

/// What a server makes of a target: entities, relations, and the unit and entity of each meaning.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    entities: BTreeSet<String>,
    relations: BTreeSet<(String, String, String)>,
    series: BTreeMap<String, String>,
}

async fn meaning(base: &str) -> Option<Meaning> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entities: BTreeSet<String> =
        items(base, "/api/v1/entities?limit=500").await.iter().map(|entity| text(&entity["id"])).collect();
    let relations = items(base, "/api/v1/relations?limit=500").await;
    let relations: BTreeSet<_> =
        relations.iter().map(|r| (text(&r["dependent"]), text(&r["kind"]), text(&r["dependency"]))).collect();
    let series = items(base, "/api/v1/series?limit=500").await;
    let meant = series.iter().filter(|one| !one["meaning"].is_null() && text(&one["metric"]).starts_with("DCGM"));
    let series: BTreeMap<String, String> = meant
        .map(|one| {
            let meaning = &one["meaning"];
            (text(&one["metric"]), format!("{} {} {}", meaning["name"], meaning["unit"], meaning["entity"]))
        })
        .collect();
    (entities.contains(&format!("gpu:{GPU}")) && series.len() >= 3).then_some(Meaning { entities, relations, series })
}

/// The meaning, once it has not changed for a while.
async fn settled(base: &str) -> Meaning {
    let mut last = until("the GPU has a meaning", || meaning(base)).await;
    let mut same = 0;
    while same < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let now = until("it still has", || meaning(base)).await;
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// Code and entity of the fault in the open incident, and its cause. Prometheus may tell of it as well, and sooner.
async fn incident(base: &str) -> (String, String, String) {
    until("an incident opens with the fault", || async {
        let open = items(base, "/api/v1/incidents").await.into_iter().find(|incident| incident["status"] == "open")?;
        let fault = open["alerts"].as_array()?.iter().find(|alert| alert["code"] == "gpu.xid.79")?.clone();
        Some((fault["code"].to_string(), fault["entity"].to_string(), open["causes"][0]["entity"].to_string()))
    })
    .await
}

/// The scope under which OpenTelemetry's collector passes on what its Prometheus receiver scraped.
const SCRAPING_SCOPE: &str = "github.com/open-telemetry/opentelemetry-collector-contrib/receiver/prometheusreceiver";

/// A page as OTLP metrics of one resource, as OpenTelemetry's collector makes them of what it scraped: gauges and counters
/// under their own names.
fn otlp(page: &str, instance: &str, scope: &str) -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let attribute = |name: &str, value: &str| json!({"key": name, "value": {"stringValue": value}});
    let metric = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
        let attributes: Vec<Value> =
            labels.map(|(name, value)| attribute(name.trim_start_matches(','), value.trim_end_matches('"'))).collect();
        let value: f64 = value.parse().ok()?;
        let points = json!([{"timeUnixNano": nanos.to_string(), "asDouble": value, "attributes": attributes}]);
        Some(match page.contains(&format!("# TYPE {name} counter\n")) {
            true => json!({"name": name, "sum":
                {"dataPoints": points, "isMonotonic": true, "aggregationTemporality": 2}}),
            false => json!({"name": name, "gauge": {"dataPoints": points}}),
        })
    };
    let metrics: Vec<Value> = page.lines().filter(|line| !line.starts_with('#')).filter_map(metric).collect();
    json!({"resourceMetrics": [{
        "resource": {"attributes": [attribute("service.name", "dcgm"), attribute("service.instance.id", instance)]},
        "scopeMetrics": [{"scope": {"name": scope}, "metrics": metrics}]
    }]})
    .to_string()
}

async fn by_scrape() -> (Meaning, (String, String, String)) {
    let folder = tempfile::tempdir().expect("a folder");
    let peer = Peer::start(&pages::dcgm(GPU, 0)).await;
    let scrape = format!(
        "[[scrape]]\njob = \"dcgm\"\ntargets = [\"{}\"]\ninterval = \"500ms\"\ntimeout = \"400ms\"\n",
        peer.address()
    );
    let (server, base) = start(folder.path(), &scrape).await;
    let before = settled(&base).await;
    peer.show(&pages::dcgm(GPU, 79));
    let opened = incident(&base).await;
    server.stop().await;
    (before, opened)
}

async fn by_otlp(scope: &str) -> (Meaning, (String, String, String)) {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path(), "").await;
    let send = |xid: u32| {
        let (base, body) = (base.clone(), otlp(&pages::dcgm(GPU, xid), "127.0.0.1:9400", scope));
        async move { ask("POST", &base, "/v1/metrics", &body).await.expect("answers") }
    };
    let (status, answer) = send(0).await;
    assert_eq!((status, answer), (200, json!({})), "nothing is rejected");
    let before = settled(&base).await;
    send(79).await;
    let opened = incident(&base).await;
    server.stop().await;
    (before, opened)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_means_the_same_by_scrape_remote_write_and_otlp() {
    let scraped = by_scrape().await;
    assert!(scraped.1.0.contains("gpu.xid.79"), "{scraped:#?}");
    let energy = |meaning: &Meaning, name: &str| meaning.series.get(name).cloned();
    let name = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION";
    assert!(energy(&scraped.0, name).is_some_and(|meant| meant.contains("gpu.energy")), "{scraped:#?}");
    let sent = by_otlp(SCRAPING_SCOPE).await;
    assert_eq!(scraped.0.series, sent.0.series);
    assert_eq!(scraped.1, sent.1);
    // A scope of its own says nothing of Prometheus: the counter has the suffix that the specification wants, and means the same.
    let sent = by_otlp("acme.gpu").await;
    assert_eq!(energy(&scraped.0, name), energy(&sent.0, &format!("{name}_total")));
    assert_eq!(scraped.1, sent.1);
    let Some(program) = program("prometheus") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let peer = Peer::start(&pages::dcgm(GPU, 0)).await;
    let (server, base) = start(folder.path(), "").await;
    let (child, _) = prometheus(&program, folder.path(), &peer.address(), &base);
    let written = settled(&base).await;
    // Prometheus and OTLP name the machine by the same address, a test's page by its own label.
    assert_eq!(scraped.0, written);
    peer.show(&pages::dcgm(GPU, 79));
    assert_eq!(incident(&base).await, scraped.1);
    drop(child);
    server.stop().await;
}

/// A counter of a Prometheus' own page.
async fn counter(address: &str, name: &str) -> f64 {
    let (_, page) = get(address, "/metrics").await.unwrap_or_default();
    let page = String::from_utf8_lossy(&page).into_owned();
    let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
    page.lines().filter(|line| line.starts_with(name)).filter_map(value).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_writes_remotely_alerts_and_both_count_the_same() {
    let Some(program) = program("prometheus") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let peer = Peer::start(&pages::dcgm(GPU, 79)).await;
    let (server, base) = start(folder.path(), "").await;
    let (mut child, address) = prometheus(&program, folder.path(), &peer.address(), &base);
    until("some samples came", || async {
        (own_metric(&base, "tandem_sent_samples_total", "").await > 50.0).then_some(())
    })
    .await;
    let alert = until("the alert that Prometheus found is told", || async {
        items(&base, "/api/v1/alerts").await.into_iter().find(|alert| alert["code"] == "GpuFell")
    });
    let alert = alert.await;
    assert_eq!(
        (alert["severity"].as_str(), alert["entity"].as_str()),
        (Some("critical"), Some(&*format!("gpu:{GPU}")))
    );
    peer.show(&pages::dcgm(GPU, 0));
    until("Prometheus tells that it is over", || async {
        let alerts = items(&base, "/api/v1/alerts").await;
        alerts.into_iter().find(|alert| alert["code"] == "GpuFell" && alert["state"] == "resolved")
    })
    .await;
    // What it sent can be asked for in its own language, and it answers the same.
    let ask_both = "/api/v1/query?query=count%20by%20(job)%20(%7Bjob%3D%22dcgm%22%2C__name__%3D~%22DCGM.*%22%7D)";
    let (_, theirs) = ask("GET", &address, ask_both, "").await.expect("it answers");
    let (status, ours) = ask("GET", &base, &format!("/prometheus{ask_both}"), "").await.expect("we answer");
    assert_eq!((status, &ours["status"]), (200, &json!("success")), "{ours}");
    let result = |answer: &Value| {
        (answer["data"]["result"][0]["metric"].clone(), answer["data"]["result"][0]["value"][1].clone())
    };
    assert_eq!(result(&ours), result(&theirs));
    let (status, wrong) = ask("GET", &base, "/prometheus/api/v1/query?query=sum(", "").await.expect("we answer");
    assert_eq!((status, &wrong["errorType"]), (400, &json!("bad_data")), "{wrong}");
    // A page that no longer answers sends no more samples but the last ones; then both stand still and can be compared.
    let id = child.id().expect("it runs").to_string();
    assert_eq!(counter(&address, "prometheus_remote_storage_samples_failed_total").await, 0.0);
    until("both count the same", || async {
        let sent = counter(&address, "prometheus_remote_storage_samples_total").await;
        let pending = counter(&address, "prometheus_remote_storage_samples_pending").await;
        let taken = own_metric(&base, "tandem_sent_samples_total", "").await;
        let sent_after = counter(&address, "prometheus_remote_storage_samples_total").await;
        (pending == 0.0 && sent == taken && sent == sent_after).then_some(())
    })
    .await;
    let typed = items(&base, "/api/v1/series?limit=500").await;
    assert!(
        typed.iter().any(|series| series["metric_type"] == "gauge"),
        "the types that it declares are known: {typed:#?}"
    );
    drop(Command::new("kill").arg(id).status().await);
    drop(child.wait().await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_alertmanager_delivers_firing_and_resolved() {
    let Some(program) = program("prometheus-alertmanager") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path(), "").await;
    let address = format!("127.0.0.1:{}", free_port());
    let config = format!(
        "route: {{ receiver: tandem, group_wait: 0s, group_interval: 1s }}\n\
         receivers:\n- name: tandem\n  webhook_configs: [{{ url: 'http://{base}/hooks/alertmanager', send_resolved: true }}]\n"
    );
    std::fs::write(folder.path().join("am.yml"), config).expect("written");
    let arguments = [
        format!("--config.file={}", folder.path().join("am.yml").display()),
        format!("--storage.path={}", folder.path().join("am").display()),
        format!("--web.listen-address={address}"),
        "--cluster.listen-address=".to_owned(),
    ];
    let child = run(&program, &arguments);
    let tell = |fields: Value| {
        let (address, mut alert) =
            (address.clone(), json!({"labels": {"alertname": "Down", "service": "chat", "severity": "critical"}}));
        for (name, value) in fields.as_object().cloned().unwrap_or_default() {
            alert[name] = value;
        }
        async move {
            let answer = ask("POST", &address, "/api/v2/alerts", &json!([alert]).to_string()).await;
            answer.ok().filter(|(status, _)| *status == 200)
        }
    };
    let annotations = json!({"summary": "chat does not answer"});
    until("the Alertmanager takes an alert", || tell(json!({"annotations": annotations}))).await;
    let state = |wanted: &'static str| {
        let base = base.clone();
        async move { items(&base, "/api/v1/alerts").await.into_iter().find(|alert| alert["state"] == wanted) }
    };
    let alert = until("it is delivered", || state("firing")).await;
    assert_eq!(
        (alert["entity"].as_str(), alert["title"].as_str()),
        (Some("service:chat"), Some("chat does not answer"))
    );
    let incident =
        until("it opens an incident", || async { items(&base, "/api/v1/incidents").await.into_iter().next() });
    assert_eq!(incident.await["severity"], "critical");
    let past = "2020-01-01T00:00:00Z";
    tell(json!({"annotations": annotations, "startsAt": past, "endsAt": "2020-01-01T00:00:01Z"})).await;
    until("its end is delivered", || state("resolved")).await;
    drop(child);
    server.stop().await;
}
