//! Samples as Parquet: from the running server over HTTP, and from its data folder when it has stopped.

mod program;

use program::{Program, write_config};
use std::{path::Path, time::SystemTime};
use tandem_tests::{ask, get};
use tandem_wire::parquet;
use tokio::process::Command;

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;

/// Instance, moment and value of each row.
fn rows(bytes: Vec<u8>) -> Vec<(String, String, String)> {
    let table = parquet::read(bytes.into()).expect("a Parquet file");
    let column = |name: &str| table.columns.iter().find(|(known, _)| known == name).expect("the column").1.clone();
    let (instance, at, value) = (column("instance"), column("timestamp"), column("value"));
    instance.into_iter().zip(at).zip(value).map(|((instance, at), value)| (instance, at, value)).collect()
}

async fn export(folder: &Path, out: &Path, more: &[String]) -> (bool, String) {
    let data = folder.join("data");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.arg("export").arg("--data").arg(data).arg("--out").arg(out).args(["--match", "{job=\"test\"}"]).args(more);
    let done = command.output().await.expect("it runs");
    (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_samples_come_out_of_the_running_server_and_of_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let program = Program::start(folder.path()).await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as i64;
    // A moment before midnight and some after it, so that there are two days.
    let midnight = now.div_euclid(DAY) * DAY;
    let moments = [midnight - 2_000, midnight - 1, midnight, midnight + 1_000];
    let line =
        |instance: usize, at: &i64| format!("load,job=test,instance=h{instance} value={}.125 {at}\n", at % 1_000);
    let lines: String = (0..3).flat_map(|instance| moments.iter().map(move |at| line(instance, at))).collect();
    let (status, answer) = ask("POST", &program.base, "/write?precision=ms", &lines).await.expect("answers");
    assert_eq!(status, 204, "{answer}");

    let path = format!("/api/v1/export?match[]=%7Bjob%3D%22test%22%7D&start={}", (midnight - 1) as f64 / 1_000.0);
    let (status, bytes) = get(&program.base, &path).await.expect("answers");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
    let over_http = rows(bytes);
    assert_eq!(over_http.len(), 9);
    assert_eq!(over_http[0], ("h0".to_owned(), (midnight - 1).to_string(), "999.125".to_owned()));
    let (status, refusal) = ask("GET", &program.base, "/api/v1/export?match[]=sum(up)", "").await.expect("answers");
    assert_eq!((status, &refusal["error"]["code"]), (400, &serde_json::json!("bad-request")), "{refusal}");

    let file = folder.path().join("samples.parquet");
    let (done, told) = export(folder.path(), &file, &[]).await;
    assert!(!done && told.contains("/api/v1/export"), "the server holds the folder: {told}");
    program.kill().await;
    let start = ["--start".to_owned(), ((midnight - 1) as f64 / 1_000.0).to_string()];
    let (done, told) = export(folder.path(), &file, &start).await;
    assert!(done, "{told}");
    assert_eq!(rows(std::fs::read(&file).expect("a file")), over_http);

    let days = folder.path().join("days");
    std::fs::create_dir(&days).expect("a folder");
    let (done, told) = export(folder.path(), &days, &start).await;
    assert!(done, "{told}");
    let mut found: Vec<_> =
        std::fs::read_dir(&days).expect("a folder").map(|entry| entry.expect("one").path()).collect();
    found.sort();
    let counts: Vec<usize> =
        found.iter().map(|day| rows(std::fs::read(day.join("samples.parquet")).expect("a file")).len()).collect();
    assert_eq!(counts, [3, 6], "{found:?}");
}
