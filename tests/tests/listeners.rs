//! StatsD and syslog before real senders: Debian's logger by both formats, both transports and both framings, and StatsD's
//! datagrams, all the way to what is answered over HTTP.

use std::{net::SocketAddr, path::Path, process::Command};
use tandem_server::{Server, ServerOptions, config::Config};
use tandem_tests::{ask, items, own_metric, until};

async fn start(folder: &Path) -> (Server, String) {
    let data = folder.join("data").display().to_string();
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndata = {data:?}\ncollect = []\n\
         [statsd]\nlisten = \"127.0.0.1:0\"\nflush_interval = \"200ms\"\n\
         [syslog]\nudp = \"127.0.0.1:0\"\ntcp = \"127.0.0.1:0\"\n"
    );
    let config = Config::parse(Path::new("test.toml"), &text).expect("a configuration");
    let server = Server::start(ServerOptions::new(config)).await.expect("the server starts");
    let base = server.address().to_string();
    (server, base)
}

/// Has logger send a message; false where it is not installed.
fn logger(to: SocketAddr, arguments: &[&str], message: &str) -> bool {
    let (server, port) = (to.ip().to_string(), to.port().to_string());
    let mut command = Command::new("logger");
    command.args(["--server", &server, "--port", &port, "--priority", "daemon.err", "--tag", "tandem-test"]);
    match command.args(arguments).arg("--").arg(message).status() {
        Ok(status) => {
            assert!(status.success(), "logger {arguments:?}: {status}");
            true
        }
        Err(_) => {
            println!("logger is not installed, it is not tested (Debian: apt-get install bsdutils)");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn debians_logger_is_understood_in_every_way_it_sends() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path()).await;
    let (udp, tcp) = (server.listening().syslog_udp.expect("udp"), server.listening().syslog_tcp.expect("tcp"));
    let ways: [(&str, SocketAddr, &[&str]); 5] = [
        (
            "new format by datagram",
            udp,
            &["--udp", "--rfc5424", "--msgid", "disk", "--sd-id", "raid@1", "--sd-param", "slot=\"3\""],
        ),
        ("old format by datagram", udp, &["--udp", "--rfc3164"]),
        ("new format counted in a stream", tcp, &["--tcp", "--rfc5424", "--octet-count"]),
        ("new format by line in a stream", tcp, &["--tcp", "--rfc5424"]),
        ("old format by line in a stream", tcp, &["--tcp", "--rfc3164"]),
    ];
    for (message, to, arguments) in ways {
        if !logger(to, arguments, message) {
            return server.stop().await;
        }
    }
    for (message, ..) in ways {
        let log = until(message, || async {
            let logs = items(&base, "/api/v1/logs?app=tandem-test").await;
            logs.into_iter().find(|log| log["text"] == message && !log["entity"].is_null())
        });
        let log = log.await;
        assert_eq!((log["level"].as_str(), log["severity"].as_str()), (Some("err"), Some("warning")), "{log}");
        assert_eq!(log["attributes"]["facility"], "daemon", "{log}");
        assert!(log["entity"].as_str().is_some_and(|entity| entity.starts_with("host:")), "{log}");
    }
    let found = items(&base, "/api/v1/logs?text=datagram&contains=NEW+format").await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["attributes"]["raid@1.slot"], "3");
    assert_eq!(own_metric(&base, "tandem_listen_received_total", "syslog").await, 5.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statsd_comes_to_samples_that_can_be_queried() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, base) = start(folder.path()).await;
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = server.listening().statsd.expect("statsd");
    for datagram in ["shop.orders:1|c|#region:eu", "shop.orders:2|c|@0.5|#region:eu", "shop.pay:250|ms", "bad line"] {
        sender.send_to(datagram.as_bytes(), address).expect("sent");
    }
    let query = "/prometheus/api/v1/query?query=shop_orders_total%7Bregion%3D%22eu%22%2Cjob%3D%22statsd%22%7D";
    let value = until("the counter adds up", || async {
        let (_, answer) = ask("GET", &base, query, "").await.ok()?;
        answer["data"]["result"][0]["value"][1].as_str().filter(|value| *value == "5").map(str::to_owned)
    });
    assert_eq!(value.await, "5");
    assert_eq!(own_metric(&base, "tandem_listen_dropped_total", "malformed").await, 1.0);
    server.stop().await;
}
