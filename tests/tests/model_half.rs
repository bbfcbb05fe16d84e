//! The model half over the whole server: predictions become drift reports and a verdict, and a deployment is applied to a
//! server that speaks the Open Inference Protocol, observed, and taken up again after a restart.

use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{Answer, Asked, Peer, ask, items, until};

const QUICK: &str = "collect = []\n\
                     [mlops.drift]\nreference_rows = 200\nwindow_rows = 200\nreport_every_rows = 100\n\
                     [mlops.deploy]\nobserve_applying_every_millis = 200\nobserve_live_every_millis = 200\n\
                     give_up_after_failures = 2\n";

async fn start(folder: &Path) -> (Server, String) {
    let text = format!("listen = \"127.0.0.1:0\"\ndata = {:?}\n{QUICK}", folder.display().to_string());
    // A server that was stopped just now may hold the file for a moment.
    let server = until("the server starts", || async {
        let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
        Server::start(ServerOptions::new(config)).await.ok()
    });
    let server = server.await;
    let base = server.address().to_string();
    (server, base)
}

/// Rows of a model with one numeric and one categorical feature; `shift` moves the first and thins out the second.
fn rows(ids: std::ops::Range<u64>, shift: f64) -> String {
    let row = |id: u64| {
        // The golden ratio spreads evenly over any stretch of ids, so that two stretches are of one distribution.
        let even = (id as f64 * 0.618_033_988_749_895).fract();
        let region = if even < 0.5 - shift / 4.0 { "north" } else { "south" };
        json!({"service": "credit", "model": "risk", "version": "7", "id": id.to_string(),
               "features": {"income": even * 10.0 + shift, "region": region}, "prediction": even > 0.5, "score": even})
    };
    ids.map(|id| format!("{}\n", row(id))).collect()
}

async fn send(base: &str, lines: &str) {
    let (status, answer) = ask("POST", base, "/api/v1/predictions", lines).await.expect("answers");
    assert_eq!((status, answer["rejected"].as_u64().unwrap_or(0)), (200, 0), "{answer}");
}

async fn verdict(base: &str) -> Value {
    ask("GET", base, "/api/v1/verdict?service=credit", "").await.expect("answers").1[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_of_the_inputs_degrades_the_model_and_names_the_columns() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path()).await;
    send(&base, &rows(0..200, 0.0)).await;
    send(&base, &rows(200..500, 0.0)).await;
    until("the same distribution is no drift", || async {
        let verdict = verdict(&base).await;
        (verdict["model"]["state"] == "ok").then_some(verdict)
    })
    .await;
    let labels =
        "{\"service\":\"credit\",\"id\":\"3\",\"label\":true}\n{\"service\":\"credit\",\"id\":\"4\",\"label\":false}\n";
    let (status, taken) = ask("POST", &base, "/api/v1/labels", labels).await.expect("answers");
    assert_eq!((status, taken["accepted"].as_u64()), (200, Some(2)), "{taken}");

    send(&base, &rows(500..800, 1.5)).await;
    let degraded = until("the drift shows", || async {
        let verdict = verdict(&base).await;
        (verdict["model"]["state"] == "degraded").then_some(verdict)
    });
    let degraded = degraded.await;
    assert!(degraded["model"]["evidence"].to_string().contains("income"), "{degraded:#}");
    assert_ne!(degraded["infrastructure"]["state"], "degraded", "{degraded:#}");
    let kind = degraded["cause"]["kind"].as_str().unwrap_or_default();
    assert!(["data", "model"].contains(&kind), "{degraded:#}");
    let reports = items(&base, "/api/v1/drift?service=credit&limit=100").await;
    let latest = reports.first().expect("a report").to_string();
    for metric in ["drift-psi", "drift-ks"] {
        assert!(latest.contains(metric), "{metric} is missing in {latest}");
    }
    server.stop().await;
}

/// A model server with the model repository extension, as Triton behaves in explicit mode.
#[derive(Default)]
struct Repository {
    /// State and reason of the one model, as the index tells them.
    state: Mutex<(String, String)>,
    /// What loading leads to.
    after_load: Mutex<(String, String)>,
}

impl Repository {
    fn say(slot: &Mutex<(String, String)>, state: &str, reason: &str) {
        *slot.lock().expect("a lock") = (state.into(), reason.into());
    }

