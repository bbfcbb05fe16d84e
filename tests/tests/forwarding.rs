//! Forwarding to a receiver that wants to know who comes, by a certificate of its own authority.

#[path = "scraping/tls_target.rs"]
mod tls_target;

use std::path::Path;
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{ask, items, own_metric, until};

async fn start(folder: &Path, forward: &str) -> (Server, String) {
    let data = folder.join("data").display().to_string();
    let text = format!("listen = \"127.0.0.1:0\"\ndata = {data:?}\ncollect = []\n{forward}");
    let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
    let server = Server::start(ServerOptions::new(config)).await.expect("the server starts");
    let base = server.address().to_string();
    (server, base)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_a_certificate_is_shown_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = tls_target::start(folder.path(), "ann", "secret").await;
    std::fs::write(folder.path().join("password"), "secret\n").expect("written");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let forward = |name: &str, more: &str| {
        format!(
            "[[forward]]\nname = {name:?}\nurl = \"https://{}/write\"\nprotocol = \"1.0\"\nbatch_deadline = \"50ms\"\n\
             authority = {:?}\nserver_name = \"exporter.example\"\nmax_backoff = \"100ms\"\n\
             basic = {{ username = \"ann\", password = {{ file = {:?} }} }}\n\
             write_relabel = [{{ source_labels = [\"number\"], regex = \"1\", action = \"keep\" }}]\n{more}",
            target.address,
            path("ca.pem"),
            path("password"),
        )
    };
    let shown = format!("client_certificate = {:?}\nclient_key = {:?}\n", path("client.pem"), path("client.key"));
    let (server, base) = start(folder.path(), &(forward("known", &shown) + &forward("stranger", ""))).await;
    let lines = "m,job=j,instance=i,number=1 value=1\nm,job=j,instance=i,number=2 value=2\n";
    let (status, answer) = ask("POST", &base, "/write", lines).await.expect("it answers");
    assert_eq!(status, 204, "{answer}");
    until("it is taken", || async {
        (own_metric(&base, "tandem_forward_samples_total", "\"known\"").await == 1.0).then_some(())
    })
    .await;
    until("the stranger is refused", || async {
        let forwards = items(&base, "/api/v1/forwards").await;
        forwards.into_iter().find(|one| one["name"] == "stranger" && !one["failure"].is_null()).map(drop)
    })
    .await;
    assert_eq!(own_metric(&base, "tandem_forward_samples_total", "\"stranger\"").await, 0.0);
    server.stop().await;
}
