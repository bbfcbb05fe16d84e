//! From remote-written series to an incident and back, with a restart in the middle.

use super::{Now, data, query, start, write};
use serde_json::Value;
use tandem_tests::{ask, items, own_metric, until};

const RULES: &str = "groups:\n- name: heat\n  interval: 1s\n  rules:\n  - record: node:temp:max\n    expr: max by (node) (temp)\n\
    \x20 - alert: Hot\n    expr: node:temp:max > 80\n    for: 2s\n    labels: { severity: critical }\n\
    \x20   annotations: { summary: '{{ $labels.node }} is at {{ printf \"%.1f\" $value }} °C' }\n";

fn temp(value: f64) -> Now {
    vec![(vec![("__name__", "temp"), ("job", "ipmi"), ("instance", "10.0.0.7:9290"), ("node", "n7")], value)]
}

/// Writes again and again until something is so.
async fn writing<T, F: Future<Output = Option<T>>>(base: &str, value: f64, what: &str, look: impl Fn() -> F) -> T {
    until(what, || async {
        write(&[(base, "/prometheus")], &temp(value)).await;
        look().await
    })
    .await
}

async fn the_incident(base: &str, status: &str) -> Option<Value> {
    let incidents = items(base, "/api/v1/incidents").await;
    assert!(incidents.len() <= 1, "one incident at the most: {incidents:#?}");
    incidents.into_iter().find(|incident| incident["status"] == status)
}

async fn the_alert(base: &str) -> Value {
    let alerts = items(base, "/api/v1/alerts").await;
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    alerts[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_runs_from_remote_write_to_an_incident_over_a_restart_and_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("rules.yml"), RULES).expect("written");
    let (server, base) = start(folder.path()).await;
    writing(&base, 55.0, "the recording rule is a series", || async {
        let found = query(&base, "/prometheus", "node:temp:max").await;
        (found == [r#"{"__name__":"node:temp:max","node":"n7"} "55""#]).then_some(())
    })
    .await;
    writing(&base, 91.5, "an incident opens", || the_incident(&base, "open")).await;
    let alert = the_alert(&base).await;
    assert_eq!((alert["code"].as_str(), alert["entity"].as_str()), (Some("Hot"), Some("host:n7")), "{alert:#}");
    assert_eq!(alert["title"], "n7 is at 91.5 °C");
    let told = data(&base, "/prometheus/api/v1/alerts").await;
    let active_at = told["alerts"][0]["activeAt"].as_str().expect("an alert that fires").to_owned();
    assert_eq!(told["alerts"][0]["value"], "9.15e+01");
    server.stop().await;
    // It goes on where it was: the same alert since the same moment, one incident, nothing told twice.
    let (server, base) = start(folder.path()).await;
    writing(&base, 93.0, "the rule is evaluated after the restart", || async {
        let evaluated = own_metric(&base, "tandem_rule_evaluations_total", "heat").await;
        (evaluated >= 4.0).then_some(())
    })
    .await;
    let told = data(&base, "/prometheus/api/v1/alerts").await;
    assert_eq!(told["alerts"][0]["activeAt"], active_at.as_str(), "{told:#}");
    assert_eq!(told["alerts"][0]["state"], "firing");
    assert!(the_incident(&base, "open").await.is_some());
    assert_eq!(the_alert(&base).await["times_fired"], 1);
    writing(&base, 50.0, "the incident resolves", || the_incident(&base, "resolved")).await;
    assert_eq!(query(&base, "/prometheus", "ALERTS").await, Vec::<String>::new());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_a_prometheus_posts_too_is_one_incident() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("rules.yml"), RULES).expect("written");
    let (server, base) = start(folder.path()).await;
    writing(&base, 91.5, "an incident opens", || the_incident(&base, "open")).await;
    let post = r#"[{"labels": {"alertname": "Hot", "node": "n7", "severity": "critical"},
                    "annotations": {"summary": "n7 is at 91.5 °C"}, "generatorURL": "http://elsewhere"}]"#;
    let (status, taken) = ask("POST", &base, "/alertmanager/api/v2/alerts", post).await.expect("answers");
    assert_eq!((status, taken["accepted"].as_u64()), (200, Some(1)));
    until("it was taken in", || async {
        (own_metric(&base, "tandem_alert_told_total", "").await >= 2.0).then_some(())
    })
    .await;
    assert_eq!(the_alert(&base).await["times_fired"], 1);
    assert!(the_incident(&base, "open").await.is_some());
    server.stop().await;
}

