//! Whose output nobody reads any more: commands end without a word, as filters do, and a server serves on.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};
use tandem_tests::{ask, until};

/// What a command is told by when the reader of its output has gone, as shells tell it.
const READER_GONE: i32 = 141;

/// An end of a pipe whose other end is closed before the program starts.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn tandem(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

/// A folder with something for each command.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    write(path, "tandem.toml", "listen = \"127.0.0.1:0\"\ndata = \"data\"\ncollect = []\n");
    write(path, "rules.yml", "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: sum(up)\n");
    write(path, "bad.yml", "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: sum(up\n");
    let column = |from: usize| (0..200).map(|row| format!("{}\n", (row * 7 + from) % 50)).collect::<String>();
    write(path, "reference.csv", &format!("age\n{}", column(0)));
    write(path, "current.csv", &format!("age\n{}", column(20)));
    let rows = (0..80).map(|row| format!("{},{}\n", 1_700_000_000 + 15 * row, if row < 60 { row % 3 } else { 50 }));
    write(path, "metrics.csv", &format!("timestamp,shop/latency\n{}", rows.collect::<String>()));
    folder
}

#[test]
fn a_command_whose_reader_has_gone_ends_without_a_word() {
    let folder = folder();
    for arguments in [
        ["check", "--config", "tandem.toml"].as_slice(),
        &["rules", "check", "rules.yml"],
        &["rules", "check", "--json", "rules.yml"],
        &["doctor", "--config", "tandem.toml"],
        &["plugin", "list"],
        &["plugin", "inspect", "drift-ks"],
        &["plugin", "inspect", "drift-ks", "--json"],
        &["drift", "--reference", "reference.csv", "--current", "current.csv", "--method", "drift-ks"],
        &["drift", "--reference", "reference.csv", "--current", "current.csv", "--method", "drift-ks", "--json"],
        &["rca", "--metrics", "metrics.csv", "--json"],
        &["demo", "--list"],
    ] {
        let Output { status, stderr, .. } =
            tandem(folder.path(), arguments).stdout(closed()).stderr(Stdio::piped()).output().expect("it runs");
        let told = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(READER_GONE), "{arguments:?}: {told}");
        assert!(!told.contains("panicked") && !told.contains("Broken pipe"), "{arguments:?}: {told}");
    }
}

#[test]
fn a_mistake_that_nobody_reads_has_its_exit_code_all_the_same() {
    let folder = folder();
    let mut command = tandem(folder.path(), &["rules", "check", "bad.yml"]);
    let status = command.stdout(Stdio::null()).stderr(closed()).status().expect("it runs");
    assert_eq!(status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_serves_on_when_nobody_reads_what_it_says() {
    let folder = folder();
    write(folder.path(), "tandem.toml", "listen = \"127.0.0.1:0\"\ndata = \"data\"\ncollect = []\nlog = \"debug\"\n");
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let base = port.to_string();
    let mut command = tandem(folder.path(), &["serve", "--config", "tandem.toml", "--listen", &base]);
    let mut server = command.stdout(closed()).stderr(closed()).spawn().expect("it starts");
    until("the server is ready", || async {
        ask("GET", &base, "/readyz", "").await.ok().filter(|(status, _)| *status == 200)
    })
    .await;
    let stop = Command::new("kill").arg(server.id().to_string()).status().expect("it can be asked to stop");
    assert!(stop.success());
    let ended = server.wait().expect("it ends");
    assert_eq!(ended.code(), Some(0), "it has said that it is ready and that it stops, and stopped in order");
}
