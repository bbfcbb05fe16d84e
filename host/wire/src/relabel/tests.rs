//! Relabelling against what Prometheus documents.

use super::*;

fn rules(json: &str) -> Result<Relabeling, String> {
    let configs: Vec<RelabelConfig> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    Relabeling::compile("relabel_configs", &configs)
}

/// The labels after the rules, or none when what bears them was let go.
fn after(json: &str, labels: &[(&str, &str)]) -> Option<Vec<String>> {
    let mut labels: LabelMap = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let kept = rules(json).expect("rules").apply(&mut labels);
    kept.then(|| labels.iter().map(|(name, value)| format!("{name}={value}")).collect())
}

fn told(labels: &[&str]) -> Option<Vec<String>> {
    Some(labels.iter().map(|label| (*label).to_owned()).collect())
}

// The cases follow the behaviour that Prometheus documents, and were compared with its 2.42 (tests/tests/scraping.rs).
#[test]
fn replace_sets_by_groups_where_the_whole_value_fits() {
    let abc = [("a", "foo"), ("b", "bar"), ("c", "baz")];
    let rule = r#"[{"source_labels": ["a"], "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch$1"}]"#;
    assert_eq!(after(rule, &abc), told(&["a=foo", "b=bar", "c=baz", "d=choo-choo"]));
    let rule =
        r#"[{"source_labels": ["a", "b"], "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"}]"#;
    assert_eq!(after(rule, &abc), told(&["a=boobam", "b=bar", "c=baz"]));
    let partly = r#"[{"source_labels": ["a"], "regex": "fo", "target_label": "d", "replacement": "x"}]"#;
    assert_eq!(after(partly, &abc), told(&["a=foo", "b=bar", "c=baz"]), "it is anchored");
    let alternatives = r#"[{"source_labels": ["a"], "regex": "f|o", "target_label": "d", "replacement": "x"}]"#;
    assert_eq!(after(alternatives, &abc), told(&["a=foo", "b=bar", "c=baz"]), "each alternative is anchored");
    let empty = r#"[{"source_labels": ["missing"], "target_label": "a"}]"#;
    assert_eq!(after(empty, &abc), told(&["b=bar", "c=baz"]), "an empty value removes the label");
    let constant = r#"[{"target_label": "d", "replacement": "always"}]"#;
    assert_eq!(after(constant, &abc), told(&["a=foo", "b=bar", "c=baz", "d=always"]));
    let computed =
        r#"[{"source_labels": ["a"], "regex": "(f)(.*)", "target_label": "${1}_label", "replacement": "$2"}]"#;
    assert_eq!(after(computed, &abc), told(&["a=foo", "b=bar", "c=baz", "f_label=oo"]));
    let unknown = r#"[{"source_labels": ["a"], "regex": "f.*", "target_label": "d", "replacement": "x${3}$$y"}]"#;
    assert_eq!(after(unknown, &abc), told(&["a=foo", "b=bar", "c=baz", "d=x$y"]));
}