/// Groups and rules by name, and how they stand.
async fn rules(base: &str, asked: &str) -> Vec<String> {
    let data = data(base, &format!("/prometheus/api/v1/rules{asked}")).await;
    let groups = data["groups"].as_array().cloned().unwrap_or_default();
    let of = |group: &Value| {
        let name = group["name"].as_str().unwrap_or_default().to_owned();
        let rules = group["rules"].as_array().cloned().unwrap_or_default();
        rules.into_iter().map(move |rule| format!("{name}/{}", rule["name"].as_str().unwrap_or_default()))
    };
    groups.iter().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_told_as_prometheus_tells_them_and_read_again_at_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let write_rules = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write_rules("a.yml", RULES);
    write_rules(
        "b.yml",
        "groups:\n- name: other\n  interval: 1s\n  rules:\n  - { alert: Always, expr: 'vector(1)' }\n",
    );
    let (server, base) = start(folder.path()).await;
    until("all rules are evaluated", || async {
        let data = data(&base, "/prometheus/api/v1/rules").await;
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default());
        (rules.filter(|rule| rule["health"] == "ok").count() == 3).then_some(())
    })
    .await;
    assert_eq!(rules(&base, "").await, ["heat/node:temp:max", "heat/Hot", "other/Always"]);
    assert_eq!(rules(&base, "?type=record").await, ["heat/node:temp:max"]);
    assert_eq!(rules(&base, "?type=alert&rule_group[]=heat").await, ["heat/Hot"]);
    assert_eq!(rules(&base, "?rule_name[]=Always&rule_name[]=Hot").await, ["heat/Hot", "other/Always"]);
    assert_eq!(rules(&base, &format!("?match[]={}", escaped_selector())).await, ["heat/Hot"]);
    let file = folder.path().join("b.yml").display().to_string();
    assert_eq!(rules(&base, &format!("?file[]={file}")).await, ["other/Always"]);
    let first = data(&base, "/prometheus/api/v1/rules?group_limit=1").await;
    let token = first["groupNextToken"].as_str().expect("there is more").to_owned();
    let next = format!("?group_limit=1&group_next_token={}", super::escaped(&token));
    assert_eq!(rules(&base, &next).await, ["other/Always"]);
    let (status, refused) = ask("GET", &base, "/prometheus/api/v1/rules?type=none", "").await.expect("answers");
    assert_eq!((status, refused["errorType"].as_str()), (400, Some("bad_data")));
    let all = data(&base, "/prometheus/api/v1/rules").await;
    let always = &all["groups"][1]["rules"][0];
    assert_eq!((always["state"].as_str(), always["alerts"][0]["value"].as_str()), (Some("firing"), Some("1e+00")));
    let bare = data(&base, "/prometheus/api/v1/rules?exclude_alerts=true").await;
    assert_eq!(bare["groups"][1]["rules"][0]["alerts"], serde_json::json!([]));

    // One file breaks and goes on as it was; another one is gone, and its alert with it.
    write_rules("a.yml", "groups:\n- name: heat\n  rules:\n  - { alert: Hot, expr: 'up ==' }\n");
    std::fs::remove_file(folder.path().join("b.yml")).expect("removed");
    let (status, told) = ask("POST", &base, "/-/reload", "").await.expect("answers");
    let message = told["error"]["message"].as_str().unwrap_or_default();
    assert!(status == 400 && message.contains("a.yml:4: group \"heat\""), "{status} {told}");
    until("the rules are those of the files", || async {
        (rules(&base, "").await == ["heat/node:temp:max", "heat/Hot"]).then_some(())
    })
    .await;
    write_rules("a.yml", RULES);
    let (status, told) = ask("PUT", &base, "/-/reload", "").await.expect("answers");
    assert_eq!((status, &told["groups"]), (200, &1.into()), "{told}");
    let (status, _) = ask("GET", &base, "/-/reload", "").await.expect("answers");
    assert_eq!(status, 405, "a link that is followed reloads nothing");
    until("its alert is over", || async {
        let alerts = items(&base, "/api/v1/alerts").await;
        alerts.iter().any(|alert| alert["code"] == "Always" && alert["state"] == "resolved").then_some(())
    })
    .await;
    server.stop().await;
}

fn escaped_selector() -> String {
    super::escaped("{severity=\"critical\"}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_start_with_a_bad_rule_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let bad = RULES.replace("for: 2s", "fro: 2s");
    std::fs::write(folder.path().join("rules.yml"), bad).expect("written");
    let text =
        format!("listen = \"127.0.0.1:0\"\ndata = {:?}\n[rules]\nfiles = [\"*.yml\"]\n", folder.path().join("data"));
    let config = tandem_server::config::Config::parse(&folder.path().join("tandem.toml"), &text).expect("in order");
    let refused = tandem_server::Server::start(tandem_server::ServerOptions::new(config)).await;
    let said = refused.map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("rules.yml:") && said.contains("fro"), "{said}");
}
