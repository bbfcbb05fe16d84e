//! The whole server over real HTTP, real components and a real store.

use std::path::Path;
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{Peer, ask, items, pages, until};

async fn start(folder: &Path, toml: &str) -> (Server, String) {
    let text = format!("listen = \"127.0.0.1:0\"\ndata = {:?}\n{toml}", folder.display().to_string());
    let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
    let server = Server::start(ServerOptions::new(config)).await.expect("the server starts");
    let base = server.address().to_string();
    (server, base)
}

fn dcgm(xid: u32) -> String {
    pages::dcgm("GPU-e2e-3", xid)
}

const VLLM: &str =
    "# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{model_name=\"llama\",engine=\"0\"} 2\n";

/// The one incident with a status, once there is one; more than one is a failure.
async fn one_incident(base: &str, statuses: &[&str]) -> Option<serde_json::Value> {
    let all = items(base, "/api/v1/incidents").await;
    assert!(all.len() <= 1, "more than one incident: {all:#?}");
    all.into_iter().find(|incident| statuses.iter().any(|status| incident["status"] == *status))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_xid_is_one_incident_that_names_the_gpu_and_its_service_and_recovery_resolves_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (gpu, model, hook) = (Peer::start(&dcgm(0)).await, Peer::start(VLLM).await, Peer::start("").await);
    let toml = format!(
        "collect = []\n\
         [[scrape]]\njob = \"dcgm\"\ntargets = [\"{}\"]\ninterval = \"500ms\"\ntimeout = \"400ms\"\n\
         [[scrape]]\njob = \"vllm\"\ntargets = [\"{}\"]\ninterval = \"500ms\"\ntimeout = \"400ms\"\n\
         labels = {{ service = \"chat\", gpu_uuid = \"GPU-e2e-3\" }}\n\
         [notify.ops]\nurl = \"http://{}/hook\"\n",
        gpu.address(),
        model.address(),
        hook.address()
    );
    let (server, base) = start(folder.path(), &toml).await;
    let known = until("GPU and service are known", || async {
        let entities = items(&base, "/api/v1/entities?limit=100").await;
        let ids: Vec<String> = entities.iter().filter_map(|entity| entity["id"].as_str().map(str::to_owned)).collect();
        (ids.iter().any(|id| id == "gpu:GPU-e2e-3") && ids.iter().any(|id| id == "service:chat")).then_some(ids)
    });
    known.await;
    // The blank value of the frame buffer is missing, not nine exabytes.
    let blank = items(&base, "/api/v1/series?name=gpu.memory.used").await;
    let path = format!("/api/v1/series/{}/points", blank[0]["id"]);
    let (_, points) = ask("GET", &base, &path, "").await.expect("answers");
    assert!(
        points["value"]
            .as_array()
            .is_some_and(|values| !values.is_empty() && values.iter().all(serde_json::Value::is_null)),
        "{points}"
    );

    gpu.show(&dcgm(79));
    let incident = until("an incident opens", || one_incident(&base, &["open"])).await;
    let told = incident.to_string();
    assert!(told.contains("gpu:GPU-e2e-3") && told.contains("service:chat"), "{incident:#}");
    assert_eq!(incident["severity"], "critical");
    assert_eq!(incident["alerts"][0]["code"], "gpu.xid.79");
    assert_eq!(incident["causes"][0]["entity"], "gpu:GPU-e2e-3");
    let verdict = until("the verdict names the infrastructure", || async {
        let (_, verdict) = ask("GET", &base, "/api/v1/verdict?service=chat", "").await.expect("answers");
        (verdict[0]["infrastructure"]["state"] == "degraded").then_some(verdict)
    });
    let verdict = verdict.await;
    assert_eq!(verdict[0]["cause"]["kind"], "infrastructure", "{verdict:#}");
    assert_eq!(verdict[0]["cause"]["entity"], "gpu:GPU-e2e-3", "{verdict:#}");

    gpu.show(&dcgm(0));
    until("the incident resolves", || one_incident(&base, &["resolved"])).await;
    until("both were told", || async { (hook.posted().len() >= 2).then_some(()) }).await;
    assert!(hook.posted()[0].to_string().contains("XID 79"), "{:#?}", hook.posted());
    server.stop().await;
}