#[test]
fn keep_and_drop_choose() {
    let a = [("a", "foo"), ("b", "foo"), ("c", "other")];
    let kept = |rule: &str| after(rule, &a).is_some();
    assert!(kept(r#"[{"source_labels": ["a"], "regex": "fo+", "action": "keep"}]"#));
    assert!(!kept(r#"[{"source_labels": ["a"], "regex": "o+", "action": "keep"}]"#));
    assert!(!kept(r#"[{"source_labels": ["a"], "regex": ".*o.*", "action": "drop"}]"#));
    assert!(kept(r#"[{"source_labels": ["a"], "regex": "bar", "action": "drop"}]"#));
    assert!(kept(r#"[{"source_labels": ["a"], "target_label": "b", "action": "keepequal"}]"#));
    assert!(!kept(r#"[{"source_labels": ["a"], "target_label": "c", "action": "keepequal"}]"#));
    assert!(!kept(r#"[{"source_labels": ["a"], "target_label": "b", "action": "dropequal"}]"#));
    assert!(kept(r#"[{"source_labels": ["a"], "target_label": "c", "action": "dropequal"}]"#));
}

#[test]
fn names_are_mapped_dropped_and_kept() {
    let labels = [("__meta_x_a", "1"), ("__meta_x_b", "2"), ("c", "3")];
    let map = r#"[{"regex": "__meta_x_(.+)", "action": "labelmap"}]"#;
    assert_eq!(after(map, &labels), told(&["__meta_x_a=1", "__meta_x_b=2", "a=1", "b=2", "c=3"]));
    let drop = r#"[{"regex": "__meta_.*", "action": "labeldrop"}]"#;
    assert_eq!(after(drop, &labels), told(&["c=3"]));
    let keep = r#"[{"regex": "c|__meta_x_a", "action": "labelkeep"}]"#;
    assert_eq!(after(keep, &labels), told(&["__meta_x_a=1", "c=3"]));
}

#[test]
fn case_and_hash_are_made_of_the_joined_value() {
    let labels = [("a", "FoO"), ("b", "Bar")];
    let lower = r#"[{"source_labels": ["a", "b"], "target_label": "l", "action": "lowercase"}]"#;
    assert_eq!(after(lower, &labels), told(&["a=FoO", "b=Bar", "l=foo;bar"]));
    let upper = r#"[{"source_labels": ["a"], "target_label": "u", "action": "uppercase"}]"#;
    assert_eq!(after(upper, &labels), told(&["a=FoO", "b=Bar", "u=FOO"]));
    // md5("baz") = 73feffa4b7f6bb68e44cf984c85f6e88; its last eight bytes modulo 1000 are 976.
    let hash = r#"[{"source_labels": ["c"], "target_label": "d", "action": "hashmod", "modulus": 1000}]"#;
    assert_eq!(after(hash, &[("c", "baz")]), told(&["c=baz", "d=976"]));
}

#[test]
fn rules_that_cannot_be_meant_are_named() {
    for (rule, part) in [
        (r#"[{"action": "replace"}]"#, "relabel_configs.0: action replace needs a target_label"),
        (r#"[{"action": "hashmod", "target_label": "a"}]"#, "modulus above 0"),
        (r#"[{"target_label": "a", "regex": "("}]"#, "regex \"(\" is none"),
        (r#"[{"action": "labeldrop", "regex": "a", "source_labels": ["b"]}]"#, "takes a regex only"),
        (r#"[{"action": "keepequal", "target_label": "a", "regex": "x"}]"#, "source_labels and target_label only"),
        (r#"[{"action": "labelmap", "replacement": ""}]"#, "replacement"),
        (r#"[{"action": "keepit"}]"#, "unknown variant"),
        (r#"[{"target": "a"}]"#, "unknown field"),
    ] {
        let said = rules(rule).expect_err(rule);
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn labels_that_grow_without_end_are_let_go() {
    let repeated = |rule: &str, times: usize| format!("[{}]", vec![rule; times].join(","));
    let double = r#"{"source_labels": ["a"], "target_label": "a", "replacement": "$1$1"}"#;
    assert!(after(&repeated(double, 10), &[("a", "x")]).is_some_and(|labels| labels[0].len() == 2 + (1 << 10)));
    assert_eq!(after(&repeated(double, 40), &[("a", "x")]), None);
    let joined = r#"{"source_labels": ["a", "a"], "separator": "", "target_label": "a"}"#;
    assert_eq!(after(&repeated(joined, 40), &[("a", "x")]), None);
    let copied = r#"{"regex": "(.*)", "replacement": "x$1", "action": "labelmap"}"#;
    assert!(after(&repeated(copied, 5), &[("a", "x"), ("b", "y")]).is_some());
    let with_new_names =
        (0..40).map(|n| format!(r#"{{"regex": "(.*)", "replacement": "{n}_$1", "action": "labelmap"}}"#));
    let rules = format!("[{}]", with_new_names.collect::<Vec<_>>().join(","));
    assert_eq!(after(&rules, &[("a", "x")]), None, "each rule doubles the labels");
}
