//! Recorded bodies, and bodies of our own.

use super::*;
use crate::shared_data;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn post(body: &str) -> Notices {
    posted(body.as_bytes(), NOW, &WireLimits::default()).expect("alerts")
}

#[test]
fn recorded_webhooks_are_read_and_their_fingerprints_are_ours() {
    let files: Vec<_> = shared_data::files("captures/alertmanager", "_alertmanager.json");
    let (mut firing, mut resolved) = (0, 0);
    for (name, body) in &files {
        let webhook = webhook(body, NOW, &WireLimits::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(webhook.notices.rejections.is_empty(), "{name}: {:?}", webhook.notices.rejections);
        assert_eq!((webhook.receiver.as_str(), webhook.truncated), ("tandem", 0));
        for alert in &webhook.notices.alerts {
            assert_eq!(alert.fingerprint, fingerprint(&alert.labels), "{name}");
            assert!(alert.started_at > NOW && alert.labels.get("alertname").is_some());
            match alert.state {
                AlertState::Firing => {
                    assert_eq!(alert.ends_at, None);
                    firing += 1;
                }
                AlertState::Resolved => {
                    assert!(alert.ends_at > Some(alert.started_at));
                    resolved += 1;
                }
            }
        }
    }
    assert!(files.is_empty() || (files.len() == 6 && firing > 0 && resolved > 0), "{firing} {resolved}");
}

#[test]
fn alerts_as_an_alertmanager_lists_them_can_be_posted_again() {
    let Some(path) = shared_data::path("captures/alertmanager/alertmanager_api_v2_alerts.json") else { return };
    let body = std::fs::read(path).expect("readable");
    let listed: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let as_posted: Vec<_> = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|alert| {
            let mut alert = alert.clone();
            alert["status"] = serde_json::Value::Null;
            alert
        })
        .collect();
    let notices = post(&serde_json::to_string(&as_posted).expect("JSON"));
    assert!(notices.rejections.is_empty(), "{:?}", notices.rejections);
    assert_eq!(notices.alerts.len(), as_posted.len());
    for (notice, told) in notices.alerts.iter().zip(&as_posted) {
        assert_eq!(notice.fingerprint.0, told["fingerprint"].as_str().expect("a fingerprint"));
    }
}

#[test]
fn beginnings_ends_and_states_follow_alertmanagers_rules() {
    let notices = post(
        r#"[{"labels":{"alertname":"A","empty":""},"generatorURL":"http://p/g"},
            {"labels":{"alertname":"B"},"endsAt":"2023-11-14T22:13:19Z"},
            {"labels":{"alertname":"C"},"startsAt":"2023-11-14T22:13:19.5+00:00","endsAt":"2023-11-14T22:14:20Z"}]"#,
    );
    let [a, b, c] = notices.alerts.as_slice() else { panic!("{notices:?}") };
    assert_eq!((a.state, a.started_at, a.ends_at), (AlertState::Firing, NOW, Some(NOW.plus_millis(300_000))));
    assert_eq!((a.labels.len(), a.generator_url.as_str()), (1, "http://p/g"));
    assert_eq!((b.state, b.started_at), (AlertState::Resolved, NOW.plus_millis(-1_000)));
    assert_eq!((c.state, c.started_at), (AlertState::Firing, NOW.plus_millis(-500)));
}

#[test]
fn a_bad_alert_costs_itself() {
    let long = "x".repeat(5_000);
    let notices = post(&format!(
        r#"[{{"labels":{{}}}},{{"labels":{{"alertname":7}}}},{{"labels":{{"alertname":"good"}},"annotations":null}},
            {{"labels":{{"a":"{long}"}}}},{{"labels":{{"a":"b"}},"startsAt":"yesterday"}},
            {{"labels":{{"a":"b"}},"startsAt":"2030-01-01T00:00:00Z","endsAt":"2029-01-01T00:00:00Z"}}]"#
    ));
    assert_eq!(notices.alerts.len(), 1);
    let reasons: Vec<_> = notices.rejections.counts().collect();
    let expected = [(Reason::Malformed, 1), (Reason::NoName, 1), (Reason::LabelsTooLong, 1), (Reason::BadTime, 2)];
    assert_eq!(reasons, expected);
}

#[test]
fn bodies_of_another_kind_are_refused() {
    let limits = WireLimits::default();
    assert!(matches!(posted(b"{}", NOW, &limits), Err(AlertsError::Malformed(_))));
    assert!(matches!(webhook(br#"{"version":"3","alerts":[]}"#, NOW, &limits), Err(AlertsError::Version(_))));
    assert!(matches!(webhook(b"[]", NOW, &limits), Err(AlertsError::Malformed(_))));
    let odd = br#"{"version":"4","alerts":[{"labels":{"a":"b"},"status":"maybe"}]}"#;
    assert_eq!(webhook(odd, NOW, &limits).expect("a webhook").notices.rejections.total(), 1);
    let small = WireLimits { json_bytes: 1, ..limits };
    assert!(matches!(posted(b"[]", NOW, &small), Err(AlertsError::TooLong { limit: 1 })));
}
