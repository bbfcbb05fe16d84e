//! Against prepared answers in the shapes of Triton and MLServer.

use super::*;
use tandem_sdk::{
    target::Phase,
    testing::FixtureHost,
    types::{FailureCode, Label},
};

const BASE: &str = "http://triton.example:8000";

fn call() -> Call {
    Call { now: 0, target: format!("{BASE}/"), config: String::new() }
}

fn index(body: &str) -> FixtureHost {
    FixtureHost::default().http("POST", &format!("{BASE}/v2/repository/index"), 200, body)
}

#[test]
fn triton_s_index_becomes_revisions() {
    let host = index(
        r#"[{"name":"resnet","version":"2","state":"READY","reason":""},
            {"name":"resnet","version":"1","state":"UNAVAILABLE","reason":"unloaded"},
            {"name":"bert","version":"1","state":"UNAVAILABLE","reason":"failed to load: out of memory"},
            {"name":"gpt"}]"#,
    );
    let observed = OpenInference::observe(&call(), "vision", &host).expect("observes");
    let phases: Vec<(&str, Phase)> = observed.revisions.iter().map(|r| (r.id.as_str(), r.phase)).collect();
    assert_eq!(
        phases,
        [("resnet:2", Phase::Serving), ("resnet:1", Phase::Gone), ("bert:1", Phase::Failed), ("gpt", Phase::Pending)]
    );
    assert!(observed.revisions[2].message.contains("out of memory"));
    assert_eq!(observed.endpoints, [BASE]);
}

#[test]
fn where_the_index_names_no_version_the_metadata_does() {
    let host = index(r#"[{"name":"iris","state":"READY"}]"#).http(
        "GET",
        &format!("{BASE}/v2/models/iris"),
        200,
        r#"{"name":"iris","versions":["3"]}"#,
    );
    let observed = OpenInference::observe(&call(), "iris", &host).expect("observes");
    assert_eq!(observed.revisions[0].id, "iris:3");
}

#[test]
fn a_load_is_asked_for_with_its_parameters_and_a_refusal_is_passed_on() {
    let url = format!("{BASE}/v2/repository/models/res%20net/load");
    let host = FixtureHost::default().http("POST", &url, 200, "");
    let revision = Revision {
        service: "vision".into(),
        model: "res net".into(),
        version: "2".into(),
        parameters: vec![Label { name: "config".into(), value: "{}".into() }],
    };
    assert_eq!(OpenInference::apply(&call(), &revision, "key", &host).expect("applies"), "res net:2");
    let sent = host.requests();
    assert_eq!(sent[0].body, br#"{"parameters":{"config":"{}"}}"#);
    let host = FixtureHost::default().http("POST", &url, 400, r#"{"error":"no such model"}"#);
    let failure = OpenInference::apply(&call(), &revision, "key", &host).expect_err("refused");
    assert_eq!(failure.code, FailureCode::Misconfigured);
    assert!(failure.message.contains("no such model"), "{}", failure.message);
}

#[test]
fn traffic_goes_whole_to_what_is_ready_and_not_otherwise() {
    let host = index(r#"[{"name":"a","version":"1","state":"READY"},{"name":"b","version":"1","state":"LOADING"}]"#);
    let generation = OpenInference::observe(&call(), "s", &host).expect("observes").generation;
    let set = |shares: &[(&str, u32)], generation: u64| {
        let shares: Vec<(String, u32)> = shares.iter().map(|(id, share)| ((*id).to_owned(), *share)).collect();
        OpenInference::set_traffic(&call(), "s", &shares, generation, &host)
    };
    assert_eq!(set(&[("a:1", 10_000)], generation).expect("fine"), generation);
    assert_eq!(set(&[("b:1", 10_000)], generation).expect_err("not ready").code, FailureCode::Refused);
    assert_eq!(set(&[("a:1", 10_000)], generation + 1).expect_err("changed").code, FailureCode::Refused);
    assert_eq!(
        set(&[("a:1", 5_000), ("b:1", 5_000)], generation).expect_err("no splitting").code,
        FailureCode::Unsupported
    );
}

#[test]
fn a_server_without_the_extension_and_a_target_that_is_none_are_named() {
    let host = FixtureHost::default().http("POST", &format!("{BASE}/v2/repository/index"), 404, "");
    let failure = OpenInference::abilities(&call(), &host).expect_err("unsupported");
    assert_eq!(failure.code, FailureCode::Unsupported);
    let nowhere = Call { target: "triton".into(), ..call() };
    assert_eq!(OpenInference::abilities(&nowhere, &host).expect_err("no address").code, FailureCode::Misconfigured);
}
