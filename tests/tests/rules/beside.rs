//! The same rules over the same data, here and in a Prometheus: the same alerts in the same states, the same series.

use super::{Now, data, prometheus, query, start, write};
use serde_json::Value;
use tandem_tests::until;

const RULES: &str = "groups:
- name: recorded
  interval: 1s
  rules:
  - record: job:temp:avg
    expr: avg by (job) (temp)
    labels: { kind: average }
  - record: job:temp:avg:doubled
    expr: 2 * job:temp:avg
  - record: node:hot
    expr: temp > 80
  - record: fixed
    expr: 42
  - record: collides
    expr: temp
    labels: { node: same, instance: same }
- name: limited
  interval: 1s
  limit: 1
  rules:
  - record: limited
    expr: temp
  - alert: Limited
    expr: temp > 0
- name: alerts
  interval: 1s
  rules:
  - alert: Hot
    expr: temp > 80
    for: 2s
    labels: { severity: page, where: '{{ $labels.node }}' }
    annotations: { summary: '{{ $labels.node }} of {{ $labels.job }} is at {{ humanize $value }}' }
  - alert: Waits
    expr: temp > 80
    for: 1h
  - alert: Holds
    expr: temp > 80
    keep_firing_for: 1h
  - alert: Lost
    expr: absent(temp{node=\"n1\"})
  - alert: Stripped
    expr: max(temp) > 80
    labels: { node: '' }
  - alert: Collides
    expr: temp > 80
    labels: { node: same, instance: same }
  - alert: Chained
    expr: job:temp:avg:doubled > 100
  - alert: Counted
    expr: count(ALERTS{alertname=\"Hot\", alertstate=\"firing\"}) > 1
";

fn temps(values: [(&'static str, f64); 2]) -> Now {
    let one = |(node, value): (&'static str, f64)| {
        (vec![("__name__", "temp"), ("job", "ipmi"), ("instance", node), ("node", node)], value)
    };
    values.into_iter().map(one).collect()
}

/// Everything that can be compared, without what is each server's own moment.
async fn standing(base: &str, prefix: &str) -> Vec<String> {
    let alerts = data(base, &format!("{prefix}/api/v1/alerts")).await;
    let one = |alert: &Value| {
        format!("alert {} {} {} {}", alert["labels"], alert["state"], alert["value"], alert["annotations"])
    };
    let mut all: Vec<String> = alerts["alerts"].as_array().into_iter().flatten().map(one).collect();
    for series in [
        "ALERTS",
        "count by (__name__, alertname, node) (ALERTS_FOR_STATE)",
        "{__name__=~\"job:.*|node:hot|fixed|collides|limited\"}",
    ] {
        all.extend(query(base, prefix, series).await);
    }
    let rules = data(base, &format!("{prefix}/api/v1/rules")).await;
    for group in rules["groups"].as_array().into_iter().flatten() {
        for rule in group["rules"].as_array().into_iter().flatten() {
            let stands = format!("rule {} {} {}", rule["name"], rule["health"], rule["state"]);
            all.push(format!("{stands} {} {}", rule["lastError"], rule["query"]));
        }
    }
    all.sort();
    all
}

/// Writes the same to both until they stand alike, and as expected.
async fn alike(ours: &str, theirs: &str, now: &Now, expected: &[&str], gone: &[&str]) -> Vec<String> {
    let what = format!("both stand alike with {expected:?}");
    let last = std::sync::Mutex::new((Vec::new(), Vec::new()));
    let settled = until(&what, || async {
        write(&[(ours, "/prometheus"), (theirs, "")], now).await;
        let (a, b) = (standing(ours, "/prometheus").await, standing(theirs, "").await);
        let has = |text: &&str| a.iter().any(|line| line.contains(*text));
        let as_expected = expected.iter().all(has) && !gone.iter().any(has);
        let settled = (a == b && as_expected).then(|| a.clone());
        *last.lock().expect("one at a time") = (a, b);
        settled
    });
    match tokio::time::timeout(std::time::Duration::from_secs(50), settled).await {
        Ok(settled) => settled,
        Err(_) => {
            let (a, b) = last.lock().expect("one at a time").clone();
            let only = |these: &[String], those: &[String]| {
                these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>().join("\n")
            };
            panic!(
                "{what}\nonly ours:\n{}\nonly Prometheus':\n{}\nall ours:\n{}",
                only(&a, &b),
                only(&b, &a),
                a.join("\n")
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rules_over_the_same_data_come_to_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("rules.yml"), RULES).expect("written");
    let Some((_child, theirs)) = prometheus(folder.path()).await else { return };
    let (server, ours) = start(folder.path()).await;
    let cool = temps([("n1", 50.0), ("n2", 60.0)]);
    alike(
        &ours,
        &theirs,
        &cool,
        &["\"job:temp:avg:doubled\"", "rule \"Collides\" \"ok\" \"inactive\""],
        &["alert {\"alertname\":\"Hot\""],
    )
    .await;
    let hot = temps([("n1", 95.5), ("n2", 90.25)]);
    let stood = alike(
        &ours,
        &theirs,
        &hot,
        &[
            "rule \"Hot\" \"ok\" \"firing\"",
            "rule \"Waits\" \"ok\" \"pending\"",
            "rule \"Counted\" \"ok\" \"firing\"",
            "rule \"Collides\" \"err\"",
            "rule \"limited\" \"err\"",
            "n1 of ipmi is at 95.5",
        ],
        &[],
    )
    .await;
    assert!(stood.iter().filter(|line| line.starts_with("alert")).count() >= 8, "{stood:#?}");
    let mixed = temps([("n1", 50.0), ("n2", 91.0)]);
    alike(
        &ours,
        &theirs,
        &mixed,
        &["n2 of ipmi is at 91", "\"alertname\":\"Holds\",\"instance\":\"n1\""],
        &["\"alertname\":\"Waits\",\"instance\":\"n1\"", "rule \"Counted\" \"ok\" \"firing\""],
    )
    .await;
    alike(
        &ours,
        &theirs,
        &cool,
        &["rule \"Holds\" \"ok\" \"firing\"", "rule \"Hot\" \"ok\" \"inactive\""],
        &["\"__name__\":\"node:hot\""],
    )
    .await;
    server.stop().await;
}
