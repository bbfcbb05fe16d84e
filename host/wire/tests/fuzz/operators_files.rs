//! What operators write, or have written by tools, as targets: rule files, relabelling, lists of targets.

use crate::{FREE_BYTES, Target};
use tandem_wire::{
    relabel::{LabelMap, RelabelConfig, Relabeling},
    rule_file, target_list,
};

const RULES: &str = "groups:\n- name: gpu\n  interval: 30s\n  limit: 5\n  query_offset: 1m\n  labels: { team: ops }\n  rules:\n  - record: job:up:sum\n    \
    expr: sum by (job) (up)\n    labels:\n      site: &s north\n  - alert: Hot\n    expr: |\n      temp > 90\n    for: 5m\n    keep_firing_for: 1h30m\n    \
    labels: { severity: critical, site: *s }\n    annotations:\n      summary: '{{ $labels.gpu }} has {{ $value }}'\n- name: empty\n";
/// Expressions of a relabelling may take this much each whatever their length, in bytes: their program, and room to run it in.
const EXPRESSIONS_BYTES: usize = 256 << 20;

pub fn rule_file() -> Target {
    let run = |bytes: &[u8]| {
        let Ok(groups) = rule_file::read(&String::from_utf8_lossy(bytes)) else { return 0 };
        groups.len() + groups.iter().map(|group| group.rules.len()).sum::<usize>()
    };
    Target { name: "rule_file", seeds: vec![RULES.into()], memory_factor: 2_000, free_bytes: FREE_BYTES, run }
}

/// Rules in JSON on the first line, and on each further line a label.
pub fn relabeling() -> Target {
    let run = |bytes: &[u8]| {
        let (rules, labels) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
        let Ok(configs) = serde_json::from_slice::<Vec<RelabelConfig>>(rules) else { return 0 };
        let Ok(rules) = Relabeling::compile("relabel_configs", &configs) else { return 0 };
        let text = String::from_utf8_lossy(labels);
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let mut labels: LabelMap = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let kept = rules.apply(&mut labels);
        let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert_eq!(labels.bytes(), bytes, "they are counted as they change");
        assert!(!kept || bytes <= 1 << 20, "{bytes} bytes of labels are kept");
        assert!(labels.iter().all(|(_, value)| !value.is_empty()), "an empty value is no label");
        configs.len() + usize::from(kept)
    };
    let seeds = [
        r#"[{"source_labels": ["a", "b"], "separator": "-", "regex": "(.*)-(.*)", "target_label": "${1}_c", "replacement": "$2$1"}]
a=x
b=yz"#,
        r#"[{"regex": "__meta_(.+)", "action": "labelmap"}, {"regex": "__.*", "action": "labeldrop"}, {"action": "labelkeep", "regex": "a|b"}]
__meta_a=1
__meta_b=2
c=3"#,
        r#"[{"source_labels": ["a"], "modulus": 7, "target_label": "h", "action": "hashmod"}, {"source_labels": ["a"], "target_label": "a", "action": "uppercase"}, {"source_labels": ["a"], "target_label": "b", "action": "dropequal"}, {"source_labels": ["a"], "regex": "x|y{1,9}", "action": "drop"}]
a=é"#,
        r#"[{"source_labels": ["a"], "target_label": "a", "replacement": "$1$1$1"}, {"source_labels": ["a"], "target_label": "a", "replacement": "$1$1$1"}, {"regex": "(.*)", "replacement": "x$1", "action": "labelmap"}, {"source_labels": ["a", "a", "a"], "target_label": "a"}]
a=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
b=1"#,
    ];
    let seeds = seeds.map(|seed| seed.as_bytes().to_vec()).to_vec();
    Target { name: "relabeling", seeds, memory_factor: 4_000, free_bytes: EXPRESSIONS_BYTES, run }
}

fn counted(groups: Result<Vec<target_list::ListedGroup>, String>) -> usize {
    groups.map_or(0, |groups| groups.len() + groups.iter().map(|group| group.targets.len()).sum::<usize>())
}

pub fn target_list_json() -> Target {
    let seed = br#"[{"targets": ["10.0.0.7:9400", "[::1]:80"], "labels": {"rack": "7", "__path": "\u00e9"}}, {"targets": []}]"#;
    let run = |bytes: &[u8]| counted(target_list::from_json(bytes));
    Target { name: "target_list_json", seeds: vec![seed.to_vec()], memory_factor: 200, free_bytes: FREE_BYTES, run }
}

pub fn target_list_yaml() -> Target {
    let seed = b"- targets: ['10.0.0.7:9400', \"b:2\"]\n  labels: { rack: &r '7', row: *r }\n- targets:\n  - c:3\n  labels:\n    text: |\n      x\n";
    let run = |bytes: &[u8]| counted(target_list::from_yaml(&String::from_utf8_lossy(bytes)));
    Target { name: "target_list_yaml", seeds: vec![seed.to_vec()], memory_factor: 2_000, free_bytes: FREE_BYTES, run }
}
