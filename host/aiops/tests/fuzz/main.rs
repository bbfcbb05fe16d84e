//! The texts of rules against ones that were bent, cut and spliced from good ones (see `driver` in `host/wire/tests/fuzz`): no
//! panic, bounded memory, and an end.

#[path = "../../../wire/tests/fuzz/driver.rs"]
mod driver;
#[path = "../../../wire/tests/fuzz/memory.rs"]
mod memory;
#[path = "../../../wire/tests/fuzz/mutate.rs"]
mod mutate;

use driver::{FREE_BYTES, Target, fuzz};
use std::sync::Arc;
use tandem_aiops::rule::{
    check,
    template::{Expander, Shown, Surroundings, Template},
};
use tandem_domain::series::Labels;

/// Variables of a template may hold this much together, in bytes: each as much as the whole may come to, and a template of
/// [`driver`]'s length has room to name a thousand.
const VARIABLES_BYTES: usize = 128 << 20;

const TEMPLATES: [&str; 12] = [
    "{{ $labels.instance }} of {{ .Labels.job }} is down: {{ $value | humanize }} {{ $externalLabels.site }}{{ $externalURL }}",
    "{{ range query \"up\" }}{{ .Labels.instance }}={{ .Value | humanizePercentage }} {{ else }}none{{ end }}",
    "{{ with query \"nothing\" }}{{ . | first | value }}{{ else }}{{ printf \"%-9.3f|%q|%v\" 1.5 \"a\" $value }}{{ end }}",
    "{{ define \"t\" }}<{{ .arg0 }}|{{ .arg1 }}>{{ end }}{{ template \"t\" (args 1 $labels.job) }}",
    "{{ if and (gt $value 1.0) (not (match \"a.*\" $labels.instance)) }}x{{ else if eq 1 2 }}y{{ end }}",
    "{{- /* comment */ -}} {{ $x := .Value }}{{ $x = 2.0 }}{{ $x | humanizeDuration | toUpper | title }}",
    "{{ reReplaceAll \"(.*):([0-9]+)\" \"$2-${1}\" $labels.instance | stripPort | stripDomain }}",
    "{{ range $i, $s := sortByLabel \"instance\" (query \"up\") }}{{ if eq $i 1 }}{{ break }}{{ end }}{{ continue }}{{ end }}",
    "{{ humanizeTimestamp 1.7e9 }} {{ toTime $value }} {{ parseDuration \"1h\" }} {{ graphLink \"up\" }} {{ tableLink \"a b\" }}",
    "{{ range 9 }}{{ range 9 }}{{ print 1 \"b\" 2.5 }}{{ end }}{{ end }}{{ len \"abc\" }}{{ slice \"abc\" 1 2 }}{{ index $labels \"x\" }}",
    "{{ html \"<a>\" }}{{ js \"'\" }}{{ urlquery \"a b\" }}{{ safeHtml \"x\" }}{{ pathPrefix }}{{ 1 | printf \"%05d %x %t\" 7 true }}",
    "{{ block \"b\" . }}{{ .Value }}{{ end }}{{ range $k, $v := $labels }}{{ $k }}{{ $v }}{{ end }}{{ humanize1024 1e9 }}",
];

const RULES: &str = "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: sum by (job) (rate(x[5m]))\n  - alert: A\n    expr: up == 0\n    \
    labels: { s: '{{ $labels.job }}' }\n    annotations: { t: '{{ range query \"up\" }}{{ .Value }}{{ end }}' }\n";

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn around() -> Surroundings {
    let answer = |expr: &str| match expr {
        "up" => Ok(vec![
            (labels(&[("__name__", "up"), ("instance", "b:1")]), 1.0),
            (labels(&[("__name__", "up"), ("instance", "é:1")]), f64::NAN),
        ]),
        "nothing" => Ok(Vec::new()),
        other => Err(format!("parse error in {other}")),
    };
    Surroundings {
        external_labels: labels(&[("site", "north")]),
        external_url: "http://tandem.example:8420/prom".into(),
        query: Arc::new(answer),
    }
}

#[test]
fn rule_templates() {
    let run = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(template) = Template::parse(&text) else { return 0 };
        let labels = labels(&[("instance", "gpu-7.site.example:9400"), ("job", "dcgm"), ("é", "{{")]);
        let expander = Expander::new(&template, &around());
        let mut reached = 1;
        for value in [42.5, f64::NEG_INFINITY, 1e300] {
            if let Ok(expanded) = expander.expand(&Shown { labels: &labels, value }) {
                reached += 1 + expanded.len().min(100);
            }
        }
        reached
    };
    let seeds = TEMPLATES.map(|text| text.as_bytes().to_vec()).to_vec();
    fuzz(&Target { name: "rule_templates", seeds, memory_factor: 4_000, free_bytes: VARIABLES_BYTES, run });
}

/// From the bytes of a file to rules that can be evaluated.
#[test]
fn rule_checks() {
    let run = |bytes: &[u8]| {
        let Ok(groups) = tandem_wire::rule_file::read(&String::from_utf8_lossy(bytes)) else { return 0 };
        check("rules.yml", groups).map_or(1, |groups| 1 + groups.iter().map(|group| group.rules.len()).sum::<usize>())
    };
    let free_bytes = FREE_BYTES * 16;
    fuzz(&Target { name: "rule_checks", seeds: vec![RULES.into()], memory_factor: 4_000, free_bytes, run });
}
