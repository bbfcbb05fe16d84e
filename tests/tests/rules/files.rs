//! Rule files side by side with promtool, and their templates side by side with Prometheus.

use super::{data, program, prometheus, start};
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};
use tandem_domain::rule::RuleKind;
use tandem_tests::until;

/// The rule files of the community, where they are.
fn community() -> Vec<(PathBuf, String)> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared").to_owned();
    let shared = std::env::var("TANDEM_SHARED").unwrap_or(beside);
    let folder = PathBuf::from(shared).join("data/alert-rules/dist/rules");
    if !folder.is_dir() {
        println!("skipped: {} is absent; set TANDEM_SHARED to the folder that holds data/", folder.display());
        return Vec::new();
    }
    let mut files = Vec::new();
    for folder in std::fs::read_dir(folder).expect("a folder").flatten() {
        for file in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
            files.push((file.path(), std::fs::read_to_string(file.path()).expect("text")));
        }
    }
    files.sort();
    files
}

/// Rules in a group of a file of their own.
fn file_of(rules: &str) -> String {
    format!("groups:\n- name: g\n  rules:\n{rules}\n")
}

/// Files of our own, good and bad.
fn own() -> Vec<String> {
    let mut files: Vec<String> = [
        "",
        "groups:",
        "groups: []",
        "groups: {}",
        "groups: 5",
        "other: []",
        "groups:\n- name: g",
        "groups:\n- rules: []",
        "groups:\n- name: g\n- name: g",
        "groups:\n- name: g\n  name: h",
        "groups:\n- {name: g, interval: 5}",
        "groups:\n- {name: g, interval: 5m, limit: 3}",
        "groups:\n- {name: g, limit: three}",
        "groups: [",
        "groups:\n- {name: g, interval: 1h5m}",
        "groups:\n- {name: g, interval: 5m1h}",
        "groups:\n- {name: g, interval: 0s}",
        "groups:\n- {name: 5, interval: 1d}",
        "groups:\n- {name: g, concurrency: 5}",
        "groups:\n- name: g\n\trules: []",
        "x: &x {name: g}\ngroups:\n- *x",
    ]
    .map(str::to_owned)
    .to_vec();
    let rules = [
        "  - {}",
        "  - {record: a, expr: up}",
        "  - {record: a:b, expr: up, labels: {x: y}}",
        "  - {record: a b, expr: up}",
        "  - {record: 1a, expr: up}",
        "  - {record: a, expr: up, for: 5m}",
        "  - {record: a, expr: up, for: 0s}",
        "  - {record: a, expr: up, annotations: {x: y}}",
        "  - {record: a, alert: b, expr: up}",
        "  - {alert: a}",
        "  - {alert: a, expr: ''}",
        "  - {alert: a b, expr: up}",
        "  - {alert: a, expr: 'up =='}",
        "  - {alert: a, expr: 5}",
        "  - {alert: a, expr: '\"x\"'}",
        "  - {alert: a, expr: 'up[5m]'}",
        "  - {alert: a, expr: 'sum(up) by (x) > 1'}",
        "  - {alert: a, expr: 'rate(up)'}",
        "  - {alert: a, expr: 'up + \"x\"'}",
        "  - {alert: a, expr: 'nofunction(up)'}",
        "  - {alert: a, expr: up, for: 5m, keep_firing_for: 5m}",
        "  - {alert: a, expr: up, for: five}",
        "  - {alert: a, expr: up, labels: {a-b: x}}",
        "  - {alert: a, expr: up, labels: {__name__: x}}",
        "  - {alert: a, expr: up, labels: {x: 5, y: true, z: 1.50}}",
        "  - {alert: a, expr: up, labels: {x: [y]}}",
        "  - {alert: a, expr: up, annotations: {a-b: x}}",
        "  - {alert: a, expr: up, annotations: {x: null}}",
        "  - {alert: a, expr: up, labels: null, annotations: {}}",
        "  - {alert: a, expr: up, unknown: x}",
        "  - {alert: a, expr: up, annotations: {x: '{{ $labels.x }}'}}",
        "  - {alert: a, expr: up, annotations: {x: '{{ $labels.x '}}",
        "  - {alert: a, expr: up, annotations: {x: '{{ $nolabels }}'}}",
        "  - {alert: a, expr: up, annotations: {x: '{{ nofunction }}'}}",
        "  - {alert: a, expr: up, annotations: {x: '{{ if $value }}a'}}",
        "  - {alert: a, expr: up, annotations: {x: 'a{{ end }}b'}}",
        "  - {alert: a, expr: up, annotations: {x: '{{ if $value }}a{{ else }}b{{ end }}'}}",
        "  - {alert: a, expr: up, annotations: {x: '{{ range $k, $v := $labels }}{{ $k }}{{ end }}{{ $k }}'}}",
        "  - {alert: a, expr: up, labels: {x: '{{ $value | humanize }}'}}",
        "  - {alert: a, expr: up, annotations: {x: '{{ else }}'}}",
        "  - {alert: a, expr: up, annotations: {x: '{{ query \"up{\" }}'}}",
        "  - {record: a, expr: up, labels: {x: '{{ broken'}}",
    ];
    files.extend(rules.iter().map(|rules| file_of(rules)));
    files
}

