//! `collector-power` against a BMC over real HTTP: through the sandbox, the grant and the secret, into entities, series and
//! an incident; and the ways in which a BMC misbehaves.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{Answer, Asked, Peer, items, until};

/// What stands in the header on the wire, and nowhere else.
const SECRET: &str = "dGFuZGVtOm5vdC10by1iZS1zZWVu";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/collector-power/tests/fixtures/redfish")
}

/// A BMC with one chassis and one system that knows its user; the second supply's health is as told.
fn bmc(asked: &Asked, health: &str) -> Answer {
    if !asked.head.to_lowercase().contains(&format!("authorization: basic {SECRET}").to_lowercase()) {
        return Answer::with(401, "who are you?");
    }
    let file = match asked.path.trim_end_matches('/') {
        "/redfish/v1" => "root",
        "/redfish/v1/Chassis" => return Answer::ok(r#"{"Members": [{"@odata.id": "/redfish/v1/Chassis/1"}]}"#),
        "/redfish/v1/Chassis/1" => "chassis-1",
        "/redfish/v1/Chassis/1/Power" => "power",
        "/redfish/v1/Chassis/1/Thermal" => "thermal",
        "/redfish/v1/Systems" => "systems",
        "/redfish/v1/Systems/1" => "system",
        _ => return Answer::with(404, "no such resource"),
    };
    let page = std::fs::read_to_string(fixtures().join(format!("{file}.json"))).expect("the fixture is there");
    // Another part with a warning would be an incident of its own.
    Answer::ok(page.replace("Critical", health).replace("Warning", "OK"))
}

async fn start(folder: &Path, address: &str, timeout: &str) -> (Server, String) {
    let secret = folder.join("bmc.secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndata = {:?}\n\
         [[collect]]\nplugin = \"collector-power\"\ntarget = \"http://{address}/redfish/v1\"\ninterval = \"500ms\"\n\
         timeout = \"{timeout}\"\n\
         [plugins.collector-power]\nsecrets = {{ bmc = {{ file = {:?} }} }}\n\
         config = {{ authorization = \"Basic ${{secret.bmc}}\" }}\n",
        folder.join("data").display().to_string(),
        secret.display().to_string()
    );
    let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
    let server = Server::start(ServerOptions::new(config)).await.expect("the server starts");
    let base = server.address().to_string();
    (server, base)
}

/// All that the server tells about targets and plugins, as text.
async fn told(base: &str) -> String {
    let mut told = String::new();
    for path in ["/api/v1/targets?limit=100", "/api/v1/plugins?limit=100", "/api/v1/events?limit=100"] {
        told += &serde_json::Value::Array(items(base, path).await).to_string();
    }
    told
}

/// Whether a file below a folder holds the secret.
fn kept_in(folder: &Path) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            return kept_in(&path);
        }
        std::fs::read(&path).is_ok_and(|bytes| bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_power_supply_of_a_bmc_is_an_incident_and_the_secret_stays_on_the_wire() {
    let folder = tempfile::tempdir().expect("a folder");
    let peer = Peer::answering(|asked| bmc(asked, "OK")).await;
    let (server, base) = start(folder.path(), &peer.address(), "5s").await;
    let (host, supplies) = until("chassis, host and supplies are known", || async {
        let entities = items(&base, "/api/v1/entities?limit=200").await;
        let of = |kind: &str| entities.iter().filter(|entity| entity["kind"] == kind).cloned().collect::<Vec<_>>();
        (of("chassis").len() == 1 && of("host").len() == 1 && of("power-supply").len() >= 2)
            .then(|| (of("host")[0].clone(), of("power-supply")))
    })
    .await;
    assert!(host.to_string().contains("J300EXAMPLE"), "{host:#}");
    assert!(supplies.iter().any(|supply| supply.to_string().contains("PSU2")), "{supplies:#?}");
    assert!(items(&base, "/api/v1/incidents").await.is_empty());

    peer.respond(|asked| bmc(asked, "Critical"));
    let incident = until("the failed supply opens an incident", || async {
        items(&base, "/api/v1/incidents").await.into_iter().find(|incident| incident["status"] == "open")
    });
    let incident = incident.await;
    assert!(incident["alerts"].to_string().contains("power-supply.failed"), "{incident:#}");
    assert!(incident["causes"][0]["entity"].as_str().is_some_and(|id| id.starts_with("power-supply:")), "{incident:#}");
    peer.respond(|asked| bmc(asked, "OK"));
    until("its recovery resolves it", || async {
        items(&base, "/api/v1/incidents").await.into_iter().find(|incident| incident["status"] == "resolved")
    })
    .await;
    assert!(!told(&base).await.contains(SECRET), "the secret is told");
    server.stop().await;
    assert!(!kept_in(&folder.path().join("data")), "the secret is kept in the data folder");
}

/// The failure that a target shows while its BMC answers so.
async fn failure_of(answer: Answer, timeout: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let answer = Arc::new(answer);
    let peer = Peer::answering(move |_| Answer::clone(&answer)).await;
    let (server, base) = start(folder.path(), &peer.address(), timeout).await;
    let failure = until("the target fails", || async {
        let targets = items(&base, "/api/v1/targets").await;
        targets.first().filter(|target| !target["failure"].is_null()).map(|target| target["failure"].to_string())
    });
    let failure = failure.await;
    let told = told(&base).await;
    server.stop().await;
    (failure, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_that_misbehaves_is_a_named_failure_of_its_target() {
    let huge = format!("{{\"Chassis\": {{\"@odata.id\": \"/{}\"}}}}", "x".repeat(20 << 20));
    let cases = [
        ("refused", Answer::with(401, "no"), "5s", "authorization"),
        ("malformed", Answer::ok("<html>"), "5s", "no JSON"),
        ("slow", Answer { after: Duration::from_secs(60), ..Answer::ok("{}") }, "1s", "waited for an answer"),
        ("huge", Answer::ok(huge), "5s", "16"),
        ("broken", Answer::with(500, SECRET), "5s", "500"),
    ];
    for (name, answer, timeout, expected) in cases {
        let (failure, told) = failure_of(answer, timeout).await;
        assert!(failure.contains(expected), "{name}: {failure}");
        assert!(!failure.contains(SECRET) && !told.contains(SECRET), "{name}: the secret is told");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_not_given_is_named_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let peer = Peer::answering(|asked| bmc(asked, "OK")).await;
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndata = {:?}\n\
         [[collect]]\nplugin = \"collector-power\"\ntarget = \"http://{}/redfish/v1\"\ninterval = \"500ms\"\n\
         [plugins.collector-power]\nconfig = {{ authorization = \"Basic ${{secret.idrac}}\" }}\n",
        folder.path().display().to_string(),
        peer.address()
    );
    let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
    let server = Server::start(ServerOptions::new(config)).await.expect("the server starts");
    let base = server.address().to_string();
    let failure = until("the target fails", || async {
        let targets = items(&base, "/api/v1/targets").await;
        targets.first().filter(|target| !target["failure"].is_null()).map(|target| target["failure"].to_string())
    });
    let failure = failure.await;
    assert!(failure.contains("idrac") && failure.contains("secrets = "), "{failure}");
    assert!(peer.asked().is_empty(), "a request was sent without its secret");
    server.stop().await;
}