    fn answer(&self, asked: &Asked) -> Answer {
        match asked.path.as_str() {
            "/v2/repository/index" => {
                let (state, reason) = self.state.lock().expect("a lock").clone();
                Answer::ok(json!([{"name": "risk", "version": "7", "state": state, "reason": reason}]).to_string())
            }
            "/v2/repository/models/risk/load" => {
                *self.state.lock().expect("a lock") = self.after_load.lock().expect("a lock").clone();
                Answer::ok("{}")
            }
            path => Answer::with(404, json!({"error": format!("no such path {path}")}).to_string()),
        }
    }
}

async fn repository(state: &str, after_load: &str, reason: &str) -> (Arc<Repository>, Peer) {
    let repository = Arc::new(Repository::default());
    Repository::say(&repository.state, state, "");
    Repository::say(&repository.after_load, after_load, reason);
    let serving = repository.clone();
    let peer = Peer::answering(move |asked| serving.answer(asked)).await;
    (repository, peer)
}

fn request(target: &str) -> String {
    json!({"plugin": "target-open-inference", "target": target, "service": "credit", "model": "risk", "version": "7",
           "parameters": {"config": "{}"}})
    .to_string()
}

async fn deployment(base: &str, status: &str) -> Value {
    until(&format!("the deployment is {status}"), || async {
        let all = items(base, "/api/v1/deployments?service=credit").await;
        all.into_iter().find(|deployment| deployment["status"] == status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_is_applied_observed_over_a_restart_and_live_when_the_target_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (triton, peer) = repository("UNAVAILABLE", "LOADING", "").await;
    let (server, base) = start(folder.path()).await;
    let (status, asked) = ask("POST", &base, "/api/v1/deployments", &request(&format!("http://{}", peer.address())))
        .await
        .expect("answers");
    assert_eq!((status, asked["status"].as_str()), (202, Some("requested")), "{asked}");
    let applying = deployment(&base, "applying").await;
    assert_eq!(applying["revision_id"], "risk:7", "{applying:#}");
    let load = peer.asked().into_iter().find(|asked| asked.path.ends_with("/load")).expect("the load was asked for");
    assert_eq!(load.body, "{\"parameters\":{\"config\":\"{}\"}}");
    server.stop().await;

    let (server, base) = start(folder.path()).await;
    let loads = || peer.asked().iter().filter(|asked| asked.path.ends_with("/load")).count();
    let seen = until("the target is observed after the restart", || async {
        let all = items(&base, "/api/v1/deployments").await;
        (all[0]["observed"][0]["phase"] == "loading").then(|| all[0].clone())
    });
    assert_eq!(seen.await["status"], "applying");
    Repository::say(&triton.state, "READY", "");
    let live = deployment(&base, "live").await;
    assert_eq!(live["observed"][0]["phase"], "serving", "{live:#}");
    assert_eq!(live["endpoints"][0], format!("http://{}", peer.address()));
    assert_eq!(loads(), 1, "what was applied is not applied again after a restart");
    let events = items(&base, "/api/v1/events?limit=100").await;
    assert!(events.iter().any(|event| event["code"] == "deployment.live" && event["entity"] == "service:credit"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_load_is_a_failed_deployment_with_the_target_s_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, peer) = repository("UNAVAILABLE", "UNAVAILABLE", "failed to load: out of memory").await;
    let (server, base) = start(folder.path()).await;
    ask("POST", &base, "/api/v1/deployments", &request(&format!("http://{}", peer.address()))).await.expect("answers");
    let failed = deployment(&base, "failed").await;
    assert!(failed.to_string().contains("out of memory"), "{failed:#}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_or_no_address_fails_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path()).await;
    // A port that was free a moment ago: nobody listens there.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback").local_addr().expect("an address");
    ask("POST", &base, "/api/v1/deployments", &request(&format!("http://{free}"))).await.expect("answers");
    let failed = deployment(&base, "failed").await;
    assert!(failed["failure"].as_str().is_some_and(|failure| failure.contains(&free.to_string())), "{failed:#}");
    let other = request("triton").replace("\"credit\"", "\"other\"");
    ask("POST", &base, "/api/v1/deployments", &other).await.expect("answers");
    let failed = until("it is refused", || async {
        let all = items(&base, "/api/v1/deployments?service=other").await;
        all.into_iter().find(|deployment| deployment["status"] == "failed")
    });
    let failed = failed.await;
    assert!(failed["failure"].as_str().is_some_and(|failure| failure.contains("no address")), "{failed:#}");
    let nobody = request("http://127.0.0.1:1").replace("target-open-inference", "target-nobody");
    let (status, error) = ask("POST", &base, "/api/v1/deployments", &nobody).await.expect("answers");
    assert_eq!(status, 400);
    assert!(error["error"]["hint"].as_str().is_some_and(|hint| hint.contains("target-open-inference")), "{error}");
    server.stop().await;
}