#[test]
fn files_are_taken_and_refused_as_promtool_does() {
    let Some(promtool) = program("promtool") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let all = community().into_iter().map(|(_, text)| text).chain(own());
    let (mut taken, mut refused, mut differences) = (0, 0, Vec::new());
    for (number, text) in all.enumerate() {
        let path = folder.path().join(format!("{number}.yml"));
        std::fs::write(&path, &text).expect("written");
        let told = std::process::Command::new(&promtool).args(["check", "rules"]).arg(&path).output().expect("it runs");
        let ours = tandem_server::rules::check_text("rules.yml", &text);
        *(if told.status.success() { &mut taken } else { &mut refused }) += 1;
        if told.status.success() != ours.is_ok() {
            let said = String::from_utf8_lossy(&told.stderr).into_owned();
            differences.push(format!("{text}\npromtool: {said}ours: {:?}\n", ours.err().map(|bad| bad.to_string())));
        }
    }
    println!("{taken} taken, {refused} refused by promtool");
    assert!(taken > 15 && refused > 25, "{taken} taken, {refused} refused");
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

/// Texts with all functions, to be expanded over a value that is no round number.
const TEXTS: [&str; 44] = [
    "{{ $value }}",
    "{{ .Value }}",
    "{{ $labels.instance }}",
    "{{ $labels.nothing }}",
    "{{ $labels }}",
    "{{ .Labels.device }}",
    "{{ humanize $value }}",
    "{{ humanize1024 $value }}",
    "{{ humanizeDuration $value }}",
    "{{ humanizePercentage $value }}",
    "{{ humanizeTimestamp $value }}",
    "{{ $value | printf \"%.2f\" }}",
    "{{ printf \"%v %g %e %d %s %q %6.1f|%-8s|\" $value $value $value 5 \"x\" \"y\" $value \"z\" }}",
    "{{ humanize 0.00123 }} {{ humanize 123456789.0 }} {{ humanize 0.0 }} {{ humanize 999.95 }} {{ humanize 1e30 }} {{ humanize 12345e-12 }}",
    "{{ humanize1024 1048576.0 }} {{ humanize1024 0.5 }} {{ humanize1024 1e15 }} {{ humanize1024 1023.9 }}",
    "{{ humanizeDuration 59.96 }} {{ humanizeDuration 60.0 }} {{ humanizeDuration 3599.5 }} {{ humanizeDuration 100000.0 }} {{ humanizeDuration 0.0123 }} {{ humanizeDuration 0.0 }}",
    "{{ 1e6 }} {{ 123456.0 }} {{ 1234567.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1e20 }} {{ 1e21 }} {{ 100 }}",
    "{{ title \"aa bB-cc d_e\" }} {{ toUpper $labels.instance }} {{ toLower \"ABC\" }}",
    "{{ match \"sd[a-z]\" $labels.device }} {{ match \"^x\" $labels.device }}",
    "{{ reReplaceAll \"(.*):(.*)\" \"$2 of ${1}\" $labels.instance }}",
    "{{ stripPort $labels.instance }} {{ stripPort \"[::1]:9\" }} {{ stripPort \"a\" }} {{ stripPort \"a:b:c\" }}",
    "{{ stripDomain \"a.b.c:9\" }} {{ stripDomain \"10.0.0.1:9\" }} {{ stripDomain \"a.b\" }}",
    "{{ parseDuration \"1h30m\" }}",
    "{{ graphLink \"up{a=\\\"b\\\"} > 1\" }}",
    "{{ tableLink \"rate(x[5m])\" }}",
    "{{ safeHtml \"<b>\" }}",
    "{{ query \"vector(7)\" | first | value }}",
    "{{ with query \"absent(nothing)\" }}{{ . | first | value | humanize }}{{ end }}",
    "{{ range query \"label_replace(vector(1), 'a', 'b', '', '')\" }}{{ .Labels.a }}={{ .Value }};{{ label \"a\" . }};{{ .Labels.none }}{{ end }}",
    "{{ with query \"nothing\" }}some{{ else }}none{{ end }}",
    "{{ query \"nothing\" | first }}",
    "{{ query \"up{\" }}",
    "{{ if gt $value 90.0 }}hot{{ else if gt $value 50.0 }}warm{{ else }}cold{{ end }}",
    "{{ if eq $labels.device \"sda\" \"sdb\" }}disk{{ end }}",
    "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
    "{{- /* nothing */ -}}  {{ $x := .Value -}}  x{{ $x }}",
    "{{ define \"t\" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template \"t\" (args 1 \"b\") }}",
    "{{ len (query \"vector(1)\") }} {{ len $labels }}",
    "{{ print 1 2 \"a\" 3 }} {{ println 1.5 \"a\" }}",
    "{{ urlquery \"a b&c\" }} {{ html \"<a>\" }} {{ js \"it's\" }}",
    "{{ and 1 0 }} {{ or 0 \"x\" }} {{ not true }} {{ index $labels \"device\" }} {{ index $labels \"none\" }}",
    "{{ .Nothing }}",
    "{{ humanize \"abc\" }}",
    "{{ $externalLabels }} {{ pathPrefix }}|",
];

/// Rules that show the texts over one sample each.
fn shown(texts: &[(String, String)]) -> String {
    let sample = "label_replace(label_replace(vector(93.4567), 'instance', 'node-1.example:9100', '', ''), 'device', 'sda', '', '')";
    let mut rules = String::from("groups:\n- name: templates\n  interval: 1s\n  rules:\n");
    for (name, text) in texts {
        let quoted = serde_json::to_string(text).expect("a text");
        rules.push_str(&format!(
            "  - alert: {name}\n    expr: {}\n    annotations:\n      text: {quoted}\n",
            serde_json::to_string(sample).expect("a text")
        ));
    }
    rules
}

/// Texts of alerts by name; what could not be expanded without the reason, which each says in its own words.
async fn expanded(base: &str, prefix: &str) -> BTreeMap<String, String> {
    let alerts = data(base, &format!("{prefix}/api/v1/alerts")).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |alert: &Value| {
        let told = text(&alert["annotations"]["text"]);
        let told = if told.starts_with("<error expanding template") { "<error>".to_owned() } else { told };
        (text(&alert["labels"]["alertname"]), told)
    };
    alerts["alerts"].as_array().map(|alerts| alerts.iter().map(one).collect()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_come_to_what_prometheus_makes_of_them() {
    let mut texts: Vec<(String, String)> =
        TEXTS.iter().enumerate().map(|(n, t)| (format!("own_{n}"), (*t).to_owned())).collect();
    for (file, text) in community() {
        let groups = tandem_server::rules::check_text("community.yml", &text)
            .unwrap_or_else(|bad| panic!("{}: {bad}", file.display()));
        for rule in groups.iter().flat_map(|group| &group.rules) {
            if let RuleKind::Alerting { annotations, .. } = &rule.rule.kind {
                for annotation in annotations.values() {
                    texts.push((format!("community_{}", texts.len()), annotation.clone()));
                }
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("rules.yml"), shown(&texts)).expect("written");
    let (server, base) = start(folder.path()).await;
    let all = |found: BTreeMap<String, String>| (found.len() == texts.len()).then_some(found);
    let ours = until("all alerts are there", || async { all(expanded(&base, "/prometheus").await) }).await;
    server.stop().await;
    assert!(ours.iter().filter(|(name, text)| name.starts_with("community") && *text == "<error>").count() == 0);
    let Some((_child, address)) = prometheus(folder.path()).await else { return };
    let theirs = until("all alerts are there", || async { all(expanded(&address, "").await) }).await;
    let source = |name: &str| texts.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text);
    let differences: Vec<String> = theirs
        .iter()
        .filter(|(name, text)| ours.get(*name) != Some(text))
        .map(|(name, text)| format!("{}\n  Prometheus: {text}\n  ours:       {}", source(name), ours[name]))
        .collect();
    println!("{} texts are the same", theirs.len() - differences.len());
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
