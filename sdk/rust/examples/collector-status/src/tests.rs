//! Against a fixture instead of a server.

use super::*;
use tandem_sdk::{testing::FixtureHost, types::FailureCode};

const URL: &str = "http://chat.example:8080/status";

fn collect(host: &FixtureHost, cursor: &[u8]) -> Result<Collection, Failure> {
    let request = CollectRequest { now: 1000, target: URL.into(), config: String::new(), cursor: cursor.to_vec() };
    CollectorStatus::collect(request, host)
}

#[test]
fn a_page_becomes_series_and_they_get_their_meaning() {
    let page = include_str!("../../../../fixtures/status.json");
    let host = FixtureHost::from_folder("nothing").http("GET", URL, 200, page);
    let first = collect(&host, b"").unwrap();
    let values: Vec<f64> = first.points.iter().map(|points| points.value[0]).collect();
    assert_eq!(values, [1.0, 3.0, 120.0, 1.0]);
    assert_eq!(first.entities[0].name, "chat");
    assert_eq!(collect(&host, &first.cursor).unwrap().cursor, b"2");
    assert_eq!(host.requests()[0].url, URL);

    let target = Target { job: "status".into(), instance: URL.into(), labels: Vec::new() };
    let mapping = CollectorStatus::interpret(&target, &first.series).unwrap();
    assert_eq!(mapping.entities.len(), 1);
    let names: Vec<&str> = mapping.meanings.iter().map(|meaning| meaning.name.as_str()).collect();
    assert_eq!(names, ["service.healthy", "service.queue.depth", "service.requests"]);
    assert_eq!(mapping.meanings[0].fault_rules[0].code, "service.unhealthy");
}

#[test]
fn what_goes_wrong_is_told_apart() {
    let code = |status, body: &str| {
        let host = FixtureHost::from_folder("nothing").http("GET", URL, status, body);
        collect(&host, b"").unwrap_err().code
    };
    assert_eq!(code(503, ""), FailureCode::Unreachable);
    assert_eq!(code(200, "<html>"), FailureCode::Malformed);
    assert_eq!(collect(&FixtureHost::from_folder("nothing"), b"").unwrap_err().code, FailureCode::Unreachable);
}