fn ups(status: &str) -> String {
    let flag = |name: &str| {
        format!("network_ups_tools_ups_status{{ups=\"rack7\",flag=\"{name}\"}} {}\n", u8::from(name == status))
    };
    format!("network_ups_tools_battery_charge{{ups=\"rack7\"}} 97\n{}{}", flag("OL"), flag("OB"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ups_on_battery_is_one_incident_with_all_hosts_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let ups_peer = Peer::start(&ups("OL")).await;
    let mut toml = format!(
        "collect = []\n[[scrape]]\njob = \"nut\"\ntargets = [\"{}\"]\ninterval = \"500ms\"\ntimeout = \"400ms\"\n",
        ups_peer.address()
    );
    let mut hosts = Vec::new();
    for number in 1..=3 {
        let page = format!(
            "node_uname_info{{nodename=\"behind-{number}\"}} 1\nnode_load1 0.5\nnode_power_supply_online{{power_supply=\"AC\"}} 1\n"
        );
        let host = Peer::start(&page).await;
        toml.push_str(&format!(
            "[[scrape]]\njob = \"node-{number}\"\ntargets = [\"{}\"]\ninterval = \"500ms\"\ntimeout = \"400ms\"\nlabels = {{ powered_by = \"rack7\" }}\n",
            host.address()
        ));
        hosts.push(host);
    }
    let (server, base) = start(folder.path(), &toml).await;
    until("the hosts hang on the UPS", || async {
        let relations = items(&base, "/api/v1/relations?limit=100").await;
        (relations.iter().filter(|relation| relation["kind"] == "powered-by").count() >= 3).then_some(())
    })
    .await;
    ups_peer.show(&ups("OB"));
    let incident = until("an incident opens", || one_incident(&base, &["open"])).await;
    assert!(incident["alerts"].to_string().contains("ups.on-battery"), "{incident:#}");
    ups_peer.show(&ups("OL"));
    until("the incident resolves", || one_incident(&base, &["resolved"])).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_read_and_a_web_page_elsewhere_is_not_let_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path(), "").await;
    until("this machine's host and interfaces are known", || async {
        let entities = items(&base, "/api/v1/entities?limit=1000").await;
        let has = |kind: &str| entities.iter().any(|entity| entity["kind"] == kind);
        (has("host") && has("interface")).then_some(())
    })
    .await;
    let plugins = items(&base, "/api/v1/plugins").await;
    assert!(plugins.len() >= 12, "{} plugins", plugins.len());
    for plugin in &plugins {
        assert_eq!(plugin["state"], "live", "{plugin:#}");
    }
    let (status, document) = ask("GET", &base, "/api/v1/openapi.json", "").await.expect("answers");
    assert_eq!(status, 200);
    assert!(document["paths"]["/api/v1/incidents"].is_object(), "the document lists the routes");
    let (status, error) = ask("GET", &base, "/api/v1/incidents/999", "").await.expect("answers");
    assert_eq!((status, error["error"]["code"].as_str()), (404, Some("not-found")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path(), "collect = []\n").await;
    let lines = pages::predictions("chat", 0..50);
    let (status, taken) =
        ask("POST", &base, "/api/v1/predictions", &format!("{lines}not json\n")).await.expect("answers");
    assert_eq!(
        (status, taken["accepted"].as_u64(), taken["rejections"][0]["line"].as_u64()),
        (200, Some(50), Some(51)),
        "{taken}"
    );
    let (_, again) = ask("POST", &base, "/api/v1/predictions", &lines).await.expect("answers");
    assert_eq!(again["duplicates"], 50);
    server.stop().await;
    let text = format!("listen = \"127.0.0.1:0\"\ncollect = []\ndata = {:?}\n", folder.path().display().to_string());
    let restarted = until("the store is free again", || async {
        let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
        Server::start(ServerOptions::new(config)).await.ok()
    });
    let server = restarted.await;
    let kept = items(&server.address().to_string(), "/api/v1/predictions?service=chat&limit=100").await;
    assert_eq!(kept.len(), 50);
    server.stop().await;
}
